"""Where a tenement listens: addresses of every kind, sockets' files, PROXY headers, from start to end."""

import contextlib
import http.client
import os
import socket
import stat

import pytest

from daemon_rig import ROOT, kill
from harness import SLOWNESS, Answer, free_port, wait_until
from test_proxy_protocol import V4, V6, binary, binary_of, expected_origin, line


def listener(address, **keys):
    return f'[[settings.listener]]\naddress = "{address}"\n' + "".join(
        f"{key} = {str(value).lower()}\n" for key, value in keys.items())


def listening(tenement, *tables, **options):
    """One that listens where TABLES say, beside 127.0.0.1:{t.port}, with the tenant echo:a."""
    t = tenement(start=False, **options)
    t.main = "".join([listener(f"127.0.0.1:{t.port}"), *(table.format(t=t) for table in tables)])
    t.write("echo.toml", t.service("echo") + t.tenant("echo", id="a"))
    return t


def addresses(t):
    return t.control("GET", "/api/status").json()["listen"]


def connect(address, timeout=30):
    if address.startswith("unix:"):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(timeout * SLOWNESS)
        sock.connect(address.removeprefix("unix:"))
        return sock
    host, port = address.rsplit(":", 1)
    return socket.create_connection((host.strip("[]"), int(port)), timeout * SLOWNESS)


def ask(address, path="/", headers=None, before=b"", host="a.echo.localhost"):
    """The answer to one request at ADDRESS, with the bytes BEFORE sent first; None: closed without one."""
    connection = http.client.HTTPConnection("localhost")
    connection.sock = connect(address)
    with contextlib.closing(connection):
        connection.sock.sendall(before)
        try:
            connection.request("GET", path, headers={"Host": host, **(headers or {})})
            return Answer(connection.getresponse())
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            return None


def origin(answer):
    got = {name.lower(): value for name, value in answer.json()["headers"]}
    return got["x-forwarded-for"], got["x-real-ip"], got["forwarded"].replace("a.echo.", "t.")


def test_every_kind_of_listener_serves(tenement):
    t = listening(tenement, listener("127.0.0.1:0"), listener("[::1]:0"), listener("unix:{t.root}/front.sock"),
                  listener("127.0.0.1:0"))
    t.start()
    t.wait_ok("echo:a")
    listed = addresses(t)
    assert listed[0] == f"127.0.0.1:{t.port}" and listed[3] == f"unix:{t.root}/front.sock"
    assert listed[2].startswith("[::1]:") and not listed[2].endswith(":0") and len(set(listed)) == 5
    clients = ["127.0.0.1", "127.0.0.1", "::1", "unknown", "127.0.0.1"]
    for turn in range(4):  # each worker has a share of them
        for address, client in zip(listed, clients):
            assert origin(ask(address, f"/{turn}")) == expected_origin(client), address
            assert ask(address, "/health", host="localhost").json() == {"status": "ok"}
    for address in listed:
        assert address in t.said()


def test_ipv6_alone_and_ipv4_beside_it(tenement):
    port = free_port()
    t = listening(tenement, listener(f"[::]:{port}"))
    t.start()
    t.wait_ok("echo:a")
    assert origin(ask(f"[::1]:{port}")) == expected_origin("::1")
    with pytest.raises(ConnectionRefusedError):
        connect(f"127.0.0.1:{port}")
    assert t.stop() == 0
    t.main += listener(f"0.0.0.0:{port}")
    t.start()
    t.wait_ok("echo:a")
    assert origin(ask(f"[::1]:{port}")) == expected_origin("::1")
    assert origin(ask(f"127.0.0.1:{port}")) == expected_origin("127.0.0.1")


def test_a_trusted_network_of_ipv6(tenement):
    t = listening(tenement, listener("[::1]:0"), settings={"trusted_proxies": ["::1/128"]})
    t.start()
    t.wait_ok("echo:a")
    said = {"X-Forwarded-For": "2001:db8::9", "Forwarded": 'for="[2001:db8::9]"'}
    v4, v6 = addresses(t)
    assert origin(ask(v6, headers=said)) == (
        "2001:db8::9, ::1", "2001:db8::9", 'for="[2001:db8::9]", for="[::1]";host="t.localhost";proto=http')
    assert origin(ask(v4, headers=said)) == expected_origin("127.0.0.1")


def test_listen_as_a_plain_list(tenement):
    t = tenement(start=False)
    t.settings["listen"] = [f"127.0.0.1:{t.port}", "[::1]:0", f"unix:{t.root}/front.sock"]
    t.start()
    for address in addresses(t):
        assert ask(address, "/health", host="localhost").status == 200
    assert [one["address"] for one in t.ten_json("config", "listener")] == t.settings["listen"]


# ---- a socket's file ----


def test_a_unix_socket_is_for_everyone_and_goes_at_the_end(tenement):
    t = listening(tenement, listener("unix:{t.root}/front.sock"))
    path = t.root / "front.sock"
    t.start()
    t.wait_ok("echo:a")
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 and stat.S_ISSOCK(path.stat().st_mode)
    if ROOT:  # as anybody
        pid = os.fork()
        if not pid:
            try:
                os.setgid(65534)
                os.setuid(65534)
                connect(f"unix:{path}").close()
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(pid, 0)[1] == 0
    assert t.stop() == 0
    assert not path.exists()


def leave_stale(path):
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(path))
        old.listen()
    assert stat.S_ISSOCK(path.stat().st_mode)


def test_a_stale_socket_is_replaced(tenement):
    t = listening(tenement, listener("unix:{t.root}/front.sock"))
    leave_stale(t.root / "front.sock")
    t.start()
    t.wait_ok("echo:a")
    assert ask(f"unix:{t.root}/front.sock").status == 200
    # Killed, all of it leaves one itself.
    kill(t.keeper_pid())
    t.serve.wait()
    t.serve = None
    wait_until(lambda: not answers(f"unix:{t.root}/front.sock"))
    assert (t.root / "front.sock").exists()
    wait_until(lambda: not answers(f"127.0.0.1:{t.port}"))
    wait_until(lambda: started(t))
    assert ask(f"unix:{t.root}/front.sock", "/health", host="localhost").status == 200


def started(t):
    """Start it, as soon as what is left of its last life lets go."""
    t.start(wait=False)
    try:
        t.wait_healthy()
    except RuntimeError:
        t.serve = None
        return False
    return True


def answers(address):
    try:
        connect(address).close()
        return True
    except OSError:
        return False


@pytest.mark.parametrize("kind", ["a file", "a folder", "a link to a socket", "a socket in use", "a full socket"])
def test_what_is_not_ours_is_left_alone(tenement, kind):
    t = listening(tenement, listener("unix:{t.root}/first.sock"), listener("unix:{t.root}/front.sock"))
    path = t.root / "front.sock"
    foreign = socket.socket(socket.AF_UNIX)
    waiting = []
    if kind == "a file":
        path.write_text("precious")
    elif kind == "a folder":
        path.mkdir()
    elif kind == "a link to a socket":
        leave_stale(t.root / "real.sock")
        path.symlink_to(t.root / "real.sock")
    else:
        foreign.bind(str(path))
        foreign.listen(0)
        if kind == "a full socket":
            waiting = fill(path)
    before = os.lstat(path)
    t.start(wait=False)
    assert t.serve.wait(30 * SLOWNESS) == 1
    t.serve = None
    after = os.lstat(path)
    assert (before.st_ino, before.st_mtime_ns, before.st_mode) == (after.st_ino, after.st_mtime_ns, after.st_mode)
    reason = "another program listens there" if "socket" in kind and "link" not in kind else "no socket"
    assert f"unix:{path}" in t.said() and reason in t.said()
    # What it had bound by then is gone with it.
    assert not (t.root / "first.sock").exists()
    for sock in (foreign, *waiting):
        sock.close()


def fill(path):
    """Connections until the queue of PATH takes no more."""
    made = []
    while True:
        sock = socket.socket(socket.AF_UNIX)
        sock.setblocking(False)
        made.append(sock)
        try:
            sock.connect(str(path))
        except BlockingIOError:
            return made


def test_a_path_that_cannot_be_had_is_said(tenement):
    t = listening(tenement, listener("unix:{t.root}/nowhere/front.sock"))
    t.start(wait=False)
    assert t.serve.wait(30 * SLOWNESS) == 1
    t.serve = None
    assert (f"unix:{t.root}/nowhere/front.sock: No such file or directory (its folder does not exist)"
            in t.said())
    (t.root / "nowhere").mkdir()
    t.start()
    assert answers(f"unix:{t.root}/nowhere/front.sock")


@pytest.mark.parametrize("place", ["first", "second"])
def test_the_advice_of_another_port_is_for_the_first(tenement, place):
    with socket.socket() as foreign:
        foreign.bind(("127.0.0.1", 0))
        foreign.listen()
        taken = foreign.getsockname()[1]
        t = tenement(start=False)
        t.settings["listen"] = [f"127.0.0.1:{taken}"] if place == "first" else [
            f"127.0.0.1:{t.port}", f"127.0.0.1:{taken}"]
        t.start(wait=False)
        assert t.serve.wait(30 * SLOWNESS) == 1
        t.serve = None
    assert f"listen on 127.0.0.1:{taken}: Address already in use (another program has it" in t.said()
    assert ("ten serve --port" in t.said()) == (place == "first")


# ---- PROXY headers ----


def test_a_listener_with_proxy_protocol(tenement):
    t = listening(tenement, listener("127.0.0.1:0", proxy_protocol=True), listener("[::1]:0", proxy_protocol=True),
                  listener("unix:{t.root}/front.sock", proxy_protocol=True),
                  listener("unix:{t.root}/plain.sock", proxy_protocol=False),
                  settings={"trusted_proxies": ["192.0.2.0/24"]})
    t.start()
    t.wait_ok("echo:a")
    plain, v4, v6, unix, plain_unix = addresses(t)
    for address, peer in ((v4, "127.0.0.1"), (v6, "::1"), (unix, "unknown")):
        assert origin(ask(address, before=binary_of(V6))) == expected_origin(V6)
        assert origin(ask(address, before=line("198.51.100.7"))) == expected_origin("198.51.100.7")
        assert origin(ask(address, before=b"PROXY UNKNOWN\r\n")) == expected_origin(peer)
        assert origin(ask(address, before=binary(command=0))) == expected_origin(peer)
        trusted = origin(ask(address, before=line(V4), headers={"X-Forwarded-For": "203.0.113.1"}))
        assert trusted[:2] == (f"203.0.113.1, {V4}", "203.0.113.1")
        assert ask(address) is None
    for address in (plain, plain_unix):
        assert ask(address).status == 200
        assert ask(address, before=line(V4)).status == 400
    assert "has to begin with a PROXY header: there is none" in t.said()


def test_kills_do_not_make_it_forget_the_header(tenement):
    t = listening(tenement, listener("127.0.0.1:0", proxy_protocol=True),
                  listener("unix:{t.root}/front.sock", proxy_protocol=True))
    t.start()
    t.wait_ok("echo:a")
    _, *guarded = addresses(t)

    def holds():
        for address in guarded:
            for _ in range(4):
                assert origin(ask(address, before=line(V4))) == expected_origin(V4)
                assert ask(address) is None
        return True

    holds()
    for program in ("tenement-proxy", "tenementd", "tenement-proxy", "tenementd"):
        pid = t.pid_of(program)
        kill(pid)
        wait_until(lambda: t.pid_of(program) != pid)
        wait_until(holds)
    wait_until(lambda: addresses(t)[1:] == guarded)
    assert t.stop() == 0
    assert not (t.root / "front.sock").exists()


def test_a_changed_flag_is_put_in_force(tenement):
    """On the same socket; who came in before stays, introduced or not."""
    port = free_port()
    t = listening(tenement, listener(f"127.0.0.1:{port}"))
    t.start()
    t.wait_ok("echo:a")
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30 * SLOWNESS)) as kept:
        def goes_on():
            kept.request("GET", "/", headers={"Host": "a.echo.localhost"})
            assert origin(Answer(kept.getresponse())) == expected_origin("127.0.0.1")
        goes_on()
        plain = t.main
        t.main = plain + "proxy_protocol = true\n"
        t.write_main()
        wait_until(lambda: ask(f"127.0.0.1:{port}") is None)
        goes_on()
        assert origin(ask(f"127.0.0.1:{port}", before=line(V4))) == expected_origin(V4)
        # By a worker and a daemon that are started anew, too.
        for program in ("tenementd", "tenement-proxy"):
            pid = t.pid_of(program)
            if program == "tenementd":
                goes_on()
            kill(pid)
            wait_until(lambda: t.pid_of(program) != pid)
        wait_until(lambda: ask(f"127.0.0.1:{port}", before=line(V4)).status == 200)
        assert ask(f"127.0.0.1:{port}") is None
    t.main = plain
    t.write_main()
    wait_until(lambda: ask(f"127.0.0.1:{port}"))
    assert t.control("GET", "/api/status").json()["restart_needed"] == []


def test_check_names_both_of_two(tenement):
    t = listening(tenement, listener("127.0.0.1:{t.port}", proxy_protocol=True), listener("unix:" + "/x" * 54))
    t.write_main()
    said = t.ten("check", status=1)
    said = said.stdout + said.stderr
    assert f'"127.0.0.1:{t.port}" is listened on twice: line 6 has it too' in said
    assert "the path of a unix socket is at most 107 bytes long, this one 108" in said
    t.start(wait=False)
    assert t.serve.wait(30 * SLOWNESS) == 1
    t.serve = None
    assert "listened on twice" in t.said()
