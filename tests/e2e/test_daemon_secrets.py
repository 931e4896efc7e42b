"""Secrets: env_file and credentials, what becomes of them, and who gets to see them."""

import contextlib
import json
import os
import pathlib
import resource
import shutil
import stat
import subprocess
import tempfile
import time

import pytest

from daemon_rig import ROOT, kill, kill_daemon, pids, status
from harness import processes_of, wait_until

needs_root = pytest.mark.skipif(not ROOT, reason="files of other users need root")
TMPFS = pathlib.Path("/dev/shm")
pytestmark = pytest.mark.skipif(not os.access(TMPFS, os.W_OK), reason="no tmpfs to write to here")

# What no output, file or process of ours but the tenant's own may ever show.
HUSH = "hush-5f1e"


@pytest.fixture
def secret_place():
    """A folder that nobody else can exchange files in."""
    place = pathlib.Path(tempfile.mkdtemp(prefix="tenement-secrets-"))
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


@pytest.fixture
def runtime():
    place = pathlib.Path(tempfile.mkdtemp(prefix="tenement-test-", dir=TMPFS))
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


@pytest.fixture
def small_tmpfs():
    """One of 1 MiB, of its own."""
    place = pathlib.Path(tempfile.mkdtemp(prefix="tenement-tmpfs-"))
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1M,mode=755", "tmpfs", place],
                      capture_output=True, check=False).returncode:
        place.rmdir()
        pytest.skip("nothing can be mounted here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)
    place.rmdir()


@pytest.fixture
def make_small(small_tmpfs, tenement):
    def start():
        t = tenement(start=False, settings={"runtime_dir": str(small_tmpfs / "run"), "backoff_base_ms": 100})
        t.runtime_dir = small_tmpfs / "run"
        return t
    return start


@pytest.fixture
def make(runtime, tenement):
    """A tenement whose runtime folder is on a tmpfs."""
    def start(**settings):
        t = tenement(start=False, settings={"runtime_dir": str(runtime / "run"), "backoff_base_ms": 100,
                                            **settings})
        t.runtime_dir = runtime / "run"
        return t
    return start


def put(path, text, mode=0o600):
    """As an editor or a deployment does: whole, by rename."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text)
    fresh.chmod(mode)
    fresh.rename(path)
    return path


def environ(t, key):
    return t.wait_ok(key).json()["env"]


def credentials(t, key):
    """{name: (text, mode, uid)} as the tenant's folder has them."""
    folder = pathlib.Path(environ(t, key)["CREDENTIALS_DIRECTORY"])
    return {path.name: (path.read_text(), stat.S_IMODE(path.stat().st_mode), path.stat().st_uid)
            for path in folder.iterdir()}


def app(t, **keys):
    t.write("app.toml", t.service("app", **keys))
    t.write("app-alice.toml", t.tenant("app"))


def wait_environ(t, key, name, value):
    wait_until(lambda: environ(t, key).get(name) == value, what=f"{name}={value} in {key}")


def test_variables_of_files_are_below_those_of_env(make, secret_place):
    t = make()
    put(secret_place / "all.env", f"# of all\nPASS='{HUSH} $HOME'\nBOTH=file\nLATER=first\nLANG=C\n")
    put(secret_place / "alice.env", "LATER=second\n")
    app(t, env_file=[str(secret_place / "all.env"), f"{secret_place}/{{id}}.env"], env={"BOTH": "env"})
    t.start()
    env = environ(t, "app:alice")
    assert env["PASS"] == f"{HUSH} $HOME"
    assert (env["BOTH"], env["LATER"], env["LANG"]) == ("env", "second", "C")
    assert t.instance("app:alice")["secrets"]["env_file"] == [
        str(secret_place / "all.env"), str(secret_place / "alice.env")]
    # ten exec reads them itself
    inside = t.ten("exec", "app:alice", "--", "/usr/bin/env").stdout
    assert f"PASS={HUSH} $HOME\n" in inside and "BOTH=env\n" in inside and "LATER=second\n" in inside


def test_credentials_are_files_of_the_tenant_alone(make, secret_place):
    t = make()
    put(secret_place / "alice.db", f"{HUSH}\0binary")
    put(secret_place / "key", "")
    app(t, credentials={"db": f"{secret_place}/{{id}}.db", "tls.key": str(secret_place / "key")})
    t.start()
    uid = t.wait_ok("app:alice").json()["uid"]
    assert credentials(t, "app:alice") == {"db": (f"{HUSH}\0binary", 0o400, uid), "tls.key": ("", 0o400, uid)}
    folder = pathlib.Path(environ(t, "app:alice")["CREDENTIALS_DIRECTORY"])
    assert folder == t.runtime_dir / "credentials" / "app:alice"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o500 and folder.stat().st_uid == uid
    inside = t.ten("exec", "app:alice", "--", "/bin/sh", "-c", "cat $CREDENTIALS_DIRECTORY/db").stdout
    assert inside == f"{HUSH}\0binary"
    t.ten("stop", "app:alice")
    assert not folder.exists()
    assert t.ten("exec", "app:alice", "--", "/bin/sh", "-c", "echo [$CREDENTIALS_DIRECTORY]").stdout == "[]\n"
    t.wait_ok("app:alice")
    assert folder.exists()
    t.stop()
    assert not t.runtime_dir.exists()


@needs_root
def test_one_tenant_cannot_read_anothers(make, secret_place):
    t = make()
    put(secret_place / "db", HUSH)
    app(t, credentials={"db": str(secret_place / "db")})
    t.write("app-bob.toml", t.tenant("app"))
    t.start()
    for key in ("app:alice", "app:bob"):
        t.wait_ok(key)
    folder = t.runtime_dir / "credentials"
    for command in (f"cat {folder}/app:alice/db", f"ls {folder}/app:alice", f"ls {folder}"):
        done = t.ten("exec", "app:bob", "--", "/bin/sh", "-c", command, status=None)
        assert done.returncode != 0 and "Permission denied" in done.stderr, command
        assert HUSH not in done.stdout


@needs_root
@pytest.mark.parametrize("level", [{"isolation": "namespace"}, {"isolation": "sandbox", "sandbox": "native"},
                                   {"isolation": "sandbox", "sandbox": "gvisor"}], ids=lambda level: [*level.values()][-1])
def test_a_view_shows_them_unchangeable(make_small, secret_place, level):
    """With namespaces a tenant sees its own credentials, cannot change them, and sees no others."""
    t = make_small()
    put(secret_place / "db", HUSH)
    tries = ("(chmod 700 $CREDENTIALS_DIRECTORY; touch $CREDENTIALS_DIRECTORY/new; chmod 600 $CREDENTIALS_DIRECTORY/db;"
             " ls -A $CREDENTIALS_DIRECTORY/..; cat $CREDENTIALS_DIRECTORY/db) >$DATA_DIR/said 2>&1")
    app(t, **level, startup_timeout=20, credentials={"db": str(secret_place / "db")},
        command=f"/bin/sh -c '{tries}; exec /usr/bin/python3 app.py'")
    t.write("app-bob.toml", t.tenant("app"))
    t.start()
    if any("cannot be given" in problem for problem in status(t)["problems"]):
        pytest.skip("it cannot be had here")
    t.wait_ok("app:bob")
    t.wait_ok("app:alice")
    said = (t.data_dir / "app" / "alice" / "said").read_text()
    assert said.count("Read-only file system") >= 2 and "cannot touch" in said and said.endswith(HUSH), said
    assert "app:bob" not in said


def test_no_output_and_no_file_has_them(make, secret_place):
    """Not even while a wrong one is told of, and the tenant fails and comes back."""
    t = make()
    put(secret_place / "env", f"PASS={HUSH}\n")
    put(secret_place / "db", HUSH)
    app(t, env_file=str(secret_place / "env"), credentials={"db": str(secret_place / "db")},
        env={"PLAIN": HUSH + "-env"})
    t.start()
    assert environ(t, "app:alice")["PASS"] == HUSH
    put(secret_place / "env", f"PASS='{HUSH}\n")  # a quote without its end
    wait_until(lambda: t.instance("app:alice")["secrets"]["problem"], what="a problem")
    kill(pids(t)["app:alice"])
    t.wait_state("app:alice", "backoff", "failed", "starting")
    asked = [("ps",), ("ps", "-o", "json"), ("status",), ("status", "-o", "json"), ("status", "app:alice"),
             ("status", "app:alice", "-o", "json"), ("config", "app:alice"), ("config", "--all"), ("config",),
             ("history",), ("diff",), ("check",), ("why", "app:alice"), ("metrics",), ("logs", "app:alice")]
    for arguments in asked:
        done = t.ten(*arguments, status=None)
        assert HUSH not in done.stdout.replace(HUSH + "-env", "") + done.stderr, arguments
    for path in ("/api/instances?all=1", "/api/instances/app:alice", "/api/status", "/metrics", "/api/config",
                 "/api/instances/app:alice/exec", "/api/history"):
        text = t.control("GET", path).text
        assert HUSH not in text.replace(HUSH + "-env", ""), path
        if not path.endswith("exec"):
            assert HUSH not in text, path
    assert HUSH not in t.said()
    for folder in (t.data_dir, t.runtime_dir, t.root):
        for path in folder.rglob("*"):
            if not path.is_file() or path.parent.parent.name == "credentials":
                continue
            text = path.read_bytes().replace((HUSH + "-env").encode(), b"")
            assert HUSH.encode() not in text, path
    put(secret_place / "env", f"PASS={HUSH}\n")
    t.wait_ok("app:alice")
    # On no command line, and in no environment but the tenant's.
    for pid in processes_of(str(t.root)):
        if pid in pids(t).values():
            continue
        for what in ("cmdline", "environ"):
            assert HUSH.encode() not in pathlib.Path(f"/proc/{pid}/{what}").read_bytes()


def test_env_is_masked_and_records_are_private(make):
    t = make()
    app(t, env={"PLAIN": HUSH})
    t.start()
    assert environ(t, "app:alice")["PLAIN"] == HUSH
    for arguments in [("ps", "-o", "json"), ("status", "-o", "json"), ("status", "app:alice", "-o", "json"),
                      ("status", "app:alice"), ("config", "app:alice"), ("config", "app:alice", "-o", "json"),
                      ("diff",), ("history",)]:
        done = t.ten(*arguments, status=None)
        assert HUSH not in done.stdout + done.stderr, arguments
    assert HUSH not in t.said()
    for folder in (t.runtime_dir / "instances", t.data_dir / ".tenement" / "accepted",
                   t.data_dir / ".tenement" / "history"):
        for path in folder.rglob("*"):
            if path.is_file():
                assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


@pytest.mark.parametrize("wrong, words", [
    ("readable", "chmod 600"), ("group", "chmod 600"), ("folder", "is a folder"), ("fifo", "not a regular file"),
    ("proc", "not a regular file"), ("device", "not a regular file"), ("large", "larger than 1 MiB"),
    ("below", "chmod go-w"), ("missing", "No such file"), ("loop", "Too many levels"),
])
def test_what_is_refused_and_said(make, secret_place, wrong, words):
    t = make()
    path = secret_place / "db"
    if wrong == "folder":
        path.mkdir()
    elif wrong == "fifo":
        os.mkfifo(path, 0o600)
    elif wrong == "proc":
        path = pathlib.Path("/proc/self/environ")
    elif wrong == "device":
        path = pathlib.Path("/dev/zero")
    elif wrong == "loop":
        path.symlink_to(path)
    elif wrong != "missing":
        put(path, HUSH if wrong != "large" else "x" * ((1 << 20) + 1),
            {"readable": 0o644, "group": 0o640}.get(wrong, 0o600))
    if wrong == "group":
        if not ROOT:
            pytest.skip("giving a file to another group needs root")
        os.chown(path, 0, 12345)
    if wrong == "below":
        secret_place.chmod(0o777)
    app(t, credentials={"db": str(path)}, startup_timeout=5)
    t.start()
    assert t.get("app:alice").status == 503
    reason = t.instance("app:alice")["reason"]
    assert words in reason and str(path) in reason and "credentials.db" in reason, reason
    assert not (t.runtime_dir / "credentials" / "app:alice").exists()


@needs_root
def test_a_secret_of_somebody_else_is_refused(make, secret_place):
    """Nor may one lead root to /etc/shadow through a folder or a link of one's own."""
    t = make()
    put(secret_place / "db", HUSH)
    os.chown(secret_place / "db", 4711, 4711)
    theirs = secret_place / "theirs"
    theirs.mkdir()
    (theirs / "shadow").symlink_to("/etc/shadow")
    os.chown(theirs, 4711, 4711)
    (secret_place / "link").symlink_to("/etc/shadow")
    os.chown(secret_place / "link", 4711, 4711, follow_symlinks=False)
    t.write("app.toml", t.service("app"))
    for name in ("db", "theirs/shadow", "link"):
        t.write(f"app-{name[:2]}.toml", t.tenant("app", credentials={"db": str(secret_place / name)}))
    t.start()
    for name in ("db", "theirs/shadow", "link"):
        assert t.get(f"app:{name[:2]}").status == 503
        assert "belongs to uid 4711" in t.instance(f"app:{name[:2]}")["reason"]


def test_a_missing_secret_is_waited_for(make, secret_place):
    """Also where its folder is not there yet, and when it was given up."""
    t = make(max_restarts=0)
    place = secret_place / "later" / "still"
    app(t, credentials={"db": str(place / "db")}, env_file=str(place / "env"), state="running")
    t.write("app-alice.toml", t.tenant("app", state="running"))
    t.write("app.toml", t.service("app", credentials={"db": str(place / "db")}, env_file=str(place / "env")))
    t.start()
    one = t.wait_state("app:alice", "failed")
    assert str(place) in one["reason"] and "No such file" in one["reason"]
    place.mkdir(parents=True)
    put(place / "env", "A=1\n")
    put(place / "db", HUSH)
    t.wait_state("app:alice", "ready")
    assert credentials(t, "app:alice")["db"][0] == HUSH


def change_by_rename(path, text):
    put(path, text)


def change_in_place(path, text):
    path.write_text(text)


def change_behind_links(path, text):
    """As volumes of Kubernetes: db -> ..data/db, ..data -> ..N, and ..data is exchanged."""
    folder = path.parent
    fresh = folder / f"..{len(list(folder.iterdir()))}"
    fresh.mkdir()
    put(fresh / path.name, text)
    (folder / "..data.new").symlink_to(fresh.name)
    (folder / "..data.new").rename(folder / "..data")


@pytest.mark.parametrize("change", [change_by_rename, change_in_place, change_behind_links])
@pytest.mark.parametrize("kind", ["env_file", "credentials"])
def test_a_changed_secret_restarts(make, secret_place, change, kind):
    t = make()
    path = secret_place / "secret"
    if change is change_behind_links:
        change(path, "A=1\n")
        path.symlink_to("..data/secret")
    else:
        put(path, "A=1\n")
    app(t, **{kind: str(path) if kind == "env_file" else {"db": str(path)}})
    t.start()
    t.wait_ok("app:alice")
    before = pids(t)["app:alice"]
    change(path, "A=2\n")

    def restarted():
        if kind == "env_file":
            return environ(t, "app:alice")["A"] == "2"
        return credentials(t, "app:alice")["db"][0] == "A=2\n"
    wait_until(restarted, 10, what="the new secret")
    after = pids(t)["app:alice"]
    assert after != before
    assert "a secret of it changed" in t.said()
    # And not again for it.
    kill_daemon(t)
    wait_until(lambda: pids(t).get("app:alice"), what="the process")
    assert t.wait_ok("app:alice") and pids(t)["app:alice"] == after
    assert "HUSH" not in t.said()


def test_a_change_while_there_was_no_daemon_restarts(make, secret_place):
    t = make()
    path = put(secret_place / "env", "A=1\n")
    app(t, env_file=str(path))
    t.start()
    assert environ(t, "app:alice")["A"] == "1"
    os.kill(t.pid_of("tenementd"), 19)  # SIGSTOP
    put(path, "A=2\n")
    kill_daemon(t)
    wait_environ(t, "app:alice", "A", "2")


def test_a_removed_or_refused_secret_leaves_what_runs(make, secret_place):
    t = make()
    path = put(secret_place / "env", "A=1\n")
    app(t, env_file=str(path))
    t.start()
    t.wait_ok("app:alice")
    before = pids(t)["app:alice"]
    path.unlink()
    problem = wait_until(lambda: t.instance("app:alice")["secrets"]["problem"], what="a problem")
    assert "No such file" in problem and str(path) in problem
    assert problem in t.ten("status", "app:alice", status=None).stdout
    assert str(path) in t.ten("status").stdout and any(problem in one for one in status(t)["warnings"])
    put(path, "A=2\n", mode=0o644)
    wait_until(lambda: "chmod 600" in (t.instance("app:alice")["secrets"]["problem"] or ""), what="the mode")
    assert pids(t)["app:alice"] == before and t.get("app:alice").status == 200
    path.chmod(0o600)
    wait_environ(t, "app:alice", "A", "2")
    assert t.instance("app:alice")["secrets"]["problem"] is None


def test_who_sleeps_gets_the_new_one_when_woken(make, secret_place):
    t = make()
    path = put(secret_place / "env", "A=1\n")
    app(t, env_file=str(path))
    t.start()
    assert environ(t, "app:alice")["A"] == "1"
    t.ten("stop", "app:alice")
    put(path, "A=2\n")
    assert environ(t, "app:alice")["A"] == "2"
    assert "a secret of it changed" not in t.said()


def test_many_who_share_one_are_restarted_a_few_at_a_time(make, secret_place):
    t = make(restart_batch=2, max_concurrent_starts=16)
    path = put(secret_place / "env", "A=1\n")
    t.write("app.toml", t.service("app", mode="echo --start-delay 0.3", env_file=str(path)))
    keys = [f"app:t{i}" for i in range(6)]
    for key in keys:
        t.write(f"{key.replace(':', '-')}.toml", t.tenant("app"))
    t.start()
    for key in keys:
        t.wait_ok(key)
    before = pids(t)
    put(path, "A=2\n")
    down = []

    def all_new():
        now = t.instances()
        down.append(sum(1 for one in now.values() if one["state"] != "ready"))
        return all(one["pid"] and one["pid"] != before[key] and one["state"] == "ready"
                   for key, one in now.items())
    wait_until(all_new, 30, what="six restarts")
    assert 1 <= max(down) <= 2, down
    assert all(environ(t, key)["A"] == "2" for key in keys)


def test_nothing_is_left_of_a_tenement_that_was_killed(make, secret_place):
    t = make()
    put(secret_place / "db", HUSH)
    app(t, credentials={"db": str(secret_place / "db")})
    t.start()
    t.wait_ok("app:alice")
    folder = t.runtime_dir / "credentials" / "app:alice"
    assert folder.exists()
    for pid in [t.keeper_pid(), *processes_of(str(t.root))]:
        kill(pid)
    t.serve.wait()
    t.serve = None
    wait_until(lambda: not processes_of(str(t.root)), what="the end of all")
    t.start()
    assert not folder.exists()
    assert credentials(t, "app:alice")["db"][0] == HUSH


@needs_root
def test_a_full_tmpfs_puts_a_start_off(make_small, small_tmpfs, secret_place):
    """It is no failure of the tenant's, and nothing half written is left."""
    t = make_small()
    put(secret_place / "db", "x" * (200 << 10))
    app(t, credentials={"db": str(secret_place / "db")})
    t.start()
    filler = small_tmpfs / "filler"
    with open(filler, "wb", buffering=0) as file:
        with contextlib.suppress(OSError):
            while file.write(bytes(4096)):
                pass
        file.truncate(file.tell() // 4096 * 4096 - (64 << 10))  # (room for records)
    with contextlib.suppress(OSError, AssertionError):
        t.get("app:alice", timeout=1)
    t.wait_state("app:alice", "backoff", "starting")
    wait_until(lambda: "No space left" in t.instance("app:alice")["reason"], what="the reason")
    assert not (t.runtime_dir / "credentials" / "app:alice").exists()
    assert not (t.runtime_dir / "credentials" / ".app:alice.new").exists()
    for _ in range(6):
        t.wait_state("app:alice", "backoff")
    assert "given up" not in t.instance("app:alice")["reason"]
    filler.unlink()
    assert credentials(t, "app:alice")["db"][0] == "x" * (200 << 10)


def test_no_descriptors_for_a_look_say_nothing_of_a_secret(make, secret_place):
    t = make()
    path = put(secret_place / "env", "A=1\n")
    app(t, env_file=str(path))
    t.start()
    t.wait_ok("app:alice")
    daemon = t.pid_of("tenementd")
    used = len(os.listdir(f"/proc/{daemon}/fd"))
    before = resource.prlimit(daemon, resource.RLIMIT_NOFILE)
    # One more than what is open: for the question whether it is so, and not for a walk to a file.
    resource.prlimit(daemon, resource.RLIMIT_NOFILE, (used, before[1]))
    put(path, "A=2\n")
    time.sleep(1)  # (nothing is to happen; it has looked by then)
    resource.prlimit(daemon, resource.RLIMIT_NOFILE, before)
    assert t.instance("app:alice")["secrets"]["problem"] is None
    assert "cannot be used" not in t.said()
    path.touch()
    wait_environ(t, "app:alice", "A", "2")


def test_credentials_are_not_written_to_a_disk(tenement, secret_place):
    if os.statvfs("/tmp").f_fsid == os.statvfs(TMPFS).f_fsid or \
            "tmpfs" in os.popen("stat -f -c %T /tmp").read():
        pytest.skip("/tmp is a tmpfs here")
    put(secret_place / "db", HUSH)
    t = tenement(start=False)
    app(t, credentials={"db": str(secret_place / "db")})
    t.start()
    told = t.ten("check", status=None)
    assert "app:alice" not in t.instances() or t.get("app:alice").status in (404, 503), told.stdout
    problems = json.dumps(t.control("GET", "/api/status").json()["problems"])
    assert "is not on a tmpfs" in problems and "/dev/shm" in problems


@pytest.mark.parametrize("keys, words", [
    ({"credentials": {"../x": "/etc/x"}}, "cannot be a file's name"),
    ({"credentials": {".hidden": "/etc/x"}}, "cannot be a file's name"),
    ({"credentials": {"a b": "/etc/x"}}, "cannot be a file's name"),
    ({"credentials": {"db": ""}}, "cannot be empty"),
    ({"credentials": {"db": "~/x"}}, "is not expanded"),
    ({"credentials": {"db": "{dir}/x"}}, "{dir} is not known here"),
    ({"credentials": {f"c{i}": "/etc/x" for i in range(65)}}, "65 files, 64 are possible"),
    ({"env_file": ""}, "cannot be empty"),
    ({"env_file": ["/etc/x", 3]}, "wants a string"),
    ({"env_file": "{port}.env"}, "{port} is not known here"),
    ({"env": {"CREDENTIALS_DIRECTORY": "/x"}}, "is set by tenement itself"),
])
def test_what_a_file_cannot_say(tenement, keys, words):
    t = tenement(start=False)
    t.write_main()
    app(t, **keys)
    assert words in t.ten("check", status=None).stdout + t.ten("check", status=None).stderr
