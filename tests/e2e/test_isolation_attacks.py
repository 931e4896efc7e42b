"""Every row of the tables in tenement-isolation(7) is tried, from inside a tenant of each level.

The tables are the expectation: a cell says with which errno (or how) the attempt named by its row ends, and
a row without an attempt here, or an attempt without a row, fails. What tries is tests/fixtures/attacker.
The machine's root tries the first table, a plain user the second.
"""

import contextlib
import ctypes
import os
import pathlib
import pty
import re
import shutil
import socket
import subprocess

import pytest

from daemon_rig import ROOT, status
from harness import SOURCE, Tenement, build_program, children_of, process_alive, processes_of, wait_until

PAGE = SOURCE / "tenement" / "man" / "tenement-isolation.7"
LEVELS = ("process", "namespace", "native", "gvisor")
SECRET = "the secret of alice"
QUOTA_MB = 16
TMP_MB = 256  # of a tenant without memory_limit_mb
ABSENT = ("ENOSYS", "EAFNOSUPPORT", "ENOENT")
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


def read_tables():
    """The two tables: {row: {level: cell}} for a daemon that is root, and for a plain user's."""
    tables = []
    for text in re.findall(r"^\.TS\n.*?\.\n(.*?)^\.TE$", PAGE.read_text(), re.M | re.S):
        rows = [line.split("\t") for line in text.splitlines() if "\t" in line]
        if rows[0][0] == "attempt":
            tables.append({row[0]: dict(zip(LEVELS, row[2:])) for row in rows[1:]})
    return tables


TABLES = read_tables()
TABLE = TABLES[0 if ROOT else 1]


class World:
    """A tenement with a neighbour, good:alice, and the attacker, bad:mallory, at LEVEL."""

    def __init__(self, level):
        self.level = level
        self.t = t = Tenement(settings={"backoff_base_ms": 100, "backoff_max_ms": 500, "max_restarts": 100,
                                        "log_max_kb": 64, "port_range": "23000-23999"})
        shutil.copy(build_program("tests/attacker"), t.apps / "attack")
        # (among what is shown to it)
        self.shared = t.apps / "shared"
        self.shared.write_text("anybody may write this\n")
        self.shared.chmod(0o666)
        self.credential = t.root / "credential"
        self.credential.write_text(SECRET)
        self.credential.chmod(0o600)
        keys = {"isolation": level if level in ("process", "namespace") else "sandbox"}
        if level in ("native", "gvisor"):
            keys["sandbox"] = level
        command = {"command": f"{t.apps}/attack", **keys, "stop_timeout": 1,
                   "startup_timeout": 20 if level == "gvisor" else 3}
        t.write("good.toml", t.service("good", env={"SECRET": SECRET}, **command))
        t.write("good-alice.toml", t.tenant("good", state="running"))
        # (what a sandbox's own kernel needs counts as well)
        self.most = {"memory": 600, "processes": 900} if level == "gvisor" else {"memory": 300, "processes": 300}
        limits = {"memory_limit_mb": self.most["memory"] - 150, "swap_limit_mb": 0,
                  "pids_limit": self.most["processes"] - 200} if ROOT else {}
        t.write("bad.toml", t.service("bad", **command, **limits, storage_quota_mb=QUOTA_MB,
                                      log_to=["store", "files"]))
        t.write("bad-mallory.toml", t.tenant("bad", state="running"))
        # Of whom the daemon is to be told when it is ready, and who never says it.
        t.write("late.toml", t.service("late", command=f"{t.apps}/attack", isolation="process", ready="notify",
                                       startup_timeout=3600, stop_timeout=1))
        t.write("late-carol.toml", t.tenant("late", state="running"))
        t.start()
        self.host = socket.create_server(("127.0.0.1", 0))
        self.abstract = socket.socket(socket.AF_UNIX)
        self.abstract.bind(f"\0tenement-neighbour-{t.port}")
        self.abstract.listen(5)
        self.terminal, self.terminal_end = pty.openpty()

    def begin(self):
        """Wait for both; why not, when this machine does not have the level."""
        t = self.t

        def known():
            lacks = [one for one in status(t)["problems"] if re.search("isolation|sandbox|_limit", one)]
            if lacks:
                return lacks[0]
            return all((t.instance(key) or {}).get("state") == "ready" for key in ("good:alice", "bad:mallory"))
        why = wait_until(known, 30, what=f"tenants at level {self.level}")
        if why is not True:
            return why
        self.alice, self.mallory = t.instance("good:alice"), t.instance("bad:mallory")
        self.folder = t.data_dir / "good" / "alice"
        self.own_folder = t.data_dir / "bad" / "mallory"
        (self.folder / "secret").write_text(SECRET)
        (self.folder / "secret").chmod(0o600)
        os.chown(self.folder / "secret", *self.owner(self.folder))
        wait_until(lambda: any((t.data_dir / ".tenement" / "logs").iterdir()), what="what they say at first")
        return None

    @staticmethod
    def owner(path):
        return path.stat().st_uid, path.stat().st_gid

    def end(self):
        for one in (self.host, self.abstract):
            one.close()
        for fd in (self.terminal, self.terminal_end):
            os.close(fd)
        self.t.close()

    @staticmethod
    def query(name, parameters):
        return f"/{name}?" + "&".join(f"{key}={value}" for key, value in parameters.items())

    def attack(self, name, **parameters):
        """What the attacker answers."""
        answer = self.t.get("bad:mallory", self.query(name, parameters))
        assert answer.status == 200, answer
        return answer.text.strip()

    def bare(self, name, **parameters):
        """What the same attempt gives a process outside that has no rights."""
        words = [str(self.t.apps / "attack"), name, *(f"{key}={value}" for key, value in parameters.items())]
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(bare_folder(self.t))
            done = subprocess.run([*(NOBODY if ROOT else ()), *words], capture_output=True, text=True, check=False,
                                  timeout=60, cwd="/", env={"DATA_DIR": str(folder), "TENANT_ID": "nobody"})
        return done.stdout.strip()

    def neighbour(self, name, **parameters):
        return self.t.wait_ok("good:alice", self.query(name, parameters)).text.strip()


@contextlib.contextmanager
def bare_folder(t):
    folder = t.root / "bare"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o777)
    yield folder


ATTEMPTS = {}


def attempt(row, does=None, **parameters):
    """Register the attempt of a row: DOES by the attacker, with PARAMETERS made from the world."""
    def make(world):
        return does, {key: value(world) if callable(value) else value for key, value in parameters.items()}
    ATTEMPTS[row] = lambda world: (lambda name, given: world.attack(name, **given))(*make(world))
    ATTEMPTS[row].does = does
    ATTEMPTS[row].bare = lambda world: (lambda name, given: world.bare(name, **given))(*make(world))


def own_attempt(row):
    """Register a function that tries by itself."""
    def register(function):
        ATTEMPTS[row] = function
        return function
    return register


def alices_pid(world):
    return world.alice["pid"]


def daemons_pid(world):
    return world.t.pid_of("tenementd")


def workers_pid(world):
    return world.t.pid_of("tenement-proxy")


def keepers_pid(world):
    return world.t.keeper_pid()


def proc(pid, name):
    return lambda world: f"/proc/{pid(world)}/{name}"


# Files
attempt("read-file", "read", path=lambda w: w.folder / "secret")
attempt("list-folder", "list", path=lambda w: w.folder)
attempt("make-file", "make", path=lambda w: w.folder / "of-mallory")
attempt("follow-link", "follow-link", path=lambda w: w.folder / "secret")
attempt("list-tenants", "list", path=lambda w: w.t.data_dir / "good")
attempt("read-state", "list", path=lambda w: w.t.data_dir / ".tenement" / "accepted")
attempt("read-logs", "list", path=lambda w: w.t.data_dir / ".tenement" / "logs")
attempt("read-runtime", "list", path=lambda w: w.t.runtime_dir / "instances")
attempt("read-conf", "read", path=lambda w: w.t.conf_dir / "good.toml")
attempt("read-main", "read", path=lambda w: w.t.root / "tenement.toml")
attempt("read-credential", "read", path=lambda w: w.credential)
attempt("list-home", "list", path="/root")
attempt("look-at-init", "list", path="/proc/1/fd")
attempt("read-shadow", "read", path="/etc/shadow")
attempt("read-shadow-as-root", "read-as-root", path="/etc/shadow")
attempt("read-secret-as-root", "read-as-root", path=lambda w: w.folder / "secret")
attempt("read-tmp", "read", path=lambda w: w.tmp_file)
attempt("write-shared", "write", path=lambda w: w.shared)
attempt("write-system", "write", path="/etc/passwd")
attempt("read-kernel-memory", "read", path="/proc/kcore")
attempt("read-disk", "read", path=lambda w: w.disk)
attempt("write-sysctl", "write", path="/proc/sys/kernel/core_pattern")
attempt("write-sysrq", "write", path="/proc/sysrq-trigger")
attempt("write-sys", "write", path="/sys/kernel/mm/transparent_hugepage/enabled")
attempt("raise-own-limits", "raise-own-limits")
attempt("make-device", "make-device")
attempt("by-handle", "by-handle", path=lambda w: w.own_folder)
attempt("setuid-program", "setuid-program", path=lambda w: w.setuid_program)
attempt("inherited-descriptors", "inherited-descriptors")
# Processes
attempt("list-processes", "list-processes")
attempt("read-environ", "read", path=proc(alices_pid, "environ"))
attempt("read-command-line", "read", path=proc(alices_pid, "cmdline"))
attempt("look-by-root", "list", path=proc(alices_pid, "root"))
attempt("look-by-cwd", "list", path=proc(alices_pid, "cwd"))
attempt("steal-descriptor", "steal-descriptor", pid=alices_pid)
attempt("write-table", "steal-descriptor", pid=workers_pid)
attempt("steal-of-keeper", "steal-descriptor", pid=keepers_pid)
attempt("take-descriptor", "take-descriptor", pid=keepers_pid)
attempt("signal", "signal", pid=alices_pid)
attempt("signal-group", "signal-group", pid=alices_pid)
attempt("signal-daemon", "signal", pid=daemons_pid)
attempt("trace", "trace", pid=alices_pid)
attempt("trace-daemon", "trace", pid=daemons_pid)
attempt("trace-init", "trace", pid=1)
attempt("read-memory", "read-memory", pid=alices_pid)
attempt("raise-priority", "raise-priority")
attempt("be-realtime", "be-realtime")
attempt("raise-limit", "raise-limit")
# Sockets
attempt("connect-socket", "connect-socket", path=lambda w: w.alice["socket"], say="/signals-seen")
attempt("connect-port", "connect-port", port=lambda w: w.alice["port"], say="/signals-seen")
attempt("connect-port-ipv6", "connect-port", address="::1", port=lambda w: w.alice["port"], say="/signals-seen")
attempt("connect-control", "connect-socket", path=lambda w: w.t.runtime_dir / "control.sock", say="/api/status")
attempt("connect-abstract", "connect-abstract", socket=lambda w: f"tenement-neighbour-{w.t.port}")
attempt("connect-host", "connect-port", port=lambda w: w.host.getsockname()[1])
attempt("list-sockets", "find", path="/proc/net/unix", what=lambda w: w.alice["socket"])
attempt("bind-low-port", "bind-low-port")
attempt("raw-socket", "raw-socket")
attempt("packet-socket", "packet-socket")
attempt("crypto-socket", "crypto-socket")
attempt("type-into-terminal", "type-into-terminal", path=lambda w: os.ttyname(w.terminal_end))
# Mounts, namespaces, rights
for same in ("mount", "mount-bind", "remount-writable", "clone-tree", "chroot", "pivot-root", "new-mount-namespace",
             "new-user-namespace", "mount-in-user-namespace", "raise-capability", "become-root",
             "become-roots-group", "join-groups", "forget-no-new-privs"):
    attempt(same, same)
attempt("unmount", "unmount", path="/proc")
attempt("uncover", "unmount-in-user-namespace", path=lambda w: w.t.data_dir)
attempt("write-in-user-namespace", "remount-in-user-namespace", path="/")
attempt("join-namespace", "join-namespace", pid=daemons_pid)
# The kernel
for same in ("load-module", "unload-module", "restart-machine", "load-kernel", "swap-on", "set-clock",
             "set-host-name", "read-kernel-log", "use-ports", "load-bpf", "open-perf-event", "add-key",
             "make-io-uring", "make-userfaultfd", "change-personality"):
    attempt(same, same)
# More than its share
attempt("fill-descriptors", "fill-descriptors", most=5000)
attempt("dump-core", "dump-core")
attempt("fill-folder-names", "fill-names", path=lambda w: w.own_folder, most=2000)


def speak_by_link(world, target):
    """What a request to the attacker's own name gets when its socket leads to TARGET."""
    said = world.attack("replace-socket", path=target)
    if said != "done":
        return said
    try:
        answer = world.t.get("bad:mallory", "/api/status")
        return "done" if answer.status == 200 else str(answer.status)
    finally:
        world.t.ten("restart", "bad:mallory")
        world.t.wait_ok("bad:mallory")


@own_attempt("link-to-control")
def link_to_control(world):
    return speak_by_link(world, world.t.runtime_dir / "control.sock")


@own_attempt("link-to-neighbour")
def link_to_neighbour(world):
    return speak_by_link(world, world.alice["socket"])


@own_attempt("signal-all")
def signal_all(world):
    before = world.neighbour("signals-seen")
    said = world.attack("signal-all")
    return "done" if world.neighbour("signals-seen") != before else "unheard" if said == "done" else said


def join(world, what):
    """Of a neighbour, by a key that is open to all."""
    key = {"key": world.t.port}
    made = world.neighbour(f"make-{what}", **key)
    assert made == "done" or world.level != "process"
    try:
        return world.attack(f"join-{what}", **key)
    finally:
        world.neighbour(f"drop-{what}", **key)


@own_attempt("join-memory")
def join_memory(world):
    return join(world, "memory")


@own_attempt("join-queue")
def join_queue(world):
    return join(world, "queue")


@own_attempt("forge-ready")
def forge_ready(world):
    """As another tenant that begins; the daemon has heard it when the sender is held awake by it."""
    t = world.t
    carol = wait_until(lambda: (lambda one: one and one["state"] == "starting" and one)(t.instance("late:carol")),
                       what="one that begins")

    def heard():
        said = world.attack("forge-ready", path=t.runtime_dir / "notify.d" / "socket", pid=carol["pid"])
        if said.startswith("done"):
            assert said == "done", "the kernel let it be another"
            why = t.control("GET", "/api/instances/bad:mallory/why").json()
            return said if "EXTEND_TIMEOUT_USEC" in str(why["kept_awake_by"]) else None
        return said
    # (again, since nobody knows whose it was when the sender has ended)
    said = wait_until(heard, what="the datagram")
    if said != "done":
        return said
    return "unheard" if t.instance("late:carol")["state"] == "starting" else "done"


def fill(world, what):
    """The attempt is killed, or all of the tenant."""
    answer = world.t.get("bad:mallory", world.query(f"fill-{what}", {"most": world.most[what]}))
    if answer.status != 200:
        world.t.wait_ok("bad:mallory")
        return "killed"
    return "killed" if answer.text.strip() == "SIGKILL" else answer.text.strip()


@own_attempt("fill-processes")
def fill_processes(world):
    return fill(world, "processes")


@own_attempt("fill-memory")
def fill_memory(world):
    return fill(world, "memory")


@own_attempt("fill-log")
def fill_log(world):
    """1 MiB into a log of 64 KiB, and what it takes on disk."""
    assert world.attack("fill-log", most=1).startswith("done")
    folder = world.t.data_dir / ".tenement" / "logs"
    size = sum(path.stat().st_size for path in folder.rglob("*mallory*") if path.is_file())
    return "bounded" if 0 < size <= 128 * 1024 else f"done {size}"


def fill_tmp_with(world, does, most):
    """Into /tmp: it ends at a bound of that, or at the tenant's memory."""
    answer = world.t.get("bad:mallory", world.query(does, {"path": "/tmp", "most": most}))
    if answer.status != 200:
        world.t.wait_ok("bad:mallory")
        return "bounded"
    said = answer.text.strip()
    return "bounded" if said.split()[0] in ("SIGKILL", "ENOSPC", "ENOMEM") else said


@own_attempt("fill-tmp")
def fill_tmp(world):
    most = 32 if world.level == "process" else world.most["memory"] if ROOT else TMP_MB + 50
    return fill_tmp_with(world, "fill-folder", most)


@own_attempt("fill-tmp-names")
def fill_tmp_names(world):
    # (the memory of a sandbox's own kernel is the tenant's)
    return fill_tmp_with(world, "fill-names", 140000 if world.level in ("namespace", "native") else 1000)


@own_attempt("fill-folder")
def fill_folder(world):
    """The kernel refuses it, or the daemon tells of it."""
    said = world.attack("fill-folder", path=world.own_folder, most=QUOTA_MB + 4, keep=1)
    try:
        if not said.startswith("done"):
            return "bounded" if said.split()[0] in ("EDQUOT", "ENOSPC") else said
        # (a changed quota is looked at at once)
        world.t.write("bad-mallory.toml", world.t.tenant("bad", state="running", storage_quota_mb=QUOTA_MB + 1))
        wait_until(lambda: world.t.control("GET", "/api/instances/bad:mallory/storage").json()["level"] == "full",
                   30, what="that it is full")
        return "bounded"
    finally:
        with contextlib.suppress(OSError):
            (world.own_folder / "filling").unlink()


def of_mallory(world):
    """{pid: name} of the processes that belong to the attacker."""
    uid, found = world.own_folder.stat().st_uid, {}
    if world.level == "gvisor":
        candidates = below(world.t.instance("bad:mallory")["pid"])
    else:
        candidates = [int(name) for name in os.listdir("/proc") if name.isdigit()] if ROOT else processes_of(
            str(world.own_folder))
    for pid in candidates:
        with contextlib.suppress(OSError):
            if (world.level == "gvisor" or os.stat(f"/proc/{pid}").st_uid == uid) and process_alive(pid):
                found[pid] = pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    return found


def below(pid):
    return [pid, *(one for child in children_of(pid) for one in below(child))]


@own_attempt("outlive")
def outlive(world):
    """A process in a session of its own that ignores all it can, after the tenant was stopped."""
    assert world.attack("outlive") == "done"
    # (the processes of a sandbox are its kernel's alone)
    mine = wait_until(lambda: (lambda found: ("outliving" in found.values() or world.level == "gvisor") and found)(
        of_mallory(world)), what="the process that is to outlive")
    world.t.ten("stop", "bad:mallory")
    try:
        wait_until(lambda: not any(process_alive(pid) for pid in mine), 5)
        return "killed"
    except AssertionError:
        return "done"
    finally:
        world.t.ten("start", "bad:mallory")


def word(said, does=None):
    """What a cell would say."""
    if said == "done" and does in ("read", "list", "read-as-root"):
        return "empty"  # it is there, and nothing is in it
    return {"done": "open"}.get(said.split()[0], said.split()[0])


class Worlds:
    """One world per level, begun when it is asked for."""

    def __init__(self):
        self.known = {}

    def __call__(self, level):
        if level not in self.known:
            world = World(level)
            self.known[level] = (world, "it did not begin")
            world.tmp_file = pathlib.Path(f"/tmp/tenement-neighbour-{world.t.port}")
            world.tmp_file.write_text("of a neighbour")
            world.tmp_file.chmod(0o644)
            world.disk = next((path for path in ("/dev/vda", "/dev/sda", "/dev/nvme0n1", "/dev/loop0")
                               if os.path.exists(path)), "/dev/mem")
            world.setuid_program = world.t.apps / "setuid"
            shutil.copy(build_program("tests/attacker"), world.setuid_program)
            world.setuid_program.chmod(0o4755)
            self.known[level] = (world, world.begin())
        return self.known[level]

    def end(self):
        for world, _ in self.known.values():
            with contextlib.suppress(OSError, AttributeError):
                world.tmp_file.unlink()
            world.end()


@pytest.fixture(scope="module")
def worlds():
    all_worlds = Worlds()
    yield all_worlds
    all_worlds.end()


def landlock_version():
    return ctypes.CDLL(None).syscall(444, 0, 0, 1)  # landlock_create_ruleset(..., VERSION)


def open_ports(world):
    """What the daemon says where it cannot close ports."""
    return next((one for one in status(world.t)["warnings"] if "connect to the ports of tenants" in one), None)


def test_each_row_has_its_attempt():
    """And each attempt its row, in both tables."""
    for table in TABLES:
        assert set(table) == set(ATTEMPTS)
        assert all(set(cells) == set(LEVELS) for cells in table.values())
    assert len(TABLES) == 2


@pytest.mark.parametrize("row", TABLE)
@pytest.mark.parametrize("level", LEVELS)
def test_attack(worlds, level, row):
    expected = TABLE[row][level]
    world, why = worlds(level)
    if expected == "refused":
        assert why, "the level is given"
        return
    if why:
        pytest.skip(why)
    if (row, level) == ("connect-abstract", "native") and landlock_version() < 6:
        pytest.skip("this kernel's Landlock knows nothing of abstract sockets")
    if row.startswith("connect-port") and expected != "open" and open_ports(world):
        pytest.skip(open_ports(world))
    tried = ATTEMPTS[row]
    said = tried(world)
    got = word(said, does=getattr(tried, "does", None))
    if expected == "as any":
        bare = tried.bare(world)
        assert got == word(bare), f"{said}; a process outside: {bare}"
    elif got != expected and hasattr(tried, "bare") and got in ABSENT and word(tried.bare(world)) == got:
        pytest.skip(f"this machine has no such thing: {got}")
    else:
        # (a sandbox's own kernel may give what is its own)
        assert got == expected or (got, expected, level) == ("open", "inside", "gvisor"), said
