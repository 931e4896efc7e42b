"""Six tenants of one service whose template is changed, for the tests of roll-outs."""

import contextlib
import re
import threading

import pytest

from daemon_rig import status
from harness import wait_until

COUNT = 6
KEYS = [f"echo:t{i}" for i in range(COUNT)]


@pytest.fixture
def six(tenement):
    """Six tenants of one service that run; make(...) takes settings and keys of the service."""
    def make(mode="echo", settings=None, state="running", **keys):
        t = tenement(start=False, settings={"backoff_base_ms": 50, **(settings or {})})
        t.write("echo.toml", t.service("echo", mode, env={"VERSION": "1"}, **keys))
        for key in KEYS:
            t.write(f"{key.replace(':', '-')}.toml", t.tenant("echo", state=state))
        t.start()
        if state == "running":
            wait_until(lambda: status(t)["tenants"]["ready"] == COUNT, 40, what="all of them running")
        return t
    return make


def change(t, version, mode="echo", **keys):
    t.write("echo.toml", t.service("echo", mode, env={"VERSION": str(version)}, **keys))


def version_of(t, key):
    answer = t.get(key)
    return answer.json()["env"]["VERSION"] if answer.status == 200 else None


def wait_versions(t, version, keys=KEYS):
    for key in keys:
        wait_until(lambda key=key: version_of(t, key) == str(version), 60, what=f"{key} on {version}")


def pids_of_records(t):
    """As pids(), when there is no daemon that could be asked."""
    return {note.name: int(note.read_text().split()[1])
            for note in (t.runtime_dir / "instances").iterdir()}


def wait_halted(t):
    return wait_until(lambda: status(t)["halted"], 60, what="a halted roll-out")[0]


def halted_at(said):
    return re.search(r"halted at (echo:t\d)", said).group(1)


def wait_quiet(t):
    """Everybody is where they will stay."""
    wait_until(lambda: status(t)["converged"], 60, what="convergence")


def wait_over(t):
    """Nobody runs by an earlier template: nothing of the roll-out is left on disk."""
    folder = t.data_dir / ".tenement" / "rollouts"
    wait_until(lambda: not list(folder.iterdir()), 60, what="the end of the roll-out")


@contextlib.contextmanager
def watched(t):
    """The sets of tenants that were down at the same time, as it is told while it goes on."""
    seen, over = [], threading.Event()

    def look():
        while not over.is_set():
            with contextlib.suppress(OSError, ValueError):
                seen.append({key for key, one in t.instances().items() if one["state"] != "ready"})
    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join(30)
