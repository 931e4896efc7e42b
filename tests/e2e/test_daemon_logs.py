"""What tenants print is kept, bounded, and never stops them."""

import contextlib
import os
import re
import signal
import subprocess

import pytest

from daemon_rig import kill, kill_daemon, pids, wait_daemon
from harness import build_program, process_alive, wait_until

TALKER = r"""
import os, sys
sys.argv = ["app.py"]
sys.path.insert(0, ".")
import app
class Talker(app.Handler):
    def echo(self, query):
        print(query.get("say", "nothing"), file=sys.stderr if "err" in query else sys.stdout, flush=True)
        self.answer(200, b"{}")
app.Handler.do_GET = lambda self: Talker.do_any(self)
app.Handler.echo = Talker.echo
app.serve({})
"""


@pytest.fixture
def talker(tenement):
    t = tenement(start=False)
    (t.apps / "talker.py").write_text(TALKER)
    os.chmod(t.apps / "talker.py", 0o755)
    t.write("x.toml", t.service("x", command="/usr/bin/python3 talker.py"))
    t.write("x-a.toml", t.tenant("x"))
    t.write("x-b.toml", t.tenant("x"))
    t.start()
    t.wait_ok("x:a")
    return t


def say(t, word, key="x:a"):
    assert t.get(key, f"/?say={word}").status == 200


def lines(t, *arguments, key="x:a"):
    return t.ten("logs", key, *arguments).stdout.splitlines()


def wait_line(t, word, key="x:a"):
    wait_until(lambda: any(word in line for line in lines(t, key=key)), what=f"the line {word}")


def test_lines_of_both_streams_in_order(talker):
    say(talker, "one")
    wait_line(talker, "one")  # (what lies in both pipes at the same time has no order)
    assert talker.get("x:a", "/?say=two&err=1").status == 200
    say(talker, "three", "x:b")
    wait_line(talker, "two")
    wait_line(talker, "three", "x:b")
    assert [word for line in lines(talker) for word in ("one", "two", "three") if word in line] == [
        "one", "two"]
    entries = talker.control("GET", "/api/logs?id=x:a&limit=10").json()
    assert [(one["message"], one["level"]) for one in entries if one["message"] in ("one", "two")] == [
        ("one", "stdout"), ("two", "stderr")]
    assert {(one["process"], one["instance_id"]) for one in entries} == {("x", "a")}


def test_number_of_lines(talker):
    for i in range(5):
        say(talker, f"line{i}")
    wait_line(talker, "line4")
    assert [line.split()[-1] for line in lines(talker, "-n", "2")] == ["line3", "line4"]


def test_follow(talker):
    say(talker, "before")
    wait_line(talker, "before")
    with subprocess.Popen([build_program("ten"), "logs", "x:a", "-f"], cwd=talker.root, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as follower:
        try:
            def next_with(word):
                while word not in (line := follower.stdout.readline()):
                    assert line, "it ended"
            next_with("before")
            say(talker, "after")
            next_with("after")
            kill(talker.pid_of("tenement-logger"))
            say(talker, "later")
            next_with("later")
        finally:
            follower.kill()


def test_while_the_daemon_is_dead(talker):
    daemon = talker.pid_of("tenementd")
    kill(daemon, signal.SIGSTOP)
    for i in range(50):
        say(talker, f"line{i}")
    kill(daemon)
    wait_daemon(talker, daemon)
    for i in range(50, 60):
        say(talker, f"line{i}")
    wait_line(talker, "line59")
    assert [line.split()[-1] for line in lines(talker, "-n", "100") if "line" in line] == [
        f"line{i}" for i in range(60)]


def test_log_writer_killed(talker):
    pid = pids(talker)["x:a"]
    for i in range(5):
        say(talker, f"line{i}")
        logger = talker.pid_of("tenement-logger")
        wait_line(talker, f"line{i}")
        kill(logger)
        wait_until(lambda logger=logger: talker.pid_of("tenement-logger") != logger)
    say(talker, "end")
    wait_line(talker, "end")
    assert pids(talker)["x:a"] == pid
    assert [line.split()[-1] for line in lines(talker) if "line" in line] == [
        f"line{i}" for i in range(5)]


def test_writer_and_daemon_killed_together(talker):
    pid = pids(talker)["x:a"]
    logger = talker.pid_of("tenement-logger")
    kill(logger)
    kill_daemon(talker)
    say(talker, "end")
    wait_line(talker, "end")
    assert pids(talker)["x:a"] == pid


def test_the_log_outlives_its_process(talker):
    say(talker, "early")
    wait_line(talker, "early")
    talker.ten("restart", "x:a")
    say(talker, "late")
    wait_line(talker, "late")
    talker.stop()
    talker.start()
    found = [line.split()[-1] for line in lines(talker)]
    assert "early" in found and "late" in found


def size_of(folder):
    total = 0
    for file in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # it is being rotated
            total += file.stat().st_size
    return total


def test_a_flood_is_bounded_and_blocks_nobody(tenement):
    t = tenement(start=False, settings={"log_max_kb": 64})
    t.write("x.toml", t.service("x", "flood", log_to=["store", "files"]))
    t.write("x-a.toml", t.tenant("x"))
    t.write("quiet.toml", t.service("quiet"))
    t.write("quiet-b.toml", t.tenant("quiet"))
    t.start()
    t.wait_ok("x:a")
    folder = t.data_dir / ".tenement" / "logs" / "x"
    wait_until(lambda: (folder / "a.log.1").exists(), what="a full log")
    for _ in range(20):
        assert t.get("x:a").status == 200
        assert t.get("quiet:b").status == 200
        assert size_of(folder) <= 64 * 1024 + 8192
    kill(t.pid_of("tenement-logger"))
    assert t.get("x:a").status == 200
    kill_daemon(t)
    assert t.get("x:a").status == 200
    wait_until(lambda: "noise" in t.ten("logs", "x:a", "-n", "1000").stdout, what="noise in the store")
    pid = pids(t)["x:a"]
    t.ten("stop", "x:a")
    assert not process_alive(pid)


def test_unknown_and_silent_tenants(talker):
    assert talker.ten("logs", "x:nobody", status=1).stderr
    assert lines(talker, key="x:b") == []


def test_bounds_are_live_and_what_went_wrong_is_told(talker):
    burst = "%0A".join(["noise"] * 60)

    def remarks(key):
        return [line for line in lines(talker, "-n", "10000", key=key)
                if "lines dropped: more than log_rate = 5 a second" in line]

    say(talker, burst)
    wait_line(talker, "noise")
    assert not remarks("x:a")
    talker.write("x-a.toml", talker.tenant("x", log_rate=5))
    pid = pids(talker)["x:a"]

    def is_bounded():
        say(talker, burst)
        say(talker, burst, "x:b")
        return remarks("x:a")

    wait_until(is_bounded, what="the bound of a changed file")
    assert pids(talker)["x:a"] == pid and not remarks("x:b")
    metrics = talker.control("GET", "/metrics").body.decode()
    assert int(re.search(r'^tenement_log_lost_lines_total\{reason="log_rate"\} (\d+)$', metrics, re.M)[1]) > 0
    assert int(re.search(r'^tenement_log_lines_total\{log="output"\} (\d+)$', metrics, re.M)[1]) > 0
    assert not any("damaged" in text for text in talker.control("GET", "/api/status").json()["problems"])

    store = talker.data_dir / ".tenement" / "logs" / "logs.db"
    logger = talker.pid_of("tenement-logger")
    kill(logger, signal.SIGSTOP)
    store.with_name("logs.db-wal").unlink()
    store.write_bytes(b"\xa5" * 65536)
    kill(logger)
    say(talker, "onwards", "x:b")
    wait_line(talker, "onwards", "x:b")
    assert list(store.parent.glob("logs.db.damaged.*"))
    assert any("damaged 1 time since" in text for text in talker.control("GET", "/api/status").json()["problems"])
