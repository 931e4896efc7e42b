"""ten doctor, where things are really missing."""

import ctypes
import json
import os
import pathlib
import resource
import shutil
import subprocess
import tempfile

import pytest

from daemon_rig import ROOT
from harness import SLOWNESS, build_program

needs_root = pytest.mark.skipif(not ROOT, reason="what is taken from root needs root")
# unshare, pidfd_open, clone3, landlock_create_ruleset
CALLS = {"x86_64": (272, 434, 435, 444), "aarch64": (97, 434, 435, 444)}
MACHINE = os.uname().machine


@pytest.fixture
def place():
    """A folder that other users can read."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tenement-doctor-"))
    folder.chmod(0o755)
    (folder / "conf.d").mkdir()
    yield folder
    shutil.rmtree(folder)


def configure(place, text="", settings=""):
    (place / "tenement.toml").write_text(
        f'[settings]\ndata_dir = "{place}/data"\nruntime_dir = "/dev/shm/{place.name}"\n{settings}\n')
    (place / "conf.d" / "app.toml").write_text(
        f'[service.app]\ncommand = "/bin/true"\n{text}\n')
    (place / "conf.d" / "app-alice.toml").write_text('[tenant]\nservice = "app"\n')


def doctor(place, status=None, before=(), **how):
    """{name: finding} and the exit status."""
    done = subprocess.run([*before, build_program("ten"), "doctor", "-o", "json"], cwd=place, check=False,
                          capture_output=True, text=True, timeout=60 * SLOWNESS, **how)
    assert done.stdout, done.stderr
    answer = json.loads(done.stdout)
    found = {one["name"]: one for one in answer["findings"]}
    missing = [name for name, one in found.items() if not one["ok"]]
    asked = [name for name, one in found.items() if one["asked"]]
    assert answer["missing"] == len(missing) and answer["asked_and_missing"] == len(asked)
    assert done.returncode == (1 if asked else 0)
    assert status is None or done.returncode == status, (missing, asked)
    for name in missing:
        assert found[name]["lost"] and found[name]["todo"] and found[name]["found"], name
    return found


def refuse_calls():
    """From here on those calls fail with EPERM, in this process and all that it starts."""
    class Filter(ctypes.Structure):
        _fields_ = [("code", ctypes.c_uint16), ("jt", ctypes.c_uint8), ("jf", ctypes.c_uint8),
                    ("k", ctypes.c_uint32)]

    class Program(ctypes.Structure):
        _fields_ = [("len", ctypes.c_uint16), ("filter", ctypes.POINTER(Filter))]

    calls = CALLS[MACHINE]
    code = [(0x20, 0, 0, 0)]  # the number of the call
    code += [(0x15, len(calls) - i, 0, number) for i, number in enumerate(calls)]
    code += [(0x06, 0, 0, 0x7FFF0000), (0x06, 0, 0, 0x00050000 | 1)]
    code = (Filter * len(code))(*[Filter(*one) for one in code])
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert libc.prctl(22, 2, ctypes.byref(Program(len(code), code)), 0, 0) == 0


def test_it_needs_no_configuration_and_no_daemon():
    with tempfile.TemporaryDirectory() as folder:
        found = doctor(folder, status=0, env={**os.environ, "HOME": folder})
        assert found["root"]["ok"] == ROOT
        assert found["no_new_privs"]["ok"] and found["tenement's own"]["ok"]
        text = subprocess.run([build_program("ten"), "doctor"], cwd=folder, capture_output=True, text=True,
                              check=True, timeout=60 * SLOWNESS).stdout
        for name, one in found.items():
            assert f" {name} " in text
            assert one["ok"] or one["lost"] in text and one["todo"] in text
        quiet = subprocess.run([build_program("ten"), "doctor", "-q"], cwd=folder, capture_output=True, text=True,
                               check=True, timeout=60 * SLOWNESS).stdout.splitlines()
        assert sorted(quiet) == sorted(name for name, one in found.items() if not one["ok"])


def test_nothing_of_it_lasts(place):
    configure(place)

    def state():
        return [pathlib.Path("/proc/self/mountinfo").read_text(),
                sorted(os.listdir("/sys/class/net")),
                # (others' groups come and go meanwhile, which os.walk passes over)
                sorted(name for _, names, _ in os.walk("/sys/fs/cgroup") for name in names
                       if name.startswith("tenement-doctor-")),
                sorted(str(path) for path in place.rglob("*")),
                pathlib.Path("/proc/sys/kernel/hostname").read_text(),
                os.path.exists(f"/dev/shm/{place.name}")]
    before = state()
    doctor(place)
    assert state() == before
    assert not (place / "data").exists()


@needs_root
@pytest.mark.skipif(MACHINE not in CALLS, reason="numbers of calls are not known here")
def test_calls_that_a_filter_refuses(place):
    configure(place)
    found = doctor(place, status=0, preexec_fn=refuse_calls)
    for name in ("pid namespaces", "mount namespaces", "own /proc", "net namespaces", "user namespaces",
                 "pidfd_open", "clone3", "Landlock", "nftables", "veth"):
        assert not found[name]["ok"], name
        assert found[name]["found"] == ("version 0" if name == "Landlock" else "Operation not permitted")
    # A default is not asked for; what is written is.
    configure(place, 'isolation = "namespace"')
    found = doctor(place, status=1, preexec_fn=refuse_calls)
    assert found["pid namespaces"]["asked"] and found["mount namespaces"]["asked"]
    assert not found["nftables"]["asked"]
    assert doctor(place)["pid namespaces"]["ok"]


@needs_root
def test_a_plain_user(place):
    configure(place)
    place.joinpath("data").mkdir()
    os.chown(place / "data", 65534, 65534)
    found = doctor(place, status=0, user=65534, group=65534, extra_groups=[])
    for name in ("root", "CAP_SETUID", "CAP_SYS_ADMIN", "CAP_NET_ADMIN"):
        assert not found[name]["ok"], name
    assert "uid 65534" in found["root"]["found"]
    configure(place, 'user = "daemon"')
    found = doctor(place, status=1, user=65534, group=65534, extra_groups=[])
    assert found["root"]["asked"]
    shutil.rmtree(place / "data")
    configure(place)
    found = doctor(place, status=1, user=65534, group=65534, extra_groups=[])
    assert found["data_dir"]["asked"] and "Permission denied" in found["data_dir"]["found"]


@needs_root
def test_capabilities_that_are_not_ours(place):
    if not shutil.which("setpriv"):
        pytest.skip("no setpriv")
    configure(place, settings='listen = ["127.0.0.1:80"]')
    found = doctor(place, status=1, before=("setpriv", "--bounding-set", "-net_bind_service,-kill"))
    assert found["CAP_NET_BIND_SERVICE"]["asked"]
    assert not found["CAP_KILL"]["ok"] and not found["CAP_KILL"]["asked"]
    assert "CAP_SETUID" not in found


@needs_root
def test_no_user_namespaces(place):
    inside = ("unshare", "-Ur", "sh", "-c", 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"', "sh")
    if subprocess.run([*inside, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no user namespace to take them away in")
    configure(place)
    found = doctor(place, before=inside)
    assert not found["user namespaces"]["ok"] and "No space left" in found["user namespaces"]["found"]
    assert "unprivileged" in found["user namespaces"]["todo"]


def test_few_descriptors(place):
    configure(place)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]

    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (1000, 1000))
    found = doctor(place, status=0, preexec_fn=few)
    assert found["descriptors (RLIMIT_NOFILE)"]["found"].startswith("1000, ")
    assert not found["nofile_limit"]["ok"]
    configure(place, "nofile_limit = 8192")
    found = doctor(place, status=1, preexec_fn=few)
    assert found["nofile_limit"]["asked"]
    assert doctor(place)["nofile_limit"]["ok"] == (hard == -1 or hard >= 8192)


def test_the_runtime_folder_and_credentials(place):
    secrets = '[service.app.credentials]\ndb = "/etc/x"'
    configure(place, secrets)
    assert doctor(place)["runtime_dir on tmpfs"]["ok"]
    where = subprocess.run(["stat", "-f", "-c", "%T", str(place)], capture_output=True, text=True, check=True)
    if where.stdout.strip() in ("tmpfs", "ramfs"):
        pytest.skip("all is on a tmpfs here")
    configure(place, secrets)
    main = place / "tenement.toml"
    main.write_text(main.read_text().replace(f"/dev/shm/{place.name}", f"{place}/run"))
    found = doctor(place, status=1)
    assert found["runtime_dir on tmpfs"]["asked"]
    assert found["runtime_dir on tmpfs"]["needed_by"] == ["credentials"]


def test_secrets_that_a_daemon_would_refuse(place):
    secret = place / "db"
    configure(place, f'env_file = "{place}/{{id}}.env"\n[service.app.credentials]\ndb = "{secret}"')
    found = doctor(place, status=1)
    assert found["secrets"]["found"].startswith("0 of 2: ") and "alice.env" in found["secrets"]["found"]
    for path in (secret, place / "alice.env"):
        path.write_text("")
        path.chmod(0o600)
    assert doctor(place, status=0)["secrets"]["found"] == "2 of 2"
    secret.chmod(0o644)
    found = doctor(place, status=1)
    assert "chmod 600" in found["secrets"]["found"] and found["secrets"]["asked"]


def test_ranges_and_owners(place):
    low, high = pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    configure(place, settings=f'port_range = "{low}-{high}"\nuid_range = "1-65000"')
    found = doctor(place, status=0)
    assert not found["port_range"]["ok"] and not found["uid_range"]["ok"]
    assert found["uid_range"]["found"].startswith("1-65000 holds ")
    configure(place)
    assert doctor(place)["port_range"]["ok"]
    (place / "conf.d" / "app.toml").chmod(0o666)
    found = doctor(place, status=1)
    assert "app.toml can be written by others" in found["conf_dir"]["found"] and found["conf_dir"]["asked"]


def test_settings_that_ask(place):
    configure(place, settings='proxy_user = "no-such-user"')
    found = doctor(place, status=1)
    assert found["proxy_user"]["asked"] and "no such user" in found["proxy_user"]["found"]


@needs_root
def test_a_running_daemon_tells_what_it_found(tenement):
    """runtime_dir is on a disk: it says so in its own words, and needs not be asked for."""
    t = tenement()
    lacks = t.control("GET", "/api/status").json()["lacks"]
    found = {one["name"]: one for one in json.loads(t.ten("doctor", "-o", "json", status=None).stdout)["findings"]
             if one["group"] == "the daemon that runs"}
    assert {(one["option"], one["value"], one["why"]) for one in lacks} == \
        {(name.partition(" = ")[0], name.partition(" = ")[2] or None, one["found"]) for name, one in found.items()
         if not one["ok"]}
    if "credentials" in found:
        assert "is not on a tmpfs" in found["credentials"]["found"] and not found["credentials"]["asked"]
        t.write("app.toml", t.service("app", credentials={"db": "/etc/x"}))
        t.write("app-alice.toml", t.tenant("app"))
        found = {one["name"]: one for one in json.loads(t.ten("doctor", "-o", "json", status=1).stdout)["findings"]}
        assert found["credentials"]["asked"]
