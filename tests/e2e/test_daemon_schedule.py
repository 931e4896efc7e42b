"""Tenants that are kept ready in some hours (awake) and woken at some times (wake_at)."""

import os
import re
import shutil
import time

import pytest

from daemon_rig import kill_daemon, pids, wait_gone, wait_problem
from harness import wait_until
from wall_clock import Clock, unix

HOURS = "Mon-Fri 08:00-18:00 UTC"
FRIDAY = "2026-11-20 "


@pytest.fixture
def rig(tenement):
    """rig(now, **keys of the service): (t, clock), with the tenant app:a and a clock that shows NOW."""
    def make(now, tenants=("a",), settings=None, **keys):
        t = tenement(start=False, settings=settings)
        write_service(t, **keys)
        for one in tenants:
            t.write(f"app-{one}.toml", t.tenant("app"))
        clock = Clock(t, now)
        clock.start()
        return t, clock
    return make


def write_service(t, command=None, **keys):
    text = t.service("app", "tiny", **{**({} if "sleep" in keys else {"idle_timeout": 1}), **keys})
    t.write("app.toml", text.replace("./tiny", command) if command else text)


def starts(t, key="app:a"):
    return len(re.findall(rf"{key}: (?:asleep|backoff) -> starting", t.said()))


def stays(t, state, seconds, key="app:a"):
    begun = time.monotonic()
    wait_until(lambda: time.monotonic() - begun >= seconds or t.state(key) != state)
    assert t.state(key) == state


def status(t, key="app:a"):
    return t.ten("status", key, status=None).stdout


# ---- hours ----

def test_hours_begin_and_end(rig):
    t, clock = rig(FRIDAY + "07:59:57", awake=HOURS)
    assert t.state("app:a") == "asleep"
    assert f'kept awake from Fri 2026-11-20 08:00 UTC (awake = "{HOURS}")' in t.ten("why", "app:a").stdout
    t.wait_state("app:a", "ready")
    assert clock.now() >= unix(FRIDAY + "08:00:00")
    pid = pids(t)["app:a"]
    said = t.ten("why", "app:a").stdout
    assert "woken last by its hours (awake)" in said
    assert f'kept awake until Fri 2026-11-20 18:00 UTC (awake = "{HOURS}")' in said
    why = t.control("GET", "/api/instances/app:a/why").json()
    assert why["kept_awake_by"] == ["its hours (awake), until Fri 2026-11-20 18:00 UTC"]
    assert abs(why["next"][0]["in_secs"] - 36001) < 30
    assert "until Fri 2026-11-20 18:00 UTC" in status(t)
    assert "will be stopped in 10h" in status(t)
    stays(t, "ready", 3)
    clock.set(FRIDAY + "17:59:57")
    stays(t, "ready", 2)
    assert pids(t)["app:a"] == pid
    wait_gone(pid)
    assert clock.now() >= unix(FRIDAY + "18:00:00")
    t.wait_state("app:a", "asleep")
    assert starts(t) == 1
    assert "from Mon 2026-11-23 08:00 UTC" in status(t)


def test_hours_of_now_without_a_set_clock(tenement):
    t = tenement(start=False)
    write_service(t, awake=["daily 00:00-12:00", "daily 11:59-24:00"])
    t.write("app-a.toml", t.tenant("app"))
    t.start()
    t.wait_state("app:a", "ready")
    stays(t, "ready", 3)
    assert "kept awake at all hours" in t.ten("why", "app:a").stdout


def test_idleness_counts_from_the_end_of_the_hours(rig):
    t, clock = rig(FRIDAY + "17:59:00", awake=HOURS, idle_timeout=4)
    t.wait_state("app:a", "ready")
    stays(t, "ready", 5)
    clock.set(FRIDAY + "18:00:00")
    stays(t, "ready", 2)
    t.wait_state("app:a", "asleep")


def test_who_was_given_up_is_tried_at_his_time(tenement):
    t = tenement(start=False, settings={"max_restarts": 0})
    script = t.apps / "moody"
    script.write_text("#!/bin/sh\n[ -e good ] || exit 3\nexec ./tiny\n")
    script.chmod(0o755)
    write_service(t, command="./moody", wake_at="daily 03:00", failed_cooldown=1, idle_timeout=60)
    t.write("app-a.toml", t.tenant("app"))
    clock = Clock(t, FRIDAY + "02:00:00")
    clock.start()
    clock.set(FRIDAY + "02:59:59")  # (to start may take longer than the second that is left)
    t.wait_state("app:a", "failed")
    (t.apps / "good").touch()
    wait_until(lambda: t.instance("app:a")["next_try"]["secs"] <= 0, what="the end of the cool-down")
    clock.set("2026-11-21 02:59:59")
    t.wait_state("app:a", "ready")


def test_put_to_rest_in_hours_without_an_end(tenement):
    t = tenement(start=False)
    write_service(t, awake="daily 00:00-24:00")
    t.write("app-a.toml", t.tenant("app"))
    clock = Clock(t, FRIDAY + "12:00:00")
    clock.start()
    t.wait_state("app:a", "ready")
    t.ten("stop", "app:a")
    t.wait_state("app:a", "asleep")
    clock.set("2026-11-21 12:00:00")
    stays(t, "asleep", 1)
    kill_daemon(t)
    stays(t, "asleep", 1)
    assert t.get("app:a").status == 200


def test_nobody_makes_room_in_his_hours(rig):
    t, clock = rig(FRIDAY + "09:00:00", tenants=("a", "b"), settings={"max_running": 1}, startup_timeout=1)
    t.write("app-a.toml", t.tenant("app", awake=HOURS))
    t.wait_state("app:a", "ready")
    assert t.get("app:b").status == 503
    assert t.state("app:a") == "ready" and starts(t) == 1
    clock.set(FRIDAY + "18:00:00")
    wait_until(lambda: t.get("app:b").status == 200, what="its hours are over")


def test_the_clock_is_set(rig):
    t, clock = rig(FRIDAY + "05:00:00", awake=HOURS)
    stays(t, "asleep", 0.3)
    for _ in range(2):
        clock.set(FRIDAY + "09:00:00")
        t.wait_state("app:a", "ready")
        clock.set(FRIDAY + "06:00:00")
        t.wait_state("app:a", "asleep")
    clock.set("2026-11-21 09:00:00")
    stays(t, "asleep", 0.5)
    assert "the clock was set" in t.said()


def test_clocks_elsewhere_that_are_put_forward(rig):
    t, clock = rig("2026-03-29 00:59:57", awake="Sun 02:30-04:00 Europe/Berlin")
    assert t.state("app:a") == "asleep"
    t.wait_state("app:a", "ready")
    assert clock.now() >= unix("2026-03-29 01:00:00")
    assert "until Sun 2026-03-29 04:00 CEST" in t.ten("why", "app:a").stdout
    assert "UTC" not in t.ten("why", "app:a").stdout


def test_frozen_is_thawed_for_the_hours(rig):
    t, clock = rig(FRIDAY + "07:00:00", awake=HOURS, sleep=[{"after": 1, "to": "frozen"}])
    t.wait_ok("app:a")
    pid = pids(t)["app:a"]
    t.wait_state("app:a", "frozen")
    clock.set(FRIDAY + "08:00:00")
    t.wait_state("app:a", "ready")
    stays(t, "ready", 3)
    clock.set(FRIDAY + "18:00:00")
    t.wait_state("app:a", "frozen")
    assert pids(t)["app:a"] == pid


def test_who_dies_in_its_hours_is_restarted(rig):
    t, _ = rig(FRIDAY + "10:00:00", awake=HOURS, settings={"backoff_base_ms": 1})
    for _ in range(2):
        t.wait_state("app:a", "ready")
        pid = pids(t)["app:a"]
        os.kill(pid, 9)
        wait_until(lambda pid=pid: pids(t).get("app:a", pid) != pid)
    t.wait_state("app:a", "ready")
    assert starts(t) == 3


def test_restart_never_holds_in_hours_too(rig):
    t, clock = rig(FRIDAY + "10:00:00", awake=HOURS, restart="never")
    t.wait_state("app:a", "ready")
    os.kill(pids(t)["app:a"], 9)
    t.wait_state("app:a", "asleep")
    stays(t, "asleep", 0.5)
    clock.set("2026-11-23 08:00:00")
    t.wait_state("app:a", "ready")


def test_stop_by_hand_lasts_until_a_request_or_the_next_hours(rig):
    t, clock = rig(FRIDAY + "10:00:00", awake=HOURS)
    t.wait_state("app:a", "ready")
    t.ten("stop", "app:a")
    assert t.state("app:a") == "asleep"
    assert "not now: it was put to rest" in t.ten("why", "app:a").stdout
    kill_daemon(t)
    stays(t, "asleep", 1)
    assert t.get("app:a").status == 200
    stays(t, "ready", 3)
    t.ten("stop", "app:a")
    t.stop()
    clock.start()
    stays(t, "asleep", 1)
    clock.set("2026-11-23 08:00:00")
    t.wait_state("app:a", "ready")
    assert "until Mon 2026-11-23 18:00 UTC" in t.ten("why", "app:a").stdout


def test_stopped_and_suspended_win(rig):
    t, clock = rig(FRIDAY + "07:00:00", tenants=(), awake=HOURS, wake_at="daily 09:00 UTC")
    t.write("app-s.toml", t.tenant("app", state="stopped"))
    t.write("app-u.toml", t.tenant("app", state="suspended"))
    t.write("app-d.toml", t.tenant("app"))
    t.wait_state("app:s", "stopped")
    t.wait_state("app:u", "suspended")
    clock.set(FRIDAY + "09:00:00")
    t.wait_state("app:d", "ready")
    assert t.state("app:s") == "stopped" and t.state("app:u") == "suspended"
    t.ten("suspend", "app:d")
    t.wait_state("app:d", "suspended")
    t.ten("resume", "app:d")
    t.wait_state("app:d", "ready")


def test_hours_are_changed_while_it_runs(rig):
    t, clock = rig(FRIDAY + "10:00:00", tenants=("a", "b"))
    stays(t, "asleep", 0.5)
    write_service(t, awake=["Sat 08:00-18:00 UTC", HOURS])
    t.wait_state("app:a", "ready")
    t.wait_state("app:b", "ready")
    both = pids(t)
    t.write("app-b.toml", t.tenant("app", awake=[]))
    t.wait_state("app:b", "asleep")
    stays(t, "ready", 2)
    assert pids(t)["app:a"] == both["app:a"]
    assert t.ten_json("diff")["actions"] == []
    t.write("app-a.toml", t.tenant("app", awake="Sun 10:00-11:00 UTC"))
    t.wait_state("app:a", "asleep")
    clock.set("2026-11-22 10:00:00")
    t.wait_state("app:a", "ready")
    assert t.state("app:b") == "asleep"


def test_hours_outlive_the_daemon(rig):
    t, clock = rig(FRIDAY + "10:00:00", awake=HOURS)
    t.wait_state("app:a", "ready")
    pid = pids(t)["app:a"]
    kill_daemon(t)
    stays(t, "ready", 3)
    assert pids(t)["app:a"] == pid
    clock.set(FRIDAY + "18:00:00")
    wait_gone(pid)


def test_requests_come_before_hours(rig):
    many = [f"app:t{i}" for i in range(30)]
    t, clock = rig(FRIDAY + "07:00:00", tenants=[key[4:] for key in many], awake=HOURS,
                   settings={"max_concurrent_starts": 1}, startup_timeout=60,
                   command="/bin/sh -c 'sleep 0.2; exec ./tiny'")
    t.write("app-x.toml", t.tenant("app", awake=[]))
    t.wait_state("app:x", "asleep")
    clock.set(FRIDAY + "08:00:00")

    def waiting():
        return [key for key in many if t.state(key) == "starting"]
    wait_until(lambda: len(waiting()) > 20)
    assert t.get("app:x").status == 200
    assert len(waiting()) > 15, "the request waited for all of them"
    last = re.findall(r"(app:t\d+): asleep -> starting: waits for its turn", t.said())[-1]
    assert t.get(last).status == 200
    assert len(waiting()) > 10, "the request waited for all of them"
    wait_until(lambda: all(t.state(key) == "ready" for key in many), 40)
    assert "woken last by a request" in t.ten("why", last).stdout


# ---- times to wake ----

def woken(t, times, key="app:a"):
    """It was woken by the clock so many TIMES in all, and sleeps."""
    wait_until(lambda: starts(t, key) >= times, what=f"start {times}")
    t.wait_state(key, "asleep")
    assert starts(t, key) == times


def test_woken_once_and_idle_again(rig):
    t, clock = rig(FRIDAY + "02:59:57", wake_at="daily 03:00 UTC")
    assert t.state("app:a") == "asleep"
    assert 'next wake at Fri 2026-11-20 03:00 UTC (wake_at = "daily 03:00 UTC")' in t.ten(
        "why", "app:a").stdout
    t.wait_state("app:a", "ready")
    assert clock.now() >= unix(FRIDAY + "03:00:00")
    said = t.ten("why", "app:a").stdout
    assert "woken last by the clock (wake_at)" in said
    assert "next wake at Sat 2026-11-21 03:00 UTC" in said
    assert "Sat 2026-11-21 03:00 UTC" in status(t)
    woken(t, 1)
    stays(t, "asleep", 0.5)
    clock.set("2026-11-21 02:59:59")
    woken(t, 2)


def test_no_time_comes_twice(rig):
    t, clock = rig(FRIDAY + "02:50:00", wake_at=["daily 03:00 UTC", "hourly :30 UTC"])
    clock.set(FRIDAY + "02:59:59")
    woken(t, 1)
    clock.set(FRIDAY + "02:59:58")  # set back
    stays(t, "asleep", 3)
    kill_daemon(t)
    stays(t, "asleep", 1)
    clock.set(FRIDAY + "03:00:30")
    stays(t, "asleep", 0.5)
    t.stop()
    clock.start()
    stays(t, "asleep", 1)
    assert starts(t) == 1
    clock.set(FRIDAY + "03:30:01")
    woken(t, 2)


def test_a_clock_that_was_wrong_by_years(rig):
    t, clock = rig("2036-11-20 02:00:00", wake_at="daily 03:00 UTC")
    clock.set("2036-11-20 02:59:59")
    woken(t, 1)
    clock.set("2026-11-20 02:59:58")
    woken(t, 2)


def test_what_was_missed_while_there_was_no_daemon(rig):
    t, clock = rig(FRIDAY + "02:00:00", wake_at="daily 03:00 UTC")
    stays(t, "asleep", 0.3)
    t.stop()
    clock.set(FRIDAY + "03:50:00")
    clock.start()
    woken(t, 1)
    t.stop()
    clock.start()
    stays(t, "asleep", 1)
    t.stop()
    clock.set("2026-11-21 04:10:00")  # too late
    clock.start()
    stays(t, "asleep", 1)
    assert starts(t) == 1


def test_what_was_missed_while_the_machine_slept(rig):
    t, clock = rig(FRIDAY + "02:00:00", wake_at="daily 03:00 UTC")
    stays(t, "asleep", 0.3)
    clock.set("2026-11-21 12:00:00")
    stays(t, "asleep", 0.5)
    clock.set("2026-11-22 03:59:00")
    woken(t, 1)


def test_a_rule_that_is_new_has_missed_nothing(rig):
    t, _ = rig(FRIDAY + "03:10:00", wake_at="daily 02:00 UTC")
    stays(t, "asleep", 0.3)
    write_service(t, wake_at="daily 03:00 UTC")
    wait_until(lambda: "daily 03:00" in t.ten("why", "app:a").stdout)
    stays(t, "asleep", 0.5)
    kill_daemon(t)
    stays(t, "asleep", 1)
    assert starts(t) == 0


def test_frozen_is_thawed_once(rig):
    t, clock = rig(FRIDAY + "02:00:00", wake_at="daily 03:00 UTC", sleep=[{"after": 1, "to": "frozen"}])
    t.wait_ok("app:a")
    t.wait_state("app:a", "frozen")
    pid = pids(t)["app:a"]
    clock.set(FRIDAY + "03:00:00")
    wait_until(lambda: "app:a: frozen -> ready" in t.said())
    t.wait_state("app:a", "frozen")
    assert pids(t)["app:a"] == pid
    assert t.said().count("app:a: frozen -> ready") == 1


def test_nobody_is_forgotten_and_nobody_woken_twice_when_the_daemon_is_killed(rig):
    many = tuple(f"t{i}" for i in range(12))
    t, clock = rig(FRIDAY + "02:00:00", tenants=many, wake_at="daily 03:00 UTC", idle_timeout=1,
                   settings={"max_concurrent_starts": 1}, startup_timeout=60,
                   command="/bin/sh -c 'echo started >>$DATA_DIR/starts; sleep 0.1; exec ./tiny'")
    clock.set(FRIDAY + "03:00:00")

    def count():
        files = [t.data_dir / "app" / one / "starts" for one in many]
        return [len(file.read_text().split()) if file.exists() else 0 for file in files]
    for so_many in (1, 5, 9):
        wait_until(lambda so_many=so_many: sum(count()) >= so_many)
        kill_daemon(t)
    wait_until(lambda: min(count()) == 1, what="a start of each")
    wait_until(lambda: all(one["state"] == "asleep" for one in t.instances().values()))
    kill_daemon(t)
    stays(t, "asleep", 1, "app:t0")
    assert count() == [1] * len(many)


def test_stop_by_hand_takes_the_wake_back(rig):
    many = tuple(f"t{i}" for i in range(6))
    t, clock = rig(FRIDAY + "02:00:00", tenants=many, wake_at="daily 03:00 UTC", startup_timeout=60,
                   settings={"max_concurrent_starts": 1}, command="/bin/sh -c 'sleep 0.4; exec ./tiny'")
    clock.set(FRIDAY + "03:00:00")
    last = wait_until(lambda: [key for key, one in t.instances().items()
                               if one["state"] == "starting" and not one["pid"]][-1:])[0]
    t.ten("stop", last)
    kill_daemon(t)
    wait_until(lambda: sum(starts(t, f"app:{one}") > 0 for one in many) == 6)
    wait_until(lambda: all(one["state"] == "asleep" for one in t.instances().values()))
    assert f"{last}: starting -> ready" not in t.said()


def test_a_journal_that_cannot_be_written(rig):
    t, clock = rig(FRIDAY + "02:00:00", wake_at="daily 03:00 UTC")
    journal = t.data_dir / ".tenement" / "schedule"
    wait_until(journal.exists)
    journal.unlink()
    journal.mkdir()
    (journal / "x").touch()
    clock.set(FRIDAY + "03:00:00")
    woken(t, 1)
    assert "not written down" in t.said()
    shutil.rmtree(journal)
    clock.set("2026-11-21 03:00:00")
    woken(t, 2)
    assert journal.read_text().startswith("until ")


@pytest.mark.parametrize("text", ["", "until", "until x\n", "\0\0\0\n1 2 app:a", "9 9 app:a\nuntil 5",
                                  "until 99999999999999999999999\n-1 -1 app:a\n"])
def test_a_journal_that_is_damaged(rig, text):
    t, clock = rig(FRIDAY + "02:00:00", wake_at="daily 03:00 UTC", awake="Sat 10:00-11:00 UTC")
    journal = t.data_dir / ".tenement" / "schedule"
    wait_until(journal.exists)
    t.stop()
    journal.write_text(text)
    clock.start()
    stays(t, "asleep", 0.5)
    clock.set("2026-11-21 10:00:00")
    t.wait_state("app:a", "ready")
    clock.set("2026-11-21 11:00:00")
    t.wait_state("app:a", "asleep")
    clock.set("2026-11-22 02:59:59")
    woken(t, 2)


# ---- the rest ----

def test_wrong_rules_are_told_and_change_nothing(rig):
    t, _ = rig(FRIDAY + "10:00:00", awake=HOURS)
    t.wait_state("app:a", "ready")
    t.write("app-a.toml", t.tenant("app", awake=["daily 08:00-18:00 Europe/Berln"]))
    wait_problem(t, "app-a.toml:3:10", "no time zone", "Europe/Berln")
    t.write("app-a.toml", t.tenant("app", wake_at="at noon"))
    wait_problem(t, "app-a.toml:3:11", "daily 03:00")
    stays(t, "ready", 2)


def test_a_thousand_tenants_cost_nothing_while_nothing_comes(rig):
    t, _ = rig(FRIDAY + "06:00:00", tenants=[f"t{i}" for i in range(1000)], awake=HOURS,
               wake_at=["daily 03:00 UTC", "hourly :59"])
    wait_until(lambda: len(t.instances()) == 1000)
    daemon = t.pid_of("tenementd")

    def ticks():
        with open(f"/proc/{daemon}/task/{daemon}/stat", encoding="ascii") as file:
            return sum(map(int, file.read().rsplit(")", 1)[1].split()[11:13]))
    wait_until(lambda: idle_second(ticks), what="a second without work")


def idle_second(ticks):
    before, begun = ticks(), time.monotonic()
    wait_until(lambda: time.monotonic() - begun > 1)
    return ticks() == before
