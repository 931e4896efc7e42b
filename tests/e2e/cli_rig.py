"""Runs `ten` against tests/fixtures/fake_daemon.py, in a folder of its own."""

import fcntl
import os
import pathlib
import pty
import struct
import subprocess
import sys
import termios

from harness import FIXTURES, SLOWNESS, build_program

sys.path.insert(0, str(FIXTURES))

from fake_daemon import FakeDaemon, instance  # noqa: E402, F401

DONE, FAILED, USAGE, HELD, CONFLICT, UNREACHABLE, TIMED_OUT = range(7)


class Cli:
    """ten("ps", "-a") runs it with this data folder and returns the finished process."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.data_dir = self.folder / "data"
        self.data_dir.mkdir()
        self.program = build_program("ten")

    def environment(self, more=None):
        env = {key: value for key, value in os.environ.items()
               if not key.startswith("TENEMENT_") and key not in ("COLUMNS", "NO_COLOR")}
        env["TENEMENT_DATA_DIR"] = str(self.data_dir)
        for key, value in (more or {}).items():
            if value is None:
                env.pop(key, None)
            else:
                env[key] = value
        return env

    def __call__(self, *args, code=DONE, env=None, input=None, cwd=None):
        done = subprocess.run([self.program, *map(str, args)], env=self.environment(env),
                              cwd=cwd or self.folder, input=input, capture_output=True, text=True,
                              errors="surrogateescape", timeout=30 * SLOWNESS, check=False)
        assert code in (None, done.returncode), f"{args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def on_terminal(self, *args, code=DONE, columns=80, env=None):
        """What is written to a terminal, standard error included."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = subprocess.Popen([self.program, *map(str, args)], stdin=theirs, stdout=theirs,
                                   stderr=theirs, cwd=self.folder,
                                   env=self.environment({"TERM": "xterm", **(env or {})}))
        os.close(theirs)
        written = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:
                break
            if not piece:
                break
            written += piece
        os.close(ours)
        assert process.wait(timeout=30 * SLOWNESS) == code, written
        return written.decode(errors="replace").replace("\r\n", "\n")
