"""tenement-logger by itself: pipes in, files out. The test takes the keeper's place."""

import contextlib
import array
import fcntl
import os
import re
import resource
import signal
import socket
import stat
import subprocess
import sys
import termios
import threading

import pytest

from harness import build_program, wait_until

LINE = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (stdout|stderr|tenement)(\+?) (.*)$")


class Logger:
    """A running tenement-logger, whose keeper we are."""

    def __init__(self, folder, max_kb=2048, inherited=(), to="store,files"):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        names = ["table", "logger.in"] + [name for name, _ in inherited]
        null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        sources = [null, theirs.fileno()] + [fd for _, fd in inherited]
        # Above all target numbers, so that no dup2 hits a source.
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 200) for fd in sources]
        actions = [(os.POSIX_SPAWN_DUP2, fd, 3 + i) for i, fd in enumerate(high)]
        program = str(build_program("tenement-logger"))
        self.stderr = folder.parent / "logger.stderr"
        log = os.open(self.stderr, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        actions.append((os.POSIX_SPAWN_DUP2, log, 2))
        self.pid = os.posix_spawn(
            program,
            [program, "--dir", str(folder), "--max-kb", str(max_kb), "--to", to],
            {**os.environ, "TENEMENT_FDS": ",".join(names)},
            file_actions=actions,
        )
        self.status = None
        for fd in high + [null, log]:
            os.close(fd)
        theirs.close()

    def send(self, *words, fds=()):
        message = b"".join(word.encode() + b"\0" for word in words)
        self.send_raw(message, fds)

    def send_raw(self, message, fds=()):
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.ours.sendmsg([message], rights)

    def pipe(self, instance, stream="stdout"):
        """The writing end of a pipe whose reading end the logger got."""
        read, write = os.pipe()
        self.send("log", instance, stream, fds=[read])
        os.close(read)
        return write

    def path(self, instance, suffix=""):
        service, tenant = instance.split(":")
        return self.folder / service / f"{tenant}.log{suffix}"

    def lines(self, instance, suffix=""):
        """[(stream, mark, message)]; each line has to be one of ours."""
        try:
            text = self.path(instance, suffix).read_bytes().decode()
        except FileNotFoundError:
            return []
        found = []
        for line in text.splitlines():
            match = LINE.match(line)
            assert match, line
            found.append(match.groups())
        return found

    def messages(self, instance):
        return [message for _, _, message in self.lines(instance)]

    def wait_message(self, instance, message):
        wait_until(lambda: message in self.messages(instance), what=f"{message!r} in the log")

    def open_files(self, beginning):
        """What it has open, called BEGINNING... and not inherited by way of us."""
        def links(pid):
            for fd in os.listdir(f"/proc/{pid}/fd"):
                try:
                    yield os.readlink(f"/proc/{pid}/fd/{fd}")
                except FileNotFoundError:
                    pass
        ours = set(links("self")) | {"/dev/null", str(self.stderr)}
        return [name for name in links(self.pid)
                if name.startswith(beginning) and name not in ours and "/logs.db" not in name]

    def alive(self):
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status is None

    def stop(self, number=signal.SIGTERM):
        if self.alive():
            os.kill(self.pid, number)
            wait_until(lambda: not self.alive(), what="the end of the logger")
        return self.status


@pytest.fixture
def start(tmp_path):
    started = []

    def make(**options):
        started.append(Logger(tmp_path / "logs", **options))
        return started[-1]

    yield make
    for logger in started:
        logger.ours.close()
        status = logger.stop()
        assert status in (0, -signal.SIGKILL), f"ended with {status}: {logger.stderr.read_text()}"


def test_writes_both_streams_with_times(start):
    logger = start()
    out, err = logger.pipe("notes:alice"), logger.pipe("notes:alice", "stderr")
    os.write(out, b"hello\n")
    logger.wait_message("notes:alice", "hello")
    os.write(err, b"oh\r\n\x1b[2J\xff\n")
    logger.wait_message("notes:alice", "\\x1b[2J\\xff")
    assert logger.lines("notes:alice") == [
        ("stdout", "", "hello"),
        ("stderr", "", "oh"),
        ("stderr", "", "\\x1b[2J\\xff"),
    ]
    assert stat.S_IMODE(logger.path("notes:alice").stat().st_mode) == 0o640
    assert stat.S_IMODE(logger.path("notes:alice").parent.stat().st_mode) == 0o750


def test_end_of_pipe_writes_the_unfinished_line(start):
    logger = start()
    out = logger.pipe("notes:alice")
    os.write(out, b"last words")
    os.close(out)
    logger.wait_message("notes:alice", "last words")
    assert logger.lines("notes:alice") == [("stdout", "", "last words")]


def test_long_lines_are_cut_and_marked(start):
    logger = start()
    out = logger.pipe("notes:alice")
    os.write(out, b"x" * 20000 + b"\nnext\n")
    logger.wait_message("notes:alice", "next")
    lines = logger.lines("notes:alice")
    assert [(mark, len(message)) for _, mark, message in lines] == [
        ("+", 8192), ("+", 8192), ("", 20000 - 2 * 8192), ("", 4)]


def test_inherits_pipes_and_reads_each_once(start):
    read, write = os.pipe()
    other_read, other_write = os.pipe()
    logger = start(inherited=[("log:notes:alice:stdout:4711", read),
                              ("log:notes:bob:stderr:4712", other_read)])
    logger.send("log", "notes:alice", "stdout", fds=[read])
    os.close(read)
    os.close(other_read)
    for i in range(50):
        os.write(write, f"a{i}\n".encode())
        os.write(other_write, f"b{i}\n".encode())
    os.close(write)
    logger.wait_message("notes:alice", "a49")
    logger.wait_message("notes:bob", "b49")
    assert logger.messages("notes:alice") == [f"a{i}" for i in range(50)]
    assert logger.lines("notes:bob")[0] == ("stderr", "", "b0")


def unread(pipe):
    """Bytes that are in PIPE."""
    count = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]


def total_size(logger, instance):
    total = 0
    for path in (logger.path(instance), logger.path(instance, ".1")):
        with contextlib.suppress(FileNotFoundError):  # it may be renamed just now
            total += path.stat().st_size
    return total


@pytest.mark.parametrize("max_kb", [64, 1000])
def test_two_files_stay_within_the_bound(start, max_kb):
    logger = start(max_kb=max_kb)
    out = logger.pipe("notes:alice")
    count = 40000
    for first in range(0, count, 500):
        os.write(out, b"".join(b"line %06d of very many\n" % i for i in range(first, first + 500)))
        assert total_size(logger, "notes:alice") <= max_kb * 1024
    logger.wait_message("notes:alice", f"line {count - 1:06d} of very many")
    assert max_kb * 1024 * 0.4 < total_size(logger, "notes:alice") <= max_kb * 1024
    kept = [m for suffix in (".1", "") for _, _, m in logger.lines("notes:alice", suffix)]
    first = int(kept[0].split()[1])
    assert kept == [f"line {i:06d} of very many" for i in range(first, count)]


def test_binary_flood_stays_within_the_smallest_bound(start):
    logger = start(max_kb=64)
    out = logger.pipe("notes:alice")
    logger.send("bounds", "notes:alice", "0", "0", "0")
    for _ in range(30):
        os.write(out, bytes(range(256)) * 64)
        os.write(out, b"\n" * 8000)
        assert total_size(logger, "notes:alice") <= 64 * 1024
    os.write(out, b"end\n")
    logger.wait_message("notes:alice", "end")
    assert total_size(logger, "notes:alice") <= 64 * 1024


def test_the_bound_can_be_changed(start):
    logger = start(max_kb=10000)
    out = logger.pipe("notes:alice")
    os.write(out, b"first\n")
    logger.wait_message("notes:alice", "first")
    logger.send("limit", "64")
    for _ in range(100):
        os.write(out, b"y" * 2000 + b"\n")
    os.write(out, b"end\n")
    logger.wait_message("notes:alice", "end")
    assert total_size(logger, "notes:alice") <= 64 * 1024
    for wrong in ("0", "-5", "5x", "", "99999999999999999999"):
        logger.send("limit", wrong)
    os.write(out, b"z" * 30000 + b"\nafter\n")
    logger.wait_message("notes:alice", "after")
    assert total_size(logger, "notes:alice") <= 64 * 1024


def test_a_flood_starves_nobody(start):
    logger = start(max_kb=64)
    flooded, quiet = logger.pipe("notes:flood"), logger.pipe("notes:quiet")
    stopping = threading.Event()
    written = [0]

    def flood():
        os.set_blocking(flooded, True)
        while not stopping.is_set():
            written[0] += os.write(flooded, b"noise noise noise\n" * 1000)

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        wait_until(lambda: written[0] > 1_000_000, what="the flood")
        for i in range(20):
            os.write(quiet, f"word {i}\n".encode())
            before = written[0]
            logger.wait_message("notes:quiet", f"word {i}")
            # No more than a pipe's and a read's worth of the other's may have gone first, many times over.
            assert written[0] - before < 50_000_000
    finally:
        stopping.set()
        thread.join()
    assert logger.messages("notes:quiet") == [f"word {i}" for i in range(20)]


@pytest.mark.parametrize("instance", [
    "../notes:alice", "notes:../alice", "notes:..", "..:alice", "notes:a/b", "notes", ":", "notes:",
    ":alice", "Notes:alice", "notes:alice:x", "-notes:alice", "notes:" + "a" * 64, ".tenement:alice"])
def test_names_cannot_lead_out(start, tmp_path, instance):
    logger = start()
    out = logger.pipe(instance)
    good = logger.pipe("notes:good")
    os.write(good, b"fine\n")
    logger.wait_message("notes:good", "fine")
    with pytest.raises(BrokenPipeError):
        os.write(out, b"x\n")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["logger.stderr", "logs"]
    assert [p.name for p in (tmp_path / "logs").iterdir() if not p.name.startswith("logs.db")] == ["notes"]
    assert [p.name for p in (tmp_path / "logs" / "notes").iterdir()] == ["good.log"]


def test_garbage_is_refused_and_survived(start):
    logger = start()
    read, write = os.pipe()
    file = os.open("/dev/null", os.O_RDONLY)
    for message in (b"x", b"\0", b"log\0", b"log\0notes:alice\0stdout", b"log\0\0\0", b"\xff" * 5000,
                    b"log\0notes:alice\0stdin\0", b"log\0notes:alice\0tenement\0"):
        logger.send_raw(message)
        logger.send_raw(message, [read])
        logger.send_raw(message, [read, file])
    logger.send("log", "notes:alice", "stdout", fds=[file])
    logger.send("log", "notes:alice", "stdout", fds=[write])
    os.close(read)
    good = logger.pipe("notes:good")
    os.write(good, b"fine\n")
    logger.wait_message("notes:good", "fine")
    assert logger.alive()
    with pytest.raises(BrokenPipeError):  # nothing it refused is still open there
        os.write(write, b"x")
    assert "refused" in logger.stderr.read_text()


def test_links_are_not_followed(start, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("precious\n")
    logs = tmp_path / "logs"
    (logs / "notes").mkdir(parents=True)
    (logs / "notes" / "alice.log").symlink_to(elsewhere / "precious")
    (logs / "mail").symlink_to(elsewhere)
    logger = start()
    os.write(logger.pipe("notes:alice"), b"x\n")
    os.write(logger.pipe("mail:bob"), b"x\n")
    good = logger.pipe("notes:good")
    os.write(good, b"fine\n")
    logger.wait_message("notes:good", "fine")
    wait_until(lambda: "cannot write" in logger.stderr.read_text(), what="a warning")
    assert [p.name for p in elsewhere.iterdir()] == ["precious"]
    assert (elsewhere / "precious").read_text() == "precious\n"


def test_what_cannot_be_written_is_counted(start, tmp_path):
    logger = start()
    (tmp_path / "logs" / "notes").write_text("in the way\n")
    out = logger.pipe("notes:alice")
    os.write(out, b"one\ntwo\nthree\n")
    wait_until(lambda: "dropping lines" in logger.stderr.read_text(), what="a warning")
    (tmp_path / "logs" / "notes").unlink()
    # By itself, without a further line of the tenant's.
    logger.wait_message("notes:alice", "3 lines dropped: Not a directory")
    os.write(out, b"four\n")
    logger.wait_message("notes:alice", "four")
    assert logger.lines("notes:alice") == [
        ("tenement", "", "3 lines dropped: Not a directory"), ("stdout", "", "four")]


def test_a_full_disk_leaves_whole_lines(start):
    logger = start()
    out = logger.pipe("notes:alice")
    os.write(out, b"first\n")
    logger.wait_message("notes:alice", "first")
    limits = resource.prlimit(logger.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(logger.pid, resource.RLIMIT_FSIZE, (5000, limits[1]))
    os.write(out, b"".join(b"%099d\n" % i for i in range(1000)))
    wait_until(lambda: unread(out) == 0, what="an empty pipe")
    os.close(out)
    wait_until(lambda: not logger.open_files("pipe:"), what="the end of the pipe")
    assert logger.path("notes:alice").stat().st_size <= 5000
    assert logger.path("notes:alice").read_bytes().endswith(b"\n")
    resource.prlimit(logger.pid, resource.RLIMIT_FSIZE, limits)

    def counted():
        """What is there, and what the remarks say is not."""
        lines = logger.lines("notes:alice")
        kept = [message for stream, _, message in lines if stream == "stdout"][1:]
        assert kept == [f"{i:099d}" for i in range(len(kept))]
        assert 0 < len(kept) < 50
        remarks = [message for stream, _, message in lines if stream == "tenement"]
        dropped = [int(re.match(r"(\d+) lines dropped: File too large", r).group(1)) for r in remarks]
        return len(kept) + sum(dropped)

    wait_until(lambda: counted() == 1000, what="the remark")


def test_a_removed_file_is_made_again(start):
    logger = start()
    out = logger.pipe("notes:alice")
    os.write(out, b"first\n")
    logger.wait_message("notes:alice", "first")
    logger.path("notes:alice").unlink()
    os.write(out, b"second\n")
    logger.wait_message("notes:alice", "second")
    assert logger.messages("notes:alice") == ["second"]


def test_a_torn_line_is_ended(start, tmp_path):
    (tmp_path / "logs" / "notes").mkdir(parents=True)
    (tmp_path / "logs" / "notes" / "alice.log").write_text("2026-11-20T18:27:53.123Z stdout to")
    logger = start()
    os.write(logger.pipe("notes:alice"), b"whole\n")
    logger.wait_message("notes:alice", "whole")
    assert logger.messages("notes:alice") == ["to", "whole"]


def test_few_files_are_open_at_once(start):
    logger = start()
    pipes = {f"notes:t{i}": logger.pipe(f"notes:t{i}") for i in range(400)}
    for turn in range(2):
        for instance, pipe in pipes.items():
            os.write(pipe, f"turn {turn}\n".encode())
        for instance in pipes:
            logger.wait_message(instance, f"turn {turn}")
    assert len(logger.open_files("/")) == 256
    for pipe in pipes.values():
        os.close(pipe)
    wait_until(lambda: not logger.open_files("pipe:"), what="the end of all pipes")
    wait_until(lambda: not logger.open_files("/"), what="closed files")


def test_sigterm_drains_and_a_successor_goes_on(start):
    logger = start()
    read, write = os.pipe()
    logger.send("log", "notes:alice", "stdout", fds=[read])
    os.write(write, b"line 0\n")
    logger.wait_message("notes:alice", "line 0")
    os.write(write, b"".join(b"line %d\n" % i for i in range(1, 3000)) + b"half a ")
    assert logger.stop() == 0
    assert logger.lines("notes:alice")[-1] == ("stdout", "+", "half a ")
    assert logger.messages("notes:alice")[:3000] == [f"line {i}" for i in range(3000)]
    os.write(write, b"line\n")
    second = start(inherited=[("log:notes:alice:stdout:1", read)])
    os.close(read)
    second.wait_message("notes:alice", "line")
    assert second.lines("notes:alice")[-2:] == [("stdout", "+", "half a "), ("stdout", "", "line")]


def test_sigterm_ends_it_under_a_flood(start):
    logger = start(max_kb=64)
    out = logger.pipe("notes:flood")
    stopping = threading.Event()

    def flood():
        try:
            while not stopping.is_set():
                os.write(out, b"noise\n" * 5000)
        except BrokenPipeError:
            pass

    previous = signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    thread = threading.Thread(target=flood)
    thread.start()
    try:
        wait_until(lambda: total_size(logger, "notes:flood") > 10000, what="the flood")
        assert logger.stop() == 0
    finally:
        stopping.set()
        thread.join()
        signal.signal(signal.SIGPIPE, previous)


def test_killed_between_lines_loses_none_written(start):
    logger = start()
    read, write = os.pipe()
    logger.send("log", "notes:alice", "stdout", fds=[read])
    os.write(write, b"before\n")
    logger.wait_message("notes:alice", "before")
    logger.stop(signal.SIGKILL)
    os.write(write, b"while nobody reads\n")
    second = start(inherited=[("log:notes:alice:stdout:1", read)])
    os.close(read)
    second.wait_message("notes:alice", "while nobody reads")
    assert second.messages("notes:alice") == ["before", "while nobody reads"]


def test_ends_when_the_keeper_is_gone(start):
    logger = start()
    logger.ours.close()
    wait_until(lambda: not logger.alive(), what="the end of the logger")
    assert logger.status == 0


def test_keyboard_interrupt_and_hangup_are_not_for_it(start):
    logger = start()
    out = logger.pipe("notes:alice")
    os.write(out, b"x\n")
    logger.wait_message("notes:alice", "x")
    os.kill(logger.pid, signal.SIGINT)
    os.kill(logger.pid, signal.SIGHUP)
    os.write(out, b"y\n")
    logger.wait_message("notes:alice", "y")


def test_dies_with_its_parent_and_gains_no_privilege(start, tmp_path):
    logger = start()
    out = logger.pipe("notes:alice")
    os.write(out, b"x\n")
    logger.wait_message("notes:alice", "x")
    with open(f"/proc/{logger.pid}/status", encoding="ascii") as status:
        assert re.search(r"^NoNewPrivs:\t1$", status.read(), re.M)
    # A parent that leaves the other end open in somebody else's hands and dies.
    code = """
import os, socket, sys
sys.path.insert(0, sys.argv[1])
import pathlib, test_logger
logger = test_logger.Logger(pathlib.Path(sys.argv[2]) / "orphan")
out = logger.pipe("notes:alice")
os.write(out, b"x\\n")
logger.wait_message("notes:alice", "x")
print(logger.pid, flush=True)
os.set_inheritable(logger.ours.fileno(), True)
keeper = os.posix_spawn("/bin/cat", ["cat"], {}, file_actions=[])
os.kill(os.getpid(), 9)
"""
    read, write = os.pipe()
    child = subprocess.Popen([sys.executable, "-c", code, os.path.dirname(__file__), str(tmp_path)],
                             stdin=read, stdout=subprocess.PIPE, text=True)
    os.close(read)
    try:
        pid = int(child.stdout.readline())
        child.wait(timeout=20)
        wait_until(lambda: not os.path.exists(f"/proc/{pid}") or
                   open(f"/proc/{pid}/stat", encoding="ascii").read().split()[2] == "Z",
                   what="the end of the orphan")
    finally:
        os.close(write)  # ends cat, the holder of the other end
        child.stdout.close()


def test_usage():
    program = str(build_program("tenement-logger"))
    for arguments in ([], ["--dir", "/x"], ["--dir", "/x", "--max-kb", "0"],
                      ["--dir", "/x", "--max-kb", "5", "more"], ["--dir", "/x", "--max-kb", "64"]):
        environment = {k: v for k, v in os.environ.items() if k != "TENEMENT_FDS"}
        done = subprocess.run([program, *arguments], env=environment, capture_output=True, text=True,
                              timeout=20, check=False)
        assert done.returncode == 2
        assert "tenement-logger: error: " in done.stderr
