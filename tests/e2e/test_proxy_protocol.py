"""Listeners on which a PROXY header says who the client is, before the first request."""

import ipaddress
import os
import resource
import signal
import socket
import struct
import threading
import time

import pytest

from harness import SLOWNESS
from proxy_rig import *  # noqa: F401,F403
from proxy_rig import Client, Rig, answer, fetch, wait_until
from test_proxy_http import unread

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
REQUEST = b"GET / HTTP/1.1\r\nHost: t.localhost\r\n\r\n"
STREAM, DATAGRAM = 1, 2


def line(source="192.0.2.1", destination="198.51.100.1"):
    family = ipaddress.ip_address(source).version
    return f"PROXY TCP{family} {source} {destination if family == 4 else '2001:db8::ff'} 56324 443\r\n".encode()


def binary(family=0, transport=STREAM, addresses=b"", extensions=b"", command=1, length=None):
    block = addresses + extensions
    return SIGNATURE + struct.pack("!BBH", 0x20 | command, family << 4 | (transport if family else 0),
                                   len(block) if length is None else length) + block


def binary_of(source, **options):
    address = ipaddress.ip_address(source)
    return binary(1 if address.version == 4 else 2,
                  addresses=address.packed + bytes(len(address.packed)) + b"\xdc\x04\x01\xbb", **options)


def extension(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


UNIX = b"/run/front.sock".ljust(108, b"\0") + bytes(108)
V4, V6 = "192.0.2.1", "2001:db8::7"
# A header, and who the client is by it: None is whom the socket says.
HEADERS = {
    "v1 IPv4": (line(V4), V4),
    "v1 IPv6": (line(V6), V6),
    "v1 IPv4 in IPv6": (line("::ffff:192.0.2.9"), "192.0.2.9"),
    "v1 UNKNOWN": (b"PROXY UNKNOWN\r\n", None),
    "v1 UNKNOWN, the longest": (b"PROXY UNKNOWN" + 2 * (b" " + b":".join([b"ffff"] * 8)) + b" 65535 65535\r\n", None),
    "v2 IPv4": (binary_of(V4), V4),
    "v2 IPv6": (binary_of(V6), V6),
    "v2 IPv4 of datagrams": (binary_of(V4, transport=DATAGRAM), V4),
    "v2 unix": (binary(3, addresses=UNIX), "unknown"),
    "v2 unspecified": (binary(), None),
    "v2 LOCAL": (binary(command=0), None),
    "v2 LOCAL with addresses": (binary_of(V4, command=0), None),
    "v2 with extensions": (binary_of(V4, extensions=extension(4, bytes(9)) + extension(2, b"t.localhost")), V4),
    "v2 of the largest size": (binary_of(V6, extensions=extension(4, bytes(65535 - 36 - 3))), V6),
    "v2 unspecified, of the largest size": (binary(extensions=extension(4, bytes(65535 - 3))), None),
}


def introduced(rig, header=b""):
    client = Client(rig, port=rig.introduced_port)
    client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.send(header)
    return client


def origin(request):
    return tuple(request.get(name) for name in ("x-forwarded-for", "x-real-ip", "forwarded"))


def expected_origin(source):
    node = f'"[{source}]"' if ":" in source else source
    return source, source, f'for={node};host="t.localhost";proto=http'


@pytest.mark.parametrize("name", HEADERS)
def test_the_client_is_whom_the_header_says(rig, tenant_of, name):
    tenant = tenant_of()
    rig.tenant(tenant)
    header, source = HEADERS[name]
    with introduced(rig, header + REQUEST) as client:
        assert client.response().body == b"ok"
        # and for each further request
        assert client.get("GET /2 HTTP/1.1", "X-Forwarded-For: 6.6.6.6", "X-Real-IP: 6.6.6.6").status == 200
    assert [origin(request) for request in tenant.requests] == [expected_origin(source or "127.0.0.1")] * 2


@pytest.mark.parametrize("header", [line(V4), b"PROXY UNKNOWN\r\n", binary_of(V6), binary(command=0),
                                    binary_of(V4, extensions=extension(4, b"12345"))],
                         ids=["v1", "v1 UNKNOWN", "v2", "v2 LOCAL", "v2 with an extension"])
def test_every_split_of_a_header(rig, tenant_of, header):
    tenant = tenant_of()
    rig.tenant(tenant)
    data = header + REQUEST
    for at in range(1, len(header) + 2):
        with introduced(rig, data[:at]) as client:
            # The second part must come by itself: wait until the first has been read.
            wait_until(lambda: not unread(client.sock) and has_read(rig, client))
            client.send(data[at:])
            assert client.response().body == b"ok", at
    assert len(tenant.requests) == len(header) + 1
    assert len({origin(request) for request in tenant.requests}) == 1


def has_read(rig, client):
    """Nothing of what CLIENT sent waits in the worker's receive queue (the third column, ss's Recv-Q)."""
    port = f"{client.sock.getsockname()[1]:04X}"
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [row.split() for row in table]
    mine = [row for row in rows if row[2].endswith(":" + port) and row[1].endswith(f":{rig.introduced_port:04X}")]
    return mine and mine[0][4].endswith(":00000000") and int(mine[0][9])  # (accepted: it has an inode)


def test_byte_by_byte(rig, tenant_of):
    tenant = tenant_of()
    rig.tenant(tenant)
    for header, source in (HEADERS["v1 IPv6"], HEADERS["v2 with extensions"]):
        with introduced(rig) as client:
            for byte in header + REQUEST:
                client.send(bytes([byte]))
            assert client.response().status == 200
        assert origin(tenant.requests.pop()) == expected_origin(source)


def test_pipelined_requests_follow_the_header(rig, tenant_of):
    tenant = tenant_of(lambda stream, request: answer(request.target + request.body.decode()))
    rig.tenant(tenant)
    requests = b"".join(
        f"POST /{i} HTTP/1.1\r\nHost: t.localhost\r\nContent-Length: 2\r\n\r\nab".encode() for i in range(50))
    for header, source in (HEADERS["v1 IPv4"], HEADERS["v2 of the largest size"]):
        with introduced(rig, header + requests) as client:
            assert [client.response().body for _ in range(50)] == [f"/{i}ab".encode() for i in range(50)]
        assert {origin(request)[0] for request in tenant.requests} == {source}
        tenant.requests.clear()


def test_the_largest_head_has_room_behind_the_longest_header(rig, tenant_of):
    tenant = tenant_of(lambda stream, request: answer(str(len(request.get("x")))))
    rig.tenant(tenant)
    for limit in (16384, 65536):
        rig.do("settings", max_header=limit)
        start = b"GET / HTTP/1.1\r\nHost: t.localhost\r\nX: "
        count = limit - len(start) - 4
        with introduced(rig, HEADERS["v1 UNKNOWN, the longest"][0] + start) as client:
            client.send(b"a" * count + b"\r\n\r\n")
            assert client.response().body == str(count).encode()


def test_a_second_header_is_no_request(rig, tenant_of):
    tenant = tenant_of()
    rig.tenant(tenant)
    with introduced(rig, line(V4) + line("192.0.2.66") + REQUEST) as client:
        assert client.response().status == 400 and client.at_end()
    with introduced(rig, line(V4) + REQUEST) as client:
        assert client.response().status == 200
        client.send(line("192.0.2.66") + REQUEST)
        assert client.response().status == 400 and client.at_end()
    assert [origin(request)[0] for request in tenant.requests] == [V4]


def test_no_header_where_none_is_wanted(rig, tenant_of):
    tenant = tenant_of()
    rig.tenant(tenant)
    for header in (line(V4), binary_of(V4)):
        with Client(rig) as client:
            client.send(header + REQUEST)
            assert client.response().status == 400 and client.at_end()
    assert tenant.requests == []


REFUSED = {
    "a request": REQUEST,
    "a request that begins like it": b"PROXIFY / HTTP/1.1\r\nHost: t.localhost\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "empty lines": b"\r\n\r\n" + REQUEST,
    "garbage": os.urandom(64).replace(b"P", b"Q").replace(b"\r", b"Q") * 600,
    "v1 after an empty line": b"\r\n" + line(V4) + REQUEST,
    "v1 that ends by LF": line(V4).replace(b"\r\n", b"\n") + REQUEST,
    "v1 that does not end": b"PROXY UNKNOWN " + b"x" * 94,
    "v1 of 108 bytes": b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n" + REQUEST,
    "v1 with an IPv6 address as TCP4": line(V4).replace(V4.encode(), V6.encode()) + REQUEST,
    "v1 with a leading zero": line(V4).replace(b"56324", b"056324") + REQUEST,
    "v1 with a port too large": line(V4).replace(b"56324", b"65536") + REQUEST,
    "v1 with two spaces": line(V4).replace(b"TCP4 ", b"TCP4  ") + REQUEST,
    "v2 of version 3": SIGNATURE + b"\x31\x11\x00\x0c" + bytes(12) + REQUEST,
    "v2 with an unknown command": binary_of(V4, command=2) + REQUEST,
    "v2 with an unknown family": binary(4, addresses=bytes(12)) + REQUEST,
    "v2 shorter than its addresses": binary_of(V4, length=11) + REQUEST,
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_header_is_closed_unanswered(rig, tenant_of, name):
    tenant = tenant_of()
    rig.tenant(tenant)
    before = sum(rig.worker()["refusals"])
    with introduced(rig) as client:
        try:
            client.send(REFUSED[name])
        except OSError:
            pass
        assert client.at_end()
    assert tenant.requests == [] and sum(rig.worker()["refusals"]) == before + 1
    wait_until(lambda: rig.worker()["clients"] == 0)
    wait_until(lambda: [text for text in rig.stderr if "has to begin with a PROXY header" in text])


def test_it_is_said_once_a_minute_and_not_per_connection():
    rig = Rig()
    rig.do("settings")
    for _ in range(20):
        with introduced(rig, REQUEST) as client:
            assert client.at_end()
    with introduced(rig) as client:  # looks whether the port is open, as load balancers do: no fault
        client.sock.shutdown(socket.SHUT_WR)
        assert client.at_end()
    assert sum(rig.worker()["refusals"]) == 20
    rig.close()  # all that it said has been read
    assert len([text for text in rig.stderr if "has to begin with" in text]) == 1


@pytest.mark.parametrize("part", [b"", b"P", line(V4)[:-1], b"\r", binary_of(V4)[:20],
                                  binary_of(V4, extensions=bytes(40000))[:30000]],
                         ids=["nothing", "a byte", "all but LF", "CR", "half an address", "half an extension"])
def test_a_stalled_header_is_closed_in_time(rig, tenant_of, part):
    rig.do("settings", header_timeout=500)
    begun = time.monotonic()
    with introduced(rig, part) as client:
        assert client.at_end()
        assert time.monotonic() - begun > 0.45
    wait_until(lambda: rig.worker()["clients"] == 0)


def test_a_header_a_byte_at_a_time_gets_no_more_time(rig):
    rig.do("settings", header_timeout=1000)
    with introduced(rig) as client:
        trickle(client, b"PROXY UNKNOWN " + b"x" * 60, 0.1)


def trickle(client, data, pause):
    """Send DATA slowly until the other side closes."""
    client.sock.settimeout(pause)
    for byte in data:
        try:
            client.sock.send(bytes([byte]))
            if not client.sock.recv(1):
                return
        except TimeoutError:
            continue
        except OSError:
            return
    raise AssertionError("it was let go on")


def test_a_request_after_the_header_has_its_own_time(rig, tenant_of):
    rig.tenant(tenant_of())
    rig.do("settings", header_timeout=400)
    with introduced(rig, line(V4) + b"GET / HTTP") as client:
        assert client.response().status == 408 and client.at_end()
    with introduced(rig, line(V4)) as client:
        assert client.at_end()


def test_trust_is_of_whom_the_header_names(rig, tenant_of):
    tenant = tenant_of()
    rig.tenant(tenant)
    said = ["X-Forwarded-For: 203.0.113.5", "X-Forwarded-Proto: https"]

    def seen(header):
        with introduced(rig, header) as client:
            assert client.get("GET / HTTP/1.1", *said).status == 200
        return tenant.requests[-1].get("x-forwarded-for"), tenant.requests[-1].get("x-forwarded-proto")

    rig.do("settings", trusted="192.0.2.0/24")
    assert seen(line(V4)) == ("203.0.113.5, 192.0.2.1", "https")
    assert seen(binary_of("192.0.3.1")) == ("192.0.3.1", "http")
    assert seen(b"PROXY UNKNOWN\r\n") == ("127.0.0.1", "http")
    rig.do("settings", trusted="2001:db8::/32")
    assert seen(line(V6)) == (f"203.0.113.5, {V6}", "https")
    # The proxy in front being trusted says nothing of those it speaks for.
    rig.do("settings", trusted="127.0.0.0/8")
    assert seen(line(V4)) == (V4, "http")
    assert seen(binary(command=0)) == ("203.0.113.5, 127.0.0.1", "https")
    assert seen(binary(3, addresses=UNIX)) == ("unknown", "http")


def test_an_introduced_connection_that_idles_holds_no_memory(tenant_of):
    rig = Rig()
    rig.do("settings")
    rig.tenant(tenant_of())
    fetch(rig)
    with introduced(rig, line(V4)) as client:
        assert client.get().status == 200
    before = resident(rig)
    clients = [introduced(rig, line(V4)) for _ in range(500)]
    wait_until(lambda: rig.worker()["clients"] == 500)
    assert resident(rig) - before < (2 << 20) * max(SLOWNESS, 1)
    # They are there still, and each is who it said.
    assert all(client.get().status == 200 for client in clients[::50])
    for client in clients:
        client.sock.close()
    rig.close()


def resident(rig):
    with open(f"/proc/{rig.worker()['pid']}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_many_at_once_are_not_taken_for_each_other(tenant_of):
    rig = Rig(workers=2)
    rig.do("settings")
    rig.tenant(tenant_of(lambda stream, request: answer(request.get("x-forwarded-for"))))
    wrong = []

    def run(number):
        for turn in range(20):
            source = f"10.{number}.{turn}.1" if turn % 2 else f"fd00::{number:x}:{turn:x}"
            header = line(source) if turn % 3 else binary_of(source, extensions=bytes(turn * 2000))
            with introduced(rig, header) as client:
                got = [client.get().body.decode() for _ in range(3)]
                if got != [source] * 3:
                    wrong.append((source, got))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    rig.close()


def test_who_never_introduces_himself_keeps_nobody_out(rig, tenant_of):
    tenant = tenant_of()
    rig.tenant(tenant)
    with introduced(rig, line(V4) + REQUEST) as client:
        assert client.response().status == 200
    pid = rig.worker()["pid"]
    limit = len(os.listdir(f"/proc/{pid}/fd")) + 20
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, limit))
    silent = [introduced(rig) for _ in range(limit)]

    def served():  # as soon as they have had the time to say something
        with introduced(rig, line(V4) + REQUEST) as client:
            return client.response().status == 200
    wait_until(served)
    assert silent[0].at_end()
    for client in silent:
        client.sock.close()
    assert {origin(request)[0] for request in tenant.requests} == {V4}


def test_sigterm_serves_an_introduced_request_that_is_there(rig, tenant_of):
    tenant = tenant_of()
    rig.tenant(tenant)
    pid = rig.worker()["pid"]
    with introduced(rig) as client, introduced(rig) as silent:
        wait_until(lambda: rig.worker()["clients"] == 2)
        os.kill(pid, signal.SIGSTOP)
        client.send(line(V4) + REQUEST)
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGCONT)
        assert client.response().status == 200
        assert silent.at_end()
    assert [origin(request)[0] for request in tenant.requests] == [V4]
    assert rig.do("term", 0)["status"] == 0


def test_a_killed_worker_is_replaced_on_the_same_listener(rig, tenant_of):
    tenant = tenant_of()
    rig.tenant(tenant)
    with introduced(rig, line(V4)[:20]) as client:
        wait_until(lambda: rig.worker()["clients"] == 1)
        rig.do("kill", 0)
        assert client.at_end()
    with introduced(rig, line(V4) + REQUEST) as client:
        assert client.response().status == 200
    with introduced(rig, REQUEST) as client:
        assert client.at_end()
    assert [origin(request)[0] for request in tenant.requests] == [V4]
