"""Tenants that misbehave: each ends in the documented state, with its reason in `ten status`."""

import os
import re
import signal
import time

import pytest

from daemon_rig import in_threads, kill, pids, status, wait_gone
from harness import process_alive, processes_of, wait_until

QUICK = {"backoff_base_ms": 100, "backoff_max_ms": 400}


@pytest.fixture
def one(tenement):
    """one(MODE, ...) runs a tenant x:a whose app has this mode; keys are the service's."""
    def make(mode, settings=None, tenant=None, env=None, **keys):
        t = tenement(start=False, settings={**QUICK, **(settings or {})})
        t.write("x.toml", t.service("x", mode, env=env, **keys))
        t.write("x-a.toml", t.tenant("x", **(tenant or {})))
        return t.start()
    return make


def shown(t, key="x:a"):
    """What `ten status` says of KEY's trouble."""
    text = re.sub(r"\s+", " ", t.ten("status").stdout)
    return text[text.index(key):] if key in text else ""


def test_who_ignores_sigterm_is_killed(one):
    t = one("stubborn", stop_timeout=1)
    t.wait_ok("x:a")
    pid = pids(t)["x:a"]
    begun = time.monotonic()
    t.ten("stop", "x:a")
    assert not process_alive(pid)
    assert time.monotonic() - begun >= 1
    state = t.wait_state("x:a", "asleep")
    assert "SIGTERM" in state["reason"] and "killed" in state["reason"]
    assert "SIGTERM" in shown(t)
    t.wait_ok("x:a")
    assert t.instance("x:a")["reason"] == "", "a good start ends the story"


@pytest.mark.parametrize("detach", ["", "--detach 1"])
def test_children_of_who_exits_are_ended(one, detach):
    """It forks and exits with 0 before it listens: that is a failed start."""
    t = one(f"forker --children 3 {detach}", settings={"max_restarts": 2})
    assert t.get("x:a").status in (503, 504)
    failed = t.wait_state("x:a", "failed")
    assert "exit status 0" in failed["reason"], failed
    assert "exit status 0" in shown(t)
    wait_until(lambda: not [c for c in processes_of(str(t.root)).values() if "app.py" in c],
               what="no child left behind")


@pytest.mark.parametrize("detach", ["", "--detach 1"])
def test_children_of_who_is_stopped_are_ended(one, detach):
    t = one(f"forker --children 3 {detach} --serve 1")
    t.wait_ok("x:a")

    def apps():
        return [c for c in processes_of(str(t.root)).values() if "app.py" in c]
    assert len(apps()) == 4
    t.ten("stop", "x:a")
    wait_until(lambda: not apps(), what="no child left behind")


def test_who_dies_at_start_is_tried_again_and_given_up(one):
    t = one("dies", settings={"max_restarts": 3})
    begun = time.monotonic()
    answer = t.get("x:a")
    assert answer.status in (503, 504), answer
    failed = t.wait_state("x:a", "failed")
    took = time.monotonic() - begun
    assert took > 0.1 + 0.2, "each next try waits longer"
    assert "exit status 3" in failed["reason"]
    assert failed["pid"] is None
    assert "exit status 3" in shown(t) and "failed" in shown(t)
    wait_until(lambda: t.ten("logs", "x:a").stdout.count("no such database") >= 4, what="the last line")
    assert t.ten("logs", "x:a").stdout.count("no such database") == 4, "3 restarts"
    assert t.get("x:a").status == 503
    assert t.state("x:a") == "failed", "a request does not try again"


def test_who_failed_is_tried_again_when_told(one):
    t = one("dies", settings={"max_restarts": 1})
    t.get("x:a")
    t.wait_state("x:a", "failed")
    wait_until(lambda: t.ten("logs", "x:a").stdout.count("no such database") >= 2, what="the last line")
    before = t.ten("logs", "x:a").stdout.count("no such database")
    assert t.ten("start", "x:a", status=None).returncode == 1
    wait_until(lambda: t.ten("logs", "x:a").stdout.count("no such database") > before)


def test_who_failed_is_tried_again_when_its_file_changes(one):
    t = one("dies", settings={"max_restarts": 1})
    t.get("x:a")
    t.wait_state("x:a", "failed")
    t.write("x.toml", t.service("x", "echo"))
    t.wait_ok("x:a")
    assert t.instance("x:a")["reason"] == ""
    assert status(t)["trouble"] == []


def test_who_failed_is_tried_again_when_what_changes_at_once_changes(one):
    """As a limit that was too small does, or a time that was too short."""
    t = one("echo --start-delay 3", settings={"max_restarts": 0}, startup_timeout=1)
    t.get("x:a")
    t.wait_state("x:a", "failed")
    t.write("x.toml", t.service("x", "echo --start-delay 3", startup_timeout=20))
    t.wait_ok("x:a")


def test_who_waits_for_its_next_try_says_so_no_more_when_its_file_changes(one):
    t = one("echo", settings={"max_restarts": 9, "backoff_base_ms": 60000, "backoff_max_ms": 60000},
            tenant={"workdir": "/no/such/folder"})
    t.control("POST", "/api/instances/x:a/start")
    assert "/no/such/folder" in t.wait_state("x:a", "backoff")["reason"]
    t.write("x-a.toml", t.tenant("x"))
    assert t.wait_state("x:a", "asleep")["reason"] == ""
    assert status(t)["trouble"] == []


def test_who_failed_and_is_declared_running_comes_back_when_mended(one):
    t = one("dies", settings={"max_restarts": 1}, tenant={"state": "running"})
    t.wait_state("x:a", "failed")
    t.write("x.toml", t.service("x", "echo"))
    t.wait_state("x:a", "ready")


def test_backoff_grows_to_its_maximum(one):
    t = one("dies", settings={"max_restarts": 6, "backoff_base_ms": 50, "backoff_max_ms": 200},
            tenant={"state": "running"})
    t.wait_state("x:a", "failed", timeout=30)
    waits = [float(s) for s in re.findall(r"next try after ([0-9.]+) s", t.said())]
    around = [0.05, 0.1, 0.2, 0.2, 0.2, 0.2]
    assert len(waits) == len(around)
    for wait, middle in zip(waits, around):
        assert 0.79 * middle <= wait <= min(1.2 * middle, 0.2), waits


def test_old_failures_do_not_count(one):
    """Three crashes in all, never two within the window."""
    t = one("echo", settings={"max_restarts": 2, "restart_window": 1})
    for _ in range(3):
        t.wait_ok("x:a")
        pid = pids(t)["x:a"]
        kill(pid)
        wait_until(lambda pid=pid: pids(t).get("x:a") not in (None, pid), what="a new process")
        begun = time.monotonic()
        wait_until(lambda begun=begun: time.monotonic() - begun > 1.1, what="the window's end")
    assert t.state("x:a") in ("ready", "asleep")


def test_crashes_within_the_window_add_up(one):
    t = one("echo", settings={"max_restarts": 2, "restart_window": 100})
    for _ in range(3):
        t.wait_ok("x:a")
        pid = pids(t)["x:a"]
        kill(pid)
        wait_gone(pid)
    failed = t.wait_state("x:a", "failed")
    assert "signal 9" in failed["reason"]


def test_who_never_listens_costs_504(one):
    t = one("silent", settings={"max_restarts": 2}, startup_timeout=1)
    answer = t.get("x:a")
    assert answer.status == 504, answer
    failed = t.wait_state("x:a", "failed")
    assert "startup_timeout" in failed["reason"] and "listens" in failed["reason"]
    assert "startup_timeout" in shown(t)
    assert not [c for c in processes_of(str(t.root)).values() if "app.py" in c]


@pytest.mark.parametrize("command, said", [
    ("/usr/bin/no-such-program --x", "/usr/bin/no-such-program"),
    ("no-such-program", "no-such-program"),
    ("./app.nothing", "app.nothing"),
])
def test_a_command_that_is_not_there_is_named(one, command, said):
    t = one("echo", settings={"max_restarts": 1}, command=command)
    assert t.get("x:a").status in (503, 504)
    failed = t.wait_state("x:a", "failed")
    assert said in failed["reason"] and "No such file" in failed["reason"], failed["reason"]
    assert said in shown(t)


def test_a_workdir_that_is_not_there_is_named(one):
    t = one("echo", settings={"max_restarts": 1}, workdir="/no/such/folder")
    assert t.get("x:a").status in (503, 504)
    assert "/no/such/folder" in t.wait_state("x:a", "failed")["reason"]


@pytest.mark.parametrize("policy, declared, code, expected", [
    ("on-failure", "on-demand", 0, "asleep"),
    ("on-failure", "on-demand", 1, "ready"),
    ("on-failure", "running", 0, "ready"),  # running is kept up
    ("always", "on-demand", 0, "ready"),
    ("never", "on-demand", 1, "asleep"),
    ("never", "running", 1, "failed"),
])
def test_restart_policies(one, policy, declared, code, expected):
    t = one("echo", tenant={"state": declared}, restart=policy)
    t.wait_ok("x:a")
    pid = pids(t)["x:a"]
    t.post("x:a", f"/exit?code={code}")
    wait_gone(pid)
    if expected == "ready":
        wait_until(lambda: pids(t).get("x:a") not in (None, pid), what="another process")
        t.wait_state("x:a", expected)
        return
    now = t.wait_state("x:a", expected)
    if expected == "failed":
        assert f"exit status {code}" in now["reason"]
        assert t.get("x:a").status == 503
    else:
        assert f"exit status {code}" in now["reason"]
        t.wait_ok("x:a")


def test_a_crash_is_seen_at_once_and_costs_no_request(one):
    t = one("echo", settings={"backoff_base_ms": 200, "max_restarts": 10})
    t.wait_ok("x:a")
    kill(pids(t)["x:a"], signal.SIGSEGV)
    answers = in_threads(10, lambda _: t.get("x:a"))
    assert [getattr(a, "status", a) for a in answers] == [200] * 10
    assert t.instance("x:a")["restarts"] == 1


def test_ended_by_a_signal_is_said_so(one):
    t = one("echo", restart="never")
    t.wait_ok("x:a")
    kill(pids(t)["x:a"], signal.SIGSEGV)
    assert "signal 11" in t.wait_state("x:a", "asleep")["reason"]


def test_failing_health_checks_restart(one):
    """Healthy at first: the app's /health turns bad when told so by a file."""
    t = one("echo", settings={"health_check_interval": 1, "max_restarts": 5},
            env={"PYTHONPATH": "."}, health="/?status=500")
    t.wait_ok("x:a")
    pid = pids(t)["x:a"]
    wait_until(lambda: pids(t).get("x:a") not in (None, pid), 15, what="a restart")
    assert "health" in t.said()


def test_health_checks_do_not_keep_awake(one):
    t = one("echo", settings={"health_check_interval": 1}, health="/health", idle_timeout=2)
    t.wait_ok("x:a")
    assert wait_until(lambda: t.instance("x:a")["health"] == "healthy", what="healthy")
    t.wait_state("x:a", "asleep")


def test_ready_by_health(one):
    t = one("echo --health 503", ready="health", health="/health", startup_timeout=1,
            settings={"max_restarts": 1})
    assert t.get("x:a").status == 504
    failed = t.wait_state("x:a", "failed")
    assert "startup_timeout" in failed["reason"] and "503" in failed["reason"]
    t.write("x.toml", t.service("x", "echo", ready="health", health="/health"))
    t.wait_ok("x:a")


NOTIFIER = r"""
import os, socket, sys, time
sys.argv = ["app.py", "echo"]
sys.path.insert(0, ".")
import app
def after():
    if os.environ["READY"] == "never":
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.sendto(b"READY=1\n", os.environ["NOTIFY_SOCKET"])
app.serve({}, after)
"""


@pytest.mark.parametrize("ready", ["soon", "never"])
def test_ready_by_notify(tenement, ready):
    t = tenement(start=False, settings={**QUICK, "max_restarts": 1})
    (t.apps / "notifier.py").write_text(NOTIFIER)
    os.chmod(t.apps / "notifier.py", 0o755)
    t.write("x.toml", t.service("x", env={"READY": ready}, ready="notify", startup_timeout=2,
                                command="/usr/bin/python3 notifier.py"))
    t.write("x-a.toml", t.tenant("x"))
    t.start()
    answer = t.get("x:a")
    if ready == "soon":
        assert answer.status == 200
    else:
        assert answer.status == 504
        assert "READY=1" in t.wait_state("x:a", "failed")["reason"]


def test_nobody_else_says_ready(tenement):
    """READY=1 from a process that is not the tenant's is not believed."""
    import socket
    t = tenement(start=False, settings={**QUICK, "max_restarts": 1})
    t.write("x.toml", t.service("x", ready="notify", startup_timeout=2))
    t.write("x-a.toml", t.tenant("x", state="running"))
    t.start()
    t.wait_state("x:a", "starting")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(b"READY=1\n", str(t.runtime_dir / "notify"))
    assert t.wait_state("x:a", "failed", "ready")["state"] == "failed"
