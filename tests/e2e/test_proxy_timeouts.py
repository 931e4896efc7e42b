"""Each timeout of the settings and of a service: what it cuts, and what it must not."""

import os
import signal
import socket
import threading
import time

import pytest

from faults import UNTIL_CLOSED, delay, scripted
from harness import SLOWNESS
from proxy_rig import *  # noqa: F401,F403
from proxy_rig import DEADLINE, OK, Client, answer, wait_until

SHORT = 300  # milliseconds
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"


def took(begin, least=SHORT):
    """It did not come before LEAST milliseconds. (All other timeouts are longer than the client waits.)"""
    return time.monotonic() - begin > least / 1000 - 0.02


def events(count, interval):
    def step(stream):
        for i in range(count):
            stream.sock.sendall(b"data: %d\n\n" % i)
            time.sleep(interval)
    return step


def test_client_header_timeout(rig, tenant_of):
    """From the first byte, however many come; without one it is closed without a word."""
    rig.do("settings", header_timeout=SHORT)
    tenant = tenant_of()
    rig.tenant(tenant)
    begin = time.monotonic()
    with Client(rig) as begun, Client(rig) as silent:
        begun.send(b"GET / HTTP/1.1\r\nHost: t.loc")
        assert begun.response().status == 408 and begun.at_end()
        assert took(begin)
        assert silent.at_end() and took(begin)
    with Client(rig) as client:  # and again for each request of a connection
        assert client.get().status == 200
        begin = time.monotonic()
        client.send(b"GET ")
        assert client.response().status == 408 and client.at_end() and took(begin)
    assert len(tenant.requests) == 1


def test_client_body_timeout(rig, tenant_of):
    """Between two reads: a slow body passes, a silence in it does not."""
    rig.do("settings", body_timeout=SHORT)
    tenant = tenant_of(lambda stream, request: answer(request.body))
    rig.tenant(tenant)
    with Client(rig) as client:
        client.ask("POST / HTTP/1.1", "Content-Length: 10")
        for byte in b"0123456789":
            client.send(bytes([byte]))
            time.sleep(0.06)
        assert client.response().body == b"0123456789"
        begin = time.monotonic()
        client.ask("POST / HTTP/1.1", "Content-Length: 10", body=b"01234")
        assert client.response().status == 408 and client.at_end() and took(begin)
    assert len(tenant.requests) == 1
    wait_until(lambda: rig.use()["in_flight"] == 0 and not tenant.open)


def test_keepalive_timeout(rig, tenant_of):
    rig.do("settings", keepalive=SHORT, header_timeout=60000)
    rig.tenant(tenant_of())
    with Client(rig) as client:
        for _ in range(3):  # each answer begins it anew
            assert client.get().status == 200
            time.sleep(0.15)
        assert client.at_end()
    rig.do("settings", keepalive=0)
    with Client(rig) as client:
        assert client.get().get("connection") == "close" and client.at_end()


def test_request_timeout(rig, tenant_of):
    over = threading.Event()
    tenant = tenant_of(scripted({"/": [delay(over)], "/hint": [b"HTTP/1.1 103 Early Hints\r\n\r\n", delay(over)]}))
    rig.tenant(tenant, request_timeout=SHORT)
    with Client(rig) as client:
        begin = time.monotonic()
        response = client.get()
        assert response.status == 504 and took(begin)
        assert response.json()["error"] == "the application took too long"
        assert client.get("GET /well HTTP/1.1").status == 200  # the client's connection is as good as ever
        begin = time.monotonic()
        assert client.get("GET /hint HTTP/1.1").status == 103
        assert client.response().status == 504 and took(begin)
        assert client.get("POST / HTTP/1.1", "Content-Length: 3", body=b"abc").status == 504
    assert len([r for r in tenant.requests if r.method == "POST"]) == 1
    over.set()
    wait_until(lambda: rig.use()["in_flight"] == 0)


def test_request_timeout_of_a_tenant_that_does_not_read(rig, tenant_of):
    over = threading.Event()
    rig.tenant(tenant_of(lambda *_: over.wait(DEADLINE) and False, read_body=False), request_timeout=SHORT)
    with Client(rig) as client:
        client.ask("POST / HTTP/1.1", f"Content-Length: {64 << 20}")
        sender = threading.Thread(target=flood, args=(client,))
        sender.start()
        assert client.response().status == 504
        client.sock.shutdown(socket.SHUT_RDWR)
        sender.join()
    over.set()
    wait_until(lambda: rig.use()["in_flight"] == 0)


def flood(client):
    try:
        for _ in range(64):
            client.send(b"x" * (1 << 20))
    except OSError:
        pass


def test_request_timeout_cuts_no_stream(rig, tenant_of):
    """It is over when the answer's head is there."""
    rig.tenant(tenant_of(scripted({"/": [STREAM, events(10, 0.1), b"end", lambda stream: stream.sock.shutdown(2)]})),
               request_timeout=SHORT)
    with Client(rig) as client:
        begin = time.monotonic()
        body = client.get().body
        assert body.count(b"data: ") == 10 and body.endswith(b"end") and time.monotonic() - begin > 0.9


def test_request_timeout_of_0_is_none(rig, tenant_of):
    """Nor does another timeout take its place."""
    rig.do("settings", body_timeout=SHORT, header_timeout=SHORT, keepalive=SHORT)
    rig.tenant(tenant_of(scripted({"/": [delay(threading.Event(), 1), OK]})), request_timeout=0, stream_idle=SHORT)
    with Client(rig) as client:
        assert client.get().body == b"ok"
        assert client.get("POST / HTTP/1.1", "Content-Length: 3", body=b"abc").body == b"ok"


def test_stream_idle_timeout(rig, tenant_of):
    """Silence ends an event stream and a body; bytes now and then keep them."""
    tenant = tenant_of(scripted({
        "/": [STREAM, events(6, 0.15), UNTIL_CLOSED],
        "/length": [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", events(6, 0.15), UNTIL_CLOSED]}))
    rig.tenant(tenant, stream_idle=SHORT)
    for target in ("/", "/length"):
        with Client(rig) as client:
            begin = time.monotonic()
            client.ask(f"GET {target} HTTP/1.1")
            assert client.head()
            with pytest.raises((EOFError, ConnectionResetError)):
                client.bytes(1 << 20)
            assert client.buffer.count(b"data: ") == 6
            assert took(begin, 5 * 150 + SHORT)
    wait_until(lambda: rig.use()["in_flight"] == 0 and not tenant.open)


def test_a_cut_stream_is_seen_to_be_cut(rig, tenant_of):
    rig.tenant(tenant_of(scripted({"/": [STREAM, b"data: 1\n\n", UNTIL_CLOSED]})), stream_idle=SHORT)
    with Client(rig) as client:
        with pytest.raises((EOFError, ConnectionResetError)):
            client.get()  # chunked: the last chunk is missing
    with Client(rig) as client:
        client.ask("GET / HTTP/1.0")
        with pytest.raises(ConnectionResetError):
            client.response()


def upgrade(client):
    client.ask("GET / HTTP/1.1", "Connection: upgrade", "Upgrade: echo")
    assert client.response().status == 101


SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"


def echo(stream):
    while data := stream.buffer or stream.sock.recv(65536):
        stream.buffer = b""
        stream.sock.sendall(data)


def test_upgraded_idle_timeout_counts_both_directions(rig, tenant_of):
    rig.tenant(tenant_of(scripted({"/": [SWITCH, echo]})), upgraded_idle=SHORT, stream_idle=100, request_timeout=100)
    with Client(rig) as client:
        upgrade(client)
        for _ in range(6):
            client.send(b"x")
            assert client.bytes(1) == b"x"
            time.sleep(0.15)
        client.send(b"y")
        assert client.bytes(1) == b"y"
        begin = time.monotonic()
        assert client.at_end() and took(begin)
    assert rig.use()["upgraded"] == 0
    rig.tenant(tenant_of(scripted({"/": [SWITCH, events(8, 0.1), UNTIL_CLOSED]})), upgraded_idle=SHORT)
    with Client(rig) as client:
        upgrade(client)
        assert client.rest().count(b"data: ") == 8


def test_the_wait_for_a_start_ends_with_504(rig, tenant_of):
    tenant = tenant_of()
    rig.tenant(tenant, state="starting", wait_ms=SHORT)
    with Client(rig) as client:
        begin = time.monotonic()
        response = client.get("POST / HTTP/1.1", "Content-Length: 2", body=b"ab")
        assert response.status == 504 and took(begin) and response.json()["error"] == "the application did not start"
        rig.do("state", "t", "ready")
        assert client.get().status == 200
    assert len(tenant.requests) == 1


# ---- the end of a worker ----


def test_an_open_tunnel_survives_the_stop_until_it_closes(rig, tenant_of):
    """SIGTERM: what is upgraded goes on, and the worker ends when it does."""
    rig.tenant(tenant_of(scripted({"/": [SWITCH, echo]})))
    with Client(rig) as client, Client(rig) as idle:
        upgrade(client)
        assert idle.get("GET /well HTTP/1.1").status == 200
        pid = rig.worker()["pid"]
        os.kill(pid, signal.SIGTERM)
        assert idle.at_end()
        for _ in range(5):
            client.send(b"still")
            assert client.bytes(5) == b"still"
        client.sock.shutdown(socket.SHUT_WR)
        assert client.rest() == b""
        ended = rig.do("term", 0)
        assert ended["status"] == 0 and ended["ms"] < 9500, "not by the drain's deadline"


def test_tunnels_and_streams_end_with_the_drains_deadline(rig, tenant_of):
    """WORKER_DRAIN_MS: nobody holds a worker for ever, whether it talks or is silent."""
    tenant = tenant_of(scripted({"/": [SWITCH, echo], "/events": [STREAM, events(600, 0.1)]}))
    rig.tenant(tenant)
    with Client(rig) as silent, Client(rig) as busy, Client(rig) as stream:
        upgrade(silent)
        upgrade(busy)
        stream.ask("GET /events HTTP/1.1")
        assert stream.head()
        begin = time.monotonic()
        os.kill(rig.worker()["pid"], signal.SIGTERM)
        last = begin
        while True:
            try:
                busy.send(b"x")
                if not busy.sock.recv(1):
                    break
                last = time.monotonic()
            except ConnectionError:
                break
            time.sleep(0.05)
            assert time.monotonic() - begin < 20 * max(SLOWNESS, 1)
        assert last - begin > 9.5
        assert silent.at_end()
        with pytest.raises((EOFError, ConnectionResetError)):
            stream.bytes(1 << 20)
    assert rig.do("term", 0)["status"] == 0
    wait_until(lambda: not tenant.open)


# ---- event streams ----


def test_events_pass_at_once_and_count_as_use(rig, tenant_of):
    """Each before the next is made, in whatever piece it comes; and the board says that bytes flow."""
    step = threading.Semaphore(0)

    def handler(stream, request):
        stream.sock.sendall(STREAM)
        for event in (b"d", b"ata: 1\n", b"\n", b": comment\n\n", b"data: " + b"x" * 5000 + b"\n\n"):
            step.acquire(timeout=DEADLINE)
            stream.sock.sendall(event)
        stream.rest()
    rig.tenant(tenant_of(handler))
    with Client(rig) as client:
        client.ask("GET / HTTP/1.1", "Accept: text/event-stream")
        assert client.head()
        for event in (b"d", b"ata: 1\n", b"\n", b": comment\n\n", b"data: " + b"x" * 5000 + b"\n\n"):
            time.sleep(0.1)
            idle = rig.use()["idle_ms"]
            assert idle >= 80
            step.release()
            assert int(client.line(), 16) == len(event)
            assert client.bytes(len(event) + 2) == event + b"\r\n"
            assert rig.use()["idle_ms"] < 80 + 50 * SLOWNESS and rig.use()["in_flight"] == 1
    wait_until(lambda: rig.use()["in_flight"] == 0)
