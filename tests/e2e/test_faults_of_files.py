"""Disks that are full and folders that are exchanged or touched without end, under load: who runs goes
on, and when it is over nothing has to be mended by hand. Processes: test_faults_under_load.py."""

import json
import os
import shutil
import signal
import threading
import time

import pytest

from daemon_rig import kill, kill_daemon, pids, status, wait_daemon
from fault_rig import (PROBE, RUNNING, SLEEPY, TALKER, Filler, begin, crowd, fill, mount, texts, under_load,
                       unmount)
from harness import wait_until


assert crowd  # a fixture


# ---- full disks

@pytest.fixture
def small(crowd):
    """A crowd one of whose folders is on a small file system, and what fills it."""
    mounted = []

    def make(which, **options):
        t = crowd(start=False, **options)
        folder = getattr(t, which)
        folder.mkdir()
        mount(folder, "size=1m,nr_inodes=400,mode=711")
        mounted.append((t, folder))
        begin(t)
        return t, Filler(folder)
    yield make
    for t, folder in mounted:
        try:
            t.close()
        finally:
            unmount(folder)
            shutil.rmtree(t.root, ignore_errors=True)


def turn_of(t, key):
    answer = t.get(key)
    return answer.json()["env"].get("TURN") if answer.status == 200 else None


def asleep(t):
    return {t.state(key) for key in SLEEPY} == {"asleep"}


def test_a_full_runtime_folder(small):
    """Who sleeps is not started unless that can be written down; who runs goes on, and so do those that
    take over."""
    t, filler = small("runtime_dir", settings={"max_restarts": 1})
    with under_load(t) as load:
        wait_until(lambda: asleep(t))
        filler.fill()
        wait_until(lambda: "No space left on device" in t.instance(SLEEPY[0])["reason"])
        shown = t.ten("status", SLEEPY[0]).stdout
        assert "No space left on device" in shown and "next try" in shown
        wait_until(lambda: t.said().count("No space left on device; next try") >= 6, what="more tries than are allowed")
        kill_daemon(t)
        load.wait_for(100)
        filler.empty()
    assert "given up" not in t.said()


def test_a_full_data_folder(small):
    """What changes is in force, and is written when there is room; what must be on disk first is refused."""
    t, filler = small("data_dir")
    t.ten("suspend", PROBE)
    t.ten("resume", PROBE)
    t.write("echo-bad.toml", t.tenant("echo", env={"TURN": "good"}))
    t.wait_ok("echo:bad")
    kept = t.ten_json("history")["history"]
    with under_load(t) as load:
        filler.fill()
        t.write("echo-bad.toml", t.tenant("echo", env={"TURN": "better"}))
        wait_until(lambda: turn_of(t, "echo:bad") == "better")
        t.write("tiny-new.toml", t.tenant("tiny", startup_timeout=1))
        told = wait_until(lambda: status(t)["problems"])
        assert "No space left on device" in told[0] and "room" in told[0]
        assert "No space left on device" in t.ten("status", "--check", status=1).stdout
        # (as a tenant needs a uid of its own, which is to be on disk before it is given)
        assert t.get("tiny:new", timeout=60).status in (200, 503, 504)
        for command in (("suspend", TALKER), ("hold", SLEEPY[0], "1h"), ("pause",)):
            assert "No space left on device" in t.ten(*command, status=None).stderr
        (t.root / "mine").mkdir()
        (t.root / "mine" / "tiny-mine.toml").write_text(t.tenant("tiny"))
        load.wait_for(100)
        numbers = [one["generation"] for one in t.ten_json("history")["history"]]
        assert len(numbers) == len(kept) + 2 and numbers == sorted(numbers, reverse=True)
        filler.empty()
        wait_until(lambda: status(t)["problems"] == [], what="all written")
        t.wait_ok("tiny:new", timeout=30)
        t.ten("suspend", PROBE)
        t.ten("resume", PROBE)
        assert numbers == [one["generation"] for one in t.ten_json("history")["history"]]
    # What was accepted while the disk was full is what the next life falls back to.
    t.write("echo-bad.toml", "[tenant\n")
    wait_until(lambda: status(t)["problems"])
    kill_daemon(t)
    assert turn_of(t, "echo:bad") == "better"
    (t.conf_dir / "echo-bad.toml").unlink()


def test_a_daemon_dies_while_the_data_folder_is_full(small):
    t, filler = small("data_dir")
    with under_load(t) as load:
        filler.fill()
        for _ in range(3):
            kill_daemon(t)
            load.wait_for(20)
        load.wait_visits()
        filler.empty()


def test_what_a_full_disk_refused_is_not_ours_for_good(small):
    """An `apply` that had no room came to nothing, and can be made again."""
    t, filler = small("data_dir")
    t.ten("spawn", "tiny:mine")
    path = t.conf_dir / "tiny-mine.toml"
    before = path.read_text()
    filler.fill()
    (t.root / "new").mkdir()
    (t.root / "new" / "tiny-mine.toml").write_text(t.tenant("tiny", weight=7))
    refused = t.ten("apply", str(t.root / "new"), status=None)
    assert refused.returncode and "No space left on device" in refused.stderr, refused
    assert path.read_text() == before
    filler.empty()
    t.ten("apply", str(t.root / "new"))
    assert "weight = 7" in path.read_text()


# ---- more events than fit

def test_fifty_thousand_touches(crowd):
    """More than the kernel keeps: what is so is found by looking, and nothing else."""
    t = crowd()
    with under_load(t) as load:
        t.write("tiny-goes.toml", t.tenant("tiny"))
        t.wait_ok("tiny:goes")
        daemon = t.pid_of("tenementd")
        kill(daemon, signal.SIGSTOP)
        names = [t.conf_dir / name for name in texts(t)]
        for i in range(50000):
            os.utime(names[i % len(names)])
        for i in range(2000):
            path = t.conf_dir / f"tiny-x{i}.toml"
            path.touch()
            path.unlink()
        t.remove("tiny-goes.toml")
        t.write("tiny-comes.toml", t.tenant("tiny"))
        t.write("echo-probe.toml", t.tenant("echo", env={"TURN": "overflown"}))
        kill(daemon, signal.SIGCONT)
        t.wait_ok("tiny:comes")
        t.wait_status("tiny:goes", 404)
        wait_until(lambda: turn_of(t, PROBE) == "overflown")
        assert status(t)["held"] is None
        load.wait_for(50)
        t.remove("tiny-comes.toml")
        t.wait_status("tiny:comes", 404)
    assert t.pid_of("tenementd") == daemon


def test_touches_without_end(crowd):
    """As many, while it reads: a change between them is seen."""
    t = crowd()
    with under_load(t) as load:
        over = threading.Event()
        names = [t.conf_dir / name for name in texts(t)]

        def touch():
            for i in range(50000):
                if over.is_set():
                    break
                os.utime(names[i % len(names)])
                if i % 10 == 0:
                    (t.conf_dir / f"tiny-x{i % 7}.toml.swp").touch()
        toucher = threading.Thread(target=touch)
        toucher.start()
        for turn in range(2):
            t.write("echo-talker2.toml", t.tenant("echo", env={"TURN": str(turn)}))
            wait_until(lambda: turn_of(t, "echo:talker2") == str(turn))
            load.wait_for(20)
        over.set()
        toucher.join()
        for path in t.conf_dir.glob("*.swp"):
            path.unlink()
        t.remove("echo-talker2.toml")
        t.wait_status("echo:talker2", 404)


# ---- folders that are exchanged

class Renamed:
    """mv conf.d old; mv new conf.d"""

    def __init__(self, t):
        self.t = t

    def prepare(self, turn):
        self.new = self.t.root / f"new{turn}"
        self.new.mkdir()
        fill(self.t, self.new, turn)

    def swap(self):
        self.t.conf_dir.rename(self.t.root / "old")
        time.sleep(0.02)  # there is none
        self.new.rename(self.t.conf_dir)
        shutil.rmtree(self.t.root / "old")


class Linked(Renamed):
    """conf.d -> releases/N, and another link renamed over it"""

    def __init__(self, t):
        super().__init__(t)
        (t.root / "releases").mkdir()
        t.conf_dir.rename(t.root / "releases" / "first")
        self.new = t.root / "releases" / "first"
        self.swap()

    def prepare(self, turn):
        self.new = self.t.root / "releases" / str(turn)
        self.new.mkdir()
        fill(self.t, self.new, turn)

    def swap(self):
        link = self.t.root / "link"
        link.symlink_to(self.new)
        link.rename(self.t.conf_dir)


class Volume(Renamed):
    """conf.d/X -> ..data/X, ..data -> ..N, as Kubernetes has it"""

    def __init__(self, t):
        super().__init__(t)
        names = [path.name for path in t.conf_dir.iterdir()]
        self.old = None
        self.prepare("first")
        self.swap()
        for name in names:
            (t.conf_dir / name).unlink()
            (t.conf_dir / name).symlink_to(f"..data/{name}")

    def prepare(self, turn):
        self.new = self.t.conf_dir / f"..{turn}"
        self.new.mkdir()
        fill(self.t, self.new, turn)

    def swap(self):
        link = self.t.conf_dir / "..data_tmp"
        link.symlink_to(self.new.name)
        link.rename(self.t.conf_dir / "..data")
        if self.old:
            shutil.rmtree(self.old)
        self.old = self.new


@pytest.mark.parametrize("way", [Renamed, Linked, Volume])
def test_conf_d_is_exchanged(crowd, way):
    """At any time, also while the daemon stands still or dies: what is new is served, nobody is taken away."""
    t = crowd(start=False)
    folders = way(t)
    begin(t)
    before = pids(t)
    with under_load(t) as load:
        for turn, meanwhile in enumerate(["running", "stopped", "killed", "running"]):
            daemon = t.pid_of("tenementd")
            folders.prepare(turn)
            if meanwhile != "running":
                kill(daemon, signal.SIGSTOP)
            folders.swap()
            if meanwhile == "killed":
                kill(daemon)
                wait_daemon(t, daemon)
            kill(daemon, signal.SIGCONT)
            wait_until(lambda turn=turn: turn_of(t, PROBE) == str(turn), what=f"turn {turn}")
            load.wait_for(20)
    assert before.keys() >= set(RUNNING)
    assert "no longer declared" not in t.said() and "removals are held" not in t.said()
    assert json.dumps(status(t)["held"]) == "null"
