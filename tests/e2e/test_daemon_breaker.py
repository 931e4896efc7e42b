"""Tenants that were given up: what they answer, who brings them back and when, and what is told of them."""

import os
import re
import signal
import time

import pytest

from daemon_rig import in_threads, kill, kill_daemon, pids, status, wait_daemon
from harness import processes_of, wait_until

QUICK = {"backoff_base_ms": 100, "backoff_max_ms": 400, "max_restarts": 1}

# Dies at its start, with a line of words, while there is a file `broken` beside it; writes a line for
# each try into DATA_DIR/tries.
APP = r"""
import os, sys
sys.path.insert(0, ".")
import app
with open(os.environ["DATA_DIR"] + "/tries", "a") as file:
    file.write("try\n")
if os.path.exists("broken"):
    print("\x1b[31mno such database\x07", file=sys.stderr, flush=True)
    sys.exit(3)
app.serve({})
"""


class Rig:
    def __init__(self, t):
        self.t = t

    def breaks(self, broken=True):
        path = self.t.apps / "broken"
        if broken:
            path.write_text("")
        elif path.exists():
            path.unlink()

    def tries(self):
        path = self.t.data_dir / "x" / "a" / "tries"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def configure(self, **keys):
        command = "/usr/bin/python3 fragile.py"
        self.t.write("x.toml", self.t.service("x", command=command, **keys))


@pytest.fixture
def rig(tenement):
    """rig(broken=True, ...) runs a tenant x:a of APP; keys are the service's."""
    def make(broken=True, settings=None, tenant=None, **keys):
        t = tenement(start=False, settings={**QUICK, **(settings or {})})
        one = Rig(t)
        (t.apps / "fragile.py").write_text(APP)
        os.chmod(t.apps / "fragile.py", 0o755)
        one.breaks(broken)
        one.configure(**keys)
        t.write("x-a.toml", t.tenant("x", **(tenant or {})))
        t.start()
        return t, one
    return make


def fail(t):
    assert t.get("x:a").status == 503
    return t.wait_state("x:a", "failed")


def retry_after(answer):
    assert answer.status == 503, answer
    value = answer.headers["Retry-After"]
    return int(value) if value is not None else None


def wait_cooled(t):
    wait_until(lambda: t.instance("x:a")["next_try"]["secs"] == 0, 30, what="the cool-down's end")


def test_while_it_cools_down_requests_are_told_when_to_come_again(rig):
    t, one = rig(failed_cooldown=60)
    failed = fail(t)
    tries = one.tries()
    assert tries == 2, "max_restarts = 1"
    first = retry_after(t.get("x:a"))
    assert 50 <= first <= 60
    wait_until(lambda: retry_after(t.get("x:a")) <= first - 2, what="less and less")
    assert one.tries() == tries and t.state("x:a") == "failed", "no request tries it"
    assert failed["next_try"]["by"] == "request" and 50 <= failed["next_try"]["secs"] <= 60
    assert "by the first request in" in t.ten("status", "x:a").stdout


def test_after_the_cool_down_a_request_tries_it_and_serves_what_is_mended(rig):
    t, one = rig(failed_cooldown=2)
    fail(t)
    one.breaks(False)
    wait_cooled(t)
    assert t.state("x:a") == "failed", "nobody asked yet"
    assert t.get("x:a").status == 200
    now = t.instance("x:a")
    assert (now["state"], now["reason"], now["next_try"]) == ("ready", "", None)


def test_one_try_and_no_more_for_however_many_ask(rig):
    t, one = rig(failed_cooldown=2, settings={"max_restarts": 3})
    fail(t)
    tries = one.tries()
    assert tries == 4
    wait_cooled(t)
    answers = in_threads(30, lambda _: t.get("x:a"))
    assert {a.status for a in answers} == {503}, answers
    assert {retry_after(a) for a in answers} <= {1, 2}
    assert one.tries() == tries + 1
    failed = t.wait_state("x:a", "failed")
    assert "given up again after one try" in failed["reason"] and "exit status 3" in failed["reason"]
    # And so for each cool-down.
    wait_cooled(t)
    assert retry_after(t.get("x:a")) in (1, 2)
    assert one.tries() == tries + 2


def test_declared_running_it_is_tried_by_itself(rig):
    t, one = rig(failed_cooldown=1, tenant={"state": "running"})
    t.wait_state("x:a", "failed")
    wait_until(lambda: one.tries() >= 4, what="two further tries")
    one.breaks(False)
    t.wait_state("x:a", "ready")


def test_declared_running_but_never_restarted_stays_down(rig):
    t, one = rig(failed_cooldown=1, restart="never", tenant={"state": "running"})
    failed = t.wait_state("x:a", "failed")
    assert failed["next_try"] == {"secs": None, "by": "operator"}
    wait_until(lambda: t.instance("x:a")["state_secs"] >= 3, what="three cool-downs")
    assert retry_after(t.get("x:a")) is None
    assert one.tries() == 1


def test_without_a_cool_down_only_an_operator_brings_it_back(rig):
    t, one = rig(failed_cooldown=0)
    fail(t)
    assert retry_after(t.get("x:a")) is None
    assert "by `ten start`" in t.ten("status", "x:a").stdout
    wait_until(lambda: t.get("x:a").status == 503 and t.instance("x:a")["state_secs"] >= 2)
    assert one.tries() == 2
    one.breaks(False)
    t.ten("start", "x:a")
    assert t.get("x:a").status == 200


def test_a_changed_cool_down_acts_on_who_failed(rig):
    t, one = rig(failed_cooldown=3600)
    fail(t)
    assert retry_after(t.get("x:a")) > 3000
    one.breaks(False)
    one.configure(failed_cooldown=1)
    t.wait_ok("x:a")
    assert one.tries() == 3


def test_on_trial_one_failure_is_enough(rig):
    """It got ready, but died before restart_window was over: failed again, without a backoff."""
    t, one = rig(failed_cooldown=2, settings={"restart_window": 100, "max_restarts": 2})
    fail(t)
    one.breaks(False)
    wait_cooled(t)
    assert t.get("x:a").status == 200
    kill(pids(t)["x:a"])
    failed = t.wait_state("x:a", "failed")
    assert "signal 9" in failed["reason"] and "after one try" in failed["reason"]
    assert failed["last_exit"] == {"signal": 9, "name": "Killed"}
    assert retry_after(t.get("x:a")) in (1, 2)


def test_who_stays_ready_for_the_window_has_a_clean_slate(rig):
    t, one = rig(failed_cooldown=2, settings={"restart_window": 3, "max_restarts": 1})
    fail(t)
    one.breaks(False)
    wait_cooled(t)
    assert t.get("x:a").status == 200
    wait_until(lambda: t.instance("x:a")["state_secs"] >= 4, what="the window's end")
    pid = pids(t)["x:a"]
    kill(pid)
    wait_until(lambda: pids(t).get("x:a") not in (None, pid), what="another process")
    t.wait_state("x:a", "ready")
    assert "ready -> backoff" in t.said()


def test_failed_survives_a_kill_of_the_daemon(rig):
    t, one = rig(failed_cooldown=60, settings={"max_restarts": 2})
    before = fail(t)
    tries = one.tries()
    wait_until(lambda: retry_after(t.get("x:a")) <= 57, what="a part of the cool-down")
    kill_daemon(t)
    after = t.instance("x:a")
    for key in ("state", "reason", "restarts", "failures"):
        assert after[key] == before[key], key
    assert after["last_exit"] == {"status": 3}
    assert retry_after(t.get("x:a")) <= 57, "it does not begin anew"
    assert one.tries() == tries
    one.breaks(False)
    t.ten("start", "x:a")
    assert t.get("x:a").status == 200
    kill_daemon(t)
    assert t.instance("x:a")["failures"] == 0


def test_after_a_kill_of_the_daemon_the_cool_down_ends_as_it_would(rig):
    t, one = rig(failed_cooldown=4, tenant={"state": "running"})
    t.wait_state("x:a", "failed")
    begun = time.monotonic()
    one.breaks(False)
    kill_daemon(t)
    t.wait_state("x:a", "ready")
    assert 2.5 < time.monotonic() - begun, "not before the cool-down was over"


def test_counts_survive_kills_of_the_daemon(rig):
    """However often the daemon dies meanwhile, max_restarts are max_restarts."""
    t, one = rig(settings={"max_restarts": 3, "backoff_base_ms": 700, "backoff_max_ms": 700},
                 tenant={"state": "running"}, failed_cooldown=600)
    for count in (1, 2, 3):
        wait_until(lambda count=count: one.tries() >= count, what=f"try {count}")
        t.wait_state("x:a", "backoff")
        kill_daemon(t)
    failed = t.wait_state("x:a", "failed")
    assert one.tries() == 4
    assert failed["restarts"] == 3 and "given up after 4 tries" in failed["reason"]


def test_what_cannot_be_read_is_forgotten(rig):
    t, one = rig(failed_cooldown=600)
    fail(t)
    path = t.runtime_dir / "failures" / "x:a"
    for text in ("", "1 2 3", "garbage\n", "9" * 70000 + "\n", "1 1 1 1 1 1 1 1 1 1 999999\n\n",
                 "1 1 1 1 1 1 1 1 1 1 1000 1 2 3\n\n"):
        old = t.pid_of("tenementd")
        os.kill(old, signal.SIGSTOP)
        path.write_text(text)
        os.kill(old, signal.SIGKILL)
        wait_daemon(t, old)
        assert t.state("x:a") == "asleep", text[:30]
        assert not path.exists()
        fail(t)
    assert "cannot be read" in t.said()
    (t.conf_dir / "x-a.toml").unlink()
    wait_until(lambda: t.state("x:a") is None)
    assert not path.exists(), "who is gone leaves nothing"


def test_a_new_keeper_begins_with_a_clean_slate(rig):
    t, one = rig(failed_cooldown=600)
    fail(t)
    one.breaks(False)
    kill(t.serve.pid)
    t.serve.wait()
    wait_until(lambda: not processes_of(str(t.root)), 30, what="nobody left")
    t.serve = None
    t.start()
    assert t.get("x:a").status == 200


def test_without_a_place_for_its_memory_all_goes_on(rig):
    """What cannot be written down is said, and forgotten with the daemon."""
    t, one = rig(failed_cooldown=600)
    t.wait_state("x:a", "asleep")
    (t.runtime_dir / "failures").rmdir()
    fail(t)
    assert 590 < retry_after(t.get("x:a")) <= 600
    assert "failures/x:a" in t.said()
    kill_daemon(t)
    assert t.state("x:a") == "asleep"
    fail(t)
    kill_daemon(t)
    assert t.state("x:a") == "failed" and one.tries() == 4


def test_the_one_try_waits_for_its_turn_like_others(rig):
    """max_concurrent_starts holds for it, too, and what waits for its turn is on trial all the same."""
    t, one = rig(failed_cooldown=2, settings={"max_concurrent_starts": 1, "max_restarts": 2})
    t.write("slow.toml", t.service("slow", "echo --start-delay 3"))
    t.write("slow-a.toml", t.tenant("slow"))
    t.wait_state("slow:a", "asleep")
    fail(t)
    tries = one.tries()
    wait_cooled(t)

    def ask(turn):
        if turn == 0:
            return t.get("slow:a").status
        t.wait_state("slow:a", "starting")
        return t.get("x:a").status
    assert in_threads(2, ask) == [200, 503]
    assert one.tries() == tries + 1
    assert "after one try" in t.wait_state("x:a", "failed")["reason"]


def test_who_may_not_wake_does_not_try_either(rig):
    t, one = rig(failed_cooldown=2, no_wake=["/favicon.ico"])
    fail(t)
    tries = one.tries()
    one.breaks(False)
    wait_cooled(t)
    assert t.get("x:a", "/favicon.ico").status == 503
    assert t.state("x:a") == "failed" and one.tries() == tries
    assert t.get("x:a").status == 200
    assert t.get("x:a", "/favicon.ico").status == 200


def test_the_cool_down_of_one_whose_socket_is_ours(tenement):
    t = tenement(start=False, settings=QUICK)
    t.write("x.toml", t.service("x", "crashes-once --listen passed", socket_activation=True,
                                failed_cooldown=2))
    t.write("x-a.toml", t.tenant("x"))
    t.settings["max_restarts"] = 0
    t.start()
    assert t.get("x:a").status == 503
    assert t.wait_state("x:a", "failed")["last_exit"] == {"status": 3}
    assert retry_after(t.get("x:a")) in (1, 2)
    wait_cooled(t)
    assert t.get("x:a").status == 200


def test_status_tells_the_story(rig):
    t, _ = rig(failed_cooldown=600, settings={"max_restarts": 12, "backoff_max_ms": 100})
    assert t.get("x:a").status in (503, 504)
    t.wait_state("x:a", "failed")
    told = wait_until(lambda: (lambda one: one if len(one["log"]) == 10 else None)(
        t.ten_json("status", "x:a")), what="ten lines")
    assert "exit status 3" in told["reason"] and "given up after 13 tries" in told["reason"]
    assert told["last_exit"] == {"status": 3} and told["restarts"] == 12
    assert told["next_try"]["by"] == "request" and told["next_try"]["secs"] > 500
    assert all("no such database" in line["message"] for line in told["log"])
    text = t.ten("status", "x:a").stdout
    assert "exit status 3" in text and "next try" in text and text.count("no such database") == 10
    assert re.search(r"restarts +12", text)
    assert "\x1b" not in text and "\x07" not in text
    assert 'tenement_instance_restarts_total{service="x",id="a"} 12' in t.control(
        "GET", "/metrics").text
    assert [trouble["instance"] for trouble in status(t)["trouble"]] == ["x:a"]


def test_backoff_tells_when(rig):
    t, _ = rig(settings={"backoff_base_ms": 60000, "backoff_max_ms": 60000}, tenant={"state": "running"})
    waits = t.wait_state("x:a", "backoff")
    assert waits["next_try"]["by"] == "time" and 30 < waits["next_try"]["secs"] <= 60
    assert re.search(r"next try +in ", t.ten("status", "x:a").stdout)
