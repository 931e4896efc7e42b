"""What a daemon that comes back makes of the notes that the one before left: none is believed."""

import contextlib
import os
import signal
import subprocess

import pytest

from daemon_rig import kill, pids, proc_status, status, wait_gone
from harness import process_alive, processes_of, real_pids, wait_until

KEYS = ["echo:a", "echo:b"]


@pytest.fixture
def two(tenement):
    def make(settings=None, **keys):
        t = tenement(start=False, settings={"backoff_base_ms": 50, **(settings or {})})
        t.write("echo.toml", t.service("echo", **keys))
        for key in KEYS:
            t.write(f"{key.replace(':', '-')}.toml", t.tenant("echo"))
        t.start()
        for key in KEYS:
            t.wait_ok(key)
        return t
    return make


@pytest.fixture
def innocent():
    """A process that is nobody's."""
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as process:
        yield process.pid
        assert process.poll() is None, "it was killed"
        process.kill()


@contextlib.contextmanager
def no_daemon(t):
    """For the time of the block there is none, and nobody starts one."""
    old = t.pid_of("tenementd")
    t.serve.send_signal(signal.SIGSTOP)
    wait_until(lambda: proc_status(t.keeper_pid())["State"][0] in "Tt")
    kill(old)
    wait_until(lambda: not process_alive(old))
    try:
        yield
    finally:
        t.serve.send_signal(signal.SIGCONT)
    wait_until(lambda: t.control("GET", "/api/status", timeout=5).json()["pid"] != old)


def record(t, key):
    return t.runtime_dir / "instances" / key


def start_time(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        return stat.read().rsplit(")", 1)[1].split()[19]


def rewrite(path, **fields):
    """Change fields of the record's first line, or its line of the boot."""
    places = {"pid": 1, "start": 2, "ready": 7, "stopping": 8}
    lines = path.read_text().split("\n")
    words = lines[0].split()
    for name, value in fields.items():
        if name == "boot":
            lines[4] = value
        else:
            words[places[name]] = str(value)
    lines[0] = " ".join(words)
    path.write_text("\n".join(lines))


def test_a_pid_that_is_somebody_elses_by_now(two, innocent):
    t = two()
    before = pids(t)
    with no_daemon(t):
        kill(before["echo:a"])
        wait_until(lambda: not process_alive(before["echo:a"]))
        rewrite(record(t, "echo:a"), pid=innocent)
    answer = t.wait_ok("echo:a").json()
    assert answer["pid"] not in (innocent, before["echo:a"])
    assert pids(t)["echo:b"] == before["echo:b"]
    t.ten("restart", "echo:a")
    t.remove("echo-a.toml")
    wait_until(lambda: t.instance("echo:a") is None)


def test_a_pid_that_is_somebody_elses_and_was_to_be_stopped(two, innocent):
    t = two(stop_timeout=1)
    before = pids(t)
    with no_daemon(t):
        kill(before["echo:a"])
        rewrite(record(t, "echo:a"), pid=innocent, stopping=1)
    t.wait_ok("echo:a")
    wait_gone(before["echo:a"])


def test_one_that_was_to_be_stopped_and_was_not_told(two):
    t = two(stop_timeout=60)
    before = pids(t)
    with no_daemon(t):
        rewrite(record(t, "echo:a"), stopping=1)
    wait_gone(before["echo:a"])
    assert t.wait_ok("echo:a").json()["pid"] != before["echo:a"]


def test_a_record_of_another_boot_is_nobodys(two, innocent):
    """Pids and start times of two boots can be the same by chance."""
    t = two()
    before = pids(t)
    with no_daemon(t):
        kill(before["echo:a"])
        rewrite(record(t, "echo:a"), pid=innocent, start=start_time(innocent),
                boot="00000000-1111-2222-3333-444444444444")
    assert t.wait_ok("echo:a").json()["pid"] != innocent
    assert pids(t)["echo:b"] == before["echo:b"]


@pytest.mark.parametrize("left", ["records", "nothing"])
def test_a_reboot(two, innocent, left):
    """Everything is killed at once; the runtime folder is a disk's, or a tmpfs and empty."""
    t = two()
    t.write("echo-up.toml", t.tenant("echo", state="running"))
    t.wait_state("echo:up", "ready")
    before = pids(t)
    t.serve.send_signal(signal.SIGSTOP)
    for pid in [*processes_of(str(t.root)), *before.values()]:
        kill(pid)
    t.serve.wait(20)
    t.serve = None
    for key in before:
        if left == "records":
            rewrite(record(t, key), pid=innocent, start=start_time(innocent),
                    boot="00000000-1111-2222-3333-444444444444")
        else:
            record(t, key).unlink()
    if left == "nothing":
        subprocess.run(["rm", "-rf", str(t.runtime_dir)], check=True)
    t.start()
    t.wait_state("echo:up", "ready")
    for key in KEYS:
        assert t.state(key) == "asleep"
        assert t.wait_ok(key).json()["pid"] != innocent
    assert not set(pids(t).values()) & set(before.values())


GARBAGE = {
    "empty": lambda text: "",
    "half": lambda text: text[:len(text) // 3],
    "a half line": lambda text: text.split("\n")[0][:-3],
    "zeros": lambda text: "\0" * len(text),
    "noise": lambda text: "\u00ff\u0001" * 4000,
    "long": lambda text: text + "x" * 1000000,
    "pid 1": lambda text: text.replace(text.split()[1], "1", 1),
    "pid -1": lambda text: text.replace(text.split()[1], "-1", 1),
    "another version": lambda text: "9" + text,
}


@real_pids
@pytest.mark.parametrize("damage", GARBAGE)
def test_a_damaged_record(two, damage):
    """Its process cannot be known any more: it ends, and a new one serves."""
    t = two()
    before = pids(t)
    with no_daemon(t):
        path = record(t, "echo:a")
        path.write_text(GARBAGE[damage](path.read_text()))
    t.wait_ok("echo:a")
    wait_gone(before["echo:a"])
    assert t.get("echo:a").json()["pid"] == pids(t)["echo:a"]
    assert pids(t)["echo:b"] == before["echo:b"], "the others are not touched"
    assert status(t)["tenants"]["ready"] == 2


@pytest.mark.parametrize("name", ["echo:nobody", "nonsense", "echo:a.new", "..x"])
def test_a_record_of_nobody(two, innocent, name):
    t = two()
    before = pids(t)
    with no_daemon(t):
        record(t, name).write_text(record(t, "echo:a").read_text())
        rewrite(record(t, name), pid=innocent)
        (t.runtime_dir / "instances" / "folder").mkdir()
    assert pids(t) == before
    (t.runtime_dir / "instances" / "folder").rmdir()


def test_died_changed_and_removed_meanwhile(two):
    """All at once: the one that is left is what the files say."""
    t = two()
    t.write("echo-c.toml", t.tenant("echo"))
    t.wait_ok("echo:c")
    before = pids(t)
    with no_daemon(t):
        kill(before["echo:a"])
        t.write("echo-b.toml", t.tenant("echo", env={"PLAN": "pro"}))
        t.remove("echo-c.toml")
    wait_until(lambda: t.instance("echo:c") is None)
    wait_gone(*before.values())
    assert "PLAN" not in t.wait_ok("echo:a").json()["env"]
    assert t.wait_ok("echo:b").json()["env"]["PLAN"] == "pro"
    t.wait_status("echo:c", 404)
    assert "signal 9" in t.said()


def test_died_and_was_removed_meanwhile(two):
    t = two()
    before = pids(t)
    with no_daemon(t):
        kill(before["echo:a"])
        t.remove("echo-a.toml")
    wait_until(lambda: t.instance("echo:a") is None)
    wait_until(lambda: not record(t, "echo:a").exists())
    t.wait_status("echo:a", 404)
    assert pids(t)["echo:b"] == before["echo:b"]


def test_restart_counts_outlive_it(two):
    t = two()
    t.post("echo:a", "/exit?code=3")
    wait_until(lambda: t.instance("echo:a")["restarts"] == 1)
    t.wait_state("echo:a", "ready")
    with no_daemon(t):
        pass
    assert t.instance("echo:a")["restarts"] == 1
    with no_daemon(t):
        pass
    assert t.instance("echo:a")["restarts"] == 1


def test_a_record_that_cannot_be_written_is_no_process_that_nobody_knows(two):
    """Its folder is away when a tenant is woken: nothing is started that would be forgotten."""
    t = two()
    t.write("echo-c.toml", t.tenant("echo"))
    wait_until(lambda: t.instance("echo:c"))
    away = t.runtime_dir / "away"
    os.rename(t.runtime_dir / "instances", away)
    assert t.get("echo:c").status in (502, 503, 504)
    assert len([c for c in processes_of(str(t.root)).values() if "app.py" in c]) == 2
    os.rename(away, t.runtime_dir / "instances")
    t.ten("restart", "echo:c", status=None)
    t.wait_ok("echo:c")
