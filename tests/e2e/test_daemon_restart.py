"""tenementd dies, is stopped or hangs while requests go on: nobody notices."""

import os
import signal
import threading
import time

import pytest

from daemon_rig import Load, in_threads, kill, kill_daemon, pids, status, wait_daemon, wait_gone
from harness import children_of, process_alive, real_pids, wait_until

KEYS = [f"tiny:t{i}" for i in range(4)]


@pytest.fixture
def four(tenement):
    """Four tenants that run, and one that sleeps."""
    def make(mode="tiny", settings=None, **keys):
        t = tenement(start=False, settings=settings)
        t.declare(KEYS, mode, **keys)
        t.write("tiny-sleeper.toml", t.tenant("tiny"))
        t.start_ok(KEYS)
        return t
    return make


@pytest.mark.parametrize("fresh", [False, True])
def test_killed_five_times_under_load(four, fresh):
    t = four()
    before = pids(t)
    with Load(t, KEYS, fresh=fresh) as load:
        for _ in range(5):
            kill_daemon(t)
            load.wait_for(50)
            assert pids(t) == before
    assert load.failures == []
    assert {body.strip() for *_, body in load.answers} == {b"t0", b"t1", b"t2", b"t3"}
    t.wait_ok("tiny:sleeper")
    assert t.ten("ps", "--quiet").stdout.split() == ["tiny:sleeper", *KEYS]


def test_stopped_by_sigterm_under_load(four):
    t = four()
    before = pids(t)
    with Load(t, KEYS) as load:
        kill_daemon(t, signal.SIGTERM)
        load.wait_for(50)
    assert load.failures == []
    assert pids(t) == before
    t.wait_ok("tiny:sleeper")


def test_hanging_three_seconds_under_load(four):
    t = four()
    before = pids(t)
    daemon = t.pid_of("tenementd")
    with Load(t, KEYS) as load:
        kill(daemon, signal.SIGSTOP)
        slept = []
        sleeper = threading.Thread(target=lambda: slept.append(t.get("tiny:sleeper").status))
        sleeper.start()
        end = time.monotonic() + 3
        wait_until(lambda: time.monotonic() > end)
        kill(daemon, signal.SIGCONT)
        sleeper.join(30)
    assert load.failures == []
    assert slept == [200], "the request waited for the daemon"
    assert pids(t).items() >= before.items()
    assert t.pid_of("tenementd") == daemon


def test_a_request_for_a_sleeper_waits_for_the_next_daemon(four):
    t = four()
    daemon = t.pid_of("tenementd")
    kill(daemon, signal.SIGSTOP)
    slept = []
    sleeper = threading.Thread(target=lambda: slept.append(t.get("tiny:sleeper").status))
    sleeper.start()
    # (its wake bit is on the board when a worker counts it as waiting; nobody can be asked while
    # the daemon stands still, so the test asks the other way round: it must not be answered yet)
    end = time.monotonic() + 0.3
    wait_until(lambda: time.monotonic() > end)
    assert slept == []
    kill(daemon)
    sleeper.join(30)
    assert slept == [200]


@real_pids
def test_killed_while_a_tenant_starts(four):
    t = four("echo --start-delay 1")
    answers = []
    asker = threading.Thread(target=lambda: answers.append(t.get("tiny:sleeper")))
    asker.start()
    pid = t.wait_state("tiny:sleeper", "starting")["pid"]
    wait_until(lambda: pids(t).get("tiny:sleeper"), what="its process")
    pid = pids(t)["tiny:sleeper"]
    kill_daemon(t)
    asker.join(30)
    assert answers[0].status == 200
    assert answers[0].json()["pid"] == pid, "the same process went on starting"
    assert pids(t)["tiny:sleeper"] == pid


@real_pids
def test_killed_at_any_moment_of_a_start(four):
    """However little of the start was done: the request is answered by exactly one process."""
    t = four("echo")
    for delay in (0, 0.002, 0.005, 0.01, 0.02, 0.04, 0.08):
        answers = []
        asker = threading.Thread(target=lambda: answers.append(t.get("tiny:sleeper")))
        daemon = t.pid_of("tenementd")
        asker.start()
        end = time.monotonic() + delay
        while time.monotonic() < end:
            pass
        kill(daemon)
        asker.join(30)
        assert answers[0].status == 200
        wait_daemon(t, daemon)
        assert pids(t)["tiny:sleeper"] == answers[0].json()["pid"]
        t.ten("stop", "tiny:sleeper")
        wait_gone(answers[0].json()["pid"])


def test_who_dies_meanwhile_is_noticed_with_its_status(four):
    t = four("echo", settings={"backoff_base_ms": 50}, restart="never")
    before = pids(t)
    daemon = t.pid_of("tenementd")
    kill(daemon, signal.SIGSTOP)
    t.post("tiny:t0", "/exit?code=7")
    kill(before["tiny:t1"], signal.SIGKILL)
    wait_gone(before["tiny:t0"], before["tiny:t1"])
    kill(daemon)
    wait_daemon(t, daemon)
    assert "exit status 7" in t.wait_state("tiny:t0", "asleep")["reason"]
    assert "signal 9" in t.wait_state("tiny:t1", "asleep")["reason"]
    t.wait_ok("tiny:t0")


def test_counters_and_idle_time_outlive_it(four):
    t = four(idle_timeout=3)
    before = pids(t)
    kill_daemon(t)
    assert t.instance("tiny:t0")["requests"] >= 1
    wait_gone(*before.values())
    for key in KEYS:
        t.wait_state(key, "asleep")
    assert all(t.get(key).status == 200 for key in KEYS)


def test_a_request_in_flight_survives_it(four):
    t = four("echo", idle_timeout=1)
    results = []
    asker = threading.Thread(target=lambda: results.append(t.get("tiny:t0", "/?delay=3").status))
    asker.start()
    wait_until(lambda: t.instance("tiny:t0")["in_flight"] == 1)
    pid = pids(t)["tiny:t0"]
    kill_daemon(t)
    assert t.instance("tiny:t0")["in_flight"] == 1
    asker.join(30)
    assert results == [200]
    wait_gone(pid)  # it is idle after that, though its use began in another daemon's life


def test_killed_while_it_stops_a_tenant(four):
    t = four("stubborn", stop_timeout=2)
    pid = pids(t)["tiny:t0"]
    t.remove("tiny-t0.toml")
    wait_until(lambda: "tiny:t0: draining -> stopping" in t.said(), what="SIGTERM")
    kill_daemon(t)
    wait_gone(pid)
    wait_until(lambda: t.instance("tiny:t0") is None, what="the end of tiny:t0")
    assert t.get("tiny:t0").status == 404


def test_a_removed_file_ends_a_tenant_that_was_adopted(four):
    t = four()
    pid = pids(t)["tiny:t0"]
    kill_daemon(t)
    t.remove("tiny-t0.toml")
    wait_gone(pid)
    t.wait_status("tiny:t0", 404)


def test_a_change_during_its_absence_is_carried_out(four):
    t = four("echo")
    before = pids(t)
    daemon = t.pid_of("tenementd")
    kill(daemon, signal.SIGSTOP)
    t.write("tiny-t0.toml", t.tenant("tiny", env={"COLOUR": "blue"}))
    t.remove("tiny-t1.toml")
    t.write("tiny-new.toml", t.tenant("tiny"))
    kill(daemon)
    wait_until(lambda: t.get("tiny:t0").json()["env"].get("COLOUR") == "blue")
    t.wait_ok("tiny:new")
    t.wait_status("tiny:t1", 404)
    wait_gone(before["tiny:t0"], before["tiny:t1"])
    assert pids(t)["tiny:t2"] == before["tiny:t2"]


def test_last_good_specs_outlive_it(four):
    t = four("echo")
    before = pids(t)
    (t.conf_dir / "tiny-t0.toml").write_text("[tenant]\nservice = ")
    wait_until(lambda: t.instance("tiny:t0")["last_good"])
    kill_daemon(t)
    assert t.instance("tiny:t0")["last_good"]
    assert pids(t) == before
    t.ten("stop", "tiny:t0")
    t.wait_ok("tiny:t0")


def test_last_good_specs_outlive_everything(four):
    t = four("echo")
    before = pids(t)
    (t.conf_dir / "tiny-t0.toml").write_text("[tenant]\nservice = ")
    wait_until(lambda: t.instance("tiny:t0")["last_good"])
    ours = [t.keeper_pid(), *children_of(t.keeper_pid())]
    kill(t.keeper_pid())
    t.serve.wait(20)
    t.serve = None
    wait_gone(*ours)
    assert not [pid for pid in before.values() if process_alive(pid)]
    t.start()
    t.wait_ok("tiny:t0")
    assert t.instance("tiny:t0")["last_good"]
    assert status(t)["problems"]


def test_overrides_and_pause_outlive_it(four):
    t = four()
    t.ten("suspend", "tiny:t0")
    t.ten("pause", "migrating")
    kill_daemon(t)
    assert t.state("tiny:t0") == "suspended"
    assert t.get("tiny:t0").status == 503
    assert status(t)["paused"]
    t.ten("unpause")
    t.ten("resume", "tiny:t0")
    t.wait_ok("tiny:t0")


def test_two_hundred_wait_while_it_dies(four):
    t = four("echo --start-delay 1")
    daemon = t.pid_of("tenementd")
    killer = threading.Timer(0.4, lambda: kill(daemon))
    killer.start()
    answers = in_threads(100, lambda _: t.get("tiny:sleeper"))
    killer.join()
    assert [getattr(answer, "status", answer) for answer in answers] == [200] * 100
    assert len({answer.json()["pid"] for answer in answers}) == 1


def test_nothing_is_left_when_it_is_killed_and_all_is_stopped_at_once(four):
    t = four()
    running = pids(t)
    kill(t.pid_of("tenementd"))
    assert t.stop() == 0
    assert not [pid for pid in running.values() if process_alive(pid)]
    assert not os.path.exists(t.runtime_dir / "control.sock")
