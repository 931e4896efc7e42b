"""What the tests of the daemon share: load that goes on, and a look at processes."""

import contextlib
import http.client
import os
import pathlib
import signal
import threading
import time

import pytest

from harness import SLOWNESS, build_folder, children_of, process_alive, wait_until

ROOT = os.geteuid() == 0


class Load:
    """Threads that ask KEYS in turn, without a pause, until the end of the block.

        with Load(t, ["tiny:a"]) as load:
            ...
            load.wait_for(50)      # so many further answers
        assert load.failures == []

    fresh=True: each request on a connection of its own.
    """

    def __init__(self, t, keys, threads=4, fresh=False, path="/", method="GET", statuses=(200,)):
        self.t, self.keys, self.fresh, self.path = t, keys, fresh, path
        self.method, self.statuses = method, statuses
        self.failures, self.count = [], 0
        self.answers = []  # (begun, ended, body) of the good ones
        self.lock = threading.Lock()
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(threads)]

    def run(self, turn):
        connection = self.t.connection()
        while not self.over.is_set():
            key = self.keys[turn % len(self.keys)]
            turn += 1
            begun = time.monotonic()
            trouble = None
            try:
                connection.request(self.method, self.path, headers={"Host": self.t.host(key)})
                response = connection.getresponse()
                body = response.read()
                if response.status not in self.statuses:
                    trouble = (key, response.status, body[:200])
            except (OSError, http.client.HTTPException) as error:
                trouble = (key, repr(error))
            with self.lock:
                self.count += 1
                if trouble:
                    self.failures.append((round(time.monotonic() - begun, 3), *trouble))
                else:
                    self.answers.append((begun, time.monotonic(), body))
            if self.fresh or trouble:
                connection.close()
                connection = self.t.connection()
        connection.close()

    def wait_for(self, count, timeout=20):
        goal = self.count + count
        wait_until(lambda: self.count >= goal, timeout, what=f"{count} further answers")

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        self.wait_for(len(self.threads))
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join(60 * SLOWNESS)


def kill(pid, number=signal.SIGKILL):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def kill_daemon(t, number=signal.SIGKILL):
    """End tenementd; returns its pid when the next one answers."""
    old = t.pid_of("tenementd")
    kill(old, number)
    wait_daemon(t, old)
    return old


def wait_daemon(t, old=None):
    """Wait until a tenementd other than OLD answers; returns its pid."""
    def answers():
        pid = t.control("GET", "/api/status", timeout=5).json()["pid"]
        return pid if pid != old else None
    return wait_until(answers, what="a tenementd that answers")


def pids(t):
    """{"notes:alice": pid} of those that have a process."""
    return {key: one["pid"] for key, one in t.instances().items() if one["pid"]}


def status(t):
    return t.control("GET", "/api/status").json()


def wait_problem(t, *words):
    """Wait until status tells of a problem with all these WORDS; returns it."""
    def told():
        for problem in status(t)["problems"]:
            if all(word in problem for word in words):
                return problem
        return None
    try:
        return wait_until(told, 10, what=f"a problem that says {words}")
    except AssertionError as error:
        raise AssertionError(f"{error}; told are {status(t)['problems']}") from None


def wait_no_problem(t):
    wait_until(lambda: not status(t)["problems"], 10, what="no problem any more")


def wait_gone(*gone):
    for pid in gone:
        wait_until(lambda pid=pid: not process_alive(pid), what=f"the end of process {pid}")


def proc_status(pid):
    """/proc/PID/status as {"Uid": ["0", ...], ...}."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return {line.split(":")[0]: line.split()[1:] for line in text.splitlines() if ":" in line}


def in_threads(count, work):
    """work(i) for each i of COUNT at the same time; the list of what came back."""
    results = [None] * count
    start = threading.Barrier(count)

    def one(i):
        start.wait()
        try:
            results[i] = work(i)
        except Exception as error:  # pylint: disable=broad-except
            results[i] = error
    threads = [threading.Thread(target=one, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60 * SLOWNESS)
    return results


def descriptors(pid):
    """How many, without the pipes that a worker keeps for the next large upload."""
    count = 0
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            link = os.readlink(f"/proc/{pid}/fd/{name}")
            count += not (link.startswith("pipe:") and "proxy" in pathlib.Path(f"/proc/{pid}/comm").read_text())
    return count


def ours(t):
    """{"tenementd 123": pid, ..., "keeper": pid} of our own programs."""
    return {f"{name} {pid}": pid for pid, name in children_of(t.keeper_pid()).items()
            if name in ("tenementd", "tenement-proxy", "tenement-logger")} | {"keeper": t.keeper_pid()}


def gate(t, program):
    """A path of this tenement, which is to be started yet: while there is a file, what PROGRAM forks
    stands still before it does anything; see tests/fixtures/gate.c."""
    library = build_folder() / "tests" / "gate.so"
    if not library.exists():
        pytest.skip("no gate.so here: sanitizers want to be the first library")
    folder = t.root / "gate"
    folder.mkdir()
    t.env = {"LD_PRELOAD": str(library), "TENEMENT_GATE": str(folder)}
    return folder / program
