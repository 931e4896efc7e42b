"""Health checks: what is asked of whom and how often, and what becomes of those that are ill."""

import os
import re
import resource
import signal
import time

import pytest

from daemon_rig import in_threads, kill_daemon, pids, status, wait_gone
from harness import SLOWNESS, real_pids, wait_until

QUICK = {"backoff_base_ms": 100, "backoff_max_ms": 400, "max_restarts": 20}
EVERY = {"health": "/health", "health_interval": 1, "health_timeout": 1, "health_failures": 2}

# /health answers in the manner that ../apps/manner says; each time is noted in DATA_DIR/checks.
# Everything else: ?delay=SECONDS, then the pid. A manner "dies" ends the process at its start.
PATIENT = r"""
import os, socket, sys, threading, time

def manner():
    with open("manner") as file:
        return file.read().strip()

def note(text):
    with open(os.environ["DATA_DIR"] + "/checks", "a") as file:
        file.write(f"{time.monotonic():.3f} {text}\n")

def check(conn):
    how = manner()
    note(how)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    if how == "hang":
        conn.recv(1)
    elif how == "drip":
        for i in range(len(answer)):
            conn.sendall(answer[i:i + 1])
            time.sleep(0.4)
    elif how == "endless-head":
        while True:
            conn.sendall(b"\0" * 65536)
    elif how == "endless":
        sent = 0
        try:
            conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
            while sent < 1 << 30:
                conn.sendall(b"x" * 65536)
                sent += 65536
        finally:
            note(f"sent {sent}")
    elif how == "redirect":
        conn.sendall(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")
    elif how == "garbage":
        conn.sendall(b"\x1b[31m\xff\xfe\0 and no HTTP at all\r\n\r\n")
    elif how == "odd-status":
        conn.sendall(b"HTTP/1.1 2\x1b\xff what\r\n\r\n")
    elif how == "close":
        pass
    elif how.isdigit():
        conn.sendall(b"HTTP/1.1 " + how.encode() + b" so\r\nContent-Length: 0\r\n\r\n")
    else:
        conn.sendall(answer)

def serve(conn):
    with conn:
        while True:
            head = b""
            while b"\r\n\r\n" not in head:
                more = conn.recv(4096)
                if not more:
                    return
                head += more
            target = head.split(b" ")[1].decode()
            if target == "/health":
                try:
                    check(conn)
                except OSError:
                    pass
                return
            if target == "/elsewhere":
                note("elsewhere")
            if "delay=" in target:
                time.sleep(float(target.split("delay=")[1]))
            body = str(os.getpid()).encode()
            conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

if manner() == "dies":
    print("\x1b[31mno such database", file=sys.stderr)
    sys.exit(3)
path = os.environ["SOCKET_PATH"]
if os.path.lexists(path):
    os.unlink(path)
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen(100)
print("serving", flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""


class Patient:
    """A service x of patients; the one of the tests is x:a."""

    def __init__(self, t, keys):
        self.t, self.keys = t, keys
        (t.apps / "patient.py").write_text(PATIENT)
        os.chmod(t.apps / "patient.py", 0o755)
        self.be("well")
        self.configure()

    def configure(self, **keys):
        self.keys.update(keys)
        self.t.write("x.toml", self.t.service("x", command="/usr/bin/python3 patient.py", **self.keys))

    def be(self, manner):
        new = self.t.apps / "manner.new"
        new.write_text(manner)
        os.chmod(new, 0o644)
        new.rename(self.t.apps / "manner")

    def checks(self, tenant="a"):
        """[(seconds, manner)] of the checks that there were."""
        path = self.t.data_dir / "x" / tenant / "checks"
        if not path.exists():
            return []
        lines = [line.split(" ", 1) for line in path.read_text().splitlines()]
        return [(float(when), what) for when, what in lines]

    def wait_health(self, *names, timeout=20):
        def so():
            one = self.t.instance("x:a")
            return one if one["health"] in names else None
        return wait_until(so, timeout, what=f"x:a to be {names}")


@pytest.fixture
def patient(tenement):
    def make(settings=None, tenants=("a",), tenant=None, **keys):
        t = tenement(start=False, settings={**QUICK, **(settings or {})})
        one = Patient(t, {**EVERY, **keys})
        for name in tenants:
            t.write(f"x-{name}.toml", t.tenant("x", **(tenant or {})))
        t.start()
        return t, one
    return make


@pytest.mark.parametrize("manner, said", [
    ("500", "it answers 500"),
    ("404", "it answers 404"),
    ("hang", "no answer in time"),
    ("drip", "no answer in time"),
    ("garbage", "the answer is not HTTP"),
    ("odd-status", "the answer is not HTTP"),
    ("endless-head", "the answer is not HTTP"),
    ("close", "it closes the connection without an answer"),
])
def test_each_way_of_being_ill_is_seen_and_said(patient, manner, said):
    t, one = patient()
    t.wait_ok("x:a")
    one.wait_health("healthy")
    pid = pids(t)["x:a"]
    one.be(manner)
    ill = one.wait_health("degraded")
    assert ill["reason"] == f"health check 1 of 2 failed: GET /health: {said}"
    assert ill["pid"] == pid and ill["failed_check"] == f"GET /health: {said}"
    wait_until(lambda: pids(t).get("x:a") not in (None, pid), what="another process")
    wait_until(lambda: f"health check 2 of 2 failed: GET /health: {said}; next try" in t.said())
    one.be("well")
    t.wait_ok("x:a")
    one.wait_health("healthy")
    now = t.instance("x:a")
    assert now["reason"] == "" and now["failed_check"] is None and now["restarts"] >= 1


def test_degraded_is_shown_and_passes(patient):
    t, one = patient(health_failures=50)
    t.wait_ok("x:a")
    assert one.wait_health("healthy")["reason"] == ""
    assert 'tenement_instance_health{service="x",id="a",health="healthy"} 1' in metrics(t)
    pid = pids(t)["x:a"]
    one.be("500")
    one.wait_health("degraded")
    assert "degraded" in t.ten("ps").stdout
    told = t.ten("status", "x:a").stdout
    assert "degraded" in told and "GET /health: it answers 500" in told
    assert 'id="a",health="degraded"} 1' in metrics(t)
    one.be("well")
    one.wait_health("healthy")
    assert t.instance("x:a")["reason"] == "" and pids(t)["x:a"] == pid
    events = t.control("GET", "/api/events?instance=x:a").json()["events"]
    assert [event["text"] for event in events if event["kind"] == "health"] == [
        "healthy -> degraded: GET /health: it answers 500", "degraded -> healthy"]


def metrics(t):
    return t.control("GET", "/metrics").text


def test_an_endless_answer_and_a_redirect_are_well_and_cost_nothing(patient):
    t, one = patient()
    t.wait_ok("x:a")
    one.be("endless")
    wait_until(lambda: len([1 for _, what in one.checks() if what.startswith("sent")]) >= 2,
               what="two endless answers that were cut")
    sent = [int(what.split()[1]) for _, what in one.checks() if what.startswith("sent")]
    assert max(sent) < 16 << 20, "the answer was not read"
    assert one.wait_health("healthy")["restarts"] == 0
    one.be("redirect")
    wait_until(lambda: [1 for _, what in one.checks() if what == "redirect"])
    one.wait_health("healthy")
    assert not [1 for _, what in one.checks() if what == "elsewhere"], "nobody followed it"


def test_failures_within_the_grace_do_not_count(patient):
    t, one = patient(health_grace=4, health_failures=1)
    one.be("500")
    t.wait_ok("x:a")
    pid = pids(t)["x:a"]
    begun = time.monotonic()
    wait_until(lambda: len(one.checks()) >= 2, what="two checks")
    now = t.instance("x:a")
    if time.monotonic() - begun < 3.5:
        assert (now["health"], now["reason"], now["pid"]) == ("unknown", "", pid)
        assert now["failed_check"] == "GET /health: it answers 500"
    wait_gone(pid)
    assert time.monotonic() - begun > 3.5, "not before the grace was over"


@real_pids
def test_what_is_in_flight_is_not_cut(patient):
    """An ill tenant is given drain_timeout; who comes meanwhile waits for the next process."""
    t, one = patient(health_failures=1, drain_timeout=20)
    t.wait_ok("x:a")
    pid = str(pids(t)["x:a"])

    def ask(turn):
        if turn == 0:
            return t.get("x:a", "/?delay=4").text
        one.be("500")
        t.wait_state("x:a", "draining")
        one.be("well")
        return t.get("x:a").text
    old, new = in_threads(2, ask)
    assert old == pid
    assert new.isdigit() and new != pid


def test_health_options_act_on_what_runs(patient):
    t, one = patient(health_interval=1, health_failures=100)
    t.wait_ok("x:a")
    one.wait_health("healthy")
    pid = pids(t)["x:a"]
    generation = status(t)["generation"]
    one.configure(health_interval=3600)
    wait_until(lambda: status(t)["generation"] > generation)
    # One more may have been on its way; then there are none.
    wait_until(lambda: time.monotonic() - one.checks()[-1][0] > 3, what="silence")
    assert pids(t)["x:a"] == pid


def test_health_interval_0_is_the_settings(patient):
    t, one = patient(settings={"health_check_interval": 1}, health_interval=0)
    t.wait_ok("x:a")
    wait_until(lambda: len(one.checks()) >= 3, 10, what="three checks")


def test_who_sleeps_is_not_asked_and_not_woken(patient):
    t, one = patient(idle_timeout=3)
    t.wait_ok("x:a")
    wait_until(lambda: len(one.checks()) >= 2, what="two checks")
    asleep = t.wait_state("x:a", "asleep")
    assert asleep["health"] == "unknown"
    count = len(one.checks())
    wait_until(lambda: t.instance("x:a")["state_secs"] >= 3, what="three intervals")
    assert t.state("x:a") == "asleep" and len(one.checks()) == count


def test_many_are_not_asked_at_once(patient):
    names = [f"t{i}" for i in range(8)]
    t, one = patient(tenants=names, tenant={"state": "running"}, health_interval=3)
    for name in names:
        t.wait_state(f"x:{name}", "ready")
    wait_until(lambda: all(one.checks(name) for name in names), what="a check of each")
    firsts = sorted(one.checks(name)[0][0] for name in names)
    assert firsts[-1] - firsts[0] > 0.5, "spread over an interval"
    wait_until(lambda: all(len(one.checks(name)) >= 3 for name in names), what="three of each")
    gaps = {round(b - a, 1) for name in names for (a, _), (b, _) in
            zip(one.checks(name), one.checks(name)[1:])}
    assert len(gaps) > 1, "and not in step either"
    if SLOWNESS == 1:
        assert min(gaps) >= 2.6 and max(gaps) < 6, gaps


def test_want_of_our_own_is_no_illness(patient):
    """A daemon without a descriptor to ask by says nothing of the tenant."""
    t, one = patient(health_failures=1)
    t.wait_ok("x:a")
    one.wait_health("healthy")
    pid, daemon = pids(t)["x:a"], t.pid_of("tenementd")
    before = resource.prlimit(daemon, resource.RLIMIT_NOFILE)
    resource.prlimit(daemon, resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        begun = time.monotonic()
        wait_until(lambda: time.monotonic() - max(begun, one.checks()[-1][0]) > 3,
                   what="three intervals without a check")
    finally:
        resource.prlimit(daemon, resource.RLIMIT_NOFILE, before)
    count = len(one.checks())
    wait_until(lambda: len(one.checks()) > count, what="checks again")
    assert one.wait_health("healthy")["pid"] == pid
    assert "health check" not in t.said()


def test_who_boots_slowly_behind_its_socket_is_not_asked_yet(tenement):
    """With socket_activation it is ready before its process is: its boot is no illness."""
    t = tenement(start=False, settings=QUICK)
    t.write("x.toml", t.service("x", "echo --listen passed --start-delay 4", socket_activation=True,
                                health="/health", health_interval=1, health_timeout=1,
                                health_failures=1, startup_timeout=30))
    t.write("x-a.toml", t.tenant("x"))
    t.start()
    assert t.get("x:a").status == 200
    wait_until(lambda: t.instance("x:a")["health"] == "healthy", what="healthy")
    assert t.instance("x:a")["restarts"] == 0 and "unhealthy" not in t.said()


def test_a_check_left_in_its_socket_does_not_wake_it(tenement):
    """It hangs and takes no check from its queue; when it sleeps nobody is there but those."""
    t = tenement(start=False, settings=QUICK)
    t.write("x.toml", t.service("x", "echo --listen passed", socket_activation=True, health="/health",
                                health_interval=1, health_timeout=1, health_failures=100,
                                idle_timeout=4, stop_timeout=1))
    t.write("x-a.toml", t.tenant("x"))
    t.start()
    assert t.get("x:a").status == 200
    os.killpg(pids(t)["x:a"], signal.SIGSTOP)  # (in namespaces its first process is tenement-init)
    wait_until(lambda: t.instance("x:a")["health"] == "degraded", what="a check in its queue")
    t.wait_state("x:a", "asleep")
    wait_until(lambda: t.instance("x:a")["state_secs"] >= 2, what="two seconds of sleep")
    assert t.said().count("-> starting") == 1, "it was not woken"
    assert t.get("x:a").status == 200


def test_an_ill_one_that_ignores_its_end_is_killed_and_said_so(patient):
    t, one = patient(settings={"max_restarts": 0}, health_failures=1, stop_timeout=1)
    t.wait_ok("x:a")
    pid = pids(t)["x:a"]
    os.killpg(pid, signal.SIGSTOP)  # neither answers nor ends
    failed = t.wait_state("x:a", "failed", timeout=30)
    assert re.match(r"health check 1 of 1 failed: GET /health: no answer in time; "
                    r"it ignored SIGTERM and was killed; given up", failed["reason"]), failed
    wait_gone(pid)


def test_a_started_daemon_goes_on_asking(patient):
    t, one = patient(health_failures=1)
    t.wait_ok("x:a")
    one.wait_health("healthy")
    pid = pids(t)["x:a"]
    kill_daemon(t)
    one.wait_health("healthy")
    assert pids(t)["x:a"] == pid
    one.be("500")
    wait_gone(pid)


@pytest.mark.parametrize("line, said", [
    ("health_timeout = 0", "health_timeout wants a whole number of seconds from 1 to 3600"),
    ("health_failures = 0", "health_failures wants a whole number from 1 to 1000"),
    ("health_interval = -1", "health_interval wants a whole number of seconds from 0 to 86400"),
    ("health_grace = \"long\"", "health_grace wants"),
    ("stop_signal = \"TERM\"", "stop_signal"),
    ("stop_signal = \"SIGKILL\"", "stop_signal"),
    ("failed_cooldown = -5", "failed_cooldown wants"),
])
def test_what_makes_no_sense_is_refused(tenement, line, said):
    t = tenement()
    t.write("x.toml", t.service("x") + line + "\n")
    told = t.ten("check", status=None)
    assert told.returncode == 1 and said in told.stdout + told.stderr, told
    assert "x.toml" in told.stdout + told.stderr
