"""Who is held awake, by whom, and what `ten why` says of it."""

import contextlib
import os
import time

import pytest

from daemon_rig import kill_daemon, pids, status, wait_gone
from harness import real_pids, wait_until

# Says READY=1, and what it is asked to say; touches its file with the time it is asked for.
APP = """\
import os, socket, socketserver, time
from http.server import BaseHTTPRequestHandler

def say(text):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto(text.encode(), os.environ["NOTIFY_SOCKET"])

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        what, _, value = self.path[1:].partition("/")
        if what == "say":
            say(value)
        if what == "touch":
            with open(os.environ["TENEMENT_HOLD"], "a"):
                pass
            until = time.time() + float(value)
            os.utime(os.environ["TENEMENT_HOLD"], (until, until))
        body = str(os.getpid()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

    def address_string(self):
        return "unix"

passed = "LISTEN_FDS" in os.environ
server = socketserver.ThreadingUnixStreamServer(os.environ["SOCKET_PATH"], Handler, not passed)
if passed:
    server.socket = socket.socket(fileno=3)
say("READY=1")
server.serve_forever()
"""


@pytest.fixture
def app(tenement):
    def make(**keys):
        t = tenement(start=False)
        (t.apps / "holder.py").write_text(APP)
        keys = {"ready": "notify", **({} if "sleep" in keys else {"idle_timeout": 1}), **keys}
        t.write("app.toml", t.service("app", **keys).replace("app.py echo", "holder.py"))
        t.write("app-a.toml", t.tenant("app"))
        t.start()
        return t
    return make


def why(t, key="app:a"):
    return t.control("GET", f"/api/instances/{key}/why").json()


def stays_up(t, seconds):
    """For so long without work, in the same process."""
    pid = pids(t)["app:a"]
    begun = time.monotonic()
    wait_until(lambda: time.monotonic() - begun >= seconds or t.state("app:a") != "ready")
    assert t.state("app:a") == "ready" and pids(t)["app:a"] == pid


def test_hold_wakes_and_keeps_awake_until_release(app):
    t = app()
    said = t.ten("hold", "app:a", "2h").stdout
    assert "held awake for 2h" in said
    t.wait_state("app:a", "ready")
    stays_up(t, 3)
    shown = t.ten_json("overrides")["overrides"]
    assert [(one["target"], one["what"].split(" = ")[0]) for one in shown] == [("app:a", "hold")]
    assert t.instance("app:a")["overridden"] == ["hold"]
    assert "a hold by ten hold" in t.ten("why", "app:a").stdout
    kill_daemon(t)
    stays_up(t, 3)
    pid = pids(t)["app:a"]
    t.ten("release", "app:a")
    wait_gone(pid)
    assert t.state("app:a") == "asleep"
    assert t.ten_json("overrides")["overrides"] == []
    assert "not held" in t.ten("release", "app:a", status=None).stderr


def test_a_hold_ends_by_itself(app):
    t = app()
    t.ten("hold", "app:a", "3s")
    t.wait_state("app:a", "ready")
    stays_up(t, 1.5)
    t.wait_state("app:a", "asleep")
    assert t.ten_json("overrides")["overrides"] == []
    assert status(t)["overrides"] == 0


def test_a_hold_outlives_everything(app):
    t = app()
    t.ten("hold", "app:a", "1h")
    t.stop()
    t.start()
    assert t.get("app:a").status == 200
    stays_up(t, 3)
    t.ten("overrides", "clear", "app:a")
    t.wait_state("app:a", "asleep")


@real_pids
def test_a_hold_thaws(app):
    t = app(sleep=[{"after": 1, "to": "frozen"}])
    pid = int(t.get("app:a").text)
    t.wait_state("app:a", "frozen")
    t.ten("hold", "app:a")
    t.wait_state("app:a", "ready")
    stays_up(t, 3)
    t.ten("release", "app:a")
    t.wait_state("app:a", "frozen")
    assert pids(t)["app:a"] == pid


def test_what_cannot_be_held_is_refused(app):
    t = app()
    t.write("app-a.toml", t.tenant("app", state="suspended"))
    t.wait_state("app:a", "suspended")
    assert "cannot be held" in t.ten("hold", "app:a", status=None).stderr
    assert t.ten("hold", "app:a", "soon", status=None).returncode == 2
    for seconds in (0, -1, 1 << 40, "5", None):
        assert t.control("POST", "/api/instances/app:a/hold", {"seconds": seconds}).status == 422
    assert t.control("POST", "/api/instances/app:b/hold", {"seconds": 5}).status == 404


def test_a_tenant_holds_itself_by_notify(app):
    t = app()
    assert t.get("app:a", "/say/EXTEND_TIMEOUT_USEC=4000000").status == 200
    wait_until(lambda: "EXTEND_TIMEOUT_USEC" in str(why(t)["kept_awake_by"]))
    stays_up(t, 1.5)
    kill_daemon(t)
    assert "EXTEND_TIMEOUT_USEC" in str(why(t)["kept_awake_by"])
    stays_up(t, 1)
    t.wait_state("app:a", "asleep")
    for nonsense in ("-1", "99999999999999999999", "5x", ""):
        assert t.get("app:a", f"/say/EXTEND_TIMEOUT_USEC={nonsense}").status == 200
        assert "a hold by" not in str(why(t)["kept_awake_by"])


@pytest.mark.parametrize("passed", [False, True])
def test_a_tenant_holds_itself_by_touching_its_file(app, passed):
    t = app(ready="notify", socket_activation=passed)
    assert t.get("app:a", "/touch/4").status == 200
    assert "TENEMENT_HOLD" in str(why(t)["kept_awake_by"])
    stays_up(t, 3)
    t.wait_state("app:a", "asleep")
    # A touch of now is use of now: it goes on for another idle_timeout.
    t.get("app:a", "/touch/0")
    t.wait_state("app:a", "asleep")
    t.get("app:a", "/touch/1e12")
    assert why(t)["next"][0]["in_secs"] <= 31536003
    pid = pids(t)["app:a"]
    t.ten("release", "app:a")
    wait_gone(pid)


def test_a_hold_file_that_leads_elsewhere_is_no_hold(app):
    t = app()
    t.get("app:a")
    target = t.root / "elsewhere"
    target.touch()
    future = time.time() + 1000
    os.utime(target, (future, future))
    path = t.runtime_dir / "sockets" / "app:a" / "hold"
    os.symlink(target, path)
    t.wait_state("app:a", "asleep")
    with contextlib.suppress(FileNotFoundError):
        path.unlink()


def test_why_says_who_woke_it_and_when_it_sleeps(app):
    t = app(sleep=[{"after": 100, "to": "frozen"}, {"after": 200, "to": "stopped"}])
    assert why(t)["woken_by"] is None and why(t)["next"] == []
    t.get("app:a")
    now = why(t)
    assert now["woken_by"] == "a request" and now["woken_secs"] < 60
    assert [one["to"] for one in now["next"]] == ["frozen", "stopped"]
    assert 0 < now["next"][0]["in_secs"] <= 100 < now["next"][1]["in_secs"] <= 200
    said = t.ten("why", "app:a").stdout
    assert "woken last by a request" in said and "will be frozen in" in said
    t.ten("stop", "app:a")
    t.ten("start", "app:a")
    assert why(t)["woken_by"] == "ten start"
    t.ten("restart", "app:a")
    assert why(t)["woken_by"] == "ten restart"
    t.write("app-a.toml", t.tenant("app", state="running"))
    wait_until(lambda: "it is declared running" in why(t)["kept_awake_by"])
    assert why(t)["next"] == []
    t.write("app-a.toml", t.tenant("app", idle_timeout=0))
    wait_until(lambda: "it never sleeps" in str(why(t)["kept_awake_by"]))
    assert t.ten("why", "app:b", status=None).returncode != 0
