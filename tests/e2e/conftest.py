"""Fixtures for all end-to-end tests; see harness.py."""

import ctypes
import fcntl
import os
import re
import socket
import struct

import pytest

import harness
from harness import SLOWNESS, Tenement

CLONE_NEWNET = 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1


def pytest_configure():
    """All tests run in a network of their own, where that can be had: a daemon that is root makes rules
    for the network that it is in, and the machine's is not ours."""
    if os.geteuid() != 0:
        return
    harness.machine_network = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) < 0:
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = bytearray(struct.pack("16sh14x", b"lo", 0))
        fcntl.ioctl(any_socket, SIOCGIFFLAGS, request)
        flags, = struct.unpack_from("h", request, 16)
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


@pytest.fixture
def tenement():
    """tenement(settings={...}, files={...}) starts one; at the end all are stopped, and nothing of them
    may be left. start=False: only make the folder."""
    made = []

    def make(start=True, **options):
        made.append(Tenement(**options))
        return made[-1].start() if start else made[-1]

    yield make
    troubles = []
    for one in made:
        try:
            one.close()
        except AssertionError as error:
            troubles.append(error)
    if troubles:
        raise troubles[0]


# What a build with sanitizers has nothing to add to, and is slow at: what tries the kernel, or runsc, rather than our
# own programs; and what runs the same code of ours again, with another kind of control groups (one test freezes
# with each) or another seed.
PLAIN_ALONE = re.compile(
    r"test_isolation_attacks\.py|gvisor"
    r"|test_daemon_freeze\.py::(?!test_an_idle_tenant_is_frozen_and_the_next_request_thaws_it).*\[(v1|none)\b"
    r"|test_the_daemon_dies_at_any_moment\[[12]\]")


def pytest_collection_modifyitems(items):
    for item in items if SLOWNESS > 1 else ():
        if PLAIN_ALONE.search(item.nodeid):
            item.add_marker(pytest.mark.skip(reason="tried in the plain build alone"))
