"""isolation = "sandbox", by gVisor and natively: real programs in it, what they cannot do, and their end."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile

import pytest

from harness import process_alive, processes_of, wait_until

ROOT = os.geteuid() == 0
RUNSC = shutil.which("runsc")
KINDS = [pytest.param("native"),
         pytest.param("gvisor", marks=pytest.mark.skipif(not RUNSC, reason="runsc is not installed"))]
needs_gvisor = pytest.mark.skipif(not RUNSC, reason="runsc is not installed")
needs_root = pytest.mark.skipif(not ROOT, reason="uids need root")

# Does what it is asked: Python on a socket or a port, with a database in its folder.
PYTHON = r"""
import http.server, io, json, os, signal, socket, socketserver, sqlite3, sys, traceback, contextlib

class Handler(http.server.BaseHTTPRequestHandler):
    def address_string(self):
        return "-"
    def log_message(self, *a):
        pass
    def answer(self, body, status=200):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        with contextlib.closing(sqlite3.connect(os.environ["DATA_DIR"] + "/count.db")) as db, db:
            db.execute("create table if not exists visits (path text)")
            db.execute("insert into visits values (?)", (self.path,))
            count = db.execute("select count(*) from visits").fetchone()[0]
        self.answer(f"visit {count}".encode())
    def do_POST(self):
        code = self.rfile.read(int(self.headers["Content-Length"])).decode()
        names = {}
        try:
            exec(code, names)
            told = names.get("told")
        except OSError as error:
            told = {"errno": error.errno}
        except Exception:
            told = {"trouble": traceback.format_exc()}
        self.answer(json.dumps(told).encode())

def end(*_):
    print("asked to end", flush=True)
    os._exit(0)

signal.signal(signal.SIGTERM, end)
print("it begins", flush=True)
if os.environ.get("BY") == "port":
    server = http.server.ThreadingHTTPServer((os.environ.get("ADDRESS", "127.0.0.1"), int(os.environ["PORT"])), Handler)
else:
    class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
        daemon_threads = True
        request_queue_size = 64
    server = Server(os.environ["SOCKET_PATH"], Handler)
server.serve_forever()
"""

NODE = """
const fs = require("fs");
require("http").createServer((request, response) => {
    fs.writeFileSync(process.env.DATA_DIR + "/node.txt", "written");
    fs.readFile(process.env.DATA_DIR + "/node.txt", (error, text) => response.end("node " + (error || text)));
}).listen(process.env.SOCKET_PATH);
"""

GO = """
package main

import ("net"; "net/http"; "os"; "os/exec")

func main() {
	listener, err := net.Listen("unix", os.Getenv("SOCKET_PATH"))
	if err != nil { panic(err) }
	http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := os.WriteFile(os.Getenv("DATA_DIR") + "/go.txt", []byte("x"), 0600); err != nil { panic(err) }
		out, err := exec.Command("/bin/echo", "go").Output()
		if err != nil { panic(err) }
		w.Write(out)
	}))
}
"""


@pytest.fixture
def make(tenement):
    def making(kind, command="/usr/bin/python3 app.py", tenants=("alice",), start=True, settings=None, **keys):
        t = tenement(start=False, settings=settings)
        (t.apps / "app.py").write_text(PYTHON)
        (t.apps / "app.js").write_text(NODE)
        sandbox = {"sandbox": kind} if kind else {}
        t.write("box.toml", t.service("box", **{"command": command, "isolation": "sandbox", **sandbox,
                                                "startup_timeout": 30, **keys}))
        for tenant in tenants:
            t.write(f"box-{tenant}.toml", t.tenant("box"))
        return t.start() if start else t
    return making


def tell(t, key, code):
    """What CODE, run inside, left in `told`."""
    answer = t.post(key, body=code.encode())
    assert answer.status == 200, answer
    told = answer.json()
    assert not (isinstance(told, dict) and "trouble" in told), told["trouble"]
    return told


def status(t):
    return t.ten_json("status")


def state_of(t, key):
    one = t.instance(key)
    return f"{one and (one['state'], one['reason'])}\n{t.ten('logs', key, status=None).stdout}\n{t.said()}"


def first(t, key, text):
    answer = t.get(key, timeout=60)
    assert answer.status == 200, state_of(t, key)
    assert text in answer.text, answer
    return answer


# Real programs

@pytest.mark.parametrize("kind", KINDS)
def test_python_serves_with_a_database(make, kind):
    t = make(kind)
    first(t, "box:alice", "visit 1")
    assert t.get("box:alice").text == "visit 2"
    database = t.data_dir / "box" / "alice" / "count.db"
    wait_until(database.exists)
    wait_until(lambda: "it begins" in t.ten("logs", "box:alice").stdout)
    if ROOT:
        assert database.stat().st_uid == t.instance("box:alice")["uid"] != 0


@pytest.mark.parametrize("kind", KINDS)
def test_python_serves_on_its_port(make, kind):
    t = make(kind, env={"BY": "port"})
    first(t, "box:alice", "visit 1")


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_network_the_socket_works(make, kind):
    t = make(kind, network="none")
    first(t, "box:alice", "visit 1")
    told = tell(t, "box:alice", f"""
import socket
socket.create_connection(("127.0.0.1", {t.port}), 3)
told = "reached"
""")
    assert told == {"errno": 111}


@needs_root
@pytest.mark.parametrize("kind", KINDS)
def test_a_network_of_its_own(make, kind):
    t = make(kind, network="private", env={"BY": "port", "ADDRESS": "0.0.0.0"})
    first(t, "box:alice", "visit 1")
    told = tell(t, "box:alice", f"""
import socket
socket.create_connection(("127.0.0.1", {t.port}), 3)
told = "reached"
""")
    assert told == {"errno": 111}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")
def test_node_serves(make, kind):
    first(make(kind, f"{shutil.which('node')} app.js"), "box:alice", "node written")


@pytest.fixture(scope="module")
def go_program(tmp_path_factory):
    if not shutil.which("go"):
        pytest.skip("go is not installed")
    work = tmp_path_factory.mktemp("go")
    (work / "app.go").write_text(GO)
    subprocess.run(["go", "build", "-o", "goapp", "app.go"], cwd=work, check=True,
                   env={**os.environ, "GOCACHE": str(work / "cache"), "HOME": str(work), "GOFLAGS": "-mod=mod"})
    return work / "goapp"


@pytest.mark.parametrize("kind", KINDS)
def test_go_serves(make, kind, go_program):
    t = make(kind, "./goapp", start=False)
    shutil.copy(go_program, t.apps)
    os.chmod(t.apps / "goapp", 0o755)
    first(t.start(), "box:alice", "go")


@pytest.mark.parametrize("kind", KINDS)
def test_c_serves(make, kind):
    first(make(kind, "./tiny"), "box:alice", "")


# What is kept from them

CALLS = """
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *words):
    return ctypes.get_errno() if libc.syscall(number, *words) < 0 else 0
zero = ctypes.create_string_buffer(256)
told = {
    "ptrace": call(101, 0, 0, 0, 0), "mount": call(165, b"none", b"/tmp", b"tmpfs", 0, None),
    "bpf": call(321, 0, zero, 100), "keyctl": call(250, 0, -3, 0), "add_key": call(248, b"user", b"a", b"b", 1, -3),
    "userfaultfd": call(323, 0), "perf_event_open": call(298, zero, 0, -1, -1, 0),
    "kexec_load": call(246, 0, 0, 0, 0), "init_module": call(175, zero, 1, b""), "reboot": call(169, 0, 0, 0, 0),
    "swapon": call(167, b"/", 0), "setns": call(308, 0, 0), "unshare": call(272, 0x10000000),
    "pivot_root": call(155, b"/", b"/"), "open_by_handle_at": call(304, 0, zero, 0), "chroot": call(161, b"/"),
    "io_uring_setup": call(425, 1, zero), "clone_newuser": call(56, 0x10000011, 0, 0, 0, 0),
    "personality": call(135, 0x40000), "packet": call(41, 17, 3, 0), "alg": call(41, 38, 5, 0),
    "tiocsti": call(16, 0, 0x5412, zero),
}
"""


def test_native_refuses_system_calls(make):
    t = make("native")
    told = tell(t, "box:alice", CALLS)
    others = {"io_uring_setup": 38, "packet": 97, "alg": 97}
    for name, error in told.items():
        assert error == others.get(name, 1), (name, error)


def test_exec_into_native_is_confined(make):
    """By the same system calls, files and ports as the tenant's own process."""
    t = make("native")
    first(t, "box:alice", "visit 1")
    tries = CALLS + """
import json, os, socket
def attempt(what, *words):
    try:
        what(*words)
        return 0
    except OSError as error:
        return error.errno
def bind(port):
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(("127.0.0.1", port))
told["elsewhere"] = attempt(os.listdir, "/var")
told["port"] = attempt(bind, 0)
told["own"] = attempt(open, os.environ["DATA_DIR"] + "/by-exec", "w")
told["confined"] = [line.split()[1] for line in open("/proc/self/status") if line.startswith("Seccomp:")]
print(json.dumps(told))
"""
    done = t.ten("exec", "box:alice", "--", "/usr/bin/python3", "-c", tries, status=None)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told == {**tell(t, "box:alice", CALLS), "elsewhere": 13, "port": 13, "own": 0, "confined": ["2"]}
    assert (t.data_dir / "box" / "alice" / "by-exec").exists()


def test_a_link_where_it_is_run_from_gives_nothing(make):
    """To be run from a folder gives the right to read it, and what a tenant's own leads to is its own choice."""
    t = make("native", start=False)
    t.write("box.toml", t.service("box", command=f"/usr/bin/python3 {t.apps}/app.py", isolation="sandbox", sandbox="native",
                                  startup_timeout=30, workdir="{dir}/here", read_only_paths=[str(t.apps)]))
    folder = t.data_dir / "box" / "alice"
    t.start()
    t.get("box:alice", timeout=60)  # there is no such folder
    (folder / "here").symlink_to("/var")
    assert t.ten("restart", "box:alice", status=None).returncode == 0, state_of(t, "box:alice")
    assert tell(t, "box:alice", """
import os
try:
    told = os.listdir("/var")
except OSError as error:
    told = error.errno
""") == 13


@pytest.mark.parametrize("kind", KINDS)
def test_files_outside_of_its_own_cannot_be_had(make, kind):
    t = make(kind, tenants=("alice", "bob"), start=False)
    secret = t.root / "elsewhere"
    secret.mkdir()
    (secret / "file").write_text("not for tenants")
    t.start()
    first(t, "box:bob", "visit 1")
    told = tell(t, "box:alice", f"""
import os
def attempt(what, *words):
    try:
        what(*words)
        return 0
    except OSError as error:
        return error.errno
told = {{
    "bob": attempt(os.listdir, {str(t.data_dir / 'box' / 'bob')!r}),
    "folders": attempt(os.stat, {str(t.data_dir / 'box' / 'bob' / 'count.db')!r}),
    "conf": attempt(open, {str(t.conf_dir / 'box.toml')!r}),
    "main": attempt(lambda: open({str(t.root / 'tenement.toml')!r}).read(1) or os.stat("/nothing")),
    "control": attempt(os.stat, {str(t.runtime_dir / 'control.sock')!r}),
    "sockets": attempt(os.stat, {str(t.runtime_dir / 'sockets' / 'box:bob')!r}),
    "bundles": attempt(os.stat, {str(t.runtime_dir / 'sandboxes' / 'box:alice')!r}),
    "accepted": attempt(os.listdir, {str(t.data_dir / '.tenement')!r}),
    "elsewhere": attempt(open, {str(secret / 'file')!r}),
    "write_etc": attempt(open, "/etc/of-a-tenant", "w"),
    "write_app": attempt(open, {str(t.apps / 'app.py')!r}, "a"),
    "write_usr": attempt(os.mkdir, "/usr/of-a-tenant"),
    "disk": attempt(os.mknod, os.environ["DATA_DIR"] + "/disk", 0o60600, os.makedev(8, 0)),
    "own": attempt(lambda: open(os.environ["DATA_DIR"] + "/own", "w").write("x")),
    "tmp": attempt(lambda: open("/tmp/own", "w").write("x")),
    "shadow": attempt(open, "/etc/shadow"),
}}
""")
    fine = {name for name, error in told.items() if error == 0}
    assert fine == {"own", "tmp"}, told
    assert (t.data_dir / "box" / "alice" / "own").read_text() == "x"
    assert not pathlib.Path("/tmp/own").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_it_sees_what_it_is_shown(make, kind):
    t = make(kind, start=False)
    for name in ("shown", "written", "source"):
        (t.root / name).mkdir()
        (t.root / name / "file").write_text(name)
        os.chmod(t.root / name, 0o777)
    (t.apps / "point").mkdir()
    service = t.service("box", command="/usr/bin/python3 app.py", isolation="sandbox", sandbox=kind,
                        read_only_paths=[str(t.root / "shown")], read_write_paths=[str(t.root / "written")],
                        hide_paths=["/etc/ssl"], startup_timeout=30)
    t.write("box.toml", service + f'[[service.box.mounts]]\nsource = "{t.root}/source"\n'
                                  f'destination = "{t.apps}/point"\n')
    t.start()
    told = tell(t, "box:alice", f"""
import os
told = [open("{t.root}/shown/file").read(), open("{t.apps}/point/file").read(), os.listdir("/etc/ssl")]
open("{t.root}/written/new", "w").write("x")
for path in ("{t.root}/shown/new", "{t.apps}/point/new"):
    try:
        open(path, "w")
        told.append("written")
    except OSError as error:
        told.append(error.errno)
""")
    assert told[:2] == ["shown", "source"]
    assert (told[2] == [] or told[2] == {"errno": 13}) and all(error in (13, 30) for error in told[3:]), told
    assert (t.root / "written" / "new").read_text() == "x"


@pytest.mark.parametrize("kind", KINDS)
def test_a_link_shows_nothing_that_is_kept(make, kind):
    t = make(kind, start=False, settings={"max_restarts": 0})
    (t.root / "link").symlink_to(t.conf_dir)
    t.write("box.toml", t.service("box", command="/usr/bin/python3 app.py", isolation="sandbox", sandbox=kind,
                                  read_only_paths=[str(t.root / "link")]))
    t.start()
    assert t.get("box:alice").status in (503, 504)
    assert "kept from tenants" in t.instance("box:alice")["reason"]


@pytest.mark.skipif(not shutil.which("busybox"), reason="busybox-static is not installed")
def test_native_in_a_root_of_its_own(make):
    # Not below our own folders: what would show those is refused.
    root = pathlib.Path(tempfile.mkdtemp(prefix="tenement-root-"))
    try:
        os.chmod(root, 0o755)
        for folder in ("bin", "www"):
            (root / folder).mkdir()
        shutil.copy(shutil.which("busybox"), root / "bin" / "httpd")
        (root / "www" / "index.html").write_text("from the root\n")
        before = sorted(str(path) for path in root.rglob("*"))
        t = make("native", "/bin/httpd -f -p 127.0.0.1:{port} -h /www", rootfs=str(root), workdir="/www")
        first(t, "box:alice", "from the root")
        t.stop()
        assert sorted(str(path) for path in root.rglob("*")) == before
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest.mark.parametrize("kind", KINDS)
def test_processes_outside_cannot_be_seen(make, kind):
    t = make(kind)
    told = tell(t, "box:alice", f"""
import os
pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
told = {{"pids": pids, "self": os.getpid(), "cap": [line for line in open("/proc/self/status") if "CapEff" in line]}}
try:
    os.kill({os.getpid()}, 0)
    told["kill"] = 0
except OSError as error:
    told["kill"] = error.errno
""")
    assert max(told["pids"]) < 1000 and told["self"] in told["pids"] and len(told["pids"]) < 8, told
    assert told["kill"] == 3
    assert int(told["cap"][0].split()[1], 16) == 0


def test_native_binds_its_own_port_alone(make):
    t = make("native")
    told = tell(t, "box:alice", """
import os, socket
def bind(port):
    with socket.socket() as sock:
        try:
            sock.bind(("127.0.0.1", port))
            return 0
        except OSError as error:
            return error.errno
told = [bind(int(os.environ["PORT"])), bind(int(os.environ["PORT"]) + 1), bind(0)]
""")
    assert told == [0, 13, 13]


def test_native_reaches_no_abstract_socket_of_the_machine(make):
    t = make("native")
    with socket.socket(socket.AF_UNIX) as outside:
        outside.bind(f"\0tenement-test-{os.getpid()}")
        outside.listen()
        told = tell(t, "box:alice", f"""
import socket
with socket.socket(socket.AF_UNIX) as sock:
    sock.connect("\\0tenement-test-{os.getpid()}")
told = "connected"
""")
    assert told == {"errno": 1}


@needs_gvisor
def test_gvisor_is_another_kernel(make):
    t = make("gvisor")
    told = tell(t, "box:alice", """
import os
told = {"release": os.uname().release, "version": open("/proc/version").read(), "uid": os.getuid(),
        "name": os.uname().nodename}
""")
    assert told["release"] != os.uname().release
    assert told["uid"] == 0 and told["name"] == "alice"
    for pid in processes_of(str(t.root)):
        if b"runsc" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes() and ROOT:
            assert os.stat(f"/proc/{pid}").st_uid != 0


@needs_gvisor
def test_auto_is_gvisor_where_it_is_installed(make):
    t = make(None)
    assert tell(t, "box:alice", "import os; told = os.uname().release") != os.uname().release


# Its life

def runsc_processes():
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if b"runsc" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(int(pid))
        except OSError:
            pass
    return found


def ours(t):
    return [pid for pid in runsc_processes()
            if str(t.runtime_dir).encode() in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()]


def nothing_left(t):
    wait_until(lambda: not ours(t), what="no process of gVisor")
    wait_until(lambda: not list((t.runtime_dir / "sandboxes").glob("*")), what="no bundle")


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_asked_to_end(make, kind):
    t = make(kind)
    first(t, "box:alice", "visit 1")
    t.ten("stop", "box:alice")
    wait_until(lambda: "asked to end" in t.ten("logs", "box:alice").stdout)
    assert not (t.runtime_dir / "sandboxes" / "box:alice").exists()
    wait_until(lambda: not ours(t))


@pytest.mark.parametrize("kind", KINDS)
def test_how_it_ended_is_told(make, kind):
    t = make(kind, restart="never")
    first(t, "box:alice", "visit 1")
    with pytest.raises(Exception):
        tell(t, "box:alice", "import os; os._exit(7)")
    one = wait_until(lambda: (lambda i: i if i["state"] != "ready" else None)(t.instance("box:alice")))
    assert "7" in (one["reason"] or "") or "status 7" in t.said(), (one, t.said())


@needs_gvisor
@pytest.mark.parametrize("victim", ["tenement-init", "tenement-sandbox", "runsc-sandbox", "runsc-gofer"])
def test_nothing_of_gvisor_outlives_a_kill(make, victim):
    t = make("gvisor", settings={"backoff_base_ms": 100})
    first(t, "box:alice", "visit 1")
    before = ours(t)
    assert before
    if victim == "tenement-init":
        pid = t.instance("box:alice")["pid"]
    else:
        pid = next(pid for pid in list(processes_of(str(t.root))) + before
                   if pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].endswith(victim.encode()))
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not any(process_alive(pid) for pid in before), what="the old ones are gone")
    t.wait_ok("box:alice", timeout=40)
    t.ten("stop", "box:alice")
    nothing_left(t)


def said_by_a_new_daemon(t):
    try:
        one = t.instance("box:alice")
    except OSError:
        return None
    return one if one and one["state"] == "ready" else None


@needs_gvisor
def test_gvisor_goes_on_under_a_new_daemon(make):
    t = make("gvisor")
    first(t, "box:alice", "visit 1")
    pid = t.instance("box:alice")["pid"]
    os.kill(t.pid_of("tenementd"), signal.SIGKILL)
    one = wait_until(lambda: said_by_a_new_daemon(t))
    assert one["pid"] == pid
    assert (t.runtime_dir / "sandboxes" / "box:alice").exists()
    assert t.get("box:alice").text.startswith("visit")
    t.ten("stop", "box:alice")
    nothing_left(t)


@needs_gvisor
@needs_root
def test_gvisor_writes_no_secret_to_a_disk(make, tmp_path):
    """The bundle has the environment; as for credentials, that has to be on a tmpfs."""
    secret = pathlib.Path("/etc") / f"tenement-test-{os.getpid()}.env"
    t = make("gvisor", start=False, env_file=[str(secret)])
    kind = subprocess.run(["stat", "-f", "-c", "%T", t.root], capture_output=True, text=True, check=True).stdout
    if kind.strip() == "tmpfs":
        pytest.skip("the test's folder is on a tmpfs")
    secret.touch(mode=0o600)
    secret.write_text("TOKEN=hunter2\n")
    try:
        t.start()
        t.get("box:alice")
        wait_until(lambda: "not on a tmpfs" in (t.instance("box:alice")["reason"] or ""), what="a reason")
        assert "hunter2" not in "".join(path.read_text(errors="replace") for path in t.runtime_dir.rglob("*")
                                        if path.is_file())
    finally:
        secret.unlink()


@needs_gvisor
def test_what_gvisor_left_is_swept_at_the_start(make):
    t = make("gvisor", start=False)
    stale = t.runtime_dir / "sandboxes" / "box:gone" / "state"
    stale.mkdir(parents=True)
    (stale / "x.state").write_text("{}")
    (stale.parent / "config.json").write_text("{}")
    (stale.parent / "link").symlink_to(t.apps)
    os.chmod(t.runtime_dir, 0o711)
    t.start()
    wait_until(lambda: not stale.parent.exists())
    assert (t.apps / "app.py").exists()


@needs_gvisor
def test_a_frozen_sandbox_thaws(make):
    t = make("gvisor", sleep=[{"after": 1, "to": "frozen"}])
    first(t, "box:alice", "visit 1")
    t.wait_state("box:alice", "frozen")
    assert t.get("box:alice").text == "visit 2"


@needs_gvisor
def test_without_control_groups_gvisor_is_not_frozen(make):
    """A stopped process group would leave its kernel running, which is in a session of its own."""
    t = make("gvisor", settings={"cgroups": "none"}, sleep=[{"after": 1, "to": "frozen"}])
    first(t, "box:alice", "visit 1")
    wait_until(lambda: "gVisor can be frozen by a control group alone" in t.said())
    t.wait_state("box:alice", "ready")
    assert t.get("box:alice").text == "visit 2"
    t.ten("stop", "box:alice")
    nothing_left(t)


@needs_root
@pytest.mark.parametrize("kind", KINDS)
def test_its_memory_is_limited(make, kind):
    t = make(kind, memory_limit_mb=160, settings={"backoff_base_ms": 100})
    if any("memory_limit_mb" in line for line in status(t)["problems"]):
        pytest.skip("memory cannot be limited here")
    first(t, "box:alice", "visit 1")
    with contextlib.suppress(Exception):  # (502, or no answer)
        tell(t, "box:alice", "a = [b'x' * (1 << 20) for i in range(600)]; told = len(a)")
    wait_until(lambda: "out of memory (limit 160 MiB)" in t.said(), what="out of memory")
    t.wait_ok("box:alice", timeout=40)


@needs_gvisor
@needs_root
def test_the_bundle_is_its_own_alone(make):
    t = make("gvisor", env={"PASSWORD": "hunter2"})
    first(t, "box:alice", "visit 1")
    folder = t.runtime_dir / "sandboxes" / "box:alice"
    uid = t.instance("box:alice")["uid"]
    assert (folder.stat().st_mode & 0o777, folder.stat().st_uid) == (0o700, uid)
    assert ((folder / "config.json").stat().st_mode & 0o777, (folder / "config.json").stat().st_uid) == (0o600, uid)
    assert "hunter2" in (folder / "config.json").read_text()
    for pid in ours(t) + [t.instance("box:alice")["pid"]]:
        assert b"hunter2" not in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        assert b"hunter2" not in pathlib.Path(f"/proc/{pid}/environ").read_bytes()
    t.ten("stop", "box:alice")
    assert not folder.exists()


# What does not go

def test_without_gvisor_both_ways_out_are_said(make):
    t = make(None, start=False)
    if not RUNSC:
        t.start()
    else:
        if not ROOT:
            pytest.skip("hiding runsc needs root")
        hidden = pathlib.Path(RUNSC).resolve()
        (t.root / "no-runsc").write_text("")
        programs = t.own_programs()
        (programs / "ten").rename(programs / "ten.real")
        (programs / "ten").write_text(f'#!/bin/sh\ncase $1 in serve) exec unshare -m sh -c \'mount --make-rprivate /; '
                                      f'mount --bind {t.root}/no-runsc {hidden}; exec {programs}/ten.real "$@"\' ten "$@";; '
                                      f'*) exec {programs}/ten.real "$@";; esac\n')
        os.chmod(programs / "ten", 0o755)
        t.start()
    problems = " ".join(status(t)["problems"])
    assert "install runsc" in problems and 'sandbox = "native"' in problems, problems
    assert t.get("box:alice").status == 404
    t.write("box.toml", t.service("box", command="/usr/bin/python3 app.py", isolation="sandbox", sandbox="native"))
    t.wait_ok("box:alice")


@pytest.mark.parametrize("keys, said", [
    ({"isolation": "namespace", "sandbox": "native"}, 'sandbox has no effect without isolation = "sandbox"'),
    ({"sandbox": "gvisor", "ready": "notify"}, 'ready = "notify" does not reach'),
    ({"sandbox": "gvisor", "socket_activation": True}, "gVisor takes no socket"),
    ({"sandbox": "gvisor", "rootfs": "/srv"}, "rootfs cannot be had in gVisor"),
])
def test_what_does_not_go_together_is_refused(make, keys, said):
    t = make("native", **keys) if "sandbox" not in keys else make(None, **keys)
    assert any(said in problem for problem in status(t)["problems"]), status(t)["problems"]


@pytest.mark.parametrize("keys", [
    {"mode": "notifies", "ready": "notify"},
    {"mode": "tiny", "socket_activation": True}])
def test_native_takes_sockets_and_notifies(tenement, keys):
    t = tenement(start=False)
    mode = keys["mode"]
    more = {name: value for name, value in keys.items() if name != "mode"}
    t.write("box.toml", t.service("box", mode, **{"isolation": "sandbox", "sandbox": "native", **more}))
    t.write("box-alice.toml", t.tenant("box"))
    t.start()
    t.wait_ok("box:alice")
