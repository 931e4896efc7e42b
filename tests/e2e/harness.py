"""A whole tenement in a folder of its own, for tests from the outside.

    def test_something(tenement):
        t = tenement()                                  # ten serve, healthy, with no tenant
        t.write("echo.toml", t.service("echo"))
        t.write("echo-alice.toml", t.tenant("echo"))
        t.wait_ok("echo:alice")
        assert t.get("echo:alice", "/x").json()["target"] == "/x"

Programs are taken from $TENEMENT_BUILD (default: build/ beside tests/). Nothing here sleeps for a fact:
wait_until() looks until it is there, or fails.
"""

import contextlib
import ctypes
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pytest

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parent.parent
FIXTURES = SOURCE / "tests" / "fixtures"
PROGRAMS = ("ten", "tenement-keeper", "tenementd", "tenement-proxy", "tenement-logger", "tenement-tracer", "tenement-init",
            "tenement-sandbox")
# Sanitizers and busy machines are slow; a deadline is for what will never come.
SLOWNESS = float(os.environ.get("TENEMENT_TEST_SLOWNESS", "1"))
# Where nothing else is said: many tests compare the pid that an app sees to the one that it has.
ISOLATION = os.environ.get("TENEMENT_TEST_ISOLATION", "process")
real_pids = pytest.mark.skipif(ISOLATION != "process", reason="compares pids that an app sees")
REPORTS = ("AddressSanitizer", "LeakSanitizer", "UndefinedBehaviorSanitizer", "runtime error:",
           "Assertion `", "ended (signal 11)", "ended (signal 6)", "ended (status 1)")

_copied_programs = None  # a TemporaryDirectory


machine_network = None  # a descriptor of the network that conftest.py has left; None: we are in it


def into_machine_network():
    """As preexec_fn of a process that has to reach what the machine reaches."""
    if machine_network is not None:
        ctypes.CDLL(None).setns(machine_network, 0)


def wait_until(check, timeout=20, what=None, every=0.01):
    """The first true value of check(), which may raise AssertionError or OSError meanwhile."""
    deadline = time.monotonic() + timeout * SLOWNESS
    trouble = None
    while True:
        try:
            value = check()
            if value:
                return value
            trouble = None
        except (AssertionError, OSError, http.client.HTTPException) as error:
            trouble = error
        if time.monotonic() > deadline:
            message = f"waited {timeout * SLOWNESS:.0f} s in vain for {what or check}"
            raise AssertionError(message) from trouble
        time.sleep(every)


def reachable_for_others(path):
    """Whether a tenant with a uid of its own can get at PATH."""
    path = pathlib.Path(path).resolve()
    return all(folder.stat().st_mode & 0o001 for folder in path.parents)


def build_folder():
    """Where the programs are; as root in a place that tenants and proxy workers can reach, too."""
    global _copied_programs
    build = pathlib.Path(os.environ.get("TENEMENT_BUILD", SOURCE / "build")).resolve()
    if os.geteuid() != 0 or reachable_for_others(build / "ten"):
        return build
    if not _copied_programs:
        _copied_programs = tempfile.TemporaryDirectory(prefix="tenement-programs-")
        os.chmod(_copied_programs.name, 0o755)
        for program in PROGRAMS:
            if (build / program).exists():
                shutil.copy(build / program, _copied_programs.name)
        if (build / "tests").is_dir():
            os.mkdir(f"{_copied_programs.name}/tests")
            for program in (build / "tests").iterdir():
                if program.is_file() and os.access(program, os.X_OK):
                    shutil.copy(program, f"{_copied_programs.name}/tests")
    return pathlib.Path(_copied_programs.name)


def build_program(name):
    program = build_folder() / name
    assert program.exists(), f"{program} is not there: build first, or set TENEMENT_BUILD"
    return program


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def toml(value):
    """VALUE as TOML; strings of JSON are strings of TOML."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return json.dumps(value)


def toml_table(name, values):
    return f"[{name}]\n" + "".join(f"{k} = {toml(v)}\n" for k, v in values.items())


def processes_of(marker):
    """{pid: command line} of the processes whose command line or environment names MARKER."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
            text = command + b"\0"
            with contextlib.suppress(OSError):
                text += pathlib.Path(f"/proc/{pid}/environ").read_bytes()
            # (a zombie has neither)
            if marker.encode() in text and int(pid) != os.getpid():
                found[int(pid)] = command.replace(b"\0", b" ").decode(errors="replace").strip()
    return found


def process_alive(pid):
    """Whether PID runs; a zombie does not."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children_of(pid):
    """{pid: name} of the children of PID."""
    found = {}
    for child in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            head, tail = pathlib.Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)
            if int(tail.split()[1]) == pid and tail.split()[0] != "Z":
                found[int(child)] = head.split("(", 1)[1]
    return found


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def text(self):
        return self.body.decode()

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.body[:200]!r}>"


class Tenement:
    """A folder with tenement.toml and conf.d, and the `ten serve` in it."""

    def __init__(self, settings=None, domain="localhost", files=None, main=""):
        # Not below pytest's own folder, which is for its owner alone: tenants have uids of their own.
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="tenement-test-"))
        os.chmod(self.root, 0o755)
        self.conf_dir = self.root / "conf.d"
        self.data_dir = self.root / "tenement-data"
        self.runtime_dir = self.root / "run"
        self.log = self.root / "serve.log"
        self.domain = domain
        self.port = free_port()
        self.settings = {"domain": domain, "runtime_dir": str(self.runtime_dir), "workers": 2,
                         **(settings or {})}
        self.main = main  # what follows [settings] in tenement.toml
        self.serve = None
        self.programs = None  # a folder of programs of its own, see own_programs()
        self.env = {}  # of ten serve, besides our own
        self.conf_dir.mkdir()
        self.apps = self.root / "apps"
        shutil.copytree(FIXTURES, self.apps, ignore=shutil.ignore_patterns("__pycache__", "*.c"))
        shutil.copy(build_program("tests/tiny"), self.apps)
        for folder, _, names in os.walk(self.apps):
            os.chmod(folder, 0o755)
            for name in names:
                os.chmod(pathlib.Path(folder) / name, 0o755)
        for name, text in (files or {}).items():
            self.write(name, text)

    # Configuration

    def service(self, name, mode="echo", env=None, **keys):
        """The text of a service that runs the app of tests/fixtures; for the tiny one, mode="tiny"."""
        program = "./tiny" if mode == "tiny" else f"/usr/bin/python3 app.py {mode}"
        values = {"command": program, "workdir": str(self.apps), "isolation": ISOLATION, **keys}
        text = toml_table(f"service.{name}", values)
        return text + (toml_table(f"service.{name}.env", env) if env else "")

    def tenant(self, service, env=None, **keys):
        text = toml_table("tenant", {"service": service, **keys})
        return text + (toml_table("tenant.env", env) if env else "")

    def write(self, name, text):
        """Put a file into conf.d as an editor does: whole, by rename."""
        path = self.conf_dir / name
        temporary = path.with_name(f".{name}.new")
        temporary.write_text(text)
        temporary.rename(path)
        return path

    def declare(self, keys, mode="echo", **settings):
        """Write the one service that KEYS are of, and their tenants."""
        service = keys[0].partition(":")[0]
        self.write(f"{service}.toml", self.service(service, mode, **settings))
        for key in keys:
            self.write(f"{key.replace(':', '-')}.toml", self.tenant(service))

    def remove(self, name):
        (self.conf_dir / name).unlink()

    def write_main(self):
        settings = {"listen": [f"127.0.0.1:{self.port}"], **self.settings}
        if "[[settings.listener]]" in self.main:
            del settings["listen"]  # its first one is to be 127.0.0.1:{self.port}
        (self.root / "tenement.toml").write_text(toml_table("settings", settings) + self.main)

    # Running

    def program(self, name):
        return self.programs / name if self.programs else build_program(name)

    def own_programs(self):
        """Run from a copy of the programs that the test may change; before start()."""
        self.programs = self.root / "programs"
        self.programs.mkdir()
        for name in PROGRAMS:
            shutil.copy(build_program(name), self.programs)
        return self.programs

    def start(self, *arguments, wait=True):
        assert not self.serve
        self.write_main()
        with open(self.log, "ab") as log:
            self.serve = subprocess.Popen(
                [self.program("ten"), "serve", *arguments], cwd=self.root, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, "TENEMENT_TEST": str(self.root), **self.env})  # for processes_of()
        if wait:
            self.wait_healthy()
        return self

    def wait_healthy(self):
        def healthy():
            if self.serve.poll() is not None:
                raise RuntimeError(f"ten serve ended with {self.serve.returncode}: {self.said()}")
            return self.request("127.0.0.1", "/health", timeout=2).status == 200
        wait_until(healthy, what="/health")

    def said(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def stop(self, number=signal.SIGTERM, timeout=40):
        """End it as an operator does; returns the exit status."""
        if not self.serve:
            return None
        self.serve.send_signal(number)
        try:
            status = self.serve.wait(timeout * SLOWNESS)
        except subprocess.TimeoutExpired:
            status = None
        self.serve = None
        left = processes_of(str(self.root))
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert status is not None, f"ten serve did not end within {timeout} s; left: {left}"
        assert not left, f"processes left behind: {left}"
        return status

    def close(self):
        """Stop, check what it said and left, and remove the folder."""
        try:
            try:
                status = self.stop()
            finally:
                print(self.said())
            for report in REPORTS:
                assert report not in self.said(), f"one of ours crashed: {self.said()}"
            assert status in (None, 0), f"ten serve ended with {status}"
        finally:
            # Folders of tenants belong to them; as a plain user they are ours.
            shutil.rmtree(self.root, ignore_errors=True)

    def keeper_pid(self):
        return self.serve.pid  # ten execs it

    def pid_of(self, program):
        """The pid of the keeper's child PROGRAM ("tenementd"), once there is one."""
        def find():
            return [pid for pid, name in children_of(self.keeper_pid()).items()
                    if name == program[:15]]
        return wait_until(find, what=f"a {program}")[0]

    # The command line

    def ten(self, *arguments, status=0, text=None, timeout=60):
        """Run ten, check its exit status (None: any), return it with stdout and stderr."""
        done = subprocess.run([self.program("ten"), *arguments], cwd=self.root, input=text,
                              stdin=None if text is not None else subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=timeout * SLOWNESS, check=False)
        assert status is None or done.returncode == status, (
            f"ten {' '.join(arguments)}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def ten_json(self, *arguments, **options):
        return json.loads(self.ten(*arguments, "-o", "json", **options).stdout)

    def control_socket(self, timeout=60):
        """A connection to the control API."""
        connected = socket.socket(socket.AF_UNIX)
        connected.settimeout(timeout * SLOWNESS)
        connected.connect(str(self.data_dir / ".tenement" / "run" / "control.sock"))
        return connected

    def control(self, method, path, body=None, timeout=60, headers=None):
        """Ask the control API itself."""
        connection = http.client.HTTPConnection("localhost", timeout=timeout * SLOWNESS)
        connection.sock = self.control_socket(timeout)
        with contextlib.closing(connection):
            connection.request(method, path, None if body is None else json.dumps(body),
                               {**({"Content-Type": "application/json"} if body is not None else {}),
                                **(headers or {})})
            return Answer(connection.getresponse())

    def instances(self):
        """{"notes:alice": {...}} of all, running or not."""
        listed = self.control("GET", "/api/instances?all=1").json()
        return {one["id"]: one for one in listed}

    def instance(self, key):
        answer = self.control("GET", f"/api/instances/{key}?log=0")
        return answer.json() if answer.status == 200 else None

    def state(self, key):
        one = self.instance(key)
        return one["state"] if one else None

    def wait_state(self, key, *states, timeout=20):
        """Wait until KEY is in one of STATES; returns the instance."""
        seen = []

        def reached():
            one = self.instance(key)
            seen[:] = [one and (one["state"], one["reason"])]
            return one if one and one["state"] in states else None
        try:
            return wait_until(reached, timeout, what=f"{key} to be {' or '.join(states)}")
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {seen}") from None

    # Requests

    def start_ok(self, keys):
        """Start, until all KEYS answer."""
        self.start()
        for key in keys:
            self.wait_ok(key)

    def host(self, key):
        """The Host of an instance ("notes:alice"), a service ("notes:") or anything else as it is."""
        if ":" not in key or key.rsplit(":", 1)[1].isdigit():
            return key
        service, tenant = key.split(":")
        labels = [tenant, service, self.domain] if tenant else [service, self.domain]
        return f"{'.'.join(labels)}:{self.port}"

    def connection(self, timeout=30):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout * SLOWNESS)

    def request(self, key, path="/", method="GET", body=None, headers=None, timeout=30):
        """One request on a connection of its own."""
        with contextlib.closing(self.connection(timeout)) as connection:
            connection.request(method, path, body, {"Host": self.host(key), **(headers or {})})
            return Answer(connection.getresponse())

    def get(self, key, path="/", **options):
        return self.request(key, path, **options)

    def post(self, key, path="/", body=b"", **options):
        return self.request(key, path, "POST", body, **options)

    def wait_status(self, key, status, path="/", timeout=20):
        """Ask until the answer has this status; returns it."""
        last = []

        def answered():
            last[:] = [self.get(key, path)]
            return last[0] if last[0].status == status else None
        try:
            return wait_until(answered, timeout, what=f"{status} from {key}{path}")
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {last}") from error

    def wait_ok(self, key, path="/", timeout=20):
        return self.wait_status(key, 200, path, timeout)
