"""isolation = "namespace": what a tenant sees, and the init above it."""

import os
import pathlib
import shutil
import signal
import tempfile

import pytest

from daemon_rig import ROOT, in_threads, kill, kill_daemon, pids, proc_status, status, wait_gone
from harness import children_of, process_alive, processes_of, wait_until

needs_root = pytest.mark.skipif(not ROOT, reason="tenants share the uid of a plain user's daemon")


def machine_lacks():
    """Why a plain user can have no namespaces here; None: they can be had."""
    pid = os.fork()
    if pid == 0:
        libc = __import__("ctypes").CDLL(None, use_errno=True)
        os._exit(0 if libc.unshare(0x10000000 | 0x20000000 | 0x20000) == 0 else 1)
    return "no user namespaces for plain users" if os.waitpid(pid, 0)[1] and not ROOT else None


pytestmark = pytest.mark.skipif(bool(machine_lacks()), reason=str(machine_lacks()))


@pytest.fixture
def one(tenement):
    """A tenement whose service `app` has the tenants of KEYS, each in namespaces."""
    def make(mode="echo", keys=("app:a",), env=None, settings=None, start=True, text="", **values):
        t = tenement(start=False, settings={"backoff_base_ms": 100, **(settings or {})})
        t.write("app.toml", t.service("app", mode, env=env, **{"isolation": "namespace", **values}) + text)
        for key in keys:
            t.write(f"{key.replace(':', '-')}.toml", t.tenant("app"))
        if start:
            t.start()
            for key in keys:
                t.wait_ok(key)
        return t
    return make


def run_in(t, *command, key="app:a", code=0):
    """What `ten exec KEY -- COMMAND` says."""
    done = t.ten("exec", key, "--", *command, status=None)
    assert code is None or done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return (done.stdout + done.stderr).strip()


def shell(t, script, key="app:a", code=0):
    return run_in(t, "/bin/sh", "-c", script, key=key, code=code)


def reason(t, key="app:a"):
    return t.instance(key)["reason"] or ""


def wait_reason(t, *words, key="app:a"):
    return wait_until(lambda: all(word in reason(t, key) for word in words) and reason(t, key),
                      what=f"a reason that says {words}, not {reason(t, key)!r}")


# Processes


def test_it_is_not_the_first_process_and_sees_its_own_alone(one):
    t = one(keys=("app:a", "app:b"))
    assert t.get("app:a").json()["pid"] == 2
    init = t.instance("app:a")["pid"]
    assert pathlib.Path(f"/proc/{init}/comm").read_text().strip() == "tenement-init"
    assert [name for name in children_of(init).values()] == ["python3"]
    seen = {line.split()[0]: line.split(None, 1)[1] for line in shell(
        t, "cd /proc; for p in [0-9]*; do echo $p $(tr '\\0' ' ' <$p/cmdline); done").splitlines()
        if len(line.split()) > 1}
    assert seen.pop("1").startswith("tenement-init")
    assert "app.py" in seen.pop("2")
    assert all("/bin/sh" in command or "tr" in command for command in seen.values()), seen


def test_no_init_makes_the_command_the_first(one):
    t = one(init=False, stop_timeout=1)  # (the kernel keeps SIGTERM from who does not handle it)
    assert t.get("app:a").json()["pid"] == 1
    pid = t.instance("app:a")["pid"]
    assert pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "python3"
    t.ten("stop", "app:a")
    wait_gone(pid)


@needs_root
def test_the_init_is_nothing_to_attack(one):
    t = one()
    init = t.instance("app:a")["pid"]
    seen = proc_status(init)
    uid = str(t.instance("app:a")["uid"])
    assert seen["Uid"] == [uid] * 4 and seen["NoNewPrivs"] == ["1"]
    assert {seen[name][0] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert "denied" in shell(t, "cat /proc/1/environ", code=1)
    assert "denied" in shell(t, "ls /proc/1/fd", code=2)
    assert not [name for fd in pathlib.Path(f"/proc/{init}/fd").iterdir()
                if (name := os.readlink(fd)) != "/dev/null"]


def test_it_has_namespaces_of_its_own(one):
    t = one(keys=("app:a", "app:b"))
    for kind in ("pid", "mnt", "ipc", "uts", "cgroup"):
        seen = {os.readlink(f"/proc/{pid}/ns/{kind}")
                for pid in (t.instance("app:a")["pid"], t.instance("app:b")["pid"], os.getpid())}
        assert len(seen) == 3, (kind, seen)
    assert shell(t, "cut -d: -f3 /proc/self/cgroup | sort -u") == "/"


def test_its_level_is_told(one):
    t = one()
    assert t.instance("app:a")["isolation"] == "namespace"
    assert "namespace" in t.ten("status", "app:a").stdout


def test_an_exit_and_a_signal_are_told_apart(one):
    t = one("dies", start=False, restart="never")
    t.start()
    t.get("app:a")
    wait_until(lambda: t.instance("app:a")["last_exit"], what="an exit")
    assert t.instance("app:a")["last_exit"].get("status"), t.instance("app:a")["last_exit"]
    t.write("app.toml", t.service("app", isolation="namespace", restart="never"))
    t.wait_ok("app:a")
    [app] = children_of(t.instance("app:a")["pid"])
    kill(app, signal.SIGUSR1)
    wait_until(lambda: (t.instance("app:a")["last_exit"] or {}).get("signal") == signal.SIGUSR1,
               what=f"SIGUSR1, not {t.instance('app:a')['last_exit']}")


def leave_sleepers(t):
    """Processes in sessions of their own, and no children of the app's any more; their pids."""
    shell(t, "for i in 1 2 3; do (setsid sleep 4711 </dev/null >/dev/null 2>&1 &); done")
    found = lambda: [pid for pid, command in processes_of("4711").items() if command == "sleep 4711"]
    return wait_until(lambda: len(found()) == 3 and found(), what="three sleepers")


def test_all_ends_with_the_app(one):
    """Also what left for a session of its own, and what was double-forked."""
    t = one()
    init = t.instance("app:a")["pid"]
    sleepers = leave_sleepers(t)
    [app] = [pid for pid, name in children_of(init).items() if name == "python3"]
    kill(app)
    wait_gone(init, *sleepers)


def test_killing_the_init_ends_all(one):
    t = one()
    init = t.instance("app:a")["pid"]
    left = {*leave_sleepers(t), *children_of(init)}
    kill(init)
    wait_gone(init, *left)
    t.wait_ok("app:a")


def test_a_tenant_that_kills_all_it_can_kills_itself(one):
    t = one(keys=("app:a", "app:b"))
    others = t.get("app:b").json()["pid"], t.instance("app:b")["pid"]
    before = t.instance("app:a")["pid"]
    shell(t, "kill -9 -1; kill -9 1; true", code=None)
    wait_until(lambda: t.instance("app:a")["pid"] not in (None, before) or not process_alive(before))
    t.wait_ok("app:a")
    assert (t.get("app:b").json()["pid"], t.instance("app:b")["pid"]) == others


COUNTS = r"""
import os, signal, sys
def count(number, frame):
    with open(os.environ["DATA_DIR"] + "/signals", "a") as out:
        print(signal.Signals(number).name, file=out, flush=True)
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
    signal.signal(number, count)
sys.argv = ["app.py", "echo"]
sys.path.insert(0, ".")
import app
app.main(sys.argv[1:])
"""


def test_a_signal_comes_once(one):
    """To the group by us, to the init by anybody else."""
    t = one(start=False, stop_timeout=2, stop_signal="SIGHUP")
    (t.apps / "counts.py").write_text(COUNTS)
    t.write("app.toml", t.service("app", isolation="namespace", stop_timeout=2, stop_signal="SIGHUP",
                                  command="/usr/bin/python3 counts.py"))
    t.start()
    t.wait_ok("app:a")
    init = t.instance("app:a")["pid"]
    heard = t.data_dir / "app" / "a" / "signals"
    names = lambda: heard.read_text().split() if heard.exists() else []
    os.kill(init, signal.SIGUSR1)
    wait_until(lambda: names() == ["SIGUSR1"], what="what the init passes on")
    t.ten("stop", "app:a")
    assert names() == ["SIGUSR1", "SIGHUP"]
    t.wait_ok("app:a")
    os.kill(t.instance("app:a")["pid"], signal.SIGTERM)
    wait_until(lambda: names()[2:] == ["SIGTERM"], what="what the init passes on")


# The file system


@needs_root
def test_the_host_is_read_only_and_what_is_ours_is_hidden(one):
    t = one(keys=("app:a", "app:b"))
    (t.data_dir / "app" / "b" / "diary").write_text("dear")
    for path in ("/etc", "/usr", "/", t.apps, "/sys"):
        assert "Read-only file system" in shell(t, f"touch {path}/x", code=1), path
    assert "Read-only" in shell(t, "echo x >/proc/sys/kernel/hostname", code=2)
    for path in ("/root", "/home", t.conf_dir):
        assert shell(t, f"ls -A {path}") == "", path
    assert shell(t, f"ls -A {t.data_dir}") == "app"
    assert shell(t, f"ls -A {t.data_dir}/app") == "a"
    assert shell(t, f"ls -A {t.runtime_dir}") == "sockets"
    assert shell(t, f"ls -A {t.runtime_dir}/sockets") == "app:a"
    assert not shell(t, f"cat {t.root}/tenement.toml", code=1).startswith("[")
    assert "No such file" in shell(t, f"cat {t.data_dir}/app/b/diary", code=1)
    assert set(shell(t, f"ls -A {t.root}").split()) == {"apps", "conf.d", "run", "tenement-data"}


def test_its_own_places_are_writable(one):
    t = one()
    shell(t, "echo kept >$DATA_DIR/x && echo gone >/tmp/x && echo gone >/var/tmp/x && echo gone >/dev/shm/x")
    assert (t.data_dir / "app" / "a" / "x").read_text() == "kept\n"
    assert shell(t, "cat /tmp/x /var/tmp/x /dev/shm/x").split() == ["gone"] * 3
    t.ten("restart", "app:a")
    assert shell(t, "ls /tmp/x /var/tmp/x /dev/shm/x 2>/dev/null | wc -l") == "0"


def test_tmp_has_a_bound(one):
    t = one(memory_limit_mb=0)
    assert "No space left" in shell(t, "head -c 300M /dev/zero >/tmp/x", code=1)
    assert shell(t, "stat -c %s /tmp/x") == str(256 << 20)
    shell(t, "rm /tmp/x")


def test_dev_is_minimal(one):
    t = one()
    assert set(shell(t, "ls /dev").split()) - {"log"} == {
        "fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty",
        "urandom", "zero"}
    assert shell(t, "echo x >/dev/null; head -c 3 /dev/zero | wc -c; head -c 3 /dev/urandom | wc -c"
                 ).split() == ["3", "3"]
    assert "No space" in shell(t, "head -c 1 /dev/zero >/dev/full", code=1)
    assert run_in(t, "/usr/bin/python3", "-c", "import os; print(os.ttyname(os.openpty()[1]))") == "/dev/pts/0"


def test_nothing_of_run_but_what_is_listed(one):
    t = one()
    listed = {"systemd", "resolvconf", "NetworkManager", "nscd", "postgresql", "mysqld", "redis",
              "memcached", "mongodb"}
    assert set(shell(t, "ls -A /run").split()) <= listed
    if os.path.isdir("/run/postgresql"):
        assert shell(t, "ls -Ad /run/postgresql") == "/run/postgresql"


def test_the_host_sees_nothing_of_it(one):
    """No mount of a tenant's reaches the machine, and none is left."""
    mounts = pathlib.Path("/proc/self/mounts").read_text()
    t = one(keys=("app:a", "app:b"))
    assert pathlib.Path("/proc/self/mounts").read_text() == mounts
    assert pathlib.Path(f"/proc/{t.pid_of('tenementd')}/mounts").read_text() == mounts
    t.stop()
    assert pathlib.Path("/proc/self/mounts").read_text() == mounts
    assert not t.runtime_dir.exists()


@pytest.fixture
def outside():
    """A folder of the host's that any tenant may go to."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tenement-outside-", dir="/var/lib" if ROOT else None))
    os.chmod(folder, 0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def put(folder, name, text="x", mode=0o644):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.chmod(path, mode)
    return path


def test_paths_as_asked_for(one, outside):
    for name in ("hidden/x", "read/x", "write/a/x", "media/x", "shared/x"):
        put(outside, name, name)
    for name in ("write/a", "shared"):
        os.chmod(outside / name, 0o777)
    t = one(read_only_paths=[f"{outside}/read"], read_write_paths=[f"{outside}/write/{{id}}"],
            hide_paths=[f"{outside}/hidden", "/etc/hostname"],
            text=f'[[service.app.mounts]]\nsource = "{outside}/media"\ndestination = "/tmp/media"\n'
                 f'[[service.app.mounts]]\nsource = "{outside}/shared"\ndestination = "{outside}/media"\n'
                 "readonly = false\n")
    assert shell(t, f"ls -A {outside}/hidden; cat /etc/hostname") == ""
    assert shell(t, f"cat {outside}/read/x /tmp/media/x {outside}/media/x") == "read/xmedia/xshared/x"
    shell(t, f"echo new >{outside}/write/a/y && echo new >{outside}/media/y")
    assert (outside / "write/a/y").read_text() == (outside / "shared/y").read_text() == "new\n"
    # (below /tmp, as for a plain user here, the folders between are private ones)
    for path in (f"{outside}/read", "/tmp/media", *([f"{outside}/write"] if ROOT else [])):
        assert "Read-only" in shell(t, f"touch {path}/y", code=1), path
    # What the host makes later is seen as well.
    put(outside, "read/later", "later")
    assert shell(t, f"cat {outside}/read/later") == "later"


def test_what_it_runs_is_shown_where_it_would_be_hidden(one, outside):
    """Its workdir and its program below a folder that is hidden: /home would be such a one."""
    t = one(start=False)
    shutil.copytree(t.apps, outside / "app")
    t.write("app.toml", t.service("app", isolation="namespace", workdir=f"{outside}/app",
                                  hide_paths=[str(outside)]))
    put(outside, "secret")
    t.start()
    t.wait_ok("app:a")
    assert shell(t, f"ls -A {outside}") == "app"
    assert "Read-only" in shell(t, f"touch {outside}/app/x", code=1)


def test_a_folder_of_our_own_is_hidden_whole(one, outside):
    """So a tenement.toml that is replaced stays hidden; where a program is in it, it is shown but for ours."""
    t = one(start=False)
    shutil.copytree(t.apps, outside / "app")
    put(t.root, "beside")
    t.write("app.toml", t.service("app", isolation="namespace", workdir=f"{outside}/app"))
    t.write("near.toml", t.service("near", isolation="namespace"))
    t.write("near-a.toml", t.tenant("near"))
    t.start()
    t.wait_ok("app:a")
    t.wait_ok("near:a")
    for main in (t.root / "tenement.toml", t.root / "new.toml"):
        (t.root / "new.toml").write_text((t.root / "tenement.toml").read_text())
        main.rename(t.root / "tenement.toml")
        assert "No such file" in shell(t, f"cat {t.root}/tenement.toml", code=1)
    assert "beside" not in shell(t, f"ls -A {t.root}").split()
    assert shell(t, f"ls -A {t.conf_dir}", key="near:a") == ""


@pytest.mark.parametrize("values, text, words", [
    ({"read_only_paths": ["/nowhere/at/all"]}, "", ["read_only_paths", "/nowhere/at/all", "No such file"]),
    ({"read_write_paths": ["/nowhere/at/all"]}, "", ["read_write_paths", "/nowhere/at/all", "No such file"]),
    ({"hide_paths": ["/nowhere/at/all"]}, "", ["hide_paths", "/nowhere/at/all", "No such file"]),
    ({}, "source = '/nowhere/at/all'\ndestination = '/mnt'", ["mounts", "/nowhere/at/all", "No such file"]),
    ({}, "source = '/usr'\ndestination = '/usr/nowhere'", ["mounts", "no place", "/usr/nowhere", "No such file"]),
    ({"rootfs": "/nowhere/at/all"}, "", ["rootfs", "/nowhere/at/all", "No such file"]),
    ({"rootfs": "/etc/passwd"}, "", ["rootfs", "/etc/passwd", "Not a directory"]),
])
def test_a_start_fails_with_the_place(one, values, text, words):
    t = one(start=False, text=f"[[service.app.mounts]]\n{text}\n" if text else "", **values)
    t.start()
    assert t.get("app:a").status in (502, 503, 504)
    wait_reason(t, *words)


@pytest.mark.parametrize("line, words", [
    ("read_only_paths = ['relative']", ["relative"]),
    ("read_write_paths = ['/srv/../etc']", ['".."']),
    ("hide_paths = ['/']", ["hide_paths: /"]),
    ("read_only_paths = ['/proc/kcore']", ["/proc"]),
    ("read_only_paths = ['{data_dir}/app/b']", ["data_dir", "kept from tenants"]),
    ("read_write_paths = ['DATA/.tenement']", ["data_dir", "kept from tenants"]),
    ("read_only_paths = ['CONF']", ["conf_dir", "kept from tenants"]),
    ("read_only_paths = ['RUN/control.sock']", ["runtime_dir", "kept from tenants"]),
    ("hide_paths = ['{dir}/x']", ["the tenant's own"]),
    ("mounts = [{ source = 'ROOT', destination = '/mnt' }]", ["data_dir", "kept from tenants"]),
    ("mounts = [{ source = '/srv' }]", ["no destination"]),
    ("mounts = [{ source = '/srv', destination = '/' }]", ["mounts: /"]),
    ("mounts = [{ source = '/srv', destination = 'DATA/app/b' }]", ["data_dir"]),
    ("rootfs = 'ROOT'", ["rootfs", "kept from tenants"]),
    ("isolation = 'process'\nhide_paths = ['/srv']", ["hide_paths has no effect"]),
    ("isolation = 'process'\ninit = false", ["init has no effect"]),
    ("isolation = 'process'\nmounts = [{ source = '/srv', destination = '/mnt' }]", ["mounts has no effect"]),
])
def test_what_cannot_be_meant_is_refused(tenement, line, words):
    t = tenement(start=False)
    for name, path in (("DATA", t.data_dir), ("CONF", t.conf_dir), ("RUN", t.runtime_dir), ("ROOT", t.root)):
        line = line.replace(name, str(path))
    if "isolation" not in line:
        line += "\nisolation = 'namespace'"
    t.write("app.toml", f"[service.app]\ncommand = '/bin/true'\n{line}\n")
    t.write("app-a.toml", t.tenant("app"))
    t.start()
    problems = wait_until(lambda: status(t)["problems"], what="a problem")
    assert any(all(word in problem for word in words) for problem in problems), problems
    assert t.instance("app:a") is None


@needs_root
def test_links_lead_nowhere_new(one, outside):
    """A tenant's link where an operator's path goes through its folder; one to what is kept."""
    t = one(keys=("app:a", "app:b"), start=False, read_only_paths=["{dir}/config"])
    t.write("app-b.toml", t.tenant("app", read_only_paths=[]))
    t.start()
    t.wait_ok("app:b")
    own = t.data_dir / "app" / "a"
    put(t.data_dir / "app" / "b", "diary", "dear")
    t.get("app:a")
    wait_reason(t, "config")
    own.joinpath("config").symlink_to(t.data_dir / "app" / "b")
    t.ten("start", "app:a", status=None)
    wait_reason(t, "kept from tenants")
    own.joinpath("config").unlink()
    own.joinpath("config").symlink_to("/etc")
    t.ten("start", "app:a", status=None)
    wait_reason(t, "config", "out of the tenant's own folder")
    own.joinpath("config").unlink()
    own.joinpath("config").mkdir()
    os.chown(own / "config", own.stat().st_uid, own.stat().st_gid)
    t.ten("start", "app:a", status=None)
    t.wait_ok("app:a")
    assert "Read-only" in shell(t, "touch $DATA_DIR/config/x", code=1)
    # A link of the operator's to what is kept.
    (outside / "link").symlink_to(t.conf_dir)
    t.write("app-b.toml", t.tenant("app", read_only_paths=[f"{outside}/link"]))
    wait_reason(t, "kept from tenants", key="app:b")
    # One to what that lies in: what is shown through it would cover what hides it.
    (outside / "above").symlink_to(t.root)
    t.write("app-b.toml", t.tenant("app", read_only_paths=[f"{outside}/above"]))
    t.ten("start", "app:b", status=None)
    wait_reason(t, "above", "kept from tenants", key="app:b")


@pytest.mark.parametrize("values, text, reason_words", [
    ({"workdir": "{dir}/link", "command": "/usr/bin/python3 APPS/app.py echo"}, "", ["workdir"]),
    ({"command": "{dir}/link/run"}, "", ["command"]),
    ({}, "source = '{dir}/link'\ndestination = '/mnt'", ["mounts", "out of the tenant's own folder"]),
])
def test_a_tenants_links_uncover_nothing(one, outside, values, text, reason_words):
    """A link of its own, where its workdir, its program or a mount is to be in its own folder."""
    t = one(start=False)
    put(outside, "secret/x", "found")
    put(outside, "secret/run", "#!/bin/sh\n", mode=0o755)
    values = {name: value.replace("APPS", str(t.apps)) for name, value in values.items()}
    t.write("app.toml", t.service("app", isolation="namespace", hide_paths=[str(outside)], **values)
            + (f"[[service.app.mounts]]\n{text}\n" if text else ""))
    t.start()
    t.get("app:a")
    wait_reason(t, "No such file")
    (t.data_dir / "app" / "a" / "link").symlink_to(outside / "secret")
    t.ten("start", "app:a", status=None)
    wait_reason(t, *reason_words)
    assert t.instance("app:a")["state"] in ("failed", "backoff")


@pytest.mark.parametrize("place", ["{runtime_dir}/s", "{runtime_dir}/sockets/{id}.sock", "{runtime_dir}/credentials/s"])
def test_a_socket_is_in_no_folder_of_ours(one, place):
    """That folder would be shown to the tenant and, below runtime_dir, given to it."""
    t = one(keys=("app:a", "app:b"), start=False)
    t.write("app-a.toml", t.tenant("app", socket=place))
    t.start()
    t.wait_ok("app:b")
    t.get("app:a")
    wait_reason(t, "socket", "tenement's own")
    assert (t.runtime_dir / "sockets").stat().st_uid == os.geteuid()


# A root of its own


@pytest.fixture
def rootfs(outside):
    """One with busybox alone, and nothing that a tenant needs besides."""
    busybox = shutil.which("busybox")
    if not busybox:
        pytest.skip("busybox-static is not installed")
    root = outside / "root"
    (root / "bin").mkdir(parents=True)
    shutil.copy(busybox, root / "bin")
    for name in ("sh", "ls", "cat", "touch", "id", "ps", "httpd", "echo"):
        (root / "bin" / name).symlink_to("busybox")
    put(root, "www/index.html", "from the root\n")
    put(root, "etc/motd", "inside\n")
    return root


def test_a_root_of_its_own(one, rootfs):
    t = one(start=False, rootfs=str(rootfs), command="/bin/httpd -f -p 127.0.0.1:{port} -h /www", workdir="/www")
    before = sorted(str(path) for path in rootfs.rglob("*"))
    t.start()
    assert t.wait_ok("app:a").text == "from the root\n"
    assert set(run_in(t, "/bin/ls", "/").split()) >= {"bin", "dev", "etc", "proc", "sys", "tmp", "www"}
    assert "usr" not in run_in(t, "/bin/ls", "/").split()
    assert run_in(t, "/bin/cat", "/etc/motd") == "inside"
    assert "Read-only" in run_in(t, "/bin/touch", "/etc/x", code=1)
    run_in(t, "/bin/sh", "-c", "echo kept >$DATA_DIR/x; echo gone >/tmp/x")
    assert (t.data_dir / "app" / "a" / "x").read_text() == "kept\n"
    assert run_in(t, "/bin/sh", "-c", "echo $PWD; ls /proc/1/exe >/dev/null 2>&1; ls -d /proc/[0-9]*").split()[:2] == [
        "/www", "/proc/1"]
    t.stop()
    assert sorted(str(path) for path in rootfs.rglob("*")) == before


# Life


def test_a_daemon_that_comes_back_knows_it(one):
    t = one(ready="notify", mode="notifies")
    init = t.instance("app:a")["pid"]
    kill_daemon(t)
    assert t.instance("app:a")["pid"] == init and t.state("app:a") == "ready"
    [app] = children_of(init)
    kill(app, signal.SIGKILL)
    t.wait_ok("app:a")
    assert t.instance("app:a")["last_exit"] == {"signal": 9, "name": "Killed"}


def test_readiness_is_told_to_the_next_daemon_too(one):
    """NOTIFY_SOCKET is another one after a restart of the daemon, at the place of the first."""
    t = one(mode="notifies", ready="notify")
    kill_daemon(t)
    script = ("import os, socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); "
              "s.sendto(b'EXTEND_TIMEOUT_USEC=60000000', os.environ['NOTIFY_SOCKET'])")
    run_in(t, "/usr/bin/python3", "-c", script)


def test_a_frozen_one_thaws(one):
    t = one(sleep=[{"after": 1, "to": "frozen"}])
    t.wait_state("app:a", "frozen")
    assert "frozen" in t.ten("exec", "app:a", "--", "true", status=None).stderr
    t.wait_ok("app:a")
    t.ten("stop", "app:a")
    t.wait_ok("app:a")


def test_an_upgrade_leaves_them_as_they_are(one):
    """Keeper, daemon and workers are others, the tenants are not, and their ends are heard of."""
    t = one(keys=("app:a", "app:b"))
    before = pids(t)
    apps = {key: list(children_of(pid)) for key, pid in before.items()}
    mounts = pathlib.Path("/proc/self/mounts").read_text()
    daemon = t.pid_of("tenementd")
    t.ten_json("upgrade")
    assert t.pid_of("tenementd") != daemon
    assert pids(t) == before and {key: list(children_of(pid)) for key, pid in before.items()} == apps
    assert t.get("app:a").json()["pid"] == 2
    assert run_in(t, "/bin/sh", "-c", "echo $TENANT_ID; ls -A " + str(t.conf_dir)) == "a"
    kill(apps["app:a"][0])  # (the init above it ends as it did)
    wait_until(lambda: pids(t).get("app:a") not in (None, before["app:a"]), what="another process")
    wait_gone(before["app:a"])
    t.wait_ok("app:a")
    t.ten("stop", "app:b")
    wait_gone(before["app:b"], *apps["app:b"])
    assert pathlib.Path("/proc/self/mounts").read_text() == mounts


def test_the_keeper_is_killed_and_they_end(one):
    """Nothing of them is left, and the next life starts others."""
    t = one(keys=("app:a", "app:b"))
    keeper, before = t.keeper_pid(), pids(t)
    run_in(t, "/bin/sh", "-c", "setsid sleep 301 </dev/null >/dev/null 2>&1 &")
    wait_until(lambda: processes_of("sleep\x00301"), what="what it left to itself")
    inside = [*processes_of("sleep\x00301"), *(app for init in before.values() for app in children_of(init))]
    ours = children_of(keeper)
    kill(keeper)
    t.serve.wait(20)
    t.serve = None
    wait_gone(*ours, *before.values(), *inside)
    t.start()
    for key in before:
        t.wait_ok(key)
        assert t.get(key).json()["pid"] == 2
    assert not set(pids(t).values()) & set(before.values())


def test_exec_needs_a_process(one):
    t = one()
    t.ten("stop", "app:a")
    done = t.ten("exec", "app:a", "--", "true", status=None)
    assert done.returncode != 0 and "ten start app:a" in done.stderr
    t.ten("start", "app:a")
    assert run_in(t, "/bin/sh", "-c", "exit 7", code=7) == ""
    assert run_in(t, "/bin/sh", "-c", "kill -9 $$", code=137) == ""


def test_exec_is_in_its_groups(one):
    t = one()
    init = t.instance("app:a")["pid"]
    groups = lambda pid: sorted(pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines())
    run_in(t, "/bin/sh", "-c", "sleep 300 </dev/null >/dev/null 2>&1 & echo $!")
    [sleeper] = [pid for pid in processes_of("sleep\x00300") if "sleep 300" in processes_of("sleep\x00300")[pid]]
    assert groups(sleeper) == groups(init)
    t.ten("stop", "app:a")
    wait_gone(sleeper)


def test_many_at_once(tenement):
    """Two hundred starts, and the machine as before."""
    count = 200
    mounts = pathlib.Path("/proc/self/mounts").read_text()
    t = tenement(start=False, settings={"max_concurrent_starts": 50})
    t.write("tiny.toml", t.service("tiny", "tiny", isolation="namespace", startup_timeout=60))
    for i in range(count):
        t.write(f"tiny-t{i}.toml", t.tenant("tiny"))
    t.start()
    answers = in_threads(count, lambda i: t.get(f"tiny:t{i}", timeout=60).status)
    assert answers == [200] * count
    running = pids(t)
    assert len(running) == count
    assert pathlib.Path("/proc/self/mounts").read_text() == mounts
    t.stop()
    wait_gone(*running.values())
    assert pathlib.Path("/proc/self/mounts").read_text() == mounts
    assert not t.runtime_dir.exists()
