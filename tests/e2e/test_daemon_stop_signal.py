"""How a tenant is asked to end, and that nothing of it is left."""

import os

import pytest

from daemon_rig import kill, pids, status, wait_gone
from harness import process_alive, processes_of, wait_until

# Ends by whatever signal it is asked by, and says which in DATA_DIR/ended. With DAEMONS two processes
# of it fork twice, into sessions of their own, and ignore every signal that can be ignored.
APP = r"""
import os, signal, sys
sys.path.insert(0, ".")
import app
SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1,
           signal.SIGUSR2, signal.SIGWINCH]
def end(number, _):
    with open(os.environ["DATA_DIR"] + "/ended", "a") as file:
        file.write(signal.Signals(number).name + "\n")
    os._exit(0)
for number in SIGNALS:
    signal.signal(number, end)
for _ in range(int(os.environ.get("DAEMONS", 0))):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for number in SIGNALS:
                signal.signal(number, signal.SIG_IGN)
            while True:
                signal.pause()
        os._exit(0)
app.serve({})
"""


def configure(t, **keys):
    t.write("x.toml", t.service("x", command="/usr/bin/python3 ender.py", **keys))


def ended(t):
    path = t.data_dir / "x" / "a" / "ended"
    return path.read_text().split() if path.exists() else []


@pytest.fixture
def rig(tenement):
    """A tenant x:a of APP; keys are the service's."""
    def make(settings=None, **keys):
        t = tenement(start=False, settings=settings)
        (t.apps / "ender.py").write_text(APP)
        os.chmod(t.apps / "ender.py", 0o755)
        configure(t, **keys)
        t.write("x-a.toml", t.tenant("x"))
        return t.start()
    return make


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH"])
def test_stop_signal(rig, name):
    t = rig(**({} if name == "SIGTERM" else {"stop_signal": name}))
    t.wait_ok("x:a")
    t.ten("stop", "x:a")
    assert ended(t) == [name]
    assert t.instance("x:a")["reason"] == ""


def test_a_changed_stop_signal_acts_on_what_runs_and_at_the_end_of_all(rig):
    t = rig()
    t.wait_ok("x:a")
    pid = pids(t)["x:a"]
    generation = status(t)["generation"]
    configure(t, stop_signal="SIGUSR2")
    wait_until(lambda: status(t)["generation"] > generation)
    assert pids(t)["x:a"] == pid
    t.stop()
    assert ended(t) == ["SIGUSR2"]


def test_who_ignores_its_stop_signal_is_killed_by_name(tenement):
    t = tenement(start=False)
    t.write("x.toml", t.service("x", "echo", stop_signal="SIGWINCH", stop_timeout=1))
    t.write("x-a.toml", t.tenant("x"))
    t.start()
    t.wait_ok("x:a")
    pid = pids(t)["x:a"]
    t.ten("stop", "x:a")
    assert not process_alive(pid)
    assert "it ignored SIGWINCH and was killed" == t.instance("x:a")["reason"]


@pytest.mark.parametrize("cgroups", ["auto", "none"])
def test_nothing_survives_not_even_what_forked_twice(rig, cgroups):
    """Its daemons are in sessions of their own, belong to nobody, and ignore every signal they may."""
    t = rig(env={"DAEMONS": "2"}, settings={"cgroups": cgroups}, stop_signal="SIGQUIT")

    def all_of_it():
        return [pid for pid, command in processes_of(str(t.root)).items() if "ender" in command]
    for way in ("stop", "restart", "kill"):
        t.wait_ok("x:a")
        wait_until(lambda: len(all_of_it()) == 3, what="one and its two daemons")
        before = all_of_it()
        if way == "kill":
            kill(pids(t)["x:a"])
        else:
            t.ten(way, "x:a")
        wait_gone(*before)
    t.wait_ok("x:a")
    assert t.stop() == 0, "and none is left by the end of all"
    assert not all_of_it()
