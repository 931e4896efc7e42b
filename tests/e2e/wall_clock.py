"""A daemon whose clock on the wall is the test's: tests/fixtures/wall_clock.c is loaded into it."""

import calendar
import mmap
import os
import struct
import time
from unittest import mock

from harness import build_program

LAYOUT = "=qQ"  # struct shared


def unix(text):
    """"2026-11-20 07:59:58", UTC, in seconds since the epoch."""
    return calendar.timegm(time.strptime(text, "%Y-%m-%d %H:%M:%S"))


class Clock:
    def __init__(self, t, text):
        self.t, self.sets = t, 0
        self.path = t.root / "clock"
        self.path.write_bytes(bytes(mmap.PAGESIZE))
        self.set(text)

    def set(self, text):
        """Set the daemon's clock, whether it lives or not."""
        self.put(unix(text) - int(time.time()))

    def put(self, ahead):
        self.ahead = ahead
        self.sets += 1
        with open(self.path, "r+b") as file:
            file.write(struct.pack(LAYOUT, ahead, self.sets))

    def advance(self, seconds):
        self.put(self.ahead + seconds)

    def now(self):
        return time.time() + self.ahead

    def start(self):
        """Start the tenement with it."""
        changes = {"LD_PRELOAD": str(build_program("tests/wall_clock.so")),
                   "TENEMENT_WALL_CLOCK": str(self.path),
                   "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}
        with mock.patch.dict(os.environ, changes):
            self.t.start()
