"""Declared states, and what an operator does by hand to a declared tenant."""

import json
import threading

import pytest

from daemon_rig import kill_daemon, pids, status, wait_gone, wait_no_problem
from harness import process_alive, wait_until


@pytest.fixture
def alice(tenement):
    def make(**keys):
        t = tenement(start=False, settings={"backoff_base_ms": 50})
        t.write("tiny.toml", t.service("tiny", "tiny", balance=True))
        t.write("tiny-alice.toml", t.tenant("tiny", **keys))
        return t.start()
    return make


def declare(t, **keys):
    t.write("tiny-alice.toml", t.tenant("tiny", **keys))


def test_running_is_kept_up(alice):
    t = alice(state="running", idle_timeout=1)
    pid = t.wait_state("tiny:alice", "ready")["pid"]
    wait_until(lambda: t.instance("tiny:alice")["state_secs"] >= 2, what="two seconds without work")
    assert pids(t)["tiny:alice"] == pid


def test_stopped_answers_503_and_runs_nothing(alice):
    t = alice()
    t.wait_ok("tiny:alice")
    pid = pids(t)["tiny:alice"]
    declare(t, state="stopped")
    wait_gone(pid)
    assert t.get("tiny:alice").status == 503
    assert t.state("tiny:alice") == "stopped"
    t.ten("start", "tiny:alice")
    assert t.get("tiny:alice").status == 200
    assert t.instance("tiny:alice")["overridden"] == ["state"]
    t.ten("overrides", "clear", "tiny:alice")
    t.wait_state("tiny:alice", "stopped")
    declare(t)
    t.wait_ok("tiny:alice")


def test_suspended_answers_with_its_page(alice):
    t = alice()
    (t.root / "pay.html").write_text("<p>Please pay.</p>")
    t.wait_ok("tiny:alice")
    pid = pids(t)["tiny:alice"]
    declare(t, state="suspended", suspended_page=str(t.root / "pay.html"), suspended_status=402)
    wait_gone(pid)
    answer = t.wait_status("tiny:alice", 402)
    assert "Please pay." in answer.text and "text/html" in answer.headers["Content-Type"]
    declare(t, state="suspended")
    answer = t.wait_status("tiny:alice", 503)
    assert "Please pay." not in answer.text
    declare(t)
    t.wait_ok("tiny:alice")


def test_start_and_stop_of_an_on_demand_tenant_act_once(alice):
    t = alice()
    t.ten("start", "tiny:alice")
    pid = pids(t)["tiny:alice"]
    t.ten("stop", "tiny:alice")
    wait_gone(pid)
    assert t.state("tiny:alice") == "asleep"
    assert t.get("tiny:alice").status == 200, "the next request wakes it"
    assert t.ten_json("overrides")["overrides"] == []


def test_stop_of_a_running_tenant_is_an_override(alice):
    t = alice(state="running")
    pid = t.wait_state("tiny:alice", "ready")["pid"]
    t.ten("stop", "tiny:alice")
    wait_gone(pid)
    assert t.get("tiny:alice").status == 503
    assert "tiny:alice" in t.ten("overrides").stdout
    assert t.instance("tiny:alice")["overridden"] == ["state"]
    kill_daemon(t)
    assert t.wait_state("tiny:alice", "stopped")["pid"] is None
    assert t.get("tiny:alice").status == 503
    t.ten("start", "tiny:alice")
    t.wait_state("tiny:alice", "ready")
    assert t.ten_json("overrides")["overrides"] == []


def test_suspend_and_resume(alice):
    t = alice()
    t.wait_ok("tiny:alice")
    pid = pids(t)["tiny:alice"]
    t.ten("suspend", "tiny:alice")
    wait_gone(pid)
    assert t.get("tiny:alice").status == 503
    shown = json.loads(t.ten("overrides", "-o", "json").stdout)["overrides"]
    assert [one["target"] for one in shown] == ["tiny:alice"]
    assert "suspended" in shown[0]["what"] and shown[0]["declared"] == "on-demand"
    assert "override" in t.ten("status").stdout
    t.ten("resume", "tiny:alice")
    assert t.get("tiny:alice").status == 200
    assert t.ten_json("overrides")["overrides"] == []


def test_an_override_outlives_a_stop_of_everything(alice):
    t = alice()
    t.ten("suspend", "tiny:alice")
    t.stop()
    t.start()
    assert t.state("tiny:alice") == "suspended"
    assert t.get("tiny:alice").status == 503
    t.ten("overrides", "clear", "tiny:alice")
    t.wait_ok("tiny:alice")


def test_an_override_ends_when_the_declared_value_changes(alice):
    t = alice()
    t.ten("suspend", "tiny:alice")
    declare(t, idle_timeout=77)  # something else
    wait_until(lambda: status(t)["converged"] and status(t)["generation"] >= 2)
    assert t.state("tiny:alice") == "suspended"
    declare(t, idle_timeout=77, state="running")
    t.wait_state("tiny:alice", "ready")
    assert t.ten_json("overrides")["overrides"] == []


def test_an_override_ends_with_its_tenant(alice):
    t = alice()
    t.ten("suspend", "tiny:alice")
    t.remove("tiny-alice.toml")
    wait_until(lambda: t.instance("tiny:alice") is None)
    declare(t)
    t.wait_ok("tiny:alice")


def test_clear_ends_all(alice):
    t = alice()
    t.write("tiny-bob.toml", t.tenant("tiny"))
    t.wait_ok("tiny:bob")
    t.ten("suspend", "tiny:alice")
    t.ten("suspend", "tiny:bob")
    t.ten("weight", "tiny:bob", "5")
    assert t.instance("tiny:bob")["weight"] == 5
    assert sorted(t.instance("tiny:bob")["overridden"]) == ["state", "weight"]
    t.ten("overrides", "clear")
    t.wait_ok("tiny:alice")
    t.wait_ok("tiny:bob")
    assert t.instance("tiny:bob")["weight"] == 100


def test_declare_writes_into_a_file_of_tens_own(alice):
    t = alice()
    t.ten("spawn", "tiny:carol")
    t.ten("suspend", "tiny:carol", "--declare")
    assert 'state = "suspended"' in (t.conf_dir / "tiny-carol.toml").read_text()
    assert t.state("tiny:carol") == "suspended"
    assert t.ten_json("overrides")["overrides"] == []
    # what came by apply keeps all that it says
    text = t.tenant("tiny", id="dora", domains=["dora.example"], memory_limit_mb=77) + '[tenant.env]\nPLAN = "pro" # paid\n'
    t.ten("apply", "-", "--name", "dora.toml", text=text)
    t.ten("suspend", "tiny:dora", "--declare")
    said = (t.conf_dir / "dora.toml").read_text()
    assert said == text.replace("[tenant]\n", '[tenant]\nstate = "suspended"\n')
    t.ten("resume", "tiny:dora", "--declare")
    assert (t.conf_dir / "dora.toml").read_text() == said.replace("suspended", "on-demand")
    refused = t.ten("suspend", "tiny:alice", "--declare", status=None)
    assert refused.returncode == 4 and "tiny-alice.toml" in refused.stderr
    assert t.get("tiny:alice").status == 200


def test_unknown_tenants_are_said_so(alice):
    t = alice()
    for command in ("start", "stop", "restart", "suspend", "resume", "rm"):
        done = t.ten(command, "tiny:alcie", status=1)
        assert "did you mean tiny:alice?" in done.stderr, command


def test_pause_stops_acting_until_unpause(alice):
    t = alice(state="running")
    pid = t.wait_state("tiny:alice", "ready")["pid"]
    t.ten("pause", "moving", "house")
    assert status(t)["paused"] and "moving house" in t.ten("status").stdout
    t.write("tiny-bob.toml", t.tenant("tiny", state="running"))
    declare(t, state="stopped")
    wait_until(lambda: "tiny:bob" in t.ten("diff").stdout, what="bob among what would be done")
    assert pids(t) == {"tiny:alice": pid}
    assert t.get("tiny:alice").status == 200
    t.ten("unpause")
    wait_gone(pid)
    t.wait_state("tiny:bob", "ready")
    assert not status(t)["paused"]
    wait_no_problem(t)


def test_a_command_returns_though_requests_go_on(tenement):
    """Under load a tenant is wanted again in the moment in which it is down."""
    t = tenement()
    t.write("echo.toml", t.service("echo"))
    t.write("echo-a.toml", t.tenant("echo"))
    t.wait_ok("echo:a")
    over = threading.Event()

    def ask():
        while not over.is_set():
            t.get("echo:a")
    visitors = [threading.Thread(target=ask, daemon=True) for _ in range(4)]
    for visitor in visitors:
        visitor.start()
    try:
        for _ in range(3):
            pid = t.wait_state("echo:a", "ready")["pid"]
            answer = t.control("POST", "/api/instances/echo:a/stop", {"timeout": 20})
            assert answer.status == 200 and "timeout" not in answer.json()
            assert not process_alive(pid)
            t.wait_state("echo:a", "ready")
            answer = t.control("POST", "/api/instances/echo:a/suspend", {"timeout": 20}).json()
            assert answer["state"] == "suspended" and "timeout" not in answer
            assert "timeout" not in t.control("POST", "/api/instances/echo:a/resume", {"timeout": 20}).json()
    finally:
        over.set()
        for visitor in visitors:
            visitor.join(30)
