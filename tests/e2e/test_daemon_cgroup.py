"""Every process of a tenant is in a control group of its own, and nothing of it outlives that."""

import os
import pathlib
import signal

import pytest

from daemon_rig import ROOT, kill, kill_daemon, pids, wait_gone
from harness import children_of, process_alive, wait_until

# A server that leaves a child in a session of its own, without a trace of its tenant in it: neither a
# uid (it runs as root) nor the environment says whose it is.
ESCAPES = """\
import os, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execve("/bin/sleep", ["sleep", "1000"], {})
    os._exit(0)
os.wait()
os.execv(sys.argv[1], sys.argv[1:])
"""

LAYERS = ["v2", "v1"]


def hierarchy(layer):
    """Where our own group of the hierarchy is, or None."""
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        left, right = line.split(" - ")
        kind, _, options = right.split()
        if kind == "cgroup2" and layer == "v2" or \
                kind == "cgroup" and layer == "v1" and "freezer" in options.split(","):
            return pathlib.Path(left.split()[4])
    return None


@pytest.fixture(params=LAYERS)
def layer(request):
    folder = hierarchy(request.param)
    if not ROOT or folder is None:
        pytest.skip(f"needs root and control groups {request.param}")
    return request.param


def groups(t, layer):
    """The groups of tenants of T: {name: pids}."""
    shown = t.control("GET", "/api/status").json()["cgroups"]
    assert shown.startswith(f"version {layer[1]} ("), shown
    base = pathlib.Path(shown.split("(")[1].rstrip(")"))
    return {one.name: [int(pid) for pid in (one / "cgroup.procs").read_text().split()]
            for one in base.iterdir() if one.is_dir()}


def group_of(t, layer, key):
    """(name, pids) of the one group of KEY."""
    found = [(name, inside) for name, inside in groups(t, layer).items()
             if name.rsplit(".", 1)[0] == key]
    assert len(found) == 1, found
    return found[0]


@pytest.fixture
def escapes(tenement):
    def make(layer, **keys):
        t = tenement(start=False, settings={"cgroups": layer, "backoff_base_ms": 50})
        (t.apps / "escapes.py").write_text(ESCAPES)
        t.write("e.toml", t.service("e", user="0", stop_timeout=1, **keys)
                .replace("python3 app.py echo", "python3 escapes.py ./tiny"))
        t.write("e-a.toml", t.tenant("e"))
        t.start()
        t.wait_ok("e:a")
        return t
    return make


def test_all_processes_of_a_tenant_are_in_one_group(escapes, layer):
    t = escapes(layer)
    first = pids(t)["e:a"]
    _, inside = group_of(t, layer, "e:a")
    assert first in inside and len(inside) == 2, inside
    # Ours are in none of them.
    assert not set(inside) & {t.keeper_pid(), t.pid_of("tenementd"), t.pid_of("tenement-proxy")}
    assert "control groups" in t.ten("status").stdout
    memory = t.instance("e:a")["memory_bytes"]
    assert 256 << 10 < memory < 256 << 20
    assert "MiB" in t.ten("status", "e:a").stdout


def test_what_a_tenant_uses_is_counted(escapes, layer):
    t = escapes(layer)
    used = t.instance("e:a")["usage"]
    assert used["pids"] >= 2 and used["cpu_usec"] > 0, used
    assert used["io_read_bytes"] >= 0 and used["io_written_bytes"] >= 0, used


def test_what_a_tenant_without_a_group_uses_is_summed_up(tenement):
    t = tenement(start=False, settings={"cgroups": "none"})
    t.write("tiny.toml", t.service("tiny", "tiny"))
    t.write("tiny-a.toml", t.tenant("tiny"))
    t.start()
    t.wait_ok("tiny:a")
    shown = t.instance("tiny:a")
    assert shown["usage"]["pids"] == 1 and "cpu_usec" in shown["usage"]
    assert 256 << 10 < shown["memory_bytes"] < 256 << 20


def test_what_hid_itself_ends_with_its_tenant(escapes, layer):
    t = escapes(layer)
    _, inside = group_of(t, layer, "e:a")
    t.ten("stop", "e:a")
    wait_gone(*inside)
    wait_until(lambda: not groups(t, layer), what="no group")


def test_what_hid_itself_ends_when_its_tenant_dies(escapes, layer):
    t = escapes(layer)
    name, inside = group_of(t, layer, "e:a")
    kill(pids(t)["e:a"])
    wait_gone(*inside)
    wait_until(lambda: name not in groups(t, layer), what="the end of its group")
    t.wait_ok("e:a")
    again, others = group_of(t, layer, "e:a")
    assert again != name and not set(inside) & set(others)


def test_a_group_is_taken_over(escapes, layer):
    t = escapes(layer)
    before = group_of(t, layer, "e:a")
    for _ in range(3):
        kill_daemon(t)
    assert group_of(t, layer, "e:a") == before
    assert t.get("e:a").status == 200
    t.ten("stop", "e:a")
    wait_gone(*before[1])


def test_nothing_is_left_of_a_keeper_that_was_killed(escapes, layer):
    t = escapes(layer)
    _, inside = group_of(t, layer, "e:a")
    ours = [pid for pid, name in children_of(t.keeper_pid()).items() if name.startswith("tenement")]
    t.serve.send_signal(signal.SIGSTOP)
    for pid in [*ours, t.keeper_pid()]:  # the daemon with it, or it would see to this
        kill(pid)
    t.serve.wait()
    t.serve = None
    wait_gone(*ours)
    hidden = [pid for pid in inside if process_alive(pid)]
    assert hidden, "who hid itself went on, and is found at the next start"
    t.start()
    wait_gone(*inside)
    wait_until(lambda: not groups(t, layer), what="no group")
    t.wait_ok("e:a")


def test_an_end_leaves_no_folder(escapes, layer):
    t = escapes(layer)
    _, inside = group_of(t, layer, "e:a")
    base = t.control("GET", "/api/status").json()["cgroups"].split("(")[1].rstrip(")")
    assert os.path.isdir(base)
    t.stop()
    assert not os.path.exists(base)
    assert not [pid for pid in inside if process_alive(pid)]


def test_without_groups_a_tenant_runs_as_ever(tenement):
    t = tenement(start=False, settings={"cgroups": "none"})
    t.write("tiny.toml", t.service("tiny", "tiny"))
    t.write("tiny-a.toml", t.tenant("tiny"))
    t.start()
    t.wait_ok("tiny:a")
    shown = t.control("GET", "/api/status").json()["cgroups"]
    assert shown == 'none, process groups (cgroups = "none")'
    pid = pids(t)["tiny:a"]
    t.ten("stop", "tiny:a")
    wait_gone(pid)


def test_a_group_that_cannot_be_made_is_no_outage(escapes, layer):
    t = escapes(layer)
    base = t.control("GET", "/api/status").json()["cgroups"].split("(")[1].rstrip(")")
    t.ten("stop", "e:a")
    wait_until(lambda: not groups(t, layer), what="no group")
    os.rmdir(base)  # somebody tidied up
    assert t.get("e:a").status == 200
    assert "no control group" in t.said()
    hidden = [pid for pid, name in children_of(t.keeper_pid()).items() if name == "sleep"]
    t.ten("stop", "e:a")
    for pid in hidden:
        kill(pid)  # nobody can know whose it was: that is what groups are for
