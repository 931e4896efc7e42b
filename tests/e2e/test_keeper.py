"""The keeper: what it holds, what it restarts, and how everything ends."""

import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from daemon_rig import Load, gate, in_threads, kill, pids, status, wait_gone
from harness import build_program, children_of, free_port, process_alive, processes_of, wait_until

KEYS = [f"tiny:t{i}" for i in range(3)]


@pytest.fixture
def three(tenement):
    def make(mode="tiny", settings=None, start=True, **keys):
        t = tenement(start=False, settings=settings)
        t.declare(KEYS, mode, **keys)
        if start:
            t.start_ok(KEYS)
        return t
    return make


def workers(t):
    return sorted(pid for pid, name in children_of(t.keeper_pid()).items()
                  if name == "tenement-proxy")


def ours(t):
    return [t.keeper_pid(), *children_of(t.keeper_pid())]


def wait_workers(t, *without):
    """Both workers run and take requests, and none is one of WITHOUT."""
    def there():
        told = {worker["pid"] for worker in status(t)["workers"]}
        now = set(workers(t))
        return len(now) == 2 and not now & set(without) and told == now and sorted(now)
    return wait_until(there, what="two workers")


def on_worker(t, connection_count=16):
    """Kept connections, and per worker pid how many it has."""
    connections = [t.connection() for _ in range(connection_count)]
    for connection in connections:
        connection.request("GET", "/", headers={"Host": t.host(KEYS[0])})
        assert connection.getresponse().read()
    return connections, {one["pid"]: one["clients"] for one in status(t)["workers"]}


def test_a_killed_worker_is_replaced_and_the_other_unharmed(three):
    t = three()
    old = wait_workers(t)
    connections, clients = on_worker(t)
    assert sum(clients.values()) >= 16 and min(clients.values()) > 0
    kill(old[0])
    alive = 0
    for connection in connections:
        try:
            connection.request("GET", "/", headers={"Host": t.host(KEYS[1])})
            alive += connection.getresponse().read().strip() == b"t1"
        except OSError:
            pass
        connection.close()
    assert alive >= clients[old[1]] - 1  # (one client may have been status's neighbour by then)
    wait_workers(t, old[0])
    assert old[1] in workers(t)
    answers = in_threads(20, lambda i: t.get(KEYS[i % 3]).status)
    assert answers == [200] * 20


def test_load_on_the_other_worker_sees_nothing(three):
    """The threads keep their connections; those of the dead worker break once, others never."""
    t = three()
    old = wait_workers(t)
    with Load(t, KEYS, threads=12) as load:
        load.wait_for(200)
        before = {one["pid"]: one["clients"] for one in status(t)["workers"]}
        kill(old[0])
        load.wait_for(500)
        wait_workers(t, old[0])
        load.wait_for(500)
    assert len(load.failures) <= before[old[0]], load.failures
    assert not [failure for failure in load.failures if failure[2] in (502, 503, 504)]


def test_the_counts_of_a_dead_worker_are_gone(three):
    t = three("echo", idle_timeout=1)
    old = wait_workers(t)

    def hang():
        try:
            t.get(KEYS[0], "/?delay=30")
        except OSError:
            pass
    threads = [threading.Thread(target=hang, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    wait_until(lambda: t.instance(KEYS[0])["in_flight"] == 8, what="8 in flight")
    pid = pids(t)[KEYS[0]]
    for worker in old:
        kill(worker)
    wait_until(lambda: t.instance(KEYS[0])["in_flight"] == 0, what="nothing in flight")
    wait_gone(pid)  # it falls asleep
    t.wait_state(KEYS[0], "asleep")
    wait_workers(t, *old)
    assert t.get(KEYS[0]).status == 200


def test_workers_that_die_again_and_again_come_back(three):
    t = three()
    for _ in range(4):
        for pid in wait_workers(t):
            kill(pid)
        wait_until(lambda: t.get(KEYS[0]).status == 200)
    assert t.get(KEYS[0]).status == 200


def test_all_helpers_at_once(three):
    t = three()
    before = pids(t)
    for pid in children_of(t.keeper_pid()):
        if pid not in before.values():
            kill(pid)
    wait_until(lambda: all(t.get(key).status == 200 for key in KEYS), what="all answer")
    wait_until(lambda: status(t)["converged"])
    assert pids(t) == before


def test_a_killed_keeper_takes_all_along(three):
    t = three()
    everything = set(ours(t)) | set(pids(t).values())
    kill(t.keeper_pid())
    t.serve.wait(20)
    t.serve = None
    wait_gone(*everything)
    assert not processes_of(str(t.root))
    t.start()
    for key in KEYS:
        t.wait_ok(key)
    assert not set(pids(t).values()) & everything


def test_a_keeper_killed_with_its_daemon_hung(three):
    """Nobody is there to end the tenants but the kernel and the next start."""
    t = three()
    everything = set(ours(t)) | set(pids(t).values())
    daemon = t.pid_of("tenementd")
    kill(daemon)
    kill(t.keeper_pid())
    t.serve.wait(20)
    t.serve = None
    t.start()
    for key in KEYS:
        t.wait_ok(key)
    wait_gone(*everything)
    apps = [pid for pid, command in processes_of(str(t.root)).items() if "./tiny" in command]
    assert sorted(apps) == sorted(pids(t).values())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_leaves_nothing(three, number):
    t = three()
    running = pids(t)
    assert t.stop(number) == 0
    assert not [pid for pid in running.values() if process_alive(pid)]
    t.start()
    for key in KEYS:
        t.wait_ok(key)


def test_a_request_in_flight_is_finished_when_all_stops(three):
    t = three("echo")
    results = []
    asker = threading.Thread(target=lambda: results.append(t.get(KEYS[0], "/?delay=1.5").status))
    asker.start()
    wait_until(lambda: t.instance(KEYS[0])["in_flight"] == 1)
    assert t.stop() == 0
    asker.join(10)
    assert results == [200]


def test_a_stop_with_a_stubborn_tenant(three):
    t = three("stubborn", stop_timeout=1)
    begun = time.monotonic()
    assert t.stop() == 0
    assert time.monotonic() - begun >= 1


def test_a_second_ctrl_c_is_impatient(three):
    t = three("stubborn", stop_timeout=60)
    everything = set(ours(t)) | set(pids(t).values())
    t.serve.send_signal(signal.SIGINT)
    wait_until(lambda: "stopping" in t.said(), what="the first to be heard")
    assert t.serve.poll() is None
    t.serve.send_signal(signal.SIGINT)
    t.serve.wait(20)
    t.serve = None
    wait_gone(*everything)


def test_a_stop_while_a_tenant_starts(three):
    t = three("echo --start-delay 5", start=False)
    t.start()
    asker = threading.Thread(target=lambda: ask_quietly(t))
    asker.start()
    t.wait_state(KEYS[0], "starting")
    assert t.stop() == 0
    asker.join(30)


def test_a_stop_while_a_worker_is_forked(three):
    """It ends by the signal, though it has not become a program yet, and not by the grace time."""
    t = three(start=False)
    closed = gate(t, "tenement-keeper")
    t.start()
    first, second = sorted(wait_workers(t), key=lambda pid: processes_of(str(t.root))[pid])
    closed.touch()
    kill(first)
    forked = t.pid_of("tenement-keeper")
    t.serve.send_signal(signal.SIGTERM)
    wait_gone(second)  # it was told after the first
    assert process_alive(forked)
    closed.unlink()
    assert t.serve.wait(60) == 0
    t.serve = None
    assert "killing" not in t.said()


def ask_quietly(t):
    try:
        t.get(KEYS[0])
    except OSError:
        pass


def test_a_second_serve_on_the_same_data_is_refused(three):
    t = three()
    before = pids(t)
    done = subprocess.run([build_program("ten"), "serve", "--port", str(free_port())], cwd=t.root, text=True,
                          capture_output=True, timeout=60, check=False)
    assert done.returncode == 1
    assert str(t.data_dir) in done.stderr + done.stdout
    assert "another tenement" in done.stderr + done.stdout
    assert t.get(KEYS[0]).status == 200 and pids(t) == before
    assert t.ten("ps", "--quiet").stdout.split() == KEYS


def test_a_port_that_is_taken_is_said_so(tenement):
    t = tenement(start=False)
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", t.port))
        stranger.listen()
        t.start(wait=False)
        assert t.serve.wait(30) == 1
        t.serve = None
    assert f"127.0.0.1:{t.port}" in t.said() and "in use" in t.said()
    assert not processes_of(str(t.root))
    t.start()
    assert t.get("127.0.0.1", "/health").status == 200


def test_two_data_dirs_do_not_meet(tenement):
    a, b = tenement(), tenement()
    a.write("tiny.toml", a.service("tiny", "tiny"))
    a.write("tiny-x.toml", a.tenant("tiny"))
    a.wait_ok("tiny:x")
    assert b.get("tiny:x").status == 404
    assert b.ten("ps", "-a", "--quiet").stdout == ""
    b.stop()
    assert a.get("tiny:x").status == 200


def test_nothing_to_serve_is_said_so(tmp_path):
    done = subprocess.run([build_program("ten"), "serve"], cwd=tmp_path, text=True,
                          capture_output=True, timeout=60, check=False)
    assert done.returncode != 0 and "ten init" in done.stderr


def test_listen_on_a_unix_socket_and_ipv6(tenement):
    t = tenement(start=False)
    path = t.root / "front.sock"
    t.settings["listen"] = [f"127.0.0.1:{t.port}", f"[::1]:{t.port}", f"unix:{path}"]
    t.write("tiny.toml", t.service("tiny", "tiny"))
    t.write("tiny-x.toml", t.tenant("tiny"))
    t.start()
    t.wait_ok("tiny:x")
    for family, address in ((socket.AF_INET6, ("::1", t.port)), (socket.AF_UNIX, str(path))):
        with socket.socket(family) as client:
            client.settimeout(10)
            client.connect(address)
            client.sendall(b"GET / HTTP/1.1\r\nHost: x.tiny.localhost\r\nConnection: close\r\n\r\n")
            answer = b""
            while piece := client.recv(4096):
                answer += piece
        assert b" 200 " in answer.split(b"\r\n")[0] and answer.endswith(b"x\n")


def test_a_daemon_that_cannot_start_is_given_up(tenement):
    """The main file turned wrong while everything was down."""
    t = tenement(start=False)
    t.settings["workers"] = "many"
    t.start(wait=False)
    assert t.serve.wait(60) == 1
    t.serve = None
    assert re.search(r"tenement\.toml:\d+:\d+: .*workers", t.said()), t.said()
    assert not processes_of(str(t.root))


def test_tenants_that_end_are_reaped(three):
    t = three(settings={"backoff_base_ms": 20, "backoff_max_ms": 40, "max_restarts": 1000})
    for _ in range(10):
        kill(pids(t).get(KEYS[0], 0) or t.wait_state(KEYS[0], "ready")["pid"])
        t.wait_ok(KEYS[0])
    children = f"/proc/{t.keeper_pid()}/task/{t.keeper_pid()}/children"
    found = open(children, encoding="ascii").read().split()
    zombies = [pid for pid in found if os.path.exists(f"/proc/{pid}") and not process_alive(int(pid))]
    assert zombies == []
