"""More tenants than may run: the idle ones make room, the busy ones never, and who finds none is told so."""

import contextlib
import http.client
import os
import re
import shutil
import threading
import time

import pytest

from daemon_rig import ROOT, in_threads, kill_daemon, pids, proc_status, status, wait_problem
from harness import SLOWNESS, process_alive, wait_until
from test_daemon_freeze import WebSocket

# Notes its pid, and how many of those that noted theirs before it live now: at most so many ever do.
CENSUS = """
import fcntl, os, sys
with open(sys.argv[1], "r+", encoding="ascii") as noted:
    fcntl.flock(noted, fcntl.LOCK_EX)
    alive = 1
    for line in noted:
        try:
            with open(f"/proc/{line.split()[0]}/stat", encoding="utf-8") as stat:
                alive += stat.read().rsplit(")", 1)[1].split()[0] not in "ZX"
        except OSError:
            pass
    noted.write(f"{os.getpid()} {alive}\\n")
os.execv("/usr/bin/python3", ["/usr/bin/python3", "app.py", *sys.argv[2:]])
"""
HEAVY = """
import runpy, sys
ballast = b"x" * (int(sys.argv.pop(1)) << 20)
sys.argv[0] = "app.py"
runpy.run_path("app.py", run_name="__main__")
"""
GROWS = """
import os, runpy, sys, threading, time
def grow(sign, size):
    global ballast
    while not os.path.exists(sign):
        time.sleep(0.05)
    ballast = b"x" * (int(size) << 20)
threading.Thread(target=grow, args=(sys.argv.pop(1), sys.argv.pop(1)), daemon=True).start()
sys.argv[0] = "app.py"
runpy.run_path("app.py", run_name="__main__")
"""
MAX = "max_running"


@pytest.fixture
def crowd(tenement):
    """crowd("abc", max_running=2): tenants s:a, s:b, s:c, whose processes are counted. Keys of tenants by id."""
    def make(ids, mode="echo", tenants=None, others="", start=True, **settings):
        keys = settings.pop("keys", {})
        if "sleep" not in keys:
            keys = {"idle_timeout": 600, **keys}
        t = tenement(start=False, settings={"backoff_base_ms": 50, **settings})
        t.noted = t.root / "noted"
        t.noted.touch()
        os.chmod(t.noted, 0o666)
        for name, text in (("census.py", CENSUS), ("heavy.py", HEAVY)):
            (t.apps / name).write_text(text)
            os.chmod(t.apps / name, 0o755)
        program = mode if mode.startswith("heavy.py") else f"census.py {t.noted} {mode}"
        t.write("s.toml", t.service("s", **keys).replace("app.py echo", program) + others)
        for one in ids:
            t.write(f"s-{one}.toml", t.tenant("s", id=one, **(tenants or {}).get(one, {})))
        return t.start() if start else t
    return make


def most(t):
    """Of those that were alive at the same time."""
    return max(int(line.split()[1]) for line in t.noted.read_text().splitlines())


def evictions(t, reason=MAX):
    text = t.control("GET", "/metrics").text
    return int(re.search(rf'tenement_evictions_total{{reason="{reason}"}} (\d+)', text).group(1))


def change(t, **settings):
    """Change [settings] of what runs, and wait until that is in force."""
    generation = status(t)["generation"]
    t.settings.update(settings)
    t.write_main()
    wait_until(lambda: status(t)["generation"] > generation, what="the change")


def wait_idle(t):
    """A client may have its answer a moment before its tenant is no longer in use."""
    wait_until(lambda: not any(one["in_flight"] for one in t.instances().values()), what="nothing in flight")


@contextlib.contextmanager
def asking(t, key, path, **options):
    """A request that goes on meanwhile; yields a list that gets the answer at its end."""
    answers = []

    def ask():
        with contextlib.suppress(OSError, http.client.HTTPException):  # then there is no answer
            answers.append(t.get(key, path, **options))
    thread = threading.Thread(target=ask)
    thread.start()
    wait_until(lambda: (t.instance(key) or {}).get("in_flight"), what=f"a request at {key}")
    yield answers
    thread.join(60 * SLOWNESS)


def test_all_are_served_and_no_more_run_than_may(crowd):
    t = crowd("abcde", max_running=2)
    for _ in range(3):
        for one in "abcde":
            answer = t.get(f"s:{one}")
            assert (answer.status, answer.headers["X-Tenant"]) == (200, one)
    assert most(t) == 2 == len(pids(t)) and status(t)["room"]["running"] == 2
    assert evictions(t) == 13, "the first two had room"
    assert re.search(r"s:a: ready -> draining: making room for s:c: max_running = 2", t.said())
    shown = t.ten("status").stdout
    assert "2 of 2 running" in shown and "Nothing is wrong." in shown


def test_all_at_once(crowd):
    ids = "abcdefgh"
    t = crowd(ids, max_running=2)
    answers = in_threads(len(ids), lambda i: t.get(f"s:{ids[i]}", timeout=60))
    assert [(one.status, one.headers["X-Tenant"]) for one in answers] == [(200, one) for one in ids]
    assert most(t) == 2


def test_with_sockets_of_ours(crowd):
    t = crowd("abcd", mode="echo --listen passed", max_running=2, keys={"socket_activation": True})
    assert [t.get(f"s:{one}").headers["X-Tenant"] for one in "abcdabcd"] == list("abcdabcd")
    answers = in_threads(4, lambda i: t.get(f"s:{'abcd'[i]}", timeout=60))
    assert [(one.status, one.headers["X-Tenant"]) for one in answers] == [(200, one) for one in "abcd"]
    assert most(t) == 2


def test_frozen_ones_hold_their_places(crowd):
    t = crowd("ab", max_running=1, keys={"sleep": [{"after": 1, "to": "frozen"}]})
    t.get("s:a")
    t.wait_state("s:a", "frozen")
    assert t.get("s:b").status == 200
    assert t.state("s:a") == "asleep" and most(t) == 1
    assert "s:a: frozen -> draining: making room for s:b: max_running = 1" in t.said()


def test_two_that_alternate_are_both_served(crowd):
    t = crowd("ab", max_running=1)

    def ask(i):
        return [t.get(f"s:{'ab'[i]}", timeout=60).status for _ in range(8)]
    assert in_threads(2, ask) == [[200] * 8] * 2
    assert most(t) == 1


def test_without_bounds_nobody_goes(crowd):
    t = crowd("abcd")
    in_threads(4, lambda i: t.get(f"s:{'abcd'[i]}"))
    assert most(t) == 4 and evictions(t) == 0 and "making room" not in t.said()


def test_one_with_a_request_in_flight_is_not_stopped(crowd):
    t = crowd("ab", max_running=1)
    pid = t.get("s:a").json()["pid"]
    with asking(t, "s:a", "/?delay=2") as answers:
        began = time.monotonic()
        assert t.get("s:b").status == 200
        assert time.monotonic() - began > 1
    assert answers[0].status == 200 and answers[0].json()["pid"] == pid and most(t) == 1


def test_who_waits_starts_as_soon_as_one_is_idle(crowd):
    t = crowd("ab", max_running=1)
    t.get("s:a")
    with asking(t, "s:a", "/?delay=1"):
        assert t.get("s:b").status == 200
    said = t.said()
    assert "s:a: ready -> draining: making room for s:b" in said
    assert said.count("making room") == 1, "it was not tried again and again"


def test_none_can_go(crowd):
    t = crowd("ab", max_running=1, keys={"startup_timeout": 2})
    t.get("s:a")
    with asking(t, "s:a", "/events?count=1000&interval=0.01"):
        answers = []
        began = time.monotonic()
        thread = threading.Thread(target=lambda: answers.append((t.get("s:b"), time.monotonic() - began)))
        thread.start()
        wait_until(lambda: "waiting for room: max_running = 1" in t.instance("s:b")["reason"], what="the reason")
        assert "waiting for room: max_running = 1" in t.ten("why", "s:b").stdout
        assert "1 of 1 running; 1 is waiting for room: max_running = 1" in t.ten("status", status=None).stdout
        thread.join()
        (answer, took), = answers
        assert answer.status == 503 and int(answer.headers["Retry-After"]) > 0
        assert took > 1.9
        assert 'tenement_proxy_refusals_total{reason="no_room"} 1' in t.control("GET", "/metrics").text
        # nobody waits for it any more: nobody is stopped for it later
        t.wait_state("s:b", "asleep")
        assert t.state("s:a") == "ready"
    assert t.get("s:b").status == 200 and most(t) == 1


def test_clients_that_go_away_stop_nobody(crowd):
    t = crowd("abcd", max_running=1, max_concurrent_starts=1)
    t.get("s:a")
    with asking(t, "s:a", "/?delay=3") as busy:
        connections = []
        for one in "bcd":
            connections.append(t.connection())
            connections[-1].request("GET", "/", headers={"Host": t.host(f"s:{one}")})
            t.wait_state(f"s:{one}", "starting")
        for connection in connections[:2]:
            connection.close()
        for one in "bc":
            t.wait_state(f"s:{one}", "asleep")
        assert busy == [] and t.state("s:d") == "starting", "the one that goes on waiting"
    assert connections[2].getresponse().status == 200
    connections[2].close()
    assert evictions(t) == 1 and set(pids(t)) == {"s:d"}


def test_one_that_has_much_to_finish_is_not_waited_for(crowd):
    t = crowd("abc", max_running=2)
    t.get("s:b")
    t.get("s:a")
    with asking(t, "s:a", "/?delay=4") as busy:
        stopping = threading.Thread(target=lambda: t.ten("stop", "s:a"))
        stopping.start()
        t.wait_state("s:a", "draining")
        assert t.get("s:c").status == 200 and busy == []
        assert set(pids(t)) == {"s:a", "s:c"}
    stopping.join()
    assert busy[0].status == 200 and most(t) == 2


def test_a_start_by_hand_waits_for_room(crowd):
    t = crowd("ab", max_running=1)
    t.get("s:a")
    with asking(t, "s:a", "/?delay=4"):
        done = t.ten("start", "s:b", "--timeout", "1", status=None)
        assert done.returncode != 0 and "waiting for room: max_running = 1" in done.stdout + done.stderr
    t.wait_state("s:b", "ready")


@pytest.mark.parametrize("killed", ["tenement-proxy", "tenementd"])
def test_a_worker_is_killed_under_those_that_wait(crowd, killed):
    t = crowd("ab", max_running=1, workers=1)
    t.get("s:a")
    with asking(t, "s:a", "/?delay=2"):
        connection = t.connection()
        connection.request("GET", "/", headers={"Host": t.host("s:b")})
        t.wait_state("s:b", "starting")
        os.kill(t.pid_of(killed), 9)
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection.getresponse().read()
        connection.close()
    assert [t.wait_ok(f"s:{one}").headers["X-Tenant"] for one in "abab"] == list("abab")
    assert most(t) == 1


@pytest.mark.parametrize("kept", [True, False])
def test_a_silent_websocket_keeps_its_tenant_if_it_counts(crowd, kept):
    keys = {"startup_timeout": 1, "idle_connections": "keep" if kept else "ignore"}
    t = crowd("ab", max_running=1, keys=keys)
    t.get("s:a")
    with contextlib.closing(WebSocket(t, "s:a")):
        assert t.get("s:b").status == (503 if kept else 200)
        assert t.state("s:a") == ("ready" if kept else "asleep")


def test_who_is_held_stays(crowd):
    t = crowd("abc", max_running=2)
    t.get("s:a")
    t.ten("hold", "s:a", "1h")
    t.get("s:b")
    assert t.get("s:c").status == 200
    assert set(pids(t)) == {"s:a", "s:c"}, "though s:a was idle for longer"


def test_the_lowest_priority_goes_first(crowd):
    t = crowd("abcd", max_running=3, tenants={"a": {"priority": 5}, "c": {"priority": -1}})
    for one in "abcd":
        wait_idle(t)
        assert t.get(f"s:{one}").status == 200
    assert set(pids(t)) == {"s:a", "s:b", "s:d"}, "c was used last"
    # live: b is worth less than all now, and was used after a and d
    t.get("s:b")
    wait_idle(t)
    t.write("s-b.toml", t.tenant("s", id="b", priority=-50))
    t.write("s-c.toml", t.tenant("s", id="c", priority=1))
    wait_until(lambda: status(t)["converged"], what="the change")
    assert t.get("s:c").status == 200
    assert set(pids(t)) == {"s:a", "s:c", "s:d"}


def test_nobody_goes_for_one_of_lower_priority(crowd):
    t = crowd("ab", max_running=1, tenants={"a": {"priority": 1}}, keys={"startup_timeout": 1})
    pid = t.get("s:a").json()["pid"]
    assert t.get("s:b").status == 503
    assert pids(t) == {"s:a": pid}
    t.ten("stop", "s:a")
    assert t.get("s:b").status == 200
    assert t.get("s:a").status == 200, "but for one of higher"


def test_who_is_worth_more_is_woken_first(crowd):
    t = crowd("abcd", max_running=1, tenants={"d": {"priority": 9}}, keys={"startup_timeout": 10, "idle_timeout": 1})
    t.get("s:a")
    order, threads = [], []

    def ask(one):
        order.append((t.get(f"s:{one}", timeout=60).status, one))
    with asking(t, "s:a", "/?delay=1"):
        for one in "bcd":
            threads.append(threading.Thread(target=ask, args=(one,)))
            threads[-1].start()
            wait_until(lambda one=one: t.state(f"s:{one}") == "starting", what=f"{one} in the queue")
    for thread in threads:
        thread.join()
    # (and makes no room for the others until it sleeps by itself)
    assert order == [(200, "d"), (200, "b"), (200, "c")] and most(t) == 1


def test_running_ones_count_and_never_go(crowd):
    running = {"state": "running"}
    t = crowd("abc", max_running=2, tenants={"a": running}, keys={"startup_timeout": int(SLOWNESS)})
    t.wait_state("s:a", "ready")
    for one in "bcbc":
        assert t.get(f"s:{one}").status == 200
    assert "s:a" in pids(t) and most(t) == 2
    assert not status(t)["problems"]
    for one in "bc":
        t.write(f"s-{one}.toml", t.tenant("s", id=one, **running))
    problem = wait_problem(t, "max_running = 2", "3 tenants are to be running")
    assert problem in re.sub(r"\s+", " ", t.ten("status", status=None).stdout)
    wait_until(lambda: [t.state(f"s:{one}") for one in "bc"].count("ready") == 1, what="one more that runs")
    left, = [one for one in "bc" if t.state(f"s:{one}") != "ready"]
    wait_until(lambda: t.instance(f"s:{left}")["reason"] == "waiting for room: max_running = 2", what="the reason")
    assert len(pids(t)) == 2 and t.get(f"s:{left}").status == 503
    change(t, max_running=3)
    assert t.wait_state(f"s:{left}", "ready")
    assert not status(t)["problems"]


def test_a_bound_that_is_lowered(crowd):
    t = crowd("abcde", max_running=5)
    for one in "abcde":
        t.get(f"s:{one}")
    had = pids(t)
    with asking(t, "s:a", "/?delay=3") as a, asking(t, "s:b", "/?delay=2") as b:
        change(t, max_running=1)
        wait_until(lambda: set(pids(t)) == {"s:a", "s:b"}, what="the idle ones to go")
    assert [a[0].json()["pid"], b[0].json()["pid"]] == [had["s:a"], had["s:b"]], "the busy ones went on"
    wait_until(lambda: len(pids(t)) == 1, what="one that is left")
    assert evictions(t) == 4
    change(t, max_running=0)
    for one in "abcde":
        assert t.get(f"s:{one}").status == 200
    assert len(pids(t)) == 5


def test_the_daemon_is_killed(crowd):
    t = crowd("abc", max_running=2)
    t.get("s:a")
    t.get("s:b")
    had = pids(t)
    kill_daemon(t)
    assert pids(t) == had and status(t)["room"]["running"] == 2
    assert t.get("s:c").status == 200
    assert set(pids(t)) == {"s:b", "s:c"} and most(t) == 2


def test_the_daemon_is_killed_while_one_waits(crowd):
    t = crowd("ab", max_running=1)
    t.get("s:a")
    with asking(t, "s:a", "/?delay=3") as busy:
        with asking_asleep(t, "s:b") as waiting:
            wait_until(lambda: t.state("s:b") == "starting", what="b in the queue")
            kill_daemon(t)
    assert busy[0].status == 200 and waiting[0].status == 200 and most(t) == 1


@contextlib.contextmanager
def asking_asleep(t, key):
    answers = []
    thread = threading.Thread(target=lambda: answers.append(t.get(key)))
    thread.start()
    yield answers
    thread.join(60 * SLOWNESS)


def test_one_that_ignores_its_end_keeps_its_place_until_it_is_killed(crowd):
    t = crowd("ab", mode="stubborn", max_running=1, keys={"stop_timeout": 1})
    pid = t.get("s:a").json()["pid"]
    began = time.monotonic()
    assert t.get("s:b").status == 200
    assert time.monotonic() - began > 1 and not process_alive(pid) and most(t) == 1


def test_a_crowd_at_the_door(crowd):
    """Load on more tenants than may run: slow, but nobody is refused, and no more run than may."""
    ids = "abcdef"
    t = crowd(ids, max_running=3, keys={"startup_timeout": 60})
    answers = in_threads(12, lambda i: [t.get(f"s:{ids[(i + k) % 6]}", timeout=120).status for k in range(4)])
    assert answers == [[200] * 4] * 12
    assert most(t) <= 3


# Memory

def resident(t):
    """MiB that the tenants' processes have."""
    sizes = [0]
    for pid in pids(t).values():
        with contextlib.suppress(OSError, KeyError):  # it has just ended
            sizes.append(int(proc_status(pid)["VmRSS"][0]) >> 10)
    return sum(sizes)


@pytest.mark.parametrize("cgroups", ["auto", "none"])
def test_memory(crowd, cgroups):
    t = crowd("abcd", mode="heavy.py 60", memory_budget_mb=200, cgroups=cgroups)
    for one in "abcdabcd":
        assert t.get(f"s:{one}").status == 200
        if one == "a":  # once its use is known
            wait_until(lambda: status(t)["room"]["memory_bytes"] > 60 << 20, what="its memory to be measured")
        assert resident(t) <= 200
    assert len(pids(t)) == 2
    wait_until(lambda: evictions(t, "memory_budget_mb") == 6, what="the count")
    assert re.search(r"ready -> draining: making room for s:c: memory_budget_mb = 200", t.said())
    shown = t.ten("status").stdout
    assert re.search(r"1[0-9]{2} of 200 MiB of memory", shown)


def test_memory_of_those_that_cannot_go(crowd):
    t = crowd("ab", mode="heavy.py 60", memory_budget_mb=100, keys={"startup_timeout": 2})
    t.get("s:a")
    wait_until(lambda: status(t)["room"]["memory_bytes"] > 60 << 20, what="its memory to be measured")
    with asking(t, "s:a", "/?delay=5"):
        answer = t.get("s:b")
        assert answer.status == 503 and answer.headers["Retry-After"]
    assert t.get("s:b").status == 200, "one alone may run, whatever it uses"


def test_one_that_needs_too_much_does_not_keep_others_waiting_for_ever(crowd):
    t = crowd("ab", mode="heavy.py 60", memory_budget_mb=240, backoff_base_ms=4000, keys={"startup_timeout": 3})
    t.write("big.toml", t.service("big").replace("app.py echo", "heavy.py 120 echo") + t.service("small", "tiny"))
    t.write("big-x.toml", t.tenant("big", id="x"))
    t.write("small-x.toml", t.tenant("small", id="x"))
    t.wait_state("small:x", "asleep")
    t.get("s:a")
    with contextlib.closing(WebSocket(t, "s:a")):
        pid = t.get("big:x").json()["pid"]
        wait_until(lambda: status(t)["room"]["memory_bytes"] > 180 << 20, what="their memory to be measured")
        os.kill(pid, 9)
        t.wait_state("big:x", "backoff")
        t.get("s:b")
        with contextlib.closing(WebSocket(t, "s:b")):
            wait_until(lambda: "waiting for room: memory_budget_mb" in t.instance("big:x")["reason"], what="its turn")
            t.wait_status("small:x", 200)
            assert t.state("big:x") == "starting"
    t.wait_state("big:x", "ready")


def test_a_budget_that_is_lowered(crowd):
    t = crowd("abc", mode="heavy.py 60", memory_budget_mb=1000)
    for one in "abc":
        t.get(f"s:{one}")
    change(t, memory_budget_mb=100)
    wait_until(lambda: set(pids(t)) == {"s:c"}, what="the longest idle to go")


def test_one_of_many_that_grows_when_it_is_idle(crowd):
    """Its memory is read though there are others, before it, whose is to be read as well."""
    t = crowd([], memory_budget_mb=450, start=False)
    sign = t.root / "grow"
    (t.apps / "grows.py").write_text(GROWS)
    t.write("s.toml", t.service("s", "tiny", idle_timeout=600))
    grows = t.service("g", idle_timeout=600, memory_limit_mb=0)
    t.write("g.toml", grows.replace("app.py echo", f"grows.py {sign} 450 echo"))
    many = [f"s:m{i}" for i in range(30)]
    for one in many:
        t.write(f"{one.replace(':', '-')}.toml", t.tenant("s", id=one[2:]))
    t.write("g-last.toml", t.tenant("g", id="last", priority=-1))
    t.start()
    for one in [*many, "g:last"]:
        assert t.get(one).status == 200
    time.sleep(3 * SLOWNESS)  # until none of them is one that starts: nothing tells of that
    sign.touch()
    # (status would have it read at once)
    wait_until(lambda: "g:last: ready -> draining: making room: memory_budget_mb = 450" in t.said(), what="its end")
    assert set(many) <= set(pids(t))


def test_one_that_may_be_frozen_is_frozen_first(crowd):
    sleep = [{"after": 500, "to": "frozen"}, {"after": 600, "to": "stopped"}]
    t = crowd("ab", mode="heavy.py 60", memory_budget_mb=100, keys={"sleep": sleep, "frozen_reclaim": True})
    t.get("s:a")
    wait_until(lambda: status(t)["room"]["memory_bytes"] > 60 << 20, what="its memory to be measured")
    assert t.get("s:b").status == 200
    assert "s:a: ready -> frozen: making room for s:b: memory_budget_mb = 100" in t.said()
    # where there is nowhere to put its memory it had to go after that
    assert t.state("s:a") in ("frozen", "asleep", "draining", "stopping")


# The kernel's word

def in_place_of_pressure(t, command):
    """Have `ten` of T run in a mount namespace of its own after COMMAND there."""
    programs = t.own_programs()
    (programs / "ten").rename(programs / "ten.real")
    (programs / "ten").write_text(f"#!/bin/sh\nexec unshare -m --propagation private sh -c "
                                  f"'{command} && exec \"$0\" \"$@\"' {programs}/ten.real \"$@\"\n")
    os.chmod(programs / "ten", 0o755)
    for folder in (t.root, programs):
        os.chmod(folder, 0o755)


@pytest.fixture
def pressed(crowd):
    if not ROOT or not shutil.which("unshare") or not os.path.exists("/proc/pressure/memory"):
        pytest.skip("needs root, unshare(1) and a kernel that tells of pressure")

    def make(*arguments, command=None, start=True, **options):
        t = crowd(*arguments, start=False, **options)
        t.pressure = t.root / "pressure"
        press(t, 0)
        in_place_of_pressure(t, command or f"mount --bind {t.pressure} /proc/pressure/memory")
        return t.start() if start else t
    return make


def press(t, percent):
    t.pressure.write_text(f"some avg10={percent:.2f} avg60=0.00 avg300=0.00 total=1\n"
                          "full avg10=0.00 avg60=0.00 avg300=0.00 total=1\n")


def test_pressure(pressed):
    t = pressed("abc", memory_pressure_percent=20, keys={"startup_timeout": 2})
    t.get("s:a")
    t.get("s:b")
    with asking(t, "s:b", "/?delay=6"):
        press(t, 33)
        wait_until(lambda: set(pids(t)) == {"s:b"}, what="the idle one to go")
        assert t.get("s:c").status == 503
        assert "memory pressure 33.00 %" in t.ten("status", status=None).stdout
        press(t, 5)
        wait_until(lambda: t.get("s:c").status == 200, what="room")
    assert t.state("s:b") == "ready"
    assert evictions(t, "memory_pressure_percent") == 1


def test_a_kernel_that_does_not_tell(pressed):
    t = pressed("a", command="mount -t tmpfs none /proc/pressure", memory_pressure_percent=20, start=False)
    t.write_main()
    done = t.ten("check", status=1)
    assert "memory_pressure_percent: this kernel does not tell of pressure (/proc/pressure/memory)" in (
        done.stdout + done.stderr)
