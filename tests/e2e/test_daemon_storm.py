"""Many are woken at once: all are served, in order, few at a time."""

import os
import threading

import pytest

from daemon_rig import in_threads, kill_daemon
from harness import SLOWNESS, wait_until

APP = """
import os, sys, time
def note(what):
    with open(sys.argv[1], "a", encoding="ascii") as out:
        out.write(f"{what} {os.environ['TENANT_ID']}\\n")
note("begin")
time.sleep(float(sys.argv[2]))
note("end")
os.environ.pop("PORT")
os.execv("./tiny", ["./tiny"])
"""


@pytest.fixture
def storm(tenement):
    """storm({"service": [id, ...]}, at_a_time, seconds): a tenement whose tenants write down when they boot."""
    def make(services, at_a_time, seconds, **keys):
        t = tenement(start=False, settings={"max_concurrent_starts": at_a_time})
        t.noted = t.root / "noted"
        t.noted.touch()
        os.chmod(t.noted, 0o666)
        (t.apps / "noting.py").write_text(APP)
        os.chmod(t.apps / "noting.py", 0o755)
        for service, ids in services.items():
            t.write(f"{service}.toml", t.service(service, **keys).replace(
                "app.py echo", f"noting.py {t.noted} {seconds}"))
            for one in ids:
                t.write(f"{service}-{one}.toml", t.tenant(service, id=one))
        return t.start()
    return make


def notes(t):
    return [line.split() for line in t.noted.read_text().splitlines()]


def begun(t):
    return [one for what, one in notes(t) if what == "begin"]


def most_at_a_time(t):
    now = most = 0
    for what, _ in notes(t):
        now += 1 if what == "begin" else -1
        most = max(most, now)
    return most


def ask(t, key, answers):
    def run():
        answers[key] = t.get(key, timeout=60).status
    thread = threading.Thread(target=run)
    thread.start()
    wait_until(lambda: t.state(key) != "asleep", what=f"{key} to be noticed")
    return thread


def test_all_are_served_and_few_boot_at_a_time(storm):
    ids = [f"t{i}" for i in range(40)]
    t = storm({"s": ids}, 3, 0.05)
    answers = in_threads(len(ids), lambda i: t.get(f"s:{ids[i]}", timeout=60))
    assert [(answer.status, answer.text.strip()) for answer in answers] == [(200, one) for one in ids]
    assert most_at_a_time(t) == 3
    assert sorted(begun(t)) == sorted(ids)


def test_first_come_first_served(storm):
    order = ["d", "b", "a", "f", "c", "e"]  # neither by name nor by place in the table
    t = storm({"s": sorted(order)}, 1, 0.3)
    answers = {}
    threads = [ask(t, f"s:{one}", answers) for one in order]
    for thread in threads:
        thread.join(60 * SLOWNESS)
    assert set(answers.values()) == {200}
    assert begun(t) == order
    assert most_at_a_time(t) == 1


def test_a_service_with_many_does_not_keep_the_others_waiting(storm):
    many = [f"m{i}" for i in range(12)]
    t = storm({"big": many, "small": ["x", "y"]}, 1, 0.15)
    answers = {}
    threads = [ask(t, f"big:{one}", answers) for one in many]
    threads += [ask(t, f"small:{one}", answers) for one in ("x", "y")]
    seen = len(begun(t))
    for thread in threads:
        thread.join(60 * SLOWNESS)
    assert set(answers.values()) == {200}
    order = begun(t)
    # in turns from when it came: one of the big one's at most before each, and the one that was just beginning
    assert order.index("x") <= seen + 2 and order.index("y") <= seen + 4, order
    assert [one for one in order if one in many] == many


def test_time_in_the_queue_is_not_time_to_start(storm):
    """startup_timeout is for the start alone: 8 of 0.4 s one by one take longer than its second, and all are served."""
    ids = [f"t{i}" for i in range(8)]
    t = storm({"s": ids}, 1, 0.4, startup_timeout=1)
    answers = in_threads(len(ids), lambda i: t.get(f"s:{ids[i]}", timeout=60))
    assert [answer.status for answer in answers] == [200] * len(ids)


def test_a_daemon_killed_in_a_storm_costs_nobody_an_answer(storm):
    ids = [f"t{i}" for i in range(12)]
    t = storm({"s": ids}, 2, 0.2)
    answers = {}
    threads = [threading.Thread(target=lambda key=key: answers.update({key: t.get(key, timeout=60).status}))
               for key in (f"s:{one}" for one in ids)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(begun(t)) >= 4, what="some to start")
    kill_daemon(t)
    for thread in threads:
        thread.join(60 * SLOWNESS)
    assert set(answers.values()) == {200} and len(answers) == len(ids)
