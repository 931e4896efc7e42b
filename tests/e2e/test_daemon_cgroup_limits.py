"""What a tenant may use of memory, processors, processes and the disk, as version 1 of control groups
bounds it (version 2: tests/vm)."""

import os
import pathlib
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from daemon_rig import ROOT, kill, kill_daemon, pids
from harness import children_of, process_alive, wait_until

MIB = 1 << 20
CONTROLLERS = ["memory", "cpu", "pids", "blkio"]


def folder_of(controller):
    """Our own group in the hierarchy of CONTROLLER, or None."""
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        left, right = line.split(" - ")
        kind, _, options = right.split()
        if kind != "cgroup" or controller not in options.split(","):
            continue
        for group in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
            _, names, path = group.split(":", 2)
            if controller in names.split(","):
                return pathlib.Path(left.split()[4] + path.rstrip("/"))
    return None


pytestmark = pytest.mark.skipif(
    not ROOT or not all(folder_of(one) for one in CONTROLLERS),
    reason=f"needs root and control groups of version 1 with {', '.join(CONTROLLERS)}")


@pytest.fixture(params=["auto", "v1"])
def layer(request):
    return request.param


class Eater:
    """A `ten serve` with the tenant eat:a."""

    def __init__(self, t, layer):
        self.t = t
        t.settings.update({"cgroups": layer, "backoff_base_ms": 50})

    def declare(self, env=None, **keys):
        text = self.t.service("eat", env=env, stop_timeout=1, **keys)
        self.t.write("eat.toml", text.replace("app.py echo", "eater.py"))
        self.t.write("eat-a.toml", self.t.tenant("eat"))

    def start(self, **keys):
        self.declare(**keys)
        self.t.start()
        self.t.wait_ok("eat:a")
        return self

    def get(self, path, status=200):
        """(POST, or it would be sent again when it ended the tenant.)"""
        answer = self.t.post("eat:a", path)
        assert answer.status == status, answer
        return answer.json() if status == 200 else answer

    def base(self):
        shown = self.t.control("GET", "/api/status").json()["cgroups"]
        return pathlib.Path(shown.split("(")[1].rstrip(")"))

    def group(self, controller):
        """The folder of its group among those of CONTROLLER."""
        folder = folder_of(controller) / self.base().name
        return wait_until(lambda: found[0] if len(found := list(folder.glob("eat:a.*"))) == 1 else None,
                          what="its one group")

    def read(self, file):
        text = (self.group(file.split(".")[0]) / file).read_text().strip()
        return int(text) if re.fullmatch("-?[0-9]+", text) else text

    def wait_file(self, file, value):
        wait_until(lambda: self.read(file) == value, what=f"{file} to be {value}, it is {self.read(file)}")


@pytest.fixture
def eater(tenement):
    return lambda layer="auto": Eater(tenement(start=False), layer)


def metric(t, name, service="eat", tenant="a"):
    found = re.search(rf'^{name}{{service="{service}",id="{tenant}"}} (\d+)$',
                      t.control("GET", "/metrics").text, re.M)
    return int(found[1]) if found else 0


def disk_of(t):
    number = os.stat(t.data_dir).st_dev
    name = f"{os.major(number)}:{os.minor(number)}"
    part = pathlib.Path(f"/sys/dev/block/{name}")
    return (part.resolve().parent / "dev").read_text().strip() if (part / "partition").exists() else name


def test_all_limits_are_in_force_and_change_while_it_runs(eater, layer):
    e = eater(layer).start(memory_limit_mb=64, cpu_shares=200, cpu_limit=0.5, pids_limit=50,
                           io_max_mb_per_second=5, swap_limit_mb=16)
    pid = pids(e.t)["eat:a"]
    for controller in CONTROLLERS:
        assert str(pid) in (e.group(controller) / "cgroup.procs").read_text().split()
    assert e.read("memory.limit_in_bytes") == 64 * MIB
    assert e.read("memory.memsw.limit_in_bytes") == 80 * MIB
    assert e.read("cpu.shares") == 2048 and e.read("cpu.cfs_quota_us") == 50000
    assert e.read("pids.max") == 50
    disk = disk_of(e.t)
    assert e.read("blkio.throttle.read_bps_device") == f"{disk} {5 * MIB}"
    assert e.read("blkio.throttle.write_bps_device") == f"{disk} {5 * MIB}"

    e.declare(memory_limit_mb=128, cpu_shares=50, cpu_limit=2, pids_limit=60, io_max_mb_per_second=7,
              swap_limit_mb=0)
    e.wait_file("pids.max", 60)
    assert e.read("memory.limit_in_bytes") == e.read("memory.memsw.limit_in_bytes") == 128 * MIB
    assert e.read("cpu.shares") == 512 and e.read("cpu.cfs_quota_us") == 200000
    assert e.read("blkio.throttle.write_bps_device") == f"{disk} {7 * MIB}"

    e.declare()  # the defaults
    e.wait_file("pids.max", "max")
    assert e.read("memory.limit_in_bytes") == 256 * MIB and e.read("memory.memsw.limit_in_bytes") > 1 << 60
    assert e.read("cpu.shares") == 1024 and e.read("cpu.cfs_quota_us") == -1
    assert e.read("blkio.throttle.write_bps_device") == ""
    assert pids(e.t)["eat:a"] == pid, "nothing of it restarted the tenant"


def test_who_wants_more_memory_is_told_apart_from_who_crashed(eater, layer):
    e = eater(layer).start(memory_limit_mb=48)
    kill(pids(e.t)["eat:a"])
    wait_until(lambda: "killed by signal 9 (Killed); next try" in e.t.said(), what="the crash to be told")
    e.t.wait_ok("eat:a")
    assert metric(e.t, "tenement_instance_oom_kills_total") == 0 and "out of memory" not in e.t.said()
    e.get("/eat?mb=200", status=502)
    wait_until(lambda: "-> backoff: out of memory (limit 48 MiB); next try" in e.t.said(), what="the reason")
    e.t.wait_ok("eat:a")
    assert metric(e.t, "tenement_instance_oom_kills_total") == 1
    assert e.t.instance("eat:a")["oom_kills"] == 1
    assert re.search(r"out of memory +1$", e.t.ten("status", "eat:a").stdout, re.M)
    # ... and the log says it once.
    assert e.t.said().count("the kernel killed 1 of its processes") == 1


def test_who_is_given_up_for_memory_says_so(eater):
    e = eater()
    e.t.settings["max_restarts"] = 0
    e.start(memory_limit_mb=48)
    e.get("/eat?mb=200", status=502)
    e.t.wait_state("eat:a", "failed")
    assert e.t.instance("eat:a")["reason"].startswith("out of memory (limit 48 MiB)")
    assert "out of memory (limit 48 MiB)" in e.t.ten("status", "eat:a").stdout


def test_who_is_given_up_for_a_limit_is_tried_again_when_that_is_raised(eater):
    e = eater()
    e.t.settings["max_restarts"] = 0
    e.start(memory_limit_mb=48, failed_cooldown=3600)
    e.get("/eat?mb=200", status=502)
    e.t.wait_state("eat:a", "failed")
    e.declare(memory_limit_mb=400, failed_cooldown=3600)
    e.t.wait_ok("eat:a")
    e.get("/eat?mb=200")


def test_a_tenant_with_no_room_for_its_first_processes_says_so(eater):
    e = eater()
    e.t.settings["max_restarts"] = 0
    e.declare(pids_limit=1, isolation="namespace")
    e.t.start()
    if any("namespace" in line for line in e.t.control("GET", "/api/status").json()["degraded"]):
        pytest.skip("no namespaces here")
    e.t.get("eat:a")
    assert "is pids_limit too small?" in e.t.wait_state("eat:a", "failed")["reason"]


def test_a_tenant_outlives_a_child_that_wanted_more_memory(eater, layer):
    e = eater(layer).start(memory_limit_mb=48)
    pid = pids(e.t)["eat:a"]
    assert e.get("/child?mb=200") == signal.SIGKILL
    wait_until(lambda: e.t.instance("eat:a")["oom_kills"] == 1, what="the kill to be counted")
    assert "eat:a: out of memory (limit 48 MiB): the kernel killed 1 of its processes" in e.t.said()
    assert e.get("/") == pid == pids(e.t)["eat:a"]
    # A daemon that comes back does not tell of it again.
    kill_daemon(e.t)
    e.get("/")
    assert metric(e.t, "tenement_instance_oom_kills_total") == 0
    kill(pid)
    wait_until(lambda: "killed by signal 9 (Killed); next try" in e.t.said(), what="the crash to be told")


def test_no_more_processes_than_allowed(eater, layer):
    e = eater(layer).start(pids_limit=20)
    assert 5 <= e.get("/fork?count=60") < 20
    e.declare(pids_limit=40)
    e.wait_file("pids.max", 40)
    assert 20 <= e.get("/fork?count=60") < 40


def throttled(e):
    return int(re.search(r"^nr_throttled (\d+)$", e.read("cpu.stat"), re.M)[1])


def test_no_more_of_the_processor_than_allowed(eater, layer):
    e = eater(layer).start(cpu_limit=0.1)
    e.get("/burn?seconds=0.3")  # what it had saved up
    assert e.get("/burn?seconds=2") < 0.5
    assert throttled(e) > 0
    e.declare()
    e.wait_file("cpu.cfs_quota_us", -1)
    before = throttled(e)
    e.get("/burn?seconds=1")
    assert throttled(e) == before, "(how much it has now is a matter of what else runs)"


def test_a_boost_ends_when_it_is_ready(eater, layer):
    e = eater(layer)
    gate = e.t.root / "gate"
    e.declare(env={"GATE": str(gate)}, cpu_limit=0.5, cpu_shares=300, startup_cpu_boost=4)
    e.t.start()
    e.t.control("POST", "/api/instances/eat:a/start", body={"timeout": 1})
    e.t.wait_state("eat:a", "starting")
    wait_until(lambda: list((folder_of("cpu") / e.base().name).glob("eat:a.*")), what="its group")
    assert e.read("cpu.cfs_quota_us") == 200000 and e.read("cpu.shares") == 12288
    kill_daemon(e.t)
    assert e.read("cpu.cfs_quota_us") == 200000
    gate.touch()
    e.t.wait_state("eat:a", "ready")
    e.wait_file("cpu.cfs_quota_us", 50000)
    assert e.read("cpu.shares") == 3072


def test_less_memory_than_is_in_use_is_waited_for(eater, layer):
    e = eater(layer).start(memory_limit_mb=256)
    pid = e.get("/")
    assert e.get("/eat?mb=80") == 80
    e.declare(memory_limit_mb=40)
    wait_until(lambda: e.t.instance("eat:a")["limits_problem"], what="the problem to be told")
    assert re.search(r"not in force yet: memory_limit_mb: .* \(it uses [0-9]+ MiB of memory\)",
                     e.t.ten("status", "eat:a").stdout)
    assert e.get("/free") == 0 and e.get("/") == pid
    e.wait_file("memory.limit_in_bytes", 40 * MIB)
    wait_until(lambda: not e.t.instance("eat:a")["limits_problem"], what="no problem")
    assert pids(e.t)["eat:a"] == pid


def test_limits_are_in_force_on_who_is_taken_over(eater, layer):
    e = eater(layer).start(memory_limit_mb=64, pids_limit=30)
    pid = pids(e.t)["eat:a"]
    os.kill(e.t.pid_of("tenementd"), signal.SIGSTOP)
    e.declare(memory_limit_mb=96, pids_limit=40)
    kill_daemon(e.t)
    e.wait_file("pids.max", 40)
    e.wait_file("memory.limit_in_bytes", 96 * MIB)
    assert pids(e.t)["eat:a"] == pid
    (e.group("pids") / "pids.max").write_text("7")  # somebody's hand
    kill_daemon(e.t)
    e.wait_file("pids.max", 40)


def test_an_end_leaves_no_folder_in_any_hierarchy(eater, layer):
    e = eater(layer).start(memory_limit_mb=64)
    name = e.base().name
    assert all((folder_of(one) / name).is_dir() for one in CONTROLLERS)
    e.t.ten("stop", "eat:a")
    wait_until(lambda: not any(list((folder_of(one) / name).glob("eat:a.*")) for one in CONTROLLERS), what="no group")
    e.t.stop()
    assert not [one for one in CONTROLLERS + ["freezer", "cpuacct"] if folder_of(one) and (folder_of(one) / name).exists()]


def test_shares_are_shares(eater):
    e = eater()
    e.t.write("few.toml", e.t.service("few", cpu_shares=10).replace("app.py echo", "eater.py"))
    e.t.write("few-a.toml", e.t.tenant("few"))
    e.start(cpu_shares=1000)
    e.t.wait_ok("few:a")
    # Both on one processor, whatever else runs here.
    for key in ("few:a", "eat:a"):
        for thread in os.listdir(f"/proc/{pids(e.t)[key]}/task"):
            os.sched_setaffinity(int(thread), {0})
    until = time.monotonic() + 3
    with ThreadPoolExecutor() as pool:
        had = list(pool.map(lambda key: e.t.get(key, f"/burn?until={until}").json(), ["few:a", "eat:a"]))
    assert had[1] > 4 * had[0], had


@pytest.mark.parametrize("key, value", [("memory_limit_mb", 64), ("cpu_limit", 0.5), ("pids_limit", 20),
                                        ("io_max_mb_per_second", 5), ("swap_limit_mb", 0),
                                        ("startup_cpu_boost", 2), ("io_weight", 50)])
def test_who_asks_for_a_limit_never_runs_without(eater, key, value):
    e = eater("none")
    e.t.write("tiny.toml", e.t.service("tiny", "tiny"))
    e.t.write("tiny-a.toml", e.t.tenant("tiny"))
    e.declare(**{key: value})
    e.t.start()
    e.t.wait_ok("tiny:a")  # by default it is only said
    assert "memory_limit_mb = 256 cannot be given: no control groups" in e.t.ten("status").stdout.replace("\n", " ")
    assert e.t.get("eat:a").status == 404
    said = e.t.ten("check", status=None)
    assert re.search(rf'{key} = .* cannot be given: no control groups: cgroups = "none"',
                     e.t.ten("status").stdout + said.stdout + said.stderr + e.t.said())


@pytest.mark.parametrize("keys", [{"pids_limit": 20}, {"memory_limit_mb": 256}])  # (the default, written out)
def test_who_asks_for_a_limit_does_not_start_without_a_group(eater, layer, keys):
    e = eater(layer).start(**keys)
    base = e.base()
    e.t.ten("stop", "eat:a")
    wait_until(lambda: not [one for one in base.iterdir() if one.is_dir()], what="no group")
    os.rmdir(base)  # somebody tidied up
    assert e.t.get("eat:a").status in (502, 503)
    wait_until(lambda: "it has no control group, and so none of the limits that it asks for" in e.t.said(),
               what="the reason")


def test_who_runs_without_a_group_says_which_limits_wait(eater, layer):
    e = eater(layer).start()
    base = e.base()
    e.t.ten("stop", "eat:a")
    wait_until(lambda: not [one for one in base.iterdir() if one.is_dir()], what="no group")
    os.rmdir(base)
    e.t.wait_ok("eat:a")
    assert e.t.instance("eat:a")["limits_problem"] is None
    for keys in ({"memory_limit_mb": 256}, {"pids_limit": 20}):
        e.declare(**keys)
        wait_until(lambda: e.t.instance("eat:a")["limits_problem"], what="the problem to be told")
        assert "not in force: it has no control group" in e.t.ten("status", "eat:a").stdout
        e.declare()
        wait_until(lambda: not e.t.instance("eat:a")["limits_problem"], what="nothing to be asked for")


def test_what_was_killed_while_no_daemon_looked_is_counted(eater, layer):
    e = eater(layer).start(memory_limit_mb=48)
    os.kill(e.t.pid_of("tenementd"), signal.SIGSTOP)
    assert e.get("/child?mb=200") == signal.SIGKILL
    kill_daemon(e.t)
    wait_until(lambda: e.t.instance("eat:a")["oom_kills"] == 1, what="the kill to be counted")
    wait_until(lambda: "\noom 1\n" in (e.t.runtime_dir / "instances/eat:a").read_text(), what="its record")
    kill_daemon(e.t)
    e.get("/")
    assert e.t.instance("eat:a")["oom_kills"] == 0


def test_in_namespaces_it_is_told_apart_as_well(eater):
    e = eater().start(memory_limit_mb=48, pids_limit=40, isolation="namespace")
    if any("namespace" in line for line in e.t.control("GET", "/api/status").json()["degraded"]):
        pytest.skip("no namespaces here")
    assert str(pids(e.t)["eat:a"]) in (e.group("memory") / "cgroup.procs").read_text().split()
    assert e.get("/fork?count=60") < 40
    e.get("/eat?mb=200", status=502)
    wait_until(lambda: "-> backoff: out of memory (limit 48 MiB); next try" in e.t.said(), what="the reason")


def test_nothing_is_left_of_a_keeper_that_was_killed(eater, layer):
    e = eater(layer).start(pids_limit=20)
    old = pids(e.t)["eat:a"]
    ours = [pid for pid, name in children_of(e.t.keeper_pid()).items() if name.startswith("tenement")]
    e.t.serve.send_signal(signal.SIGSTOP)
    for pid in [*ours, e.t.keeper_pid()]:
        kill(pid)
    e.t.serve.wait()
    e.t.serve = None
    e.t.start()
    e.t.wait_ok("eat:a")
    for controller in CONTROLLERS:
        assert str(pids(e.t)["eat:a"]) in (e.group(controller) / "cgroup.procs").read_text().split()
    assert not process_alive(old)


def test_a_start_that_fails_leaves_no_folder(eater, tenement, layer):
    e = eater(layer).start()
    name = e.base().name
    e.t.stop()
    e.t.port = tenement().port  # another has it
    e.t.start(wait=False)
    assert e.t.serve.wait(timeout=20) != 0
    e.t.serve = None
    assert "already in use" in e.t.said()
    assert not [one for one in [*CONTROLLERS, "freezer"] if (folder_of(one) / name).exists()]
