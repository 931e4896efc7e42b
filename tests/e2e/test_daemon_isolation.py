"""What tenants are, and what they cannot do to each other."""

import os
import pathlib
import socket
import stat
import subprocess

import pytest

from daemon_rig import ROOT, kill_daemon, pids, proc_status, status, wait_gone
from harness import build_program, wait_until

needs_root = pytest.mark.skipif(not ROOT, reason="tenants share the uid of a plain user's daemon")
EMPTY = "0000000000000000"


@pytest.fixture
def two(tenement):
    def make(mode="echo", env=None, settings=None, **keys):
        t = tenement(start=False, settings={"backoff_base_ms": 100, **(settings or {})})
        t.write("echo.toml", t.service("echo"))
        t.write("bad.toml", t.service("bad", mode, env=env, **keys))
        for name in ("alice", "bob"):
            t.write(f"echo-{name}.toml", t.tenant("echo"))
        t.write("bad-mallory.toml", t.tenant("bad"))
        return t.start()
    return make


def run_in(t, key, *command):
    """`ten exec KEY -- COMMAND`: its exit status and output."""
    done = t.ten("exec", key, "--", *command, status=None)
    return done.returncode, done.stdout + done.stderr


@needs_root
def test_each_has_a_uid_of_its_own_for_ever(two):
    t = two()
    uids = {}
    for key in ("echo:alice", "echo:bob", "bad:mallory"):
        said = t.get(key).json()
        uids[key] = said["uid"]
        assert said["gid"] == said["uid"] and said["groups"] == []
        assert t.instance(key)["uid"] == said["uid"]
    assert len(set(uids.values())) == 3
    assert all(uid >= 1900000000 for uid in uids.values())
    t.ten("restart", "echo:alice")
    assert t.get("echo:alice").json()["uid"] == uids["echo:alice"]
    kill_daemon(t)
    t.ten("stop", "echo:bob")
    assert t.get("echo:bob").json()["uid"] == uids["echo:bob"]
    t.stop()
    t.start()
    assert {key: t.get(key).json()["uid"] for key in reversed(uids)} == uids


@needs_root
def test_a_uid_is_not_given_again_while_its_folder_exists(two):
    t = two()
    old = t.get("echo:bob").json()["uid"]
    t.remove("echo-bob.toml")
    t.wait_status("echo:bob", 404)
    t.write("echo-carol.toml", t.tenant("echo"))
    assert t.wait_ok("echo:carol").json()["uid"] != old
    t.write("echo-bob.toml", t.tenant("echo"))
    assert t.wait_ok("echo:bob").json()["uid"] == old


@needs_root
def test_it_has_no_privilege(two):
    t = two()
    t.wait_ok("echo:alice")
    seen = proc_status(pids(t)["echo:alice"])
    uid = str(t.instance("echo:alice")["uid"])
    assert seen["Uid"] == [uid] * 4 and seen["Gid"] == [uid] * 4
    assert seen["Groups"] == []
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert seen[name] == [EMPTY], name
    assert seen["NoNewPrivs"] == ["1"]


def test_it_inherits_nothing_of_ours(two):
    t = two()
    t.wait_ok("echo:alice")
    pid = pids(t)["echo:alice"]
    seen = proc_status(pid)
    assert seen["SigBlk"] == [EMPTY] and seen["NoNewPrivs"] == ["1"]
    assert int(seen["SigIgn"][0], 16) & ~(1 << 12 | 1 << 24) == 0  # Python ignores SIGPIPE, SIGXFSZ
    assert os.getpgid(pid) == pid
    opened = {fd.name: os.readlink(fd) for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir()}
    assert opened.pop("0") == "/dev/null"
    assert opened.pop("1").startswith("pipe:") and opened.pop("2").startswith("pipe:")
    assert all(target.startswith(("socket:", "anon_inode:")) for target in opened.values()), opened
    assert not [name for name in opened.values() if "memfd" in name]
    limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
    assert "Max open files            4096                 4096" in limits
    said = t.get("echo:alice").json()["env"]
    assert set(said) <= {"PATH", "LANG", "LC_CTYPE", "HOME", "DATA_DIR", "TENANT_ID", "PORT", "TENEMENT_HOLD",
                         "SOCKET_PATH", "TENEMENT_INSTANCE"}


def test_its_environment_is_as_documented(tenement):
    t = tenement(start=False)
    t.write("echo.toml", t.service("echo", env={
        "A": "{name} {id} {port} {version}", "B": "{dir}/app.db", "C": "{data_dir}|{socket}",
        "PLAN": "free"}))
    t.write("echo-alice.toml", t.tenant("echo", env={"PLAN": "pro"}))
    t.start()
    env = t.get("echo:alice").json()["env"]
    folder = f"{t.data_dir}/echo/alice"
    assert env["DATA_DIR"] == folder and env["TENANT_ID"] == "alice" and env["PLAN"] == "pro"
    assert env["A"] == f"echo alice {env['PORT']} alice"
    assert env["B"] == f"{folder}/app.db"
    assert env["C"] == f"{t.data_dir}|{env['SOCKET_PATH']}"


def test_its_folder_is_its_own(two):
    t = two()
    uid = t.get("echo:alice").json()["uid"]
    seen = (t.data_dir / "echo" / "alice").stat()
    assert stat.S_IMODE(seen.st_mode) == 0o700
    assert (seen.st_uid, seen.st_gid) == (uid, uid) if ROOT else seen.st_uid == os.getuid()


@needs_root
def test_what_it_cannot_read(two):
    t = two()
    t.wait_ok("echo:bob")
    secret = t.data_dir / "echo" / "bob" / "secret"
    secret.write_text("x")
    t.wait_ok("bad:mallory")
    own = t.data_dir / "bad" / "mallory"
    assert run_in(t, "bad:mallory", "/bin/sh", "-c", f"echo hello > {own}/x && cat {own}/x") == (
        0, "hello\n")
    hidden = [secret, t.data_dir / "echo" / "bob", t.data_dir / ".tenement" / "accepted",
              t.data_dir / ".tenement" / "logs", t.data_dir / ".tenement" / "history",
              t.runtime_dir / "instances", t.data_dir / ".tenement" / "uids",
              t.data_dir / ".tenement" / "overrides", t.runtime_dir / "sockets"]
    for path in hidden:
        if path.exists():
            code, said = run_in(t, "bad:mallory", "/bin/ls" if path.is_dir() else "/bin/cat", str(path))
            assert code != 0 and "denied" in said, (path, said)
    sockets = [pathlib.Path(t.instance("echo:bob")["socket"]), t.runtime_dir / "control.sock"]
    for path in sockets:
        code, said = run_in(t, "bad:mallory", "/usr/bin/python3", "-c",
                            f"import socket; socket.socket(socket.AF_UNIX).connect('{path}')")
        assert code != 0 and "PermissionError" in said, (path, said)
    code, _ = run_in(t, "bad:mallory", "/bin/sh", "-c", f"echo x > {own.parent}/y")
    assert code != 0


@needs_root
def test_exec_is_as_the_tenant(two):
    t = two()
    uid = t.get("echo:alice").json()["uid"]
    code, said = run_in(t, "echo:alice", "/bin/sh", "-c",
                        "id -u; id -G; echo $TENANT_ID; echo $DATA_DIR; grep NoNewPrivs /proc/self/status")
    assert code == 0
    lines = said.split("\n")
    assert lines[:3] == [str(uid), str(uid), "alice"]
    assert lines[3] == f"{t.data_dir}/echo/alice" and lines[4].split() == ["NoNewPrivs:", "1"]
    assert run_in(t, "echo:alice", "/bin/sh", "-c", "exit 9")[0] == 9


@needs_root
def test_a_stranger_is_refused_at_the_control_socket(two):
    t = two()
    path = t.runtime_dir / "control.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", str(build_program("ten")),
         "--data-dir", str(t.data_dir), "status"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0 and "uid" in done.stderr + "uid"
    assert "declared" not in done.stdout
    # even one that gets at the socket is asked who it is
    os.chmod(path, 0o666)
    asked = ("import socket; s=socket.socket(socket.AF_UNIX); s.settimeout(20); "
             f"s.connect({str(path)!r}); "
             "s.sendall(b'GET /api/status HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'); print(s.recv(9999))")
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                           "/usr/bin/python3", "-c", asked], capture_output=True, text=True,
                          timeout=60, check=False)
    assert "403" in done.stdout, done


@needs_root
def test_a_link_in_place_of_its_socket_gets_nothing(tenement):
    t = tenement(start=False, settings={"backoff_base_ms": 100})
    t.write("echo.toml", t.service("echo"))
    t.write("echo-alice.toml", t.tenant("echo"))
    t.start()
    t.wait_ok("echo:alice")
    requests = t.instance("echo:alice")["requests"]
    target = t.instance("echo:alice")["socket"]
    t.write("bad.toml", t.service("bad", f"link --to {target}", startup_timeout=2))
    t.write("bad-mallory.toml", t.tenant("bad"))
    wait_until(lambda: t.instance("bad:mallory"))
    for _ in range(5):
        answer = t.get("bad:mallory")
        if answer.status == 200:  # it was ready for a moment, before it put the link there
            assert answer.json()["env"]["TENANT_ID"] == "mallory"
            continue
        assert answer.status in (502, 503, 504), answer
        assert b"alice" not in answer.body
    assert t.instance("echo:alice")["requests"] == requests
    assert t.get("echo:alice").json()["env"]["TENANT_ID"] == "alice"


LATER = r"""
import os, sys, threading, time
sys.argv = ["app.py"]
sys.path.insert(0, ".")
import app
def swap():
    while not os.path.exists(os.environ["DATA_DIR"] + "/go"):
        time.sleep(0.01)
    app.replace_socket(os.environ["VICTIM"])
    open(os.environ["DATA_DIR"] + "/gone", "w").close()
app.serve({}, lambda: threading.Thread(target=swap, daemon=True).start())
"""


@needs_root
def test_a_link_put_there_once_it_serves_gets_nothing(tenement):
    """When it was found ready its socket was its own; the proxy asks who answers each time."""
    t = tenement(start=False)
    (t.apps / "later.py").write_text(LATER)
    os.chmod(t.apps / "later.py", 0o755)
    t.write("echo.toml", t.service("echo"))
    t.write("echo-alice.toml", t.tenant("echo"))
    t.start()
    t.wait_ok("echo:alice")
    victim = t.instance("echo:alice")
    t.write("bad.toml", t.service("bad", command="/usr/bin/python3 later.py",
                                  env={"VICTIM": victim["socket"]}))
    t.write("bad-mallory.toml", t.tenant("bad"))
    t.wait_ok("bad:mallory")
    folder = t.data_dir / "bad" / "mallory"
    (folder / "go").touch()
    wait_until(lambda: (folder / "gone").exists(), what="the link")
    kill_daemon(t)
    for i in range(10):
        # (a connection from before the swap may be used again)
        answer = t.get("bad:mallory", f"/{i}")
        if answer.status == 200:
            assert answer.json()["env"]["TENANT_ID"] == "mallory"
        else:
            assert answer.status in (502, 503)
    assert t.instance("echo:alice")["requests"] == victim["requests"]


@needs_root
def test_a_stranger_on_a_sleepers_port_gets_nothing(tenement):
    """bob's app listens on PORT; while he sleeps mallory takes the port he had."""
    t = tenement(start=False, settings={"backoff_base_ms": 100})
    t.write("echo.toml", t.service("echo", "echo --listen port", startup_timeout=3))
    t.write("echo-bob.toml", t.tenant("echo"))
    t.start()
    t.wait_ok("echo:bob")
    port = t.instance("echo:bob")["port"]
    t.ten("stop", "echo:bob")
    t.write("bad.toml", t.service("bad", f"port --port {port}"))
    t.write("bad-mallory.toml", t.tenant("bad", state="running"))
    t.wait_state("bad:mallory", "ready")

    def stolen():
        with socket.create_connection(("127.0.0.1", port), 1):
            return True
    wait_until(stolen, what="mallory on bob's port")
    for _ in range(5):
        assert t.get("echo:bob").json()["env"]["TENANT_ID"] == "bob"
    assert t.instance("echo:bob")["port"] != port


@needs_root
def test_a_stranger_on_the_port_just_given_gets_nothing(tenement):
    """mallory listens on what bob gets, before bob does: his start fails, naming her uid."""
    t = tenement(start=False, settings={"backoff_base_ms": 100, "max_restarts": 0,
                                        "port_range": "20770-20771"})
    t.write("echo.toml", t.service("echo", "echo --listen port --start-delay 1", startup_timeout=4))
    t.write("echo-bob.toml", t.tenant("echo", state="running"))
    t.start()
    port = wait_until(lambda: t.instance("echo:bob")["port"], what="bob's port")
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", port))
        stranger.listen(5)
        failed = t.wait_state("echo:bob", "failed")
        stranger.setblocking(False)
        with pytest.raises(BlockingIOError):
            stranger.accept()
    assert "exit status" in failed["reason"] or "uid 0" in failed["reason"]


def test_umask_077_is_served(two):
    t = two("echo --umask 077")
    assert t.get("bad:mallory").status == 200
    kill_daemon(t)
    assert t.get("bad:mallory").status == 200


@needs_root
def test_a_named_user(tenement):
    t = tenement(start=False, settings={"max_restarts": 0})
    t.write("echo.toml", t.service("echo", user="nobody"))
    t.write("echo-alice.toml", t.tenant("echo"))
    t.write("echo-bob.toml", t.tenant("echo", user="nosuchuser"))
    t.start()
    assert t.get("echo:alice").json()["uid"] == 65534
    assert t.get("echo:bob").status in (503, 504)
    assert "nosuchuser" in (t.instance("echo:bob") or {"reason": str(status(t)["problems"])})["reason"]


def test_what_this_machine_cannot_give_is_refused(two):
    t = two(settings={"cgroups": "none"})
    t.wait_ok("echo:alice")
    pid = pids(t)["echo:alice"]
    t.write("echo-alice.toml", t.tenant("echo", sandbox="native"))
    t.write("echo-carol.toml", t.tenant("echo", memory_limit_mb=64))
    wait_until(lambda: sum("isolation" in p or "memory_limit_mb" in p for p in status(t)["problems"]) == 2,
               what="both refused")
    assert pids(t)["echo:alice"] == pid
    assert t.get("echo:carol").status == 404
    assert any("memory_limit_mb" in line for line in status(t)["degraded"])


@pytest.mark.skipif(ROOT, reason="that is for plain users")
def test_a_plain_user_is_told_what_is_missing(two):
    t = two()
    assert any("not protected" in warning for warning in status(t)["warnings"])
    assert "not protected" in " ".join(t.ten("status").stdout.split())
    t.write("echo-carol.toml", t.tenant("echo", user="nobody"))
    wait_until(lambda: t.instance("echo:carol") or status(t)["problems"])
    assert t.get("echo:carol").status in (404, 503, 504)


@needs_root
def test_links_in_the_data_folder_are_not_followed(two):
    """mallory's folder replaced by a link to bob's: nothing of bob's is chowned or served."""
    t = two()
    bob = t.get("echo:bob").json()["uid"]
    t.wait_ok("bad:mallory")
    t.ten("stop", "bad:mallory")
    own = t.data_dir / "bad" / "mallory"
    own.rename(own.with_name("aside"))
    own.symlink_to(t.data_dir / "echo" / "bob")
    assert t.get("bad:mallory").status in (503, 504)
    assert (t.data_dir / "echo" / "bob").stat().st_uid == bob
    assert str(own) in t.wait_state("bad:mallory", "backoff", "failed")["reason"]


def test_nothing_runs_after_its_removal(two):
    t = two()
    t.wait_ok("bad:mallory")
    pid = pids(t)["bad:mallory"]
    socket_path = t.instance("bad:mallory")["socket"]
    t.remove("bad-mallory.toml")
    wait_gone(pid)
    wait_until(lambda: t.instance("bad:mallory") is None)
    wait_until(lambda: not os.path.exists(socket_path))
