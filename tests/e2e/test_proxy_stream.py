"""Bodies of any size, slow peers, upgraded connections, and what happens when descriptors run out."""

import os
import resource
import signal
import socket
import threading
import time

import pytest

from harness import SLOWNESS

from proxy_rig import *  # noqa: F401,F403
from proxy_rig import DEADLINE, OK, Client, Rig, answer, fetch, wait_until

GIB = 1 << 30
PIECE = b"0123456789abcdef" * 65536  # 1 MiB
SLACK = 4 << 20


def memory(rig):
    with open(f"/proc/{rig.worker()['pid']}/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")



def send_pieces(stream, count, chunked):
    for _ in range(count):
        if chunked:
            stream.sock.sendall(b"%x\r\n" % len(PIECE))
        stream.sock.sendall(PIECE)
        if chunked:
            stream.sock.sendall(b"\r\n")
    if chunked:
        stream.sock.sendall(b"0\r\n\r\n")


def swallow(stream, size):
    """Read SIZE bytes and look at a few of them."""
    place = bytearray(1 << 20)
    got = len(stream.buffer)
    stream.buffer = b""
    while got < size:
        count = stream.sock.recv_into(place, min(len(place), size - got))
        assert count, f"closed after {got}"
        assert place[0] == PIECE[got % 16]
        got += count
    return got


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("unix", [False, True])
def test_a_large_download_leaves_memory_flat(rig, tenant_of, tmp_path, unix, chunked):
    size = GIB if not chunked else GIB // 4
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"

    def handler(stream, request):
        if request.method != "GET":
            return OK
        stream.sock.sendall(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode())
        send_pieces(stream, size // len(PIECE), chunked)
    rig.tenant(tenant_of(handler, path=tmp_path / "s" if unix else None))
    fetch(rig, "POST / HTTP/1.1", "Content-Length: 0")
    before = memory(rig)
    with Client(rig) as client:
        client.ask()
        client.head()
        if chunked:
            got = 0
            while True:
                length = int(client.line(), 16)
                got += len(client.bytes(length))
                client.bytes(2)
                if not length:
                    break
            assert got == size
        else:
            assert swallow(client, size) == size
        assert memory(rig) - before < SLACK
        client.buffer = b""
        assert client.get("POST / HTTP/1.1", "Content-Length: 0").body == b"ok"
    assert rig.use()["bytes_out"] > size


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_upload_leaves_memory_flat(rig, tenant_of, tmp_path, chunked):
    size = GIB if not chunked else GIB // 4

    def handler(stream, request):
        if request.get("transfer-encoding"):
            got = 0
            while True:
                length = int(stream.line(), 16)
                got += len(stream.bytes(length))
                stream.bytes(2)
                if not length:
                    break
        else:
            got = swallow(stream, int(request.get("content-length")))
        return answer(str(got))
    rig.tenant(tenant_of(handler, read_body=False, path=tmp_path / "s"), request_timeout=60000)
    fetch(rig, "POST / HTTP/1.1", "Content-Length: 0")
    before = memory(rig)
    with Client(rig) as client:
        client.ask("POST / HTTP/1.1", "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}")
        send_pieces(client, size // len(PIECE), chunked)
        assert client.response().body == str(size).encode()
    assert memory(rig) - before < SLACK
    assert rig.use()["bytes_in"] > size
    wait_until(lambda: rig.use()["in_flight"] == 0)


def test_both_directions_at_once(rig, tenant_of):
    """A tenant that echoes as it reads: neither side waits for the other to be through."""
    size = 32 << 20

    def handler(stream, request):
        stream.sock.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
        left = size
        while left:
            data = stream.bytes(1) + stream.buffer
            stream.buffer = b""
            stream.sock.sendall(data)
            left -= len(data)
    rig.tenant(tenant_of(handler, read_body=False))
    with Client(rig) as client:
        client.ask("POST / HTTP/1.1", f"Content-Length: {size}")
        sender = threading.Thread(target=send_pieces, args=(client, size >> 20, False))
        sender.start()
        client.head()
        assert swallow(client, size) == size
        sender.join()


def test_a_slow_reader_stalls_only_itself(rig, tenant_of):
    sent = [0]

    def handler(stream, request):
        if request.target != "/large":
            return OK
        stream.sock.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {GIB}\r\n\r\n".encode())
        while True:
            stream.sock.sendall(PIECE)
            sent[0] += len(PIECE)
    rig.tenant(tenant_of(handler))
    fetch(rig)
    before = memory(rig)
    with Client(rig) as slow:
        slow.ask("GET /large HTTP/1.1")
        slow.head()
        with Client(rig) as other:
            for _ in range(100):
                assert other.get().status == 200
        last = -1
        while last != sent[0]:
            last = sent[0]
            time.sleep(0.2)
        assert sent[0] < 64 << 20  # the tenant has been stopped
        assert memory(rig) - before < SLACK
    wait_until(lambda: rig.use()["in_flight"] == 0)


def test_an_event_stream_passes_at_once_and_holds_no_buffer(rig, tenant_of):
    def handler(stream, request):
        stream.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        while True:
            event = stream.sock.recv(1)
            if not event:
                return False
            stream.sock.sendall(b"data: " + event + b"\n\n")
    tenant = tenant_of(handler)
    rig.tenant(tenant)
    with Client(rig) as client:
        client.ask()
        assert client.head()
        wait_until(lambda: tenant.open)
        for connection in list(tenant.open):
            connection.sendall(b"data: x\n\n")
        assert client.line() == b"9" and client.bytes(11) == b"data: x\n\n\r\n"
        assert rig.use()["in_flight"] == 1
    wait_until(lambda: rig.use()["in_flight"] == 0 and not tenant.open)


def test_silence_inside_an_answer_is_bounded(rig, tenant_of):
    hold = threading.Event()

    def handler(stream, request):
        stream.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        hold.wait(10)
    rig.tenant(tenant_of(handler), stream_idle=300)
    with Client(rig) as client:
        client.ask()
        client.head()
        with pytest.raises((EOFError, ConnectionResetError)):
            client.bytes(100)
    wait_until(lambda: rig.use()["in_flight"] == 0)
    hold.set()


# ---- slow and silent clients ----


def test_slow_heads_are_timed_out(rig, tenant_of):
    rig.do("settings", header_timeout=300)
    rig.tenant(tenant_of())
    begin = time.monotonic()
    with Client(rig) as client, Client(rig) as silent:
        for byte in b"GET / HTTP":
            client.send(bytes([byte]))
            time.sleep(0.01)
        assert client.response().status == 408 and client.at_end()
        assert time.monotonic() - begin > 0.29
        assert silent.at_end()


def test_slow_bodies_are_timed_out(rig, tenant_of):
    tenant = tenant_of()
    rig.do("settings", body_timeout=300)
    rig.tenant(tenant)
    with Client(rig) as client:
        client.ask("POST / HTTP/1.1", "Content-Length: 10", body=b"12345")
        assert client.response().status == 408 and client.at_end()
    assert tenant.requests == []
    wait_until(lambda: rig.use()["in_flight"] == 0)


def test_idle_connections_are_closed(rig, tenant_of):
    rig.do("settings", keepalive=300)
    rig.tenant(tenant_of())
    with Client(rig) as client:
        assert client.get().status == 200
        begin = time.monotonic()
        assert client.at_end()
        assert time.monotonic() - begin > 0.2


def test_a_client_that_goes_away_frees_the_tenant(rig, tenant_of):
    hold = threading.Event()
    tenant = tenant_of(lambda *_: hold.wait(10) and OK)
    rig.tenant(tenant)
    with Client(rig) as client:
        client.ask()
        wait_until(lambda: rig.use()["in_flight"] == 1)
    wait_until(lambda: rig.use()["in_flight"] == 0 and rig.worker()["clients"] == 0)
    with Client(rig) as client:
        client.ask("POST / HTTP/1.1", "Content-Length: 10", body=b"123")
        wait_until(lambda: rig.use()["in_flight"] == 1)
    wait_until(lambda: rig.use()["in_flight"] == 0)
    hold.set()


def test_an_error_reaches_a_client_that_is_still_sending(rig):
    with Client(rig, "nobody.localhost") as client:
        client.ask("POST / HTTP/1.1", f"Content-Length: {8 << 20}")
        client.send(b"x" * 100000)
        response = client.response()
        assert response.status == 404 and response.get("connection") == "close"


# ---- upgraded connections ----


def websocket(stream, request):
    if request.get("upgrade") != "websocket":
        return answer("plain")
    assert request.get("connection") == "upgrade"
    stream.sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello")
    while True:
        data = stream.buffer or stream.sock.recv(65536)
        stream.buffer = b""
        if not data:
            stream.sock.sendall(b"bye")
            stream.sock.shutdown(socket.SHUT_WR)
            return False
        stream.sock.sendall(data)


UPGRADE = ["Connection: keep-alive, Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x"]


def upgraded(client, body=b"", reply="websocket"):
    client.ask("GET /ws HTTP/1.1", *UPGRADE, body=body)
    response = client.response()
    assert response.status == 101
    assert (response.get("upgrade"), response.get("connection")) == (reply, "upgrade")
    assert client.bytes(5) == b"hello"


def test_websocket_echo(rig, tenant_of):
    rig.tenant(tenant_of(websocket))
    with Client(rig) as client:
        upgraded(client, body=b"early")
        assert client.bytes(5) == b"early"
        assert rig.use()["upgraded"] == 1
        wait_until(lambda: rig.use()["in_flight"] == 0)
        for size in (1, 1000, 100000):
            client.send(b"x" * size)
            assert client.bytes(size) == b"x" * size
        client.sock.shutdown(socket.SHUT_WR)
        assert client.rest() == b"bye"
    wait_until(lambda: rig.use()["upgraded"] == 0)


def test_a_silent_websocket_holds_no_buffer(rig, tenant_of):
    rig.tenant(tenant_of(websocket))
    clients = [Client(rig) for _ in range(100)]
    for client in clients:
        upgraded(client)
    before = memory(rig)
    for client in clients:
        client.send(b"x" * 60000)
        assert client.bytes(60000)
    assert memory(rig) - before < SLACK
    assert rig.use()["upgraded"] == 100
    for client in clients:
        client.sock.close()
    wait_until(lambda: rig.use()["upgraded"] == 0)


def test_bytes_on_a_websocket_wake_a_frozen_tenant(rig, tenant_of):
    rig.tenant(tenant_of(websocket))
    with Client(rig) as client:
        upgraded(client)
        rig.do("state", "t", "frozen")
        assert rig.wanted(50) == []
        client.send(b"x")
        assert rig.wanted() == ["t"]
        rig.do("state", "t", "ready")
        assert client.bytes(1) == b"x"
        client.send(b"y")
        assert client.bytes(1) == b"y" and rig.wanted(50) == []


def test_a_large_echo_through_a_tunnel(rig, tenant_of):
    rig.tenant(tenant_of(websocket))
    size = 32 << 20
    with Client(rig) as client:
        upgraded(client)
        sender = threading.Thread(target=send_pieces, args=(client, size >> 20, False))
        sender.start()
        assert swallow(client, size) == size
        sender.join()


def test_the_tenant_may_close_first(rig, tenant_of):
    def handler(stream, request):
        stream.sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
        stream.sock.shutdown(socket.SHUT_WR)
        left = stream.rest()
        assert left == b"still heard"
        heard.set()
        return False
    heard = threading.Event()
    rig.tenant(tenant_of(handler))
    with Client(rig) as client:
        client.ask("GET / HTTP/1.1", "Connection: upgrade", "Upgrade: x")
        assert client.response().status == 101
        assert client.at_end()
        client.send(b"still heard")
        client.sock.shutdown(socket.SHUT_WR)
        assert heard.wait(5)
    wait_until(lambda: rig.use()["upgraded"] == 0)


def test_an_upgrade_that_is_declined(rig, tenant_of):
    rig.tenant(tenant_of(lambda stream, request: answer("no", status="400 Bad Request")))
    with Client(rig) as client:
        assert client.get("GET / HTTP/1.1", *UPGRADE).body == b"no"
        assert client.get("GET / HTTP/1.1", *UPGRADE).body == b"no"


def test_upgrades_that_are_not_passed_on(rig, tenant_of):
    tenant = tenant_of(websocket)
    rig.tenant(tenant)
    for fields in (["Upgrade: websocket"], ["Connection: upgrade", "Upgrade: h2c", "HTTP2-Settings: AAA"],
                   ["Connection: upgrade, HTTP2-Settings", "Upgrade: websocket, h2c"],
                   ["Connection: upgrade", "Upgrade: websocket", "Upgrade: h2c"]):
        assert fetch(rig, "GET / HTTP/1.1", *fields).body == b"plain"
    assert fetch(rig, "GET / HTTP/1.0", "Connection: upgrade", "Upgrade: websocket").body == b"plain"
    assert not [request for request in tenant.requests if request.get("upgrade")]


def test_upgraded_idle_timeout(rig, tenant_of):
    rig.tenant(tenant_of(websocket), upgraded_idle=300)
    with Client(rig) as client:
        upgraded(client)
        assert client.at_end()
    assert rig.use()["upgraded"] == 0


def test_a_half_closed_tunnel_is_not_kept_for_ever(rig, tenant_of):
    over = threading.Event()

    def deaf(stream, request):
        stream.sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nhello")
        over.wait(DEADLINE * 3)
        return False

    rig.tenant(tenant_of(deaf), upgraded_idle=0, stream_idle=300)
    with Client(rig) as client:
        upgraded(client, reply="x")
        time.sleep(0.6)  # silence alone is no reason
        assert rig.use()["upgraded"] == 1
        client.sock.shutdown(socket.SHUT_WR)
        wait_until(lambda: rig.use()["upgraded"] == 0)
    over.set()


def test_a_client_that_vanishes_is_looked_for(rig, tenant_of):
    rig.tenant(tenant_of(websocket))
    with Client(rig) as client:
        upgraded(client)
        port = client.sock.getsockname()[1]

        def timer_of_the_proxys_end():
            with open("/proc/net/tcp") as table:
                for line in table:
                    fields = line.split()
                    if fields[1].endswith(f":{rig.port:04X}") and fields[2].endswith(f":{port:04X}"):
                        return fields[5][:2]

        wait_until(lambda: timer_of_the_proxys_end() == "02")  # keepalive


# ---- what never ends ----


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_interim_answers_without_end_stop_nobody_else(rig, tenant_of, version):
    over = threading.Event()
    hints = (b"HTTP/1.1 103 Early Hints\r\nLink: " + b"x" * 3001 + b"\r\n\r\n") * 40
    sent = [0]

    def endless(stream, request):
        while not over.is_set():
            stream.sock.sendall(hints)
            sent[0] += len(hints)
        return False

    def swallow_all(client):
        try:
            while client.sock.recv(1 << 20):
                pass
        except OSError:
            pass

    rig.tenant(tenant_of(endless), request_timeout=3000 * SLOWNESS)
    rig.tenant(tenant_of(), name="other")
    assert fetch(rig, host="other.localhost").status == 200
    before = memory(rig)
    with Client(rig) as client:
        client.ask(f"GET / HTTP/{version}")
        reader = threading.Thread(target=swallow_all, args=(client,), daemon=True)
        reader.start()
        wait_until(lambda: sent[0] > 16 << 20)
        assert fetch(rig, host="other.localhost").status == 200
        assert memory(rig) - before < SLACK
        wait_until(lambda: rig.use()["in_flight"] == 0)  # by request_timeout
        client.sock.shutdown(socket.SHUT_RDWR)
        reader.join(DEADLINE)
    over.set()


def test_a_body_that_the_app_leaves_unread_is_nobody_elses_request(rig, tenant_of):
    def handler(stream, request):
        if request.target == "/smuggled":
            time.sleep(0.5)
        return answer(request.target)

    rig.tenant(tenant_of(handler, read_body=False))
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: t.localhost\r\n\r\n"
    response = fetch(rig, "GET /mine HTTP/1.1", f"Content-Length: {len(smuggled)}", body=smuggled)
    assert response.body == b"/mine"
    assert fetch(rig, "GET /other HTTP/1.1").body == b"/other"


@pytest.mark.parametrize("body_first", [False, True])
@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_a_body_survives_a_second_try(rig, tenant_of, tmp_path, method, body_first):
    """The tenant goes away while the body comes in: what has been read of it is not lost."""
    heads = threading.Semaphore(0)
    leave = threading.Event()

    def handler(stream, request):
        if len(tenant.requests) == 1:
            heads.release()
            leave.wait(DEADLINE)
            return False
        return answer(stream.bytes(int(request.get("content-length"))))

    tenant = tenant_of(handler, path=tmp_path / "socket", read_body=False)
    rig.tenant(tenant)
    pid = rig.worker()["pid"]
    with Client(rig) as client:
        client.ask(f"{method} / HTTP/1.1", "Content-Length: 10")
        assert heads.acquire(timeout=DEADLINE)
        os.kill(pid, signal.SIGSTOP)
        try:
            if body_first:
                client.send(b"0123456789")
            leave.set()
            wait_until(lambda: not tenant.open)
            if not body_first:
                client.send(b"0123456789")
        finally:
            os.kill(pid, signal.SIGCONT)
        response = client.response()
        if method == "PUT":
            assert (response.status, response.body) == (200, b"0123456789")
        else:  # not to be done twice
            assert response.status == 502 and len(tenant.requests) == 1


# ---- out of descriptors ----


def test_running_out_of_descriptors(rig, tenant_of):
    rig.tenant(tenant_of())
    clients = [Client(rig) for _ in range(30)]
    for client in clients:
        assert client.get().status == 200
    pid = rig.worker()["pid"]
    limit = len(os.listdir(f"/proc/{pid}/fd")) + 2
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, limit))
    # New ones push out those that have been idle for longest.
    late = [Client(rig) for _ in range(10)]
    for client in late:
        assert client.get().status == 200
    assert clients[0].at_end()
    # And when all are busy it waits, says so once, and goes on by itself.
    for client in clients:
        client.sock.close()
    half = [Client(rig) for _ in range(limit + 10)]
    for client in half:
        client.send(b"GET / HT")
    wait_until(lambda: [line for line in rig.stderr if "cannot accept" in line])
    for client in half:
        client.sock.close()
    wait_until(lambda: fetch(rig).status == 200)
    assert len([line for line in rig.stderr if "cannot accept" in line]) == 1
    for client in late:
        client.sock.close()


def test_idle_connections_hold_no_memory(tenant_of):
    rig = Rig()
    rig.do("settings")
    rig.tenant(tenant_of())
    with Client(rig) as client:
        client.get()
    before = memory(rig)
    clients = [Client(rig) for _ in range(500)]
    for client in clients:
        assert client.get().status == 200
    # (sanitizers keep freed memory for a while)
    assert memory(rig) - before < (2 << 20) * max(SLOWNESS, 1)
    for client in clients:
        client.sock.close()
    rig.close()
