"""`ten` over the network: addresses, tokens, what is refused, and what is made of answers that are not ours."""

import http.server
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading

import pytest

from cli_rig import (CONFLICT, DONE, FAILED, HELD, TIMED_OUT, UNREACHABLE, USAGE, Cli, FakeDaemon,  # noqa: F401
                     instance)
from harness import SLOWNESS, Tenement, free_port


@pytest.fixture
def ten(tmp_path):
    return Cli(tmp_path)


@pytest.fixture
def daemon(ten):
    with FakeDaemon(ten.data_dir) as running:
        running.url = running.listen()
        yield running


@pytest.fixture
def remote(ten, daemon):
    """ten, by the network alone."""
    def run(*args, env=None, **more):
        return ten(*args, env={"TENEMENT_DATA_DIR": "/nonexistent", "TENEMENT_SERVER": daemon.url,
                               "TENEMENT_TOKEN": daemon.token, **(env or {})}, **more)
    return run


# ---- the same both ways ----

@pytest.mark.parametrize("args, code", [
    (["ps", "-a"], DONE), (["ps", "-o", "json"], DONE), (["status"], DONE),
    (["status", "notes:dave", "--check"], FAILED), (["status", "notes:nobody"], FAILED),
    (["start", "notes:bob", "--timeout", "90"], DONE), (["spawn", "notes:carol"], DONE),
    (["logs", "notes:alice", "-n", "2"], DONE), (["logs", "notes:alice", "-o", "json"], DONE),
    (["route"], DONE), (["weight", "notes:v2", "5"], FAILED), (["overrides"], DONE),
    (["overrides", "clear", "route notes"], DONE), (["history", "-n", "3"], DONE), (["undo", "12"], DONE),
    (["pause", "a", "move"], DONE), (["config"], DONE), (["config", "domain"], DONE),
    (["apply", "notes-carol.toml"], DONE), (["apply", "-", "--name", "in.toml"], DONE),
    (["diff", "notes-carol.toml"], DONE), (["rm", "notes:alice"], DONE),
])
def test_same_both_ways(ten, remote, daemon, args, code):
    (ten.folder / "notes-carol.toml").write_text('[tenant]\nservice = "notes"\n')
    took = []
    for way in (ten, remote):
        for one in daemon.instances:
            one["state"] = {"notes:bob": "asleep", "notes:dave": "failed"}.get(one["id"], "ready")
        daemon.instances[:] = [one for one in daemon.instances if one["id"] != "notes:carol"]
        daemon.requests.clear()
        done = way(*args, code=code, input="# nothing\n")
        took.append((done.stdout, done.stderr,
                     [(one["method"], one["path"], one["query"], one["body"]) for one in daemon.requests]))
    assert took[0] == took[1]
    assert took[0][2]


@pytest.mark.parametrize("status, code", [(409, CONFLICT), (422, FAILED), (503, UNREACHABLE), (504, TIMED_OUT)])
def test_refusals_are_the_same_both_ways(ten, remote, daemon, status, code):
    daemon.on("POST", "/api/undo", status, {"error": "not now\x1b[2J"})
    assert ten("undo", code=code).stderr == remote("undo", code=code).stderr == "ten: not now\\x1b[2J\n"


def test_log_lines_come_as_they_are_written(ten, daemon):
    process = subprocess.Popen([ten.program, "logs", "notes:alice", "-n", "1", "-f", "--timeout", "1"], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=ten.environment({"TENEMENT_SERVER": daemon.url, "TENEMENT_TOKEN": "secret"}))
    try:
        assert process.stdout.readline() == "line 4\n"
        daemon.following.put(dict(daemon.logs[0], message="another"))
        assert process.stdout.readline() == "another\n"
        # It is read on where it was, when it comes back; and not for ever, when it does not.
        daemon.following.put(None)
        daemon.following.put(dict(daemon.logs[0], message="after that"))
        assert process.stdout.readline() == "after that\n"
        daemon.network.shutdown()
        daemon.network.server_close()
        daemon.following.put(None)
        assert process.wait(20 * SLOWNESS) in (DONE, UNREACHABLE)
        assert process.stderr.read().count("\n") < 4
    finally:
        process.kill()
        process.communicate()


def test_upgrade_waits_for_the_new_daemon(remote, daemon):
    daemon.on("POST", "/api/upgrade", 200, {"from": "0.1.0", "to": "0.2.0", "pid": 98, "workers": []})
    assert "daemon        98 -> 99" in remote("upgrade").stdout


# ---- check ----

def test_check_is_the_servers(remote, daemon, tmp_path):
    (tmp_path / "notes-carol.toml").write_text("[tenant]\n")
    assert remote("check", "notes-carol.toml").stdout == "notes-carol.toml is right.\n"
    assert daemon.requests[-1]["path"] == "/api/config/check"
    assert daemon.requests[-1]["body"] == {"files": [{"name": "notes-carol.toml", "text": "[tenant]\n"}]}
    remote("check", "-", input="x")
    assert daemon.requests[-1]["body"]["files"] == [{"name": "stdin.toml", "text": "x"}]
    daemon.on("POST", "/api/config/check", 200, {"problems": ["conf.d/a.toml:1:2: no\x1b[2J\n  excerpt\n"]})
    done = remote("check", "notes-carol.toml", code=FAILED)
    assert done.stderr == "notes-carol.toml:1:2: no\\x1b[2J\n  excerpt\nten: 1 problem\n" and not done.stdout


def test_check_of_all_the_server_holds(remote, daemon):
    assert remote("check").stdout == "All is right: 1001 files, 1000 tenants.\n"
    daemon.status.update(problems=["conf.d/a.toml: wrong"], problems_omitted=3)
    assert remote("check", code=FAILED).stderr == "conf.d/a.toml: wrong\nten: 4 problems\n"


# ---- what is of this machine ----

@pytest.mark.parametrize("args", [["init", "site"], ["serve"], ["doctor"], ["help"], ["version"],
                                  ["check", "--dump-json", "x.toml"], ["config", "--all"]])
def test_local_commands_say_so(ten, daemon, args):
    done = ten(*args, "--server", daemon.url, "--token", "secret", code=USAGE)
    assert "works on this machine alone" in done.stderr and not done.stdout
    assert not daemon.requests and not (ten.folder / "site").exists()


def test_local_commands_leave_the_variable_aside(remote, daemon, tmp_path):
    (tmp_path / "x.toml").write_text("a = 1\n")
    assert "tenement " in remote("version").stdout
    assert json.loads(remote("check", "--dump-json", "x.toml").stdout)
    assert "idle_timeout" in remote("config", "--all", "-q").stdout
    remote("init", "site")
    remote("doctor", code=None)
    assert not daemon.requests


def test_exec_says_what_refuses_it(remote, daemon):
    daemon.on("POST", "/api/instances/notes:alice/exec", 403, {"error": "may only read\x1b[2J"})
    assert remote("exec", "notes:alice", "id", code=FAILED).stderr == "ten: may only read\\x1b[2J\n"
    daemon.on("POST", "/api/instances/notes:alice/exec", 503, {"error": "no more at a time"})
    assert "no more at a time" in remote("exec", "notes:alice", "id", code=UNREACHABLE).stderr
    assert daemon.requests[-1]["method"] == "POST"
    # one that knows no such upgrade
    daemon.on("POST", "/api/instances/notes:alice/exec", 200, {})
    assert "status 200" in remote("exec", "notes:alice", "id", code=FAILED).stderr
    assert "at most 65536 bytes" in remote("exec", "notes:alice", "echo", "x" * 70000, code=USAGE).stderr


# ---- addresses ----

@pytest.mark.parametrize("server, error", [
    ("https://", "not a URL"), ("http://:80", "not a URL"), ("https://a:b:c", "not a URL"),
    ("https://h:99999", "not a URL"), ("https://a b/", "not a URL"), ("ftp://h/", "not an address"),
    ("https://me:secret@h/", "no name and no password"), ("https://me@h/", "no name and no password"),
    ("https://h/?x=1", "ends with its path"), ("https://h/#top", "ends with its path"),
    ("https://" + "h" * 3000, "not a URL"),
])
def test_addresses_that_are_none(ten, server, error):
    done = ten("ps", "--server", server, code=USAGE)
    assert error in done.stderr and "secret" not in done.stderr


def test_path_prefix_and_slashes(remote, daemon):
    for end in ("", "/", "//"):
        assert remote("ps", "-q", "--server", daemon.url + end).stdout == "notes:alice\n"
    daemon.prefix = "/servers/one"
    for end in ("", "/"):
        assert remote("ps", "-q", "--server", f"{daemon.url}/servers/one{end}").stdout == "notes:alice\n"
    assert remote("ps", "-q", "--server", f"HTTP://LocalHost:{daemon.port}/servers/one").stdout == "notes:alice\n"
    assert "nothing here" not in remote("ps", code=FAILED).stderr


def test_ipv6(ten):
    with socket.socket(socket.AF_INET6) as listener:
        try:
            listener.bind(("::1", 0))
        except OSError:
            pytest.skip("no IPv6 here")
        port = listener.getsockname()[1]
    done = ten("ps", "--server", f"http://[::1]:{port}/", code=UNREACHABLE)
    assert done.stderr.startswith(f"ten: cannot connect to http://[::1]:{port}: Connection refused\n")


def test_nothing_is_sent_in_the_clear(ten, tmp_path):
    for server in ("http://192.0.2.1", "http://[2001:db8::1]:8080", "http://10.0.0.1/x"):
        done = ten("ps", "--server", server, "--token", "secret", code=USAGE)
        assert "plain http to another machine" in done.stderr and "https://" in done.stderr
        assert "secret" not in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a hosts file of its own")
def test_a_name_counts_by_where_it_leads(ten, daemon, tmp_path):
    hosts = tmp_path / "hosts"
    hosts.write_text("192.0.2.1 near.test\n127.0.0.1 ten.test\n")

    def run(server):
        return subprocess.run(["unshare", "-m", "sh", "-c", f"mount --bind {hosts} /etc/hosts && exec \"$@\"", "-",
                               ten.program, "ps", "-q", "--server", server, "--token", "secret"], check=False,
                              env=ten.environment(), capture_output=True, text=True)
    done = run(f"http://ten.test:{daemon.port}")
    assert (done.returncode, done.stdout) == (DONE, "notes:alice\n"), done.stderr
    done = run("http://near.test:1")
    assert done.returncode == USAGE and "plain http" in done.stderr


def test_cannot_connect(ten):
    port = free_port()
    done = ten("ps", "--server", f"http://127.0.0.1:{port}", code=UNREACHABLE)
    assert f"cannot connect to http://127.0.0.1:{port}: Connection refused" in done.stderr
    assert "is it the address and the port" in done.stderr
    done = ten("ps", "--server", "https://no-such-host.invalid", code=UNREACHABLE)
    assert "https://no-such-host.invalid: " in done.stderr


def test_proxy_of_the_environment_does_not_see_what_is_in_the_clear(remote):
    env = {"http_proxy": "http://127.0.0.1:9", "ALL_PROXY": "http://127.0.0.1:9"}
    assert remote("ps", "-q", env=env).stdout == "notes:alice\n"


@pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl here")
def test_https(ten, tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=ten",
                    "-addext", "subjectAltName=IP:127.0.0.1"], cwd=tmp_path, check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with FakeDaemon(ten.data_dir) as daemon:
        env = {"TENEMENT_SERVER": daemon.listen(tls), "TENEMENT_TOKEN": "secret",
               "SSL_CERT_FILE": str(tmp_path / "cert.pem")}
        assert ten("ps", "-q", env=env).stdout == "notes:alice\n"
        done = ten("ps", env={**env, "SSL_CERT_FILE": None}, code=UNREACHABLE)
        assert "certificate is not to be trusted" in done.stderr
        # its name is not one of the certificate's
        done = ten("ps", env={**env, "TENEMENT_SERVER": f"https://localhost:{daemon.port}"}, code=UNREACHABLE)
        assert "certificate is not to be trusted" in done.stderr
        assert len(daemon.requests) == 1
        # the other protocol than the one that is spoken
        ten("ps", env={**env, "TENEMENT_SERVER": f"http://127.0.0.1:{daemon.port}"}, code=UNREACHABLE)
        daemon.network.shutdown()
    with FakeDaemon(ten.data_dir) as daemon:
        url = daemon.listen().replace("http:", "https:")
        assert "plain http?" in ten("ps", env={**env, "TENEMENT_SERVER": url}, code=UNREACHABLE).stderr


# ---- tokens ----

def test_no_token_and_a_wrong_one(ten, daemon):
    done = ten("ps", "--server", daemon.url, code=FAILED)
    assert done.stderr.startswith("ten: a token is wanted here\n")
    assert "TENEMENT_TOKEN or --token @FILE" in done.stderr and "token-gen" in done.stderr
    done = ten("ps", "--server", daemon.url, env={"TENEMENT_TOKEN": "other"}, code=FAILED)
    assert "TENEMENT_TOKEN was shown: it is wrong, or was revoked" in done.stderr and "other" not in done.stderr


def test_token_out_of_a_file_and_standard_input(ten, daemon, tmp_path):
    (tmp_path / "token").write_text("secret\n")
    nowhere = {"TENEMENT_SERVER": daemon.url}
    assert ten("ps", "-q", "--token", "@token", env=nowhere).stdout == "notes:alice\n"
    assert ten("ps", "-q", "--token", "-", input="secret\n", env=nowhere).stdout == "notes:alice\n"
    assert ten("ps", "-q", env={**nowhere, "TENEMENT_TOKEN": f"@{tmp_path}/token"}).stdout == "notes:alice\n"
    # the file that is applied is there already
    done = ten("apply", "-", "--name", "a.toml", "--token", "-", input="secret\n", env=nowhere, code=USAGE)
    assert "standard input is not to be had" in done.stderr
    ten("ps", env={**nowhere, "TENEMENT_TOKEN": "-"}, code=USAGE)


@pytest.mark.parametrize("token", ["", "@/nonexistent", "a b", "a\r\nX: y", "ä", "x" * 5000, "@/dev/zero"])
def test_what_is_no_token(ten, daemon, token):
    done = ten("ps", "--server", daemon.url, "--token", token, code=USAGE)
    assert "ten: --token: " in done.stderr
    assert not daemon.requests


def test_saved_token(ten, daemon):
    saved = ten.data_dir / "api_token"
    saved.write_text("secret\n")
    saved.chmod(0o644)
    done = ten("ps", "--server", daemon.url, code=FAILED)
    assert "others may read it" in done.stderr
    saved.chmod(0o600)
    assert ten("ps", "-q", "--server", daemon.url).stdout == "notes:alice\n"
    assert ten("ps", "-q", "--server", f"http://localhost:{daemon.port}").stdout == "notes:alice\n"
    # one that is given goes before it
    ten("ps", "--server", daemon.url, "--token", "other", code=FAILED)


def test_saved_token_is_not_for_who_took_the_port(ten, daemon):
    saved = ten.data_dir / "api_token"
    saved.write_text("secret\n")
    saved.chmod(0o600)
    daemon.status["listen"] = [f"127.0.0.1:{free_port()}"]
    asked = []
    with answering(lambda handler: (asked.append(handler.headers.get("Authorization")), page(handler, 401))) as url:
        ten("ps", "--server", url, code=FAILED)
    # nor while there is no daemon
    os.unlink(daemon.path)
    with answering(lambda handler: (asked.append(handler.headers.get("Authorization")), page(handler, 401))) as url:
        ten("ps", "--server", url, code=FAILED)
    assert asked == [None, None]


def test_saved_token_is_not_for_who_has_the_port_of_another_address(ten, daemon):
    """localhost is ::1 before it is 127.0.0.1, and anybody may listen there."""
    saved = ten.data_dir / "api_token"
    saved.write_text("secret\n")
    saved.chmod(0o600)
    seen = []

    class Elsewhere(http.server.ThreadingHTTPServer):
        address_family = socket.AF_INET6
    try:
        taken = answering(lambda handler: (seen.append(handler.headers.get("Authorization")), page(handler, 200)),
                          Elsewhere, ("::1", daemon.port))
    except OSError:
        pytest.skip("no IPv6 here")
    with taken:
        assert ten("ps", "-q", "--server", f"http://localhost:{daemon.port}").stdout == "notes:alice\n"
        done = ten("ps", "--server", f"http://[::1]:{daemon.port}", code=UNREACHABLE)
        assert f"the saved token is for 127.0.0.1:{daemon.port}, which is another address" in done.stderr
        # a wildcard is all addresses of its family
        daemon.status["listen"] = [f"unix:/x:{daemon.port}", f"0.0.0.0:{daemon.port}"]
        assert ten("ps", "-q", "--server", f"http://localhost:{daemon.port}").stdout == "notes:alice\n"
    assert not seen


def test_token_of_the_flag_goes_before_the_variable(remote, daemon):
    remote("ps", "--token", "other", code=FAILED)
    assert daemon.requests == []


# ---- answers that are not ours ----

class answering:
    """A server that answers all by ANSWER(handler)."""

    def __init__(self, answer, kind=http.server.ThreadingHTTPServer, address=("127.0.0.1", 0)):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                answer(self)

            do_POST = do_GET

            def log_message(self, *arguments):
                pass
        self.server = kind(address, Handler)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}).start()
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def __exit__(self, *unused):
        self.server.shutdown()
        self.server.server_close()


def page(handler, status, kind="text/html", body=b"<html>\x1b[2Jsign in</html>", **headers):
    handler.send_response(status)
    for name, value in {"Content-Type": kind, "Content-Length": len(body), **headers}.items():
        handler.send_header(name.replace("_", "-"), str(value))
    handler.end_headers()
    handler.wfile.write(body)


@pytest.mark.parametrize("status, kind, code, words", [
    (200, "text/html", FAILED, "status 200 and text/html, which is not how tenement does"),
    (404, "text/html", FAILED, "status 404 and text/html"),
    (401, "te\x1bxt", FAILED, "status 401 and te\\x1bxt"),
    (502, "text/html", UNREACHABLE, "does not reach it"), (503, "text/plain", UNREACHABLE, "status 503"),
    (504, "text/html", TIMED_OUT, "status 504"),
])
@pytest.mark.parametrize("command", ["status", "metrics"])
def test_a_page_of_somebody_else(ten, command, status, kind, code, words):
    with answering(lambda handler: page(handler, status, kind)) as url:
        done = ten(command, "--server", url, "--token", "secret", code=code)
    assert words in done.stderr and url in done.stderr and "sign in" not in done.stderr
    assert not done.stdout and "\x1b" not in done.stderr


def test_redirects_are_not_followed(ten, daemon):
    with answering(lambda handler: page(handler, 302, Location=daemon.url + "/api/status")) as url:
        done = ten("status", "--server", url, "--token", daemon.token, code=FAILED)
    assert f"sends elsewhere, to {daemon.url}/api/status" in done.stderr
    assert not daemon.requests


def test_too_many_tries(remote, daemon):
    daemon.on("GET", "/api/status", 200, lambda handler: page(
        handler, 429, "application/json", b'{"error": "too many wrong tokens"}', Retry_After=17))
    assert remote("status", code=FAILED).stderr == "ten: too many wrong tokens\nten: try again in 17 s\n"


def test_an_older_server(remote, daemon):
    daemon.on("GET", "/api/status", 404, {"error": "this tenement knows no /api/status"})
    assert "it may be older than this ten" in remote("status", code=FAILED).stderr


def test_errors_are_bounded(remote, daemon):
    daemon.on("GET", "/api/status", 422, {"error": "x" * 10**6})
    assert len(remote("status", code=FAILED).stderr) < 5000


def test_what_a_server_says_does_not_steer_the_terminal(ten, daemon):
    evil = "\x1b[2J\x9b1m\u202e\x07"
    env = {"TENEMENT_SERVER": daemon.url, "TENEMENT_TOKEN": daemon.token}
    daemon.status.update({key: evil for key in ("version", "domain", "data_dir", "main_file")})
    daemon.status.update(listen=[evil], problems=[evil + "\nsecond"], trouble=[evil], warnings=[evil])
    for one in daemon.instances:
        one.update({key: value + evil if isinstance(value, str) else value for key, value in one.items()
                    if key != "state"})
    daemon.overrides[0]["by"] = daemon.history[0]["by"] = evil
    daemon.routes[0]["split"] = {evil: 100}
    daemon.settings["domain"] = evil
    daemon.on("GET", "/api/instances/notes:alice/why", 200, {
        "id": evil, "state": evil, "woken_by": evil, "reason": evil, "kept_awake_by": [evil],
        "not_woken_by": {evil: 1}, "schedule": {"hours": evil, "next_wake": evil}, "next": [{"to": evil}]})
    daemon.on("GET", "/metrics", 200, lambda handler: page(handler, 200, "text/plain", evil.encode() + b"\n"))
    for args in (["status"], ["ps", "-a"], ["overrides"], ["history"], ["route"], ["config"], ["why", "notes:alice"],
                 ["metrics"], ["config", "domain"], ["history", "-q"], ["ps", "-a", "-q"], ["status", "-o", "json"]):
        written = ten.on_terminal(*args, env={**env, "NO_COLOR": "1", "TERM": "dumb"})
        for harmful in "\x1b\x9b\u202e\x07":
            assert harmful not in written.replace("\r\x1b[K", ""), (args, written)


# ---- the whole thing: the proxy, the daemon, a token ----

# Each group is typed on the server, then typed again elsewhere, for another tenant; what is said has to be the same.
GROUPS = [
    ["status", "status notes:{id}", "status --check", "status notes:{id} -o json", "status notes:nobody"],
    ["ps", "ps -a", "ps -q", "ps -a -o json", "top --once", "usage", "usage notes:{id} --by day"],
    ["config", "config domain", "config -o json", "config no_such_key", "metrics"],
    ["diff", "diff notes-new-{id}.toml", "apply notes-new-{id}.toml --dry-run", "apply notes-new-{id}.toml",
     "apply notes-new-{id}.toml", "apply notes-bad.toml", "check notes-new-{id}.toml", "history -n 1", "undo", "undo 999999"],
    ["spawn notes:more-{id}", "spawn notes:more-{id}", "rm notes:more-{id}", "rm notes:more-{id}", "rm notes:{id}"],
    ["stop notes:{id}", "start notes:{id}", "restart notes:{id} --timeout 20", "suspend notes:{id}", "start notes:{id}",
     "resume notes:{id}", "hold notes:{id} 1m", "overrides", "release notes:{id}", "why notes:{id}", "start notes:{id} notes:nobody"],
    ["logs notes:{id} -n 1", "logs notes:{id} -n 1 -o json", "logs notes:nobody", "events notes:{id} -n 2"],
    ["weight notes:v2 5", "route", "route notes --from v1 --to v2", "route notes", "overrides -o json",
     "overrides clear route notes", "overrides clear", "overrides clear notes:v2", "route nowhere --from a --to b"],
    ["pause to look", "status", "apply notes-new-{id}.toml", "unpause"],
    ["deploy notes:v-{id} --weight 1 --timeout 20", "deploy notes:v-{id}", "deploy nowhere:v1", "overrides clear", "rm notes:v-{id}"],
    ["token-gen --tenant {id} --read-only --description of-{id}", "token-gen --tenant {id} --read-only -q",
     "token-gen --tenant {id} --read-only --expires 90d -o json", "tokens", "tokens -o json",
     "token-revoke {token}", "token-revoke {token}", "token-revoke 00000000", "hold notes:{id} 1m", "audit -n 1",
     "audit -n 1 -o json", "release notes:{id}"],
    ["upgrade"],
]
LOCAL = {"doctor", "exec", "help", "init", "serve", "version"}


@pytest.fixture(scope="module", name="t")
def one_for_all():
    one = Tenement()
    try:
        one.write("notes.toml", one.service("notes", "tiny"))
        for tenant in ("alice", "bruce", "v1", "v2"):
            one.write(f"notes-{tenant}.toml", one.tenant("notes"))
        one.write("notes.route.toml", "[route.notes]\nsplit = { v1 = 95, v2 = 5 }\n")
        for tenant in ("alice", "bruce"):
            (one.root / f"notes-new-{tenant}.toml").write_text(one.tenant("notes"))
        (one.root / "notes-bad.toml").write_text("[tenant]\nservice = 5\n")
        one.start_ok(["notes:alice", "notes:bruce"])
        one.token = one.control("POST", "/api/tokens", {}).json()["token"]
        yield one
    finally:
        one.close()


def elsewhere(t, *args, **options):
    """t.ten() from elsewhere: it finds nothing of this tenement but by its URL."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("TENEMENT_")}
    return subprocess.run([t.program("ten"), *args], cwd=t.root, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          env={**env, "TENEMENT_DATA_DIR": "/nonexistent", "TENEMENT_TOKEN": t.token,
                               "TENEMENT_SERVER": f"http://localhost:{t.port}"}, timeout=60 * SLOWNESS, check=False, **options)


def alike(text):
    """TEXT without what is another each time."""
    for what, instead in ((r"alice|bruce", "TENANT"), (r"\b(uid 0|token [0-9a-f]{8})\b", "WHO"), (r"ten_[0-9a-f]{64}", "SECRET"),
                          (r"\blocal\b|127\.0\.0\.1", "WHERE"), (r"\b[0-9a-f]{8,}\b", "0"),
                          (r"\d{4}-\d\d-\d\d[T ][\d:]+Z?", "TIME"), (r"just now|now|(\b\d+ ?(d|h|min|m|s)\b ?)+(ago)?", "AGE "),
                          (r"\d+(\.\d+)?( ?(s|ms|MiB|KiB|B|K|%)\b)?", "0"), (r"clients?", "clients"), (r"[ \t]+", " ")):
        text = re.sub(what, instead, text)
    return sorted({line.strip() for line in text.splitlines()})


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group[0].split()[0])
def test_every_command_is_the_same_elsewhere(t, group, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")  # (who asked is not of the same length, and no column is to give way to it)
    said = {}
    for tenant in ("alice", "bruce"):
        token = t.control("POST", "/api/tokens", {"tenant": tenant}).json()["id"] if "token" in group[0] else ""
        for number, line in enumerate(group):
            words = line.format(id=tenant, token=token).split()
            done = t.ten(*words, status=None) if tenant == "alice" else elsewhere(t, *words)
            said.setdefault((number, line), []).append(
                (done.returncode, alike(done.stdout), alike(done.stderr)))
    for (_, line), (here, there) in said.items():
        assert here == there, line
        assert here[0] in (DONE, FAILED, CONFLICT), (line, here)


def test_no_command_is_forgotten(t):
    tried = {line.split()[0] for group in GROUPS for line in group}
    assert {line.split()[0] for line in re.findall(r"^  ([a-z-]+ .*)$", t.ten("help").stdout, re.M)} == tried | LOCAL


def test_check_tells_the_same_of_a_file(t):
    for text in ("[tenant]\nservice = 'notes'\nmemmory = 5\n\tfrozen_memory = 7\n", "[tenant\n", "[tenant]\nservice = 'notes'\n",
                 "[tenant]\n", f"[tenant]\nservice = 'notes'\n{'x' * 60} = 1\n", "[tenant]\nservice = \"a\\nb: c.toml:1:1: d\"\n"):
        (t.root / "notes-checked.toml").write_text(text)
        for form in ("text", "json"):
            here = t.ten("check", "notes-checked.toml", "-o", form, status=None)
            there = elsewhere(t, "check", "notes-checked.toml", "-o", form)
            assert (here.returncode, here.stdout, here.stderr) == (there.returncode, there.stdout, there.stderr), text


def test_long_waits_go_through_the_proxy(t):
    t.write("slow.toml", t.service("slow", env={"TENEMENT": "slow"}, command="/bin/sleep 1000", startup_timeout=600))
    t.write("slow-a.toml", t.tenant("slow"))
    t.wait_state("slow:a", "asleep")
    done = elsewhere(t, "start", "slow:a", "--timeout", "1")
    assert done.returncode == TIMED_OUT, done
    assert t.ten("start", "slow:a", "--timeout", "1", status=TIMED_OUT).stderr == done.stderr
    t.ten("stop", "slow:a")


def test_lines_come_through_the_proxy_as_they_are_written(t):
    token = t.control("POST", "/api/tokens", {"instance": "notes:alice", "read_only": True}).json()["token"]
    env = {**os.environ, "TENEMENT_SERVER": f"http://127.0.0.1:{t.port}", "TENEMENT_TOKEN": token}
    with subprocess.Popen([t.program("ten"), "events", "notes:alice", "-f", "-n", "0"], env=env, stdout=subprocess.PIPE,
                          text=True) as process:
        try:
            t.ten("restart", "notes:bruce")
            t.ten("restart", "notes:alice")
            line = process.stdout.readline()
            assert "notes:alice" in line and "bruce" not in line
        finally:
            process.terminate()


def test_what_a_scoped_token_is_told(t):
    token = t.control("POST", "/api/tokens", {"tenant": "alice", "read_only": True}).json()["token"]
    server = ("--server", f"http://localhost:{t.port}", "--token", token)
    assert t.ten("ps", "-q", *server).stdout == "notes:alice\n"
    assert "may only read" in t.ten("stop", "notes:alice", *server, status=1).stderr
    assert "sees no tenant of that name" in t.ten("why", "notes:bruce", *server, status=1).stderr
    assert "is for alice alone" in t.ten("status", *server, status=1).stderr


def test_the_saved_token_is_found(t):
    saved = t.data_dir / "api_token"
    saved.write_text(t.control("POST", "/api/tokens", {}).json()["token"] + "\n")
    saved.chmod(0o600)
    assert "notes:alice" in t.ten("ps", "-q", "--server", f"http://localhost:{t.port}").stdout
    saved.unlink()
    assert "this needs a token" in t.ten("ps", "--server", f"http://localhost:{t.port}", status=1).stderr
