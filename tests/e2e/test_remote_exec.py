"""`ten exec` from elsewhere: what goes in and comes out, terminals, ends of every kind, and who may."""

import contextlib
import fcntl
import os
import pty
import random
import signal
import struct
import subprocess
import termios
import time

import pytest

from api_rig import Api
from harness import SLOWNESS, Tenement, wait_until

COMMAND, STDIN, STDIN_EOF, RESIZE, SIGNAL = range(1, 6)
STDOUT, STDERR, EXIT, ERROR, TAKEN = range(16, 21)
WINDOW = 262144
PATH = "/api/instances/app:alice/exec"


@pytest.fixture(scope="module", name="t")
def one_for_all():
    one = Tenement()
    try:
        one.declare(["app:alice", "app:bob"])
        one.declare(["apart:alice"], isolation="namespace")
        one.start_ok(["app:alice", "app:bob", "apart:alice"])
        one.api = Api(one)
        one.token = one.api.token()
        yield one
    finally:
        one.close()


def environment(t, token=None, **more):
    env = {key: value for key, value in os.environ.items() if not key.startswith("TENEMENT_")}
    return {**env, "TENEMENT_DATA_DIR": "/nonexistent", "TENEMENT_TOKEN": token or t.token,
            "TENEMENT_SERVER": f"http://localhost:{t.port}", **more}


def run(t, *words, token=None, data=b"", **options):
    return subprocess.run([t.program("ten"), "exec", "app:alice", "--", *words], input=data, capture_output=True, check=False,
                          env=environment(t, token), timeout=60 * SLOWNESS, **options)


@contextlib.contextmanager
def begin(t, *words, token=None, key="app:alice"):
    process = subprocess.Popen([t.program("ten"), "exec", key, "--", *words], env=environment(t, token), stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise


def is_there(mark):
    """Whether a process has MARK for a word of its command."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/cmdline", "rb") as words:
                if mark.encode() in words.read().split(b"\0"):
                    return True
    return False


MARKS = iter(f"{number}.25" for number in range(9000 + os.getpid() % 500 * 100, 10 ** 6))  # (seconds to sleep)


def frame(kind, data=b""):
    return struct.pack(">BI", kind, len(data)) + data


def command(*words, tty=False):
    return frame(COMMAND, struct.pack(">BHH", tty, 24, 80) + b"\0" + b"".join(word.encode() + b"\0" for word in words))


class Raw:
    """A connection that has been upgraded, frame by frame."""

    def __init__(self, t, token=None):
        self.socket = t.api.connect()
        self.socket.sendall(t.api.head("POST", PATH, token or t.token, "Connection: Upgrade", "Upgrade: tenement-exec"))
        self.came = b""
        while b"\r\n\r\n" not in self.came:
            piece = self.socket.recv(65536)
            assert piece, self.came
            self.came += piece
        self.head, _, self.came = self.came.partition(b"\r\n\r\n")

    def send(self, data):
        self.socket.sendall(data)

    def read(self):
        """The next frame; None at the end."""
        while len(self.came) < 5 or len(self.came) < 5 + struct.unpack(">I", self.came[1:5])[0]:
            try:
                piece = self.socket.recv(65536)
            except ConnectionResetError:
                piece = b""
            if not piece:
                assert not self.came, self.came
                return None
            self.came += piece
        size = struct.unpack(">I", self.came[1:5])[0]
        kind, data, self.came = self.came[0], self.came[5:5 + size], self.came[5 + size:]
        return kind, data

    def rest(self):
        return list(iter(self.read, None))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


# ---- the same as on the server ----

def test_output_and_code(t):
    done = run(t, "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.stdout, done.stderr, done.returncode) == (b"out\n", b"err\n", 7)
    for words in (["id"], ["env"], ["pwd"], ["sh", "-c", "kill -9 $$"], ["/no/such/program"], ["/etc/passwd"], ["echo", "", "a b", "*"]):
        there = run(t, *words)
        env = {**os.environ, "TENEMENT_DATA_DIR": str(t.data_dir)}
        here = subprocess.run([t.program("ten"), "exec", "app:alice", "--", *words], input=b"", capture_output=True,
                              cwd=t.root, env=env, check=False)
        code = here.returncode if here.returncode >= 0 else 128 - here.returncode
        assert (there.stdout, there.stderr, there.returncode) == (here.stdout, here.stderr, code), words
    assert run(t, data=b"echo by a shell\n").stdout == b"by a shell\n"


def test_input_in_bulk(t):
    data = random.Random(5).randbytes(5 << 20)
    done = run(t, "cat", data=data)
    assert done.returncode == 0 and not done.stderr and done.stdout == data
    # one that does not read it all, and one that reads none and writes much
    assert run(t, "head", "-c", "5", data=data).stdout == data[:5]
    assert len(run(t, "head", "-c", "5000000", "/dev/zero", data=data).stdout) == 5000000
    assert run(t, "sh", "-c", "exec <&-; sleep 0; echo done", data=data).stdout == b"done\n"


def test_a_slow_reader_holds_the_command(t):
    mark = f"a{next(MARKS)}"
    with begin(t, "sh", "-c", "yes | head -c 20000000; echo >&2 end", mark) as process:
        assert process.stdout.read(10) == b"y\n" * 5
        assert is_there(mark)  # far more than all that lies between is to come
        assert len(process.stdout.read()) == 20000000 - 10
        assert process.stderr.read() == b"end\n"
    assert process.returncode == 0


def test_what_is_left_behind_does_not_keep_it(t):
    mark = next(MARKS)
    done = run(t, "sh", "-c", f"sleep {mark} & echo $!")
    assert done.returncode == 0
    os.kill(int(run(t, "pgrep", "-f", f"sleep {mark}").stdout.split()[0]), signal.SIGKILL)


def test_who_does_not_read_our_output(t):
    mark = next(MARKS)
    with begin(t, "sh", "-c", f"yes; sleep {mark}") as process:
        assert process.stdout.read(2) == b"y\n"
        process.stdout.close()
        assert process.wait(20 * SLOWNESS) == 128 + signal.SIGPIPE
    wait_until(lambda: not is_there(mark), what="the command has ended")


# ---- ends ----

@pytest.mark.parametrize("key", ["app:alice", "apart:alice"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_reach_the_command(t, number, key):
    trap = "trap 'echo caught; exit 9' INT TERM HUP; echo ready; while :; do sleep 0.05; done"
    with begin(t, "sh", "-c", trap, key=key) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        assert process.stdout.readline() == b"caught\n"
        assert process.wait(20 * SLOWNESS) == 9


def test_a_signal_ends_what_does_not_catch_it(t):
    with begin(t, "sh", "-c", "echo ready; exec sleep 1000") as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20 * SLOWNESS) == 128 + signal.SIGTERM


def test_the_client_is_killed(t):
    mark = next(MARKS)
    with begin(t, "sh", "-c", f"echo ready; sleep {mark}; echo never") as process:
        assert process.stdout.readline() == b"ready\n"
        wait_until(lambda: is_there(mark), what="the command runs")
        process.kill()
    wait_until(lambda: not is_there(mark), what="the command has ended")


def test_the_token_is_revoked(t):
    made = t.control("POST", "/api/tokens", {}).json()
    mark = next(MARKS)
    with begin(t, "sh", "-c", f"echo ready; sleep {mark}", token=made["token"]) as process:
        assert process.stdout.readline() == b"ready\n"
        t.control("DELETE", f"/api/tokens/{made['id']}")
        assert process.wait(20 * SLOWNESS) == 5
        assert b"the connection broke" in process.stderr.read()
    wait_until(lambda: not is_there(mark), what="the command has ended")


@pytest.mark.parametrize("key", ["app:alice", "apart:alice"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_the_daemon_goes(t, number, key):
    mark = next(MARKS)
    daemon = t.pid_of("tenementd")
    with begin(t, "sh", "-c", f"echo ready; sleep {mark}; echo never", key=key) as process:
        assert process.stdout.readline() == b"ready\n"
        os.kill(daemon, number)
        assert process.wait(20 * SLOWNESS) == 5
    wait_until(lambda: not is_there(mark), what="the command has ended")
    wait_until(lambda: t.pid_of("tenementd") != daemon, what="there is another daemon")
    t.wait_healthy()
    wait_until(lambda: run(t, "echo", "again").stdout == b"again\n", what="it answers again")


# ---- a terminal ----

class Terminal:
    """`ten exec` typed on a terminal."""

    def __init__(self, t, *words, rows=33, columns=101):
        self.ours, self.theirs = pty.openpty()
        self.size(rows, columns)
        self.before = termios.tcgetattr(self.theirs)
        self.process = subprocess.Popen([t.program("ten"), "exec", "app:alice", "--", *words], stdin=self.theirs, stdout=self.theirs,
                                        stderr=self.theirs, start_new_session=True, env=environment(t, TERM="xterm-256color"),
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.shown = b""

    def size(self, rows, columns):
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self.ours, text)

    def expect(self, text):
        deadline = time.monotonic() + 20 * SLOWNESS
        os.set_blocking(self.ours, False)
        while text not in self.shown:
            assert time.monotonic() < deadline, (text, self.shown)
            try:
                self.shown += os.read(self.ours, 65536)
            except BlockingIOError:
                time.sleep(0.01)
        self.shown = self.shown.partition(text)[2]

    def ended(self):
        """The exit code; the terminal is as it was."""
        code = self.process.wait(20 * SLOWNESS)
        assert termios.tcgetattr(self.theirs) == self.before
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.ours)
        os.close(self.theirs)


def test_a_terminal(t):
    with Terminal(t, "sh", "-c", "tty; echo $TERM; stty size; trap 'stty size' WINCH; while :; do read line && echo got:$line; done") as it:
        it.expect(b"/dev/pts/")
        it.expect(b"xterm-256color")
        it.expect(b"33 101")
        it.type(b"hello\r")
        it.expect(b"got:hello")
        it.size(40, 77)
        os.kill(it.process.pid, signal.SIGWINCH)
        it.type(b"\r")
        it.expect(b"40 77")
        it.type(b"\x03")
        assert it.ended() == 128 + signal.SIGINT


def test_the_end_of_typing_and_the_code(t):
    with Terminal(t, "sh", "-c", "cat; echo after; exit 3") as it:
        it.type(b"line\r")
        it.expect(b"line\r\nline\r\n")
        it.type(b"\x04")
        it.expect(b"after")
        assert it.ended() == 3


def test_a_terminal_is_restored_when_we_are_told_to_end(t):
    mark = next(MARKS)
    with Terminal(t, "sh", "-c", f"echo ready; sleep {mark}") as it:
        it.expect(b"ready")
        it.process.terminate()
        assert it.ended() == 128 + signal.SIGTERM
    wait_until(lambda: not is_there(mark), what="the command has ended")


def test_a_terminal_whose_client_is_killed(t):
    mark = next(MARKS)
    with Terminal(t, "sh", "-c", f"echo ready; sleep {mark}") as it:
        it.expect(b"ready")
        it.process.kill()
        it.process.wait()
    wait_until(lambda: not is_there(mark), what="the command has ended")


# ---- who may ----

def test_who_may(t):
    for keys, why in (({"read_only": True}, b"may only read"), ({"tenant": "alice"}, b"is for alice alone"),
                      ({"instance": "app:alice"}, b"is for app:alice alone")):
        done = run(t, "id", token=t.api.token(**keys))
        assert done.returncode == 1 and why in done.stderr and not done.stdout, done
    done = run(t, "id", token="ten_" + "0" * 64)
    assert done.returncode == 1 and b"TENEMENT_TOKEN was shown: it is wrong" in done.stderr
    done = subprocess.run([t.program("ten"), "exec", "app:nobody", "id"], env=environment(t), capture_output=True, check=False)
    assert done.returncode == 1 and b"app:nobody" in done.stderr
    assert t.api.ask("GET", PATH, t.token).status == 403


def test_without_an_upgrade(t):
    for headers in ({}, {"Connection": "Upgrade", "Upgrade": "websocket"}, {"Upgrade": "tenement-exec"}):
        answer = t.api.ask("POST", PATH, t.token, headers=headers)
        assert answer.status == 426 and "tenement-exec" in answer.json()["error"], headers
    assert t.api.ask("POST", PATH).status == 401


def test_it_is_written_down(t):
    assert run(t, "echo", "a secret").returncode == 0
    line = t.control("GET", "/api/audit?limit=20").json()
    mine = [one for one in line if one["path"] == PATH and one["status"] == 101][-1]
    assert mine["method"] == "POST" and mine["by"].startswith("token ")
    assert "a secret" not in str(line)


# ---- what nobody should send ----

@pytest.mark.parametrize("data, why", [
    (b"\0", b"no frame"), (b"GET / HTTP/1.1\r\n\r\n", b"no frame"), (frame(STDIN, b"x"), b"not to come"),
    (frame(COMMAND, b"\2" + b"\0" * 6), b"no command"), (frame(COMMAND, b"\0" * 5 + b"xterm"), b"no command"),
    (frame(COMMAND, b"\0" * 5 + b"a b\0ls\0"), b"no command"), (struct.pack(">BI", STDIN, 1 << 31), b"no frame"),
    (command("cat") + command("cat"), b"no command"), (command("cat") + frame(SIGNAL, b"\x09"), b"no frame"),
    (command("cat") + frame(STDIN_EOF) + frame(STDIN, b"x"), b"not to come"), (frame(EXIT, b"\0"), b"no frame"),
])
def test_hostile_frames(t, data, why):
    with Raw(t) as it:
        assert it.head.startswith(b"HTTP/1.1 101 ")
        it.send(data)
        kind, said = it.rest()[-1]
        assert kind == ERROR and why in said


def test_more_than_the_window(t):
    mark = next(MARKS)
    with Raw(t) as it:
        it.send(command("sleep", mark))
        with contextlib.suppress(OSError):
            for _ in range(12):
                it.send(frame(STDIN, b"x" * 65536))
        # (a reset, of what was on its way, may overtake the error)
        came = it.rest()
    assert {kind for kind, _ in came} <= {TAKEN, ERROR} and all(b"not to come" in said for kind, said in came if kind == ERROR)
    wait_until(lambda: not is_there(mark), what="the command has ended")


def test_byte_by_byte(t):
    with Raw(t) as it:
        for byte in command("cat") + frame(STDIN, b"slowly") + frame(STDIN_EOF):
            it.send(bytes([byte]))
        came = it.rest()
    assert b"".join(data for kind, data in came if kind == STDOUT) == b"slowly" and came[-1] == (EXIT, b"\0")


def test_so_many_at_a_time(t):
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(Raw(t)) for _ in range(16)]
        assert all(one.head.startswith(b"HTTP/1.1 101 ") for one in held)
        assert stack.enter_context(Raw(t)).head.startswith(b"HTTP/1.1 503 ")
    wait_until(lambda: run(t, "true").returncode == 0, what="there is room again")
