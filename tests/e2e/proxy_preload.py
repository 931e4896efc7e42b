"""A rig whose worker has tests/fixtures/preload.c in it: allocations are counted, writes can fail."""

import errno
import os
import struct

import pytest

from proxy_rig import BUILD, Rig

LIBRARY = os.path.join(os.path.abspath(BUILD), "tests", "preload.so")
LAYOUT = "=QQIIIII"  # struct shared


class PreloadedRig(Rig):
    def __init__(self, folder, workers=1):
        if not os.path.exists(LIBRARY):
            pytest.skip("no preload.so here: sanitizers have an allocator of their own")
        self.path = os.path.join(folder, "shared")
        with open(self.path, "wb") as file:
            file.write(bytes(4096))
        super().__init__(workers, env={"LD_PRELOAD": LIBRARY, "TENEMENT_PRELOAD": self.path})
        self.do("settings")

    def _read(self):
        with open(self.path, "rb") as file:
            return struct.unpack(LAYOUT, file.read(struct.calcsize(LAYOUT)))

    def memory_calls(self):
        """Calls of malloc and its like, and of free, since the worker began."""
        return self._read()[:2]

    def fail_writes(self, count, error=errno.EPIPE, after=0):
        """Let the next COUNT writes to tenants on unix sockets fail, once AFTER bytes are out."""
        with open(self.path, "r+b") as file:
            file.seek(struct.calcsize("=QQ"))
            file.write(struct.pack("=IIII", count, error, after, 0))

    def failed_writes(self):
        return self._read()[5]

    def stop_time(self):
        """From now on the worker acts on what it is told, and on no timer."""
        with open(self.path, "r+b") as file:
            file.seek(struct.calcsize("=QQIIII"))
            file.write(struct.pack("=I", 1))


@pytest.fixture
def preloaded(tmp_path):
    rig = PreloadedRig(tmp_path)
    yield rig
    rig.close()
