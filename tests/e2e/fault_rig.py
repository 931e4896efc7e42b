"""Faults under load: tenants that run, tenants that sleep and wake, clients that check each answer, and
a look at everything afterwards.

    def test_something(crowd):
        t = crowd()
        with under_load(t) as load:
            ...                     # the fault
            load.wait_for(100)      # so many further answers
    # no client has failed, and all is as before: see under_load()
"""

import collections
import contextlib
import ctypes
import errno
import itertools
import json
import os
import pathlib
import threading
import time

import pytest

from daemon_rig import ROOT, descriptors, kill_daemon, ours, pids, status
from harness import SLOWNESS, wait_until

RUNNING = ["tiny:r0", "tiny:r1", "tiny:r2"]
TALKER = "echo:talker"  # runs too, and says what it was asked
SLEEPY = ["nap:s0", "nap:s1"]
PROBE = "echo:probe"    # for changes of its file


class Crowd:
    """Clients of those that run, kept alive and connected anew, and visitors of those that sleep."""

    def __init__(self, t, sleepers_too=True):
        self.t, self.sleepers_too = t, sleepers_too
        self.failures, self.count = [], 0
        self.visits = collections.Counter()  # (tenant, status) of those that sleep
        self.over = threading.Event()
        self.numbers = itertools.count()
        works = [(self.keep_alive,)] * 3 + [(self.connect_anew,)] * 2 + [(self.visit, key) for key in SLEEPY]
        self.threads = [threading.Thread(target=self.run, args=work, daemon=True) for work in works]

    def run(self, work, *arguments):
        while not self.over.is_set():
            try:
                work(*arguments)
            except Exception as error:  # pylint: disable=broad-except
                self.failures.append((work.__name__, arguments, repr(error)))
                time.sleep(0.05)

    def ask(self, connection, key):
        """One request; the answer must be from KEY, and to this question."""
        path = f"/{next(self.numbers)}"
        begun = time.monotonic()
        connection.request("GET", path, headers={"Host": self.t.host(key)})
        response = connection.getresponse()
        body = response.read()
        if key in SLEEPY:
            self.visits[key, response.status] += 1
            if not self.sleepers_too and response.status in (502, 503, 504):
                assert response.status == 504 or int(response.headers["Retry-After"]) > 0
                return
        assert response.status == 200, (key, response.status, body[:200], round(time.monotonic() - begun, 3))
        if key == TALKER:
            said = json.loads(body)
            assert (said["env"]["TENANT_ID"], said["target"]) == ("talker", path), (path, body[:200])
        else:
            assert body.decode().strip() == key.split(":")[1], (key, body[:200])
        self.count += 1

    def keep_alive(self):
        with contextlib.closing(self.t.connection(timeout=60)) as connection:
            for key in itertools.islice(itertools.cycle([*RUNNING, TALKER]), 200):
                if self.over.is_set():
                    break
                self.ask(connection, key)
                time.sleep(0.001)  # there are others on this machine

    def connect_anew(self):
        for key in [*RUNNING, TALKER]:
            with contextlib.closing(self.t.connection(timeout=60)) as connection:
                self.ask(connection, key)
            time.sleep(0.003)

    def visit(self, key):
        with contextlib.closing(self.t.connection(timeout=60)) as connection:
            self.ask(connection, key)
        self.over.wait(1.6)

    def wait_for(self, count, timeout=30):
        goal = self.count + count
        wait_until(lambda: self.failures or self.count >= goal, timeout, what=f"{count} further answers")
        assert self.failures == [], self.failures[:5]

    def wait_visits(self, more=1, timeout=60):
        """Until each of those that sleep has been served again so often."""
        goal = {key: self.visits[key, 200] + more for key in SLEEPY}
        wait_until(lambda: self.failures or all(self.visits[key, 200] >= goal[key] for key in SLEEPY), timeout,
                   what="visitors that are served")
        assert self.failures == [], self.failures[:5]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        self.wait_for(50)
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join(60 * SLOWNESS)


@pytest.fixture
def crowd(tenement):
    def make(start=True, settings=None, **options):
        t = tenement(start=False, settings={"max_restarts": 1000, "backoff_base_ms": 50, "backoff_max_ms": 500,
                                            **(settings or {})}, **options)
        fill(t)
        if start:
            begin(t)
        return t
    return make


def texts(t, turn=0):
    """{name: text} of conf.d."""
    files = {"tiny.toml": t.service("tiny", "tiny"), "echo.toml": t.service("echo", startup_timeout=30),
             "nap.toml": t.service("nap", "tiny", idle_timeout=1, startup_timeout=30),
             "echo-talker.toml": t.tenant("echo", state="running"),
             "echo-probe.toml": t.tenant("echo", env={"TURN": str(turn)})}
    for key in RUNNING:
        files[f"{key.replace(':', '-')}.toml"] = t.tenant("tiny", state="running")
    for key in SLEEPY:
        files[f"{key.replace(':', '-')}.toml"] = t.tenant("nap")
    return files


def fill(t, folder=None, turn=0):
    for name, text in texts(t, turn).items():
        ((folder or t.conf_dir) / name).write_text(text)


def begin(t):
    t.start()
    for key in [*RUNNING, *SLEEPY, TALKER, PROBE]:
        t.wait_ok(key)


def quiet(t):
    """Whether nobody is connected, who may sleep does, and all that was told is done."""
    said = status(t)
    states = {key: one["state"] for key, one in t.instances().items()}
    return (said["converged"] and not any(one["clients"] for one in said["workers"]) and 0 not in [
        one["pid"] for one in said["workers"]] and all(states[key] == "asleep" for key in SLEEPY) and all(
        states[key] == "ready" for key in [*RUNNING, TALKER]))


def census(t):
    """What the fault must leave as it is: {program: descriptors of each}, and which programs."""
    t.ten("logs", "-n", "0")  # what reads them is begun with the first question
    # (idle connections to tenants are kept, and end with them)
    t.ten("restart", *RUNNING, TALKER)
    others = {key for key in set(pids(t)) - {*RUNNING, TALKER} if key.split(":")[0] in ("tiny", "echo")}
    if others:
        t.ten("stop", *others)
    wait_until(lambda: quiet(t), 40, what="quiet")
    found = collections.defaultdict(list)
    for name, pid in ours(t).items():
        found[name.split()[0]].append(descriptors(pid))
    return {name: sorted(counts) for name, counts in found.items()}


def check_served(t, turn):
    """That a changed file is served."""
    t.write("echo-probe.toml", t.tenant("echo", env={"TURN": str(turn)}))

    def served():
        return t.get(PROBE).json()["env"]["TURN"] == str(turn)
    wait_until(served, 40, what="the changed file's tenant")


def check_good(t):
    wait_until(lambda: status(t)["problems"] == [] and not status(t)["held"], 40, what="no problem")
    wait_until(lambda: t.ten("status", "--check", status=None).returncode == 0, what="a good status")


def check_whole(t):
    """No file of ours is half written, and none of one's writing is left."""
    own = t.data_dir / ".tenement"
    left = [path for path in [*own.rglob(".*.new"), *t.runtime_dir.rglob(".*.new"), *t.conf_dir.glob(".*")]
            if ".." not in path.name and not path.name.startswith(".tenement")]
    assert left == [], left
    for path in (own / "history").iterdir():
        assert json.loads(path.read_text())["files"], path
    accepted = {path.name.removeprefix("conf.d@"): path.read_text()
                for path in (own / "accepted").iterdir() if path.name.startswith("conf.d@")}
    assert accepted == {path.name: path.read_text() for path in t.conf_dir.glob("*.toml")}, accepted
    for path in (t.runtime_dir / "instances").iterdir():
        assert len(path.read_text().splitlines()[0].split()) == 13, path


@contextlib.contextmanager
def under_load(t, sleepers_too=True, spared=True):
    """The block under load. Afterwards: no client has failed, what was spared has its pid, the next
    change is served, status is good, and no descriptor, process or half a file is left.
    SLEEPERS_TOO: who sleeps must be served at all times as well; else 503 and 504 are answers."""
    kill_daemon(t)  # one that has taken over has more open than the first
    before, running = census(t), pids(t)
    with Crowd(t, sleepers_too) as crowd:
        yield crowd
        crowd.wait_for(100)
        crowd.wait_visits()
        check_served(t, f"after {time.monotonic()}")
        check_good(t)
    assert crowd.failures == [], crowd.failures[:5]
    if spared:
        now = pids(t)
        assert {key: now[key] for key in [*RUNNING, TALKER]} == {key: running[key] for key in [*RUNNING, TALKER]}
    after = {}

    def as_before():
        after.clear()
        after.update(census(t))
        return after.keys() == before.keys() and all(
            len(after[name]) == len(before[name]) and all(now <= then for now, then in zip(after[name], before[name]))
            for name in before)
    try:
        wait_until(as_before, 10, what="no more descriptors than before", every=0.2)
    except AssertionError as error:
        raise AssertionError(f"descriptors before: {before}, after: {after}") from error
    check_whole(t)


# ---- full disks

def mount(folder, options):
    """A small file system at FOLDER, for this process and its children alone."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not ROOT or libc.unshare(0x00020000) < 0:  # CLONE_NEWNS
        pytest.skip("needs a mount namespace, and root for it")
    private = 0x4000 | 0x40000  # MS_REC | MS_PRIVATE
    if libc.mount(b"none", b"/", None, private, None) < 0 or libc.mount(
            b"none", os.fsencode(folder), b"tmpfs", 0, options.encode()) < 0:
        pytest.skip(f"mounting: {os.strerror(ctypes.get_errno())}")


def unmount(folder):
    ctypes.CDLL(None).umount2(os.fsencode(folder), 2)  # MNT_DETACH


class Filler:
    """Fills the file system at FOLDER to the last byte and the last file."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder) / "filler"
        self.bytes, self.number = self.folder / "bytes", 0

    def fill(self):
        self.folder.mkdir(mode=0o700, exist_ok=True)
        with open(self.bytes, "ab", buffering=0) as file:
            for size in (1 << 16, 4096, 1):
                with no_space():
                    while file.write(b"x" * size) == size:
                        pass
        with no_space():
            while True:
                (self.folder / str(self.number)).touch(exist_ok=False)
                self.number += 1

    def empty(self):
        for path in self.folder.iterdir():
            path.unlink()
        self.folder.rmdir()


@contextlib.contextmanager
def no_space():
    try:
        yield
    except OSError as error:
        assert error.errno == errno.ENOSPC
