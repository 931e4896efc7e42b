"""What a stop ends: everything of the tenant, wherever it has gone; and what it waits for."""

import os
import pathlib
import signal
import threading

import pytest

from daemon_rig import ROOT, gate, kill, pids, wait_gone
from harness import children_of, processes_of, real_pids, wait_until

# A daemon as one was made in the old days: forked twice, in a session of its own; as root without an
# environment, for its uid says whose it is.
DOUBLE_FORK = """\
import os, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execve("/bin/sleep", ["sleep", "98765"], {} if os.getuid() and sys.argv[2] == "bare" else os.environ)
    os._exit(0)
os.wait()
os.execv(sys.argv[1], sys.argv[1:2])
"""

# One that is never the same process for long.
RESTLESS = """\
import os, sys, time
if os.fork() == 0:
    os.setsid()
    while True:
        if os.fork():
            os._exit(0)
        time.sleep(0.001)
os.execv(sys.argv[1], sys.argv[1:2])
"""


@pytest.fixture(params=["auto", "none"])
def one(tenement, request):
    """A tenant that runs SCRIPT, which becomes the tiny one; with control groups and without."""
    def make(script, **keys):
        t = tenement(start=False, settings={"cgroups": request.param, "backoff_base_ms": 50})
        (t.apps / "script.py").write_text(script)
        t.write("x.toml", t.service("x", "--", stop_timeout=2, **keys).replace(
            "app.py --", f"script.py ./tiny {'bare' if ROOT else 'marked'}"))
        t.write("x-a.toml", t.tenant("x"))
        t.start()
        t.wait_ok("x:a")
        return t
    return make


def sleepers(t):
    """The double-forked of this tenement: children of its keeper."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
            parent = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1]
        except OSError:
            continue
        if command == b"sleep\x0098765\x00" and int(parent) == t.keeper_pid():
            found.append(int(pid))
    return found


@real_pids
@pytest.mark.parametrize("end", ["stop", "kill", "kill without a daemon", "remove"])
def test_a_double_forked_daemon_ends_with_its_tenant(one, end):
    t = one(DOUBLE_FORK)
    first = pids(t)["x:a"]
    hidden = wait_until(lambda: sleepers(t))
    if end == "stop":
        t.ten("stop", "x:a")
    elif end == "kill":
        kill(first)
    elif end == "remove":
        t.remove("x-a.toml")
    else:
        t.serve.send_signal(signal.SIGSTOP)  # the keeper tells of the end when the next daemon is there
        kill(first)
        kill(t.pid_of("tenementd"))
        t.serve.send_signal(signal.SIGCONT)
    wait_gone(first, *hidden)


@real_pids
def test_one_that_forks_on_and_on_ends_with_its_tenant(one):
    t = one(RESTLESS)

    def restless():
        return [command for command in processes_of(str(t.root)).values() if "script.py" in command]
    assert wait_until(restless)
    t.ten("stop", "x:a")
    gone = []

    def quiet():
        gone.append(not restless())
        return gone[-20:] == [True] * 20
    wait_until(quiet, what="the end of it")


@real_pids
def test_a_stop_waits_for_what_is_in_flight(tenement):
    """And no longer than drain_timeout; who asks meanwhile is served by the next."""
    t = tenement(start=False)
    t.write("echo.toml", t.service("echo", drain_timeout=30))
    t.write("echo-a.toml", t.tenant("echo"))
    t.start()
    t.wait_ok("echo:a")
    first = pids(t)["echo:a"]
    answers = {}

    def ask(name, path):
        answers[name] = t.get("echo:a", path)
    slow = threading.Thread(target=ask, args=("slow", "/?delay=1"))
    slow.start()
    wait_until(lambda: t.instance("echo:a")["in_flight"] == 1)
    stopped = []
    stop = threading.Thread(target=lambda: stopped.append(t.ten("stop", "echo:a").stdout))
    stop.start()
    t.wait_state("echo:a", "draining")
    late = threading.Thread(target=ask, args=("late", "/"))
    late.start()
    for thread in (slow, late, stop):
        thread.join(30)
    assert answers["slow"].status == 200 and answers["slow"].json()["pid"] == first
    assert answers["late"].status == 200 and answers["late"].json()["pid"] != first
    assert stopped[0].startswith("echo:a was stopped, and is ") and "again: it was asked for" in stopped[0]


def test_a_stop_of_one_that_is_forked(tenement):
    """It ends by the signal, though it has not become the tenant yet."""
    t = tenement(start=False)
    t.write("echo.toml", t.service("echo", stop_timeout=60))
    t.write("echo-a.toml", t.tenant("echo", state="running"))
    closed = gate(t, "tenementd")
    closed.touch()
    t.start()
    wait_until(lambda: list(children_of(t.keeper_pid()).values()).count("tenementd") == 2)
    t.write("echo-a.toml", t.tenant("echo", state="stopped"))
    t.wait_state("echo:a", "stopping")
    closed.unlink()
    t.wait_state("echo:a", "stopped")
    assert "SIGKILL" not in t.said()
