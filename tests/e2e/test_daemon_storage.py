"""storage_quota_mb: measured from outside, told of at 80 and 100 %, and what storage_over does."""

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import pytest

from daemon_rig import ROOT, kill, kill_daemon, status, wait_problem
from harness import SLOWNESS, children_of, process_alive, wait_until
from test_daemon_limits import metrics

MIB = 1 << 20
KEY = "echo:alice"


def rig(tenement, **service):
    t = tenement(start=False)
    t.write("echo.toml", t.service("echo", storage_quota_mb=20, idle_timeout=0, **service))
    t.write("echo-alice.toml", t.tenant("echo"))
    t.start()
    t.wait_ok(KEY)
    return t


def folder(t, key=KEY):
    return pathlib.Path(t.instance(key)["dir"])


def fill(path, mib):
    path.write_bytes(os.urandom(mib * MIB))
    os.sync()


def stored(t, key=KEY):
    return t.control("GET", f"/api/instances/{key}/storage").json()


def wait_level(t, level, key=KEY, timeout=60):
    def reached():
        said = stored(t, key)
        return said if said["level"] == level else None
    try:
        return wait_until(reached, timeout, what=f"{key} {level}")
    except AssertionError as error:
        raise AssertionError(f"{error}; it is {stored(t, key)}") from None


def wait_used(t, least, most, key=KEY, timeout=60):
    def reached():
        said = stored(t, key)
        used = said["used_bytes"]
        return said if used is not None and least <= used <= most else None
    try:
        return wait_until(reached, timeout, what=f"{key} between {least} and {most}")
    except AssertionError as error:
        raise AssertionError(f"{error}; it is {stored(t, key)}") from None


def look_now(t, key=KEY, **keys):
    """A changed quota has one that runs looked at at once. In the end it is what it was."""
    service, _, name = key.partition(":")
    quota = stored(t, key)["quota_bytes"] // MIB
    for each in (quota + 1, quota):
        t.write(f"{service}-{name}.toml", t.tenant(service, storage_quota_mb=each, **keys))
        wait_until(lambda each=each: stored(t, key)["quota_bytes"] == each * MIB, what="the quota")


def helpers(t):
    return [pid for pid, name in children_of(t.pid_of("tenementd")).items()
            if name.startswith("tenement-storag")]


def test_what_is_stored_is_told_everywhere(tenement, monkeypatch):
    t = rig(tenement)
    fill(folder(t) / "file", 10)
    look_now(t)
    said = wait_used(t, 10 * MIB, 11 * MIB)
    assert said["quota_bytes"] == 20 * MIB
    assert said["usage_percent"] == 100 * said["used_bytes"] // (20 * MIB)
    assert said["path"] == str(folder(t))
    assert said["level"] == "below" and said["problem"] is None
    assert t.instance(KEY)["storage"]["used_bytes"] == said["used_bytes"]
    found = metrics(t)
    assert found["tenement_instance_storage_bytes", 'service="echo"', 'id="alice"'] == said["used_bytes"]
    assert found["tenement_instance_storage_quota_bytes", 'service="echo"', 'id="alice"'] == 20 * MIB
    text = t.ten("status", KEY).stdout
    assert "10.0 MiB of 20.0 MiB (50 %)" in text, text
    assert status(t)["storage"] == "measured"
    monkeypatch.setenv("COLUMNS", "160")
    assert "STORED" in t.ten("ps").stdout


def test_both_events_and_their_end(tenement):
    t = rig(tenement)
    place = folder(t)
    fill(place / "a", 17)
    look_now(t)
    wait_level(t, "near")
    assert "its folder holds 17.0 MiB of 20.0 MiB (85 %)" in t.said()
    assert t.instance(KEY)["reason"].startswith("its folder holds 17.0 MiB")
    assert not status(t)["trouble"], "that is for when it is full"
    fill(place / "b", 4)
    wait_level(t, "full")
    assert "its folder holds 21.0 MiB of 20.0 MiB (105 %)" in t.said()
    assert status(t)["trouble"][0]["instance"] == KEY
    # storage_over = "warn": it goes on.
    assert t.get(KEY).status == 200
    (place / "b").unlink()
    fill(place / "b", 2)
    said = wait_used(t, 19 * MIB, 20 * MIB)
    assert said["level"] == "full", "95 % is not below 95 %"
    (place / "b").unlink()
    wait_level(t, "near")
    assert "no longer full" in t.said()
    (place / "a").unlink()
    wait_level(t, "below")
    assert "no longer near its quota" in t.said()
    assert t.instance(KEY)["reason"] == ""


def test_stop_answers_507_until_there_is_room(tenement):
    t = rig(tenement, storage_over="stop")
    place = folder(t)
    fill(place / "a", 21)
    look_now(t)
    wait_level(t, "full")
    t.wait_state(KEY, "stopped")
    assert "(now stopped, by storage_over)" in t.ten("status", KEY).stdout
    answer = t.get(KEY)
    assert answer.status == 507
    assert answer.json() == {"error": "the application's storage is full", "status": 507}
    assert "507 Insufficient Storage" in t.get(KEY, headers={"Accept": "text/html"}).text
    refused = t.ten("start", KEY, status=None)
    assert refused.returncode != 0
    assert "21.0 MiB of 20.0 MiB (105 %); it is stopped until" in refused.stdout + refused.stderr
    # Nobody runs, and room is found all the same.
    (place / "a").unlink()
    t.wait_status(KEY, 200, timeout=40)
    assert t.state(KEY) == "ready"


def test_a_raised_quota_is_in_force_at_once(tenement):
    t = rig(tenement, storage_over="stop")
    fill(folder(t) / "a", 21)
    look_now(t)
    t.wait_state(KEY, "stopped", timeout=60)
    t.write("echo-alice.toml", t.tenant("echo", storage_quota_mb=22))
    t.wait_status(KEY, 200)
    # (21 of 22 is more than 95 %: what was full by another quota is not held to it)
    assert stored(t)["level"] == "near"
    t.write("echo-alice.toml", t.tenant("echo", storage_quota_mb=10))
    t.wait_status(KEY, 507)
    t.write("echo-alice.toml", t.tenant("echo", storage_quota_mb=10, storage_over="warn"))
    t.wait_status(KEY, 200)
    assert stored(t)["level"] == "full"
    t.write("echo-alice.toml", t.tenant("echo", storage_quota_mb=0))
    t.wait_status(KEY, 200)
    assert wait_level(t, "below")["quota_bytes"] is None


def test_the_full_are_full_for_the_next_daemon(tenement):
    t = rig(tenement, storage_over="stop")
    fill(folder(t) / "a", 21)
    look_now(t)
    t.wait_state(KEY, "stopped", timeout=60)
    kill_daemon(t)
    assert t.get(KEY).status == 507
    assert stored(t)["level"] == "full"
    t.stop()
    t.start()
    assert t.get(KEY).status == 507, "also after all of it was down"
    (folder(t) / "a").unlink()
    t.wait_status(KEY, 200, timeout=40)


def test_one_that_runs_is_looked_at_by_the_next_daemon(tenement):
    t = rig(tenement)
    wait_used(t, 0, MIB)
    place = folder(t)
    kill(t.pid_of("tenementd"), signal.SIGSTOP)
    fill(place / "a", 18)
    kill_daemon(t)
    wait_level(t, "near", timeout=20)


def test_the_helper_may_die(tenement):
    t = rig(tenement)
    wait_used(t, 0, MIB)
    helper, = helpers(t)
    kill(helper)
    fill(folder(t) / "a", 18)
    look_now(t)
    wait_level(t, "near")
    assert "what looks at how much is stored ended" in t.said()
    again, = helpers(t)
    assert again != helper
    # One that hangs ends with the daemon as well.
    os.kill(again, signal.SIGSTOP)
    kill_daemon(t)
    wait_until(lambda: not process_alive(again), what="the end of the helper")


def test_sparse_files_links_and_pipes(tenement):
    t = rig(tenement)
    place = folder(t)
    fill(place / "a", 5)
    for i in range(100):
        os.link(place / "a", place / f"a{i}")
    with open(place / "sparse", "wb") as file:
        file.truncate(1 << 40)
    (place / "root").symlink_to("/")
    (place / "own").symlink_to(place)
    os.mkfifo(place / "pipe")
    look_now(t)
    wait_used(t, 5 * MIB, 6 * MIB)
    assert stored(t)["level"] == "below"


def test_very_many_files_hold_up_nobody(tenement):
    t = rig(tenement)
    t.write("echo-bob.toml", t.tenant("echo"))
    t.wait_ok("echo:bob")
    place = folder(t)
    for i in range(200):
        (place / f"{i}").mkdir()
        for k in range(1000):
            os.close(os.open(place / f"{i}/{k}", os.O_CREAT | os.O_WRONLY))
    kill_daemon(t)  # so that both are looked at anew
    fill(folder(t, "echo:bob") / "a", 18)
    look_now(t, "echo:bob")
    wait_level(t, "near", key="echo:bob")
    begun = time.monotonic()
    while stored(t)["used_bytes"] is None or not stored(t)["looked_secs"]:
        asked = time.monotonic()
        assert t.get(KEY).status == 200
        assert time.monotonic() - asked < 5
        assert time.monotonic() - begun < 120
    assert stored(t)["used_bytes"] >= 200 * 4096
    (helper,) = helpers(t)
    resident = int(pathlib.Path(f"/proc/{helper}/statm").read_text().split()[1]) * 4096
    assert resident < 64 * MIB or SLOWNESS > 1, "(a sanitizer's helper has more)"


def test_folders_deeper_than_can_be_followed_are_taken_for_full(tenement, monkeypatch):
    if os.access("/dev/shm", os.W_OK):  # a disk takes a minute for it
        monkeypatch.setattr(tempfile, "tempdir", "/dev/shm")
    t = rig(tenement, storage_over="stop")
    place = folder(t)
    at = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(33000):
        os.mkdir("m", dir_fd=at)
        below = os.open("m", os.O_RDONLY | os.O_DIRECTORY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    try:
        look_now(t)
        wait_level(t, "full", timeout=120)
        t.wait_status(KEY, 507)
        assert "deeper than can be followed" in t.instance(KEY)["reason"]
    finally:
        subprocess.run(["rm", "-rf", place / "m"], check=True)
    look_now(t)
    t.wait_status(KEY, 200)


def test_folders_that_are_moved_while_they_are_looked_at(tenement):
    t = rig(tenement)
    place = folder(t)
    for name in "ab":
        for i in range(50):
            (place / f"{name}/{i}").mkdir(parents=True)
            for k in range(100):
                (place / f"{name}/{i}/{k}").write_bytes(b"x")
    fill(place / "a/large", 17)
    over = threading.Event()

    def move():
        while not over.is_set():
            for i in range(50):
                os.rename(place / f"a/{i}", place / f"b/moved{i}")
                os.rename(place / f"b/moved{i}", place / f"a/{i}")
    mover = threading.Thread(target=move)
    mover.start()
    try:
        look_now(t)
        # 40 MiB of small files, of which one folder moves at a time.
        wait_used(t, 50 * MIB, 65 * MIB)
    finally:
        over.set()
        mover.join()
    assert helpers(t)


def test_further_folders_of_a_tenant_count(tenement):
    t = tenement(start=False)
    t.write("echo.toml", t.service("echo", storage_quota_mb=20, idle_timeout=0,
                                   env={"DATA_DIR": "{data_dir}/more/{id}"}))
    t.write("echo-alice.toml", t.tenant("echo"))
    t.start()
    t.wait_ok(KEY)
    fill(folder(t) / "a", 9)
    fill(pathlib.Path(t.get(KEY).json()["env"]["DATA_DIR"]) / "b", 9)
    look_now(t)
    wait_level(t, "near")
    assert stored(t)["usage_percent"] in (90, 91)


def test_one_that_is_gone_is_forgotten(tenement):
    t = rig(tenement)
    fill(folder(t) / "a", 18)
    look_now(t)
    wait_level(t, "near")
    note = folder(t).parent.parent / ".tenement/storage" / KEY
    assert note.read_text().endswith("level=near\n")
    t.ten("undeclare", KEY, status=None)
    t.remove("echo-alice.toml") if (t.conf_dir / "echo-alice.toml").exists() else None
    wait_until(lambda: not note.exists(), what="the end of its note")
    assert (note.parent.parent.parent / "echo/alice/a").exists(), "its data stays"


def test_a_sleeper_is_not_looked_at(tenement):
    t = rig(tenement)
    wait_used(t, 0, MIB)
    t.ten("stop", KEY)
    wait_until(lambda: stored(t)["looked_secs"] is not None)
    before = stored(t)["used_bytes"]
    fill(folder(t) / "a", 18)
    # The last look, for it ran since the one before, sees what was put there; none comes after it.
    look_now(t)
    wait_level(t, "near")
    assert before < MIB
    (folder(t) / "a").unlink()
    looked = time.monotonic()
    while time.monotonic() - looked < 8:
        assert stored(t)["level"] == "near"
        time.sleep(0.2)


@pytest.mark.skipif(not ROOT, reason="who is not root has no rights to lose")
def test_the_helper_has_few_rights(tenement):
    t = rig(tenement)
    wait_used(t, 0, MIB)
    (helper,) = helpers(t)
    said = dict(line.split(":\t") for line in
                pathlib.Path(f"/proc/{helper}/status").read_text().splitlines() if ":\t" in line)
    allowed = 1 << 2 | 1 << 3 | 1 << 21  # CAP_DAC_READ_SEARCH, CAP_FOWNER, CAP_SYS_ADMIN
    assert int(said["CapEff"], 16) & ~allowed == 0
    assert said["NoNewPrivs"] == "1"
    shutil.rmtree(folder(t), ignore_errors=True)


# storage_over = "readonly"

WRITER = """
import errno, http.server, os, socketserver

held = []
WHO = os.urandom(8).hex()  # in a PID namespace of its own each has the same pid

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        text = WHO
        path = os.environ["DATA_DIR"] + "/written"
        try:
            if self.path == "/write":
                open(path, "w").close()
            elif self.path == "/hold":
                held.append(open(path, "w"))
        except OSError as error:
            text = errno.errorcode[error.errno]
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass

    def address_string(self):
        return ""

class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

Server(os.environ["SOCKET_PATH"], Handler).serve_forever()
"""


def writer(tenement):
    t = tenement(start=False)
    (t.apps / "writer.py").write_text(WRITER)
    t.write("echo.toml", t.service("echo", command="/usr/bin/python3 writer.py", storage_quota_mb=20,
                                   idle_timeout=0, storage_over="readonly", isolation="namespace"))
    t.write("echo-alice.toml", t.tenant("echo"))
    t.start()
    if t.control("GET", f"/api/instances/{KEY}").status != 200:
        problem = " ".join(status(t)["problems"])
        assert "cannot be given" in problem, problem
        pytest.skip(problem)
    t.wait_ok(KEY)
    return t


def said_to(t, path):
    answer = t.get(KEY, path)
    assert answer.status == 200
    return answer.text


def test_readonly_under_a_tenant_that_goes_on(tenement):
    t = writer(tenement)
    process = said_to(t, "/write")
    fill(folder(t) / "a", 21)
    look_now(t)
    wait_until(lambda: said_to(t, "/write") == "EROFS", 60, what="a folder that is not writable")
    wait_until(lambda: "its folder is not writable any more" in t.said(), what="word of it")
    assert "cannot write there until" in t.instance(KEY)["reason"]
    assert said_to(t, "/") == process, "it was not started again"
    # The daemon that comes back finds it so, and so does a new process.
    kill_daemon(t)
    assert said_to(t, "/write") == "EROFS"
    t.ten("restart", KEY)
    assert said_to(t, "/write") == "EROFS"
    process = said_to(t, "/")
    t.write("echo-alice.toml", t.tenant("echo", storage_quota_mb=40))
    wait_until(lambda: said_to(t, "/write") == process, what="a folder that is writable")
    wait_until(lambda: "its folder is writable again" in t.said(), what="word of it")
    # Nothing of it was done to the folder as the machine sees it.
    (folder(t) / "b").write_text("x")


def test_readonly_for_one_that_has_files_open(tenement):
    t = writer(tenement)
    process = said_to(t, "/hold")
    fill(folder(t) / "a", 21)
    look_now(t)
    wait_until(lambda: said_to(t, "/write") == "EROFS", 60, what="a folder that is not writable")
    assert said_to(t, "/") != process
    assert "it has files open there to write to" in t.said()
    (folder(t) / "a").unlink()
    wait_until(lambda: said_to(t, "/write") != "EROFS", 60, what="a folder that is writable")


def test_readonly_changes_while_the_daemon_is_dead(tenement):
    t = writer(tenement)
    fill(folder(t) / "a", 21)
    look_now(t)
    wait_until(lambda: said_to(t, "/write") == "EROFS", 60, what="a folder that is not writable")
    process = said_to(t, "/")
    old = t.pid_of("tenementd")
    os.kill(old, signal.SIGSTOP)
    t.write("echo-alice.toml", t.tenant("echo", storage_quota_mb=40))
    kill_daemon(t)
    wait_until(lambda: said_to(t, "/write") == process, what="a folder that is writable")


def test_readonly_needs_a_view(tenement):
    t = tenement(start=False)
    t.write("echo.toml", t.service("echo", storage_quota_mb=20, storage_over="readonly", isolation="process"))
    t.write("echo-alice.toml", t.tenant("echo"))
    t.start()
    wait_problem(t, 'storage_over = "readonly" needs isolation = "namespace"')
