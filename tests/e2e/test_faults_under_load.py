"""Processes that are killed, stopped or starved and a clock that is wrong, under load: no client of a
tenant that runs hears of it, and afterwards all is as before. Disks and folders: test_faults_of_files.py."""

import contextlib
import itertools
import os
import pathlib
import random
import resource
import signal
import socket
import struct
import threading
import time

import pytest

from daemon_rig import ROOT, kill, kill_daemon, pids, status, wait_daemon, wait_gone
from fault_rig import PROBE, RUNNING, SLEEPY, TALKER, begin, crowd, under_load  # pylint: disable=unused-import
from harness import SLOWNESS, build_folder, process_alive, processes_of, wait_until

assert crowd  # a fixture


def test_the_daemon_is_killed_twenty_times(crowd):
    """At random moments, also before it has got anywhere."""
    t = crowd()
    dice = random.Random(20)
    with under_load(t) as load:
        killed = set()
        while len(killed) < 20:
            daemon = t.pid_of("tenementd")
            # Who lives for a second is started again at once.
            load.over.wait(dice.random() * 0.2 if len(killed) % 5 else 1.1)
            kill(daemon)
            killed.add(daemon)
            wait_gone(daemon)
        wait_daemon(t, daemon)


def test_the_daemon_stands_still_for_ten_seconds(crowd):
    """Who sleeps is woken when it goes on; who runs is served meanwhile."""
    t = crowd()
    with under_load(t) as load:
        daemon = t.pid_of("tenementd")
        kill(daemon, signal.SIGSTOP)
        end = time.monotonic() + 10
        while time.monotonic() < end:
            load.wait_for(10)
        kill(daemon, signal.SIGCONT)
    assert t.pid_of("tenementd") == daemon


def test_tenants_are_killed(crowd):
    """Requests that may be repeated are, when their tenant has come back."""
    t = crowd()
    with under_load(t, spared=False) as load:
        for key in [*RUNNING, TALKER, *SLEEPY] * 2:
            pid = pids(t).get(key)
            if pid:
                kill(pid)
                wait_until(lambda: pids(t).get(key) != pid, what=f"news of the end of {key}")
            load.wait_for(20)


def test_tenants_are_killed_and_nobody_is_there_to_notice(crowd):
    t = crowd()
    with under_load(t, spared=False) as load:
        for key in [RUNNING[0], TALKER]:
            daemon, pid = t.pid_of("tenementd"), pids(t)[key]
            kill(daemon, signal.SIGSTOP)
            kill(pid)
            kill(daemon)
            wait_daemon(t, daemon)
            wait_until(lambda: t.instance(key)["pid"] not in (0, None, pid), what=f"{key} again")
            load.wait_for(20)


CHATTER = """\
import itertools, threading, time
import app

def chat():
    for i in itertools.count():
        print("line", i, flush=True)
        time.sleep(0.02)

threading.Thread(target=chat, daemon=True).start()
app.main(["echo"])
"""


def test_the_log_writer_is_killed(crowd):
    """Nobody waits for it, and what is said afterwards is kept."""
    t = crowd(start=False)
    (t.apps / "chatter.py").write_text(CHATTER)
    t.write("chat.toml", t.service("chat", "--").replace("app.py --", "chatter.py"))
    t.write("chat-a.toml", t.tenant("chat", state="running"))
    begin(t)

    def last():
        lines = [line for line in t.ten("logs", "chat:a", "-n", "5").stdout.splitlines() if "line " in line]
        return int(lines[-1].split("line ")[1])
    wait_until(lambda: "line " in t.ten("logs", "chat:a", status=None).stdout, what="a first line")
    with under_load(t) as load:
        for _ in range(3):
            logger, seen = t.pid_of("tenement-logger"), last()
            kill(logger)
            wait_gone(logger)
            load.wait_for(20)
            wait_until(lambda: last() > seen + 5, what="further lines")


def test_a_worker_is_killed(crowd):
    """Connections of the other, and requests on them, do not notice: those of the killed one end."""
    t = crowd()
    workers = [one["pid"] for one in status(t)["workers"]]
    count = {}

    def clients():
        return {one["pid"]: one["clients"] for one in status(t)["workers"]}
    wait_until(lambda: sum(clients().values()) == 0)
    with contextlib.ExitStack() as stack:
        theirs = {pid: [] for pid in workers}
        while min(len(held) for held in theirs.values()) < 4:
            before = clients()
            connection = stack.enter_context(contextlib.closing(t.connection()))
            connection.connect()
            wait_until(lambda: sum(clients().values()) == sum(before.values()) + 1)
            [pid] = [pid for pid, number in clients().items() if number > before[pid]]
            theirs[pid].append(connection)
        spared = theirs[workers[1]]
        for connection in itertools.chain(*theirs.values()):
            connection.request("GET", "/?delay=1", headers={"Host": t.host(TALKER)})
        count = len(list(itertools.chain(*theirs.values())))
        wait_until(lambda: t.instance(TALKER)["in_flight"] == count)
        kill(workers[0])
        for connection in spared:
            assert connection.getresponse().read()
        for connection in theirs[workers[0]]:
            with pytest.raises((ConnectionError, OSError)):
                connection.getresponse()
    wait_until(lambda: t.instance(TALKER)["in_flight"] == 0)
    with under_load(t):
        pass


def test_the_keeper_is_killed(crowd):
    """Everything ends with it; the next start is a clean one that knows what the last one knew."""
    t = crowd()
    t.ten("hold", "nap:s0", "1h")
    t.ten("suspend", PROBE)
    generation = status(t)["generation"]
    uids = (t.data_dir / ".tenement" / "uids").read_text() if ROOT else ""
    over = threading.Event()

    def ask():
        while not over.is_set():
            with contextlib.suppress(OSError):
                assert t.get(RUNNING[0]).status in (200, 502, 503)
    clients = [threading.Thread(target=ask) for _ in range(4)]
    for client in clients:
        client.start()
    kill(t.keeper_pid())
    t.serve.wait()
    t.serve = None
    wait_until(lambda: not processes_of(str(t.root)), 30, what="the end of everything")
    over.set()
    for client in clients:
        client.join()
    t.start()
    for key in [*RUNNING, TALKER, *SLEEPY]:
        t.wait_ok(key)
    assert t.get(PROBE).status == 503 and t.state(PROBE) == "suspended"
    assert status(t)["generation"] == generation
    assert not ROOT or (t.data_dir / ".tenement" / "uids").read_text() == uids
    shown = t.ten("overrides").stdout
    assert "hold" in shown and "suspended" in shown
    t.ten("overrides", "clear")
    t.wait_ok(PROBE)
    with under_load(t):
        pass


# ---- want

def processor_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_the_daemon_has_no_descriptor_left(crowd):
    """Who sleeps waits until it has; nothing spins, and nobody is given up for it."""
    t = crowd(settings={"max_restarts": 1})
    with under_load(t) as load, contextlib.ExitStack() as stack:
        daemon = t.pid_of("tenementd")
        wait_until(lambda: {t.state(key) for key in SLEEPY} == {"asleep"})
        limit = max(int(fd) for fd in os.listdir(f"/proc/{daemon}/fd")) + 1
        before = resource.prlimit(daemon, resource.RLIMIT_NOFILE)
        resource.prlimit(daemon, resource.RLIMIT_NOFILE, (limit, before[1]))
        # They take all that there is below the limit, and the others wait for one.
        callers = [stack.enter_context(contextlib.closing(socket.socket(socket.AF_UNIX))) for _ in range(60)]
        for caller in callers:
            caller.connect(str(t.runtime_dir / "control.sock"))
        wait_until(lambda: len(os.listdir(f"/proc/{daemon}/fd")) == limit)
        t.write("echo-probe.toml", t.tenant("echo", env={"TURN": "written without"}))
        spent = processor_seconds(daemon)
        end = time.monotonic() + 3
        while time.monotonic() < end:
            load.wait_for(10)
        spent = processor_seconds(daemon) - spent
        resource.prlimit(daemon, resource.RLIMIT_NOFILE, before)
        stack.close()
        # (not at the next look at everything, which is every half minute)
        wait_until(lambda: t.get(PROBE).json()["env"]["TURN"] == "written without", 10)
        assert spent < 2 * SLOWNESS, "it turned on and on"
        wait_until(lambda: t.instance(SLEEPY[0])["reason"] == "" and "Too many open files" in t.said())
    assert t.pid_of("tenementd") == daemon
    assert "given up" not in t.said()


@pytest.fixture
def pids_group():
    """A control group that bounds how many processes there are in it."""
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        left, right = line.split(" - ")
        kind, _, options = right.split()[:3]
        if kind == "cgroup" and "pids" in options.split(",") and ROOT:
            group = pathlib.Path(left.split()[4]) / f"tenement-test-{os.getpid()}"
            group.mkdir()
            yield group
            wait_until(lambda: not (group / "cgroup.procs").read_text(), what="the end of all in the group")
            group.rmdir()
            return
    pytest.skip("needs root and the pids controller of control groups, version 1")


def test_no_process_can_be_started(crowd, pids_group, request):
    """Neither a tenant nor, when it dies, the daemon, until there is room again."""
    t = crowd(settings={"max_restarts": 1})
    request.addfinalizer(t.close)  # before the group's
    with under_load(t) as load:
        daemon = t.pid_of("tenementd")
        wait_until(lambda: {t.state(key) for key in SLEEPY} == {"asleep"})
        for pid in (daemon, t.keeper_pid()):
            (pids_group / "cgroup.procs").write_text(str(pid))
        (pids_group / "pids.max").write_text("1")
        wait_until(lambda: t.said().count("Resource temporarily unavailable; next try") >= 6,
                   what="more tries than are allowed")
        kill(daemon)
        wait_until(lambda: "daemon: fork: Resource" in t.said())
        load.wait_for(100)
        (pids_group / "pids.max").write_text("max")
        wait_daemon(t, daemon)
    assert "given up" not in t.said()


# ---- the clock

@pytest.fixture
def clock(crowd):
    """(a crowd whose clock is wrong, a function that sets by how many seconds)"""
    library = build_folder() / "tests" / "clock.so"
    if not library.exists():
        pytest.skip("no clock.so here: sanitizers want to be the first library")
    t = crowd(start=False)
    path = t.root / "clock"

    def set_clock(seconds):
        with open(path, "r+b") as file:
            file.write(struct.pack("=q", seconds))
    path.write_bytes(bytes(4096))
    path.chmod(0o644)
    t.env = {"LD_PRELOAD": str(library), "TENEMENT_CLOCK": str(path)}
    return t, set_clock


def test_the_clock_is_set(clock):
    """Back by a day and forth by a year: idle times, backoffs, holds and restarts take as long as ever."""
    t, set_clock = clock
    t.write("ill.toml", t.service("ill", "dies --after 0.2"))
    t.write("ill-a.toml", t.tenant("ill", state="running"))
    begin(t)

    def tries():
        return t.instance("ill:a")["restarts"]
    t.ten("upgrade")
    with under_load(t) as load:
        t.ten("hold", "nap:s1", "4s")
        for wrong in (365 * 86400, -86400):
            set_clock(wrong)
            seen = tries()
            wait_until(lambda: tries() >= seen + 2, 10, what="further tries of who dies again and again")
            load.wait_visits()
            kill_daemon(t)
            load.wait_for(50)
        wait_until(lambda: t.ten_json("overrides")["overrides"] == [], 10, what="the end of the hold")
        wait_until(lambda: t.state("nap:s0") == "asleep", 10)
        t.ten("upgrade")
        t.remove("ill-a.toml")
        t.wait_status("ill:a", 404)
        t.remove("ill.toml")
    assert all(process_alive(pid) for pid in pids(t).values())


def test_a_hold_is_no_longer_for_a_clock_that_was_set_back(clock):
    t, set_clock = clock
    begin(t)
    t.ten("hold", "nap:s0", "3s")
    begun = time.monotonic()
    set_clock(-86400)
    t.wait_state("nap:s0", "asleep", timeout=15)
    assert time.monotonic() - begun >= 2
    # One that is taken over has what it was given, and no more.
    t.ten("hold", "nap:s0", "3s")
    set_clock(-2 * 86400)
    kill_daemon(t)
    assert t.ten_json("overrides")["overrides"]
    t.wait_state("nap:s0", "asleep", timeout=15)
