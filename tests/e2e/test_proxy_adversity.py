"""Tenants and clients that behave badly, or well in the least convenient way."""

import os
import signal
import socket
import struct
import threading

import pytest

from faults import CLOSE, HALF_CLOSE, RESET, TAKEN, UNTIL_CLOSED, delay, pieces, scripted
from proxy_rig import *  # noqa: F401,F403
from proxy_rig import DEADLINE, OK, Client, answer, fetch, raw, wait_until

EVIL = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"


def loop_turn(rig):
    """What the worker's sockets had received before this it has read after it."""
    rig.do("state", "t", "ready")


# ---- split at every byte ----

REQUESTS = {
    "plain": (b"GET /a?b HTTP/1.1\r\nHost: t.localhost\r\nX-A: \t b \r\n\r\n", b""),
    "absolute": (b"GET http://T.localhost:80/a?b HTTP/1.1\r\nHost: t.localhost:80\r\nCookie: a=b\r\n\r\n", b""),
    "length": (b"PUT /a?b HTTP/1.1\r\nHost: t.localhost\r\nContent-Length: 5\r\n\r\nabcde", b"abcde"),
    "chunked": (b"PUT /a?b HTTP/1.1\r\nHost: t.localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"3;x=\"y\"\r\nabc\r\n2\r\nde\r\n0\r\nT: u\r\n\r\n", b"abcde"),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_every_split_of_every_kind_of_request(rig, tenant_of, name):
    tenant = tenant_of(lambda stream, request: answer(request.target.encode() + request.body))
    rig.tenant(tenant)
    data, body = REQUESTS[name]
    with Client(rig) as client:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(1, len(data)):
            client.send(data[:at])
            loop_turn(rig)
            client.send(data[at:])
            assert client.response().body == b"/a?b" + body, data[:at]


def test_a_request_byte_by_byte_behind_another(rig, tenant_of):
    """The tail of one and the head of the next in one read, at every place."""
    rig.tenant(tenant_of(lambda stream, request: answer(request.target.encode() + request.body)))
    data = b"".join(REQUESTS[name][0] for name in ("chunked", "plain", "length"))
    with Client(rig) as client:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(1, len(data)):
            client.send(data[:at])
            loop_turn(rig)
            client.send(data[at:])
            assert [client.response().body for _ in range(3)] == [b"/a?babcde", b"/a?b", b"/a?babcde"]


ANSWERS = {
    "length": (b"HTTP/1.1 200 Fine\r\nContent-Length: 5\r\nX-A: b\r\n\r\nabcde", b"abcde"),
    "chunked": (b"HTTP/1.1 200 Fine\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n3;x\r\nabc\r\n2\r\nde\r\n0\r\nT: u\r\n\r\n", b"abcde"),
    "interim": (b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 Fine\r\nX-A: b\r\nContent-Length: 5\r\n\r\nabcde", b"abcde"),
    "none": (b"HTTP/1.1 204 Fine\r\nX-A: b\r\n\r\n", b""),
    "until close": (b"HTTP/1.1 200 Fine\r\nX-A: b\r\n\r\nabcde", b"abcde"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_every_split_of_every_kind_of_answer(rig, tenant_of, tmp_path, name):
    data, body = ANSWERS[name]
    scripts = {f"/{at}": [data[:at], TAKEN, data[at:]] + [CLOSE] * (name == "until close") for at in range(1, len(data))}
    tenant = tenant_of(scripted({**scripts, "/all": [pieces(data)] + [CLOSE] * (name == "until close")}),
                       path=tmp_path / "s")
    rig.tenant(tenant)
    with Client(rig) as client:
        for target in ["/all", *scripts]:
            response = client.get(f"GET {target} HTTP/1.1")
            if response.status == 103:
                response = client.response()
            assert response.line.endswith(" Fine") and response.body == body and response.get("x-a") == "b", target
    assert tenant.connections == 1 or name == "until close"


# ---- pipelines ----


def test_a_slow_answer_holds_back_those_behind_it(rig, tenant_of):
    """To different tenants, with and without bodies: the order of the answers is that of the requests."""
    release = threading.Event()
    slow, fast = tenant_of(lambda *_: release.wait(DEADLINE) and answer("slow")), tenant_of(
        lambda stream, request: answer(request.target, status="204 No Content")[:-len(request.target)].replace(
            b"Content-Length: 2\r\n", b"") if request.target == "/4" else answer(request.target))
    rig.tenant(slow, "slow")
    rig.tenant(fast)
    with Client(rig) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: slow.localhost\r\n\r\n"
                    b"GET /1 HTTP/1.1\r\nHost: t.localhost\r\n\r\n"
                    b"HEAD /2 HTTP/1.1\r\nHost: t.localhost\r\n\r\n"
                    b"POST /3 HTTP/1.1\r\nHost: t.localhost\r\nContent-Length: 3\r\n\r\nabc"
                    b"GET /4 HTTP/1.1\r\nHost: t.localhost\r\n\r\n"
                    b"GET / HTTP/1.1\r\nHost: nobody.localhost\r\n\r\n"
                    b"GET /5 HTTP/1.1\r\nHost: t.localhost\r\nConnection: close\r\n\r\n"
                    b"GET /6 HTTP/1.1\r\nHost: t.localhost\r\n\r\n")
        wait_until(lambda: slow.requests)
        loop_turn(rig)
        assert fast.requests == []
        release.set()
        assert client.response().body == b"slow"
        assert client.response().body == b"/1"
        head = client.response("HEAD")
        assert head.status == 200 and head.get("content-length") == "2"
        assert client.response().body == b"/3"
        assert client.response().status == 204
        assert client.response().status == 404
        assert client.response().body == b"/5"
        assert client.at_end()
    assert [request.target for request in fast.requests] == ["/1", "/2", "/3", "/4", "/5"]


# ---- bytes beyond the answer ----

BEYOND = {
    "length": ("GET", OK + EVIL),
    "a few": ("GET", OK + b"\r\n"),
    "chunked": ("GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + EVIL),
    "head": ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"),
    "head, chunked": ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n"),
    "204": ("GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nevil"),
    "304": ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nevil"),
    "two answers": ("GET", OK + OK),
    "an interim one": ("GET", OK + b"HTTP/1.1 103 Early Hints\r\n\r\n"),
}


@pytest.mark.parametrize("late", ["at once", "later", "with the next request"])
@pytest.mark.parametrize("name", BEYOND)
def test_what_is_sent_beyond_an_answer_reaches_no_other(rig, tenant_of, tmp_path, name, late):
    method, data = BEYOND[name]
    end = data.index(b"\r\n\r\n") + 4
    if method == "GET" and name not in ("204", "304"):
        end = data.index(b"0\r\n\r\n" if name == "chunked" else b"ok") + (5 if name == "chunked" else 2)
    more = threading.Event()
    script = [data] if late == "at once" else [data[:end], delay(more), data[end:]]
    tenant = tenant_of(scripted({"/": [*script, UNTIL_CLOSED]}, otherwise=[answer("mine")]), path=tmp_path / "s")
    rig.tenant(tenant)
    pid = rig.worker()["pid"]
    with Client(rig) as client, Client(rig) as other:
        assert client.get(f"{method} / HTTP/1.1").status in (200, 204, 304)
        if late == "with the next request":
            os.kill(pid, signal.SIGSTOP)
            try:
                client.ask("POST /next HTTP/1.1", "Content-Length: 0")
                other.ask("GET /other HTTP/1.1")
                more.set()
                # (it cannot be seen from here when it has arrived: a socket buffer is its own)
                wait_until(lambda: unread_total(tenant) > 0)
            finally:
                os.kill(pid, signal.SIGCONT)
        else:
            more.set()
            if late == "later":
                wait_until(lambda: not tenant.open)
            client.ask("POST /next HTTP/1.1", "Content-Length: 0")
            other.ask("GET /other HTTP/1.1")
        assert client.response().body == b"mine"
        assert other.response().body == b"mine"
    assert [request.target for request in tenant.requests if request.target == "/next"] == ["/next"]


def unread_total(tenant):
    from faults import unread
    return sum(unread(connection) for connection in list(tenant.open))


# ---- answers that come early, or not whole ----


@pytest.mark.parametrize("after", [0, 1, 100000])
def test_a_refusal_before_the_body_is_through_arrives(rig, tenant_of, tmp_path, after):
    """Also when the tenant hangs up with the rest unread."""
    def handler(stream, request):
        stream.bytes(after)
        stream.sock.sendall(answer("too much", status="413 Content Too Large"))
        return False
    rig.tenant(tenant_of(handler, path=tmp_path / "s", read_body=False))
    with Client(rig) as client:
        client.ask("POST / HTTP/1.1", f"Content-Length: {64 << 20}")
        sender = threading.Thread(target=try_send, args=(client, b"x" * (8 << 20)))
        sender.start()
        response = client.response()
        assert (response.status, response.body) == (413, b"too much") and response.get("connection") == "close"
        sender.join()
    wait_until(lambda: rig.use()["in_flight"] == 0)


def try_send(client, data):
    try:
        client.send(data)
    except OSError:
        pass


def test_a_refusal_before_the_head_is_through_arrives(rig, tenant_of, tmp_path):
    """Of a head that is larger than what a socket holds the tenant reads as much as it likes."""
    data = answer("too large", status="431 Request Header Fields Too Large")

    def handler(connection):
        connection.recv(1000)
        connection.sendall(data)
        gone.wait(DEADLINE)
    gone = threading.Event()
    rig.do("settings", max_header=1 << 20)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen(8)
        rig.do("instance", "t", socket=tmp_path / "s")
        rig.do("host", "t.localhost", "t")
        rig.do("state", "t", "ready")
        with Client(rig) as client:
            client.ask("GET / HTTP/1.1", *[f"X-{i}: " + "x" * 9000 for i in range(99)])
            connection, _ = listener.accept()
            thread = threading.Thread(target=handler, args=(connection,))
            thread.start()
            response = client.response()
            assert (response.status, response.body) == (431, b"too large") and response.get("connection") == "close"
            gone.set()
            thread.join()
            connection.close()
    wait_until(lambda: rig.use()["in_flight"] == 0)


def test_an_early_answer_while_the_tenant_reads_on(rig, tenant_of):
    """Echo as it comes: the end of the answer may be there before that of the request."""
    seen = []

    def handler(stream, request):
        stream.sock.sendall(answer("early"))
        try:
            seen.append(len(stream.bytes(1 << 20)))
        except (EOFError, OSError) as error:
            seen.append(error)
        return False
    rig.tenant(tenant_of(handler, read_body=False))
    with Client(rig) as client:
        client.ask("POST / HTTP/1.1", f"Content-Length: {1 << 20}", body=b"x" * 1000)
        assert client.response().body == b"early"
        assert client.at_end()
    wait_until(lambda: seen)
    assert not isinstance(seen[0], int)  # never taken for whole
    assert fetch(rig, "POST / HTTP/1.1", "Content-Length: 0").status == 200


CUT = {
    "in the status line": [b"HTTP/1.1 20"],
    "in the head": [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"],
    "before the body": [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"],
    "in the body": [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"],
    "in a chunk's size": [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n1"],
    "in a chunk": [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nhalf"],
    "before the last chunk": [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"],
    "in the trailers": [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\nA: b"],
}


@pytest.mark.parametrize("how", ["close", "half close", "reset"])
@pytest.mark.parametrize("place", CUT)
def test_an_answer_that_breaks_off_is_never_taken_for_whole(rig, tenant_of, place, how):
    last = {"close": [CLOSE], "half close": [HALF_CLOSE, UNTIL_CLOSED], "reset": [delay(threading.Event(), 0.05), RESET]}[how]
    rig.tenant(tenant_of(scripted({"/": [*CUT[place], *last]})))
    try:
        response = fetch(rig)
    except (EOFError, ConnectionResetError, ValueError):
        assert "head" not in place and "status" not in place
    else:
        assert response.status == 502
    assert fetch(rig, "GET /well HTTP/1.1").body == b"ok"
    wait_until(lambda: rig.use()["in_flight"] == 0)


def test_both_framings_are_refused_with_a_502_and_nothing_else(rig, tenant_of):
    for both in (b"Content-Length: 2\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: chunked\r\nContent-Length: 2"):
        tenant = tenant_of(scripted({"/": [b"HTTP/1.1 200 OK\r\n" + both + b"\r\n\r\n0\r\n\r\n" + EVIL]}))
        rig.tenant(tenant)
        with Client(rig) as client:
            response = client.get()
            assert response.status == 502 and b"evil" not in response.body
            assert client.get("GET /next HTTP/1.1").body == b"ok"


@pytest.mark.parametrize("kind", ["one field", "many fields", "names", "a status line", "no end", "bare"])
def test_a_hundred_kibibytes_of_heads_are_502(rig, tenant_of, kind):
    head = {
        "one field": b"X: " + b"x" * (100 << 10) + b"\r\n\r\n",
        "many fields": b"X-Y: 0123456789\r\n" * 6400 + b"\r\n",
        "names": b"x" * (100 << 10) + b": y\r\n\r\n",
        "a status line": b"",
        "no end": b"X: " + b"x" * (100 << 10),
        "bare": b"X: y\n" * 20000,
    }[kind]
    line = b"HTTP/1.1 200 " + (b"O" * (100 << 10) if kind == "a status line" else b"OK") + b"\r\n"
    rig.tenant(tenant_of(scripted({"/": [line + head, UNTIL_CLOSED]})))
    rig.tenant(tenant_of(), name="other")
    with Client(rig) as client:
        for _ in range(3):
            assert client.get().status == 502
        assert fetch(rig, host="other.localhost").status == 200
        assert client.get("GET /well HTTP/1.1").body == b"ok"
    assert rig.use()["failures"] == 3


GARBAGE = [b"\r\n", b"\0", b"HTTP", b"HTTP/1.1", b"HTTP/1.1 2000 OK\r\n\r\n", b"HTTP/1.1 20 OK\r\n\r\n", b"HTTP/2 200 OK\r\n\r\n",
           b"ICY 200 OK\r\n\r\n", b"220 smtp.example ESMTP\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\xff" * 4096,
           b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 1e3\r\n\r\n",
           b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok", b"HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
           b"HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: \x01\r\n\r\n",
           b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_is_a_502_to_who_asked_and_nothing_to_others(rig, tenant_of, garbage):
    tenant = tenant_of(scripted({"/": [garbage, HALF_CLOSE, UNTIL_CLOSED]}))
    rig.tenant(tenant)
    with Client(rig) as client:
        assert client.get().status == 502
        assert client.get("GET /well HTTP/1.1").body == b"ok"


# ---- clients ----


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("framing", ["Content-Length: 100000", "Transfer-Encoding: chunked"])
def test_a_client_that_vanishes_in_its_upload_is_seen_by_the_tenant(rig, tenant_of, framing, how):
    seen = []

    def handler(stream, request):
        try:
            if request.get("content-length"):
                seen.append(len(stream.bytes(100000)))
            else:
                seen.append(len(stream.chunks()))
        except (EOFError, OSError, ValueError) as error:
            seen.append(error)
        return False
    rig.tenant(tenant_of(handler, read_body=False))
    with Client(rig) as client:
        client.ask("PUT / HTTP/1.1", framing, body=b"3e8\r\n" + b"x" * 1000 + b"\r\n")
        wait_until(lambda: rig.use()["bytes_in"] > 1000)
        if how == "reset":
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_until(lambda: seen)
    assert not isinstance(seen[0], int), "the tenant took half a body for the whole"
    wait_until(lambda: rig.use()["in_flight"] == 0 and rig.worker()["clients"] == 0)


def test_who_reads_a_byte_at_a_time_is_waited_for_and_holds_up_nobody(rig, tenant_of):
    body = bytes(range(256)) * 4096  # 1 MiB
    rig.tenant(tenant_of(lambda stream, request: answer(body) if request.target == "/large" else OK), stream_idle=2000)
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)  # the least that there is: 2304
    sock.connect(("127.0.0.1", rig.port))
    slow = Client.__new__(Client)
    slow.sock, slow.buffer, slow.host = sock, b"", "t.localhost"
    sock.settimeout(DEADLINE)
    with slow, Client(rig) as other:
        slow.ask("GET /large HTTP/1.1")
        got = b""
        while len(got) < 3000:
            got += sock.recv(1)
            if len(got) % 30 == 0:
                assert other.get().body == b"ok"
        slow.buffer = got
        assert slow.head() and slow.bytes(len(body)) == body
    wait_until(lambda: rig.use()["in_flight"] == 0)


def test_who_reads_nothing_at_all_is_given_up(rig, tenant_of):
    rig.tenant(tenant_of(lambda stream, request: answer(b"x" * (16 << 20))), stream_idle=300)
    with Client(rig) as client:
        client.ask()
        wait_until(lambda: rig.use()["bytes_out"] > 0)
        wait_until(lambda: rig.use()["in_flight"] == 0 and rig.worker()["clients"] == 0)
        with pytest.raises((EOFError, ConnectionResetError)):
            client.head()
            client.bytes(16 << 20)


# ---- targets and hosts ----


@pytest.mark.parametrize("line, seen", [
    ("GET http://t.localhost/a?b HTTP/1.1", "GET /a?b HTTP/1.1"),
    ("GET HTTP://T.LOCALHOST/ HTTP/1.1", "GET / HTTP/1.1"),
    ("GET https://t.localhost/a HTTP/1.1", "GET /a HTTP/1.1"),
    ("GET http://t.localhost HTTP/1.1", "GET / HTTP/1.1"),
    ("GET http://t.localhost?q HTTP/1.1", "GET /?q HTTP/1.1"),
    ("OPTIONS * HTTP/1.1", "OPTIONS * HTTP/1.1"),
    ("OPTIONS http://t.localhost HTTP/1.1", "OPTIONS * HTTP/1.1"),
    ("OPTIONS http://t.localhost/ HTTP/1.1", "OPTIONS / HTTP/1.1"),
])
def test_forms_of_a_target(rig, tenant_of, line, seen):
    tenant = tenant_of()
    rig.tenant(tenant)
    assert fetch(rig, line).status == 200
    assert tenant.requests[0].line == seen and tenant.requests[0].get("host") == "t.localhost"


@pytest.mark.parametrize("line, status", [
    ("GET * HTTP/1.1", 400), ("CONNECT t.localhost:443 HTTP/1.1", 501), ("CONNECT / HTTP/1.1", 501),
    ("GET t.localhost HTTP/1.1", 400), ("GET ftp://t.localhost/ HTTP/1.1", 400), ("GET http://u@t.localhost/ HTTP/1.1", 400),
    ("GET http://other.localhost/ HTTP/1.1", 400), ("GET http:/// HTTP/1.1", 400), ("GET /a#b HTTP/1.1", 400),
    ("GET /\x7f HTTP/1.1", 400), ("GET  / HTTP/1.1", 400), ("GET / HTTP/1.1 ", 400),
])
def test_targets_that_are_refused(rig, tenant_of, line, status):
    tenant = tenant_of()
    rig.tenant(tenant)
    with Client(rig) as client:
        response = client.get(line)
        assert response.status == status and response.get("connection") == "close"
        assert client.at_end()
    assert tenant.requests == []


@pytest.mark.parametrize("hosts, status", [
    (["t.localhost:80"], 200), (["T.LOCALHOST."], 200), (["t.localhost.:80"], 200), (["t.localhost:"], 200),
    (["[::1]"], 404), (["[::1]:80"], 404), (["[::ffff:1.2.3.4]:80"], 404), (["[fe80::1%25eth0]"], 400), (["[::1"], 400),
    (["::1"], 400), (["t.localhost:80:80"], 400), (["t.localhost:x"], 400), (["t.localhost:65536"], 400), ([""], 400),
    (["t.localhost", "t.localhost"], 400), (["t.localhost", "other.localhost"], 400), (["t.localhost,other"], 400),
    (["t..localhost"], 400), (["t.localhost.."], 400), (["t.localhost/"], 400), (["u@t.localhost"], 400), ([], 400),
])
def test_forms_of_host(rig, tenant_of, hosts, status):
    tenant = tenant_of()
    rig.tenant(tenant)
    fields = "".join(f"Host: {host}\r\n" for host in hosts)
    assert raw(rig, f"GET /x HTTP/1.1\r\n{fields}\r\n").status == status
    assert len(tenant.requests) == (status == 200)


def test_an_ipv6_literal_that_is_routed(rig, tenant_of):
    rig.tenant(tenant_of(), host="[::1]")
    for host in ("[::1]", "[::1]:8080"):
        assert fetch(rig, host=host).status == 200


# ---- what is not framed as it ought to be ----


@pytest.mark.parametrize("body", [
    b" 3\r\nabc\r\n0\r\n\r\n", b"3 \r\nabc\r\n0\r\n\r\n", b"3\t\r\nabc\r\n0\r\n\r\n", b"3 ;x\r\nabc\r\n0\r\n\r\n",
    b"\r\n3\r\nabc\r\n0\r\n\r\n", b"3\r\nabc\r\n0 \r\n\r\n", b"3\r\nabc\r\n\r\n0\r\n\r\n", b"3;\x01\r\nabc\r\n0\r\n\r\n",
    b"3;a\x7f\r\nabc\r\n0\r\n\r\n", b"3\r\nabc\r\n0\r\nA: \x01\r\n\r\n", b"3\r\nabc\r\n0\r\n A: b\r\n\r\n",
])
def test_chunks_with_anything_around_them_are_refused(rig, tenant_of, body):
    tenant = tenant_of()
    rig.tenant(tenant)
    with Client(rig) as client:
        client.ask("POST / HTTP/1.1", "Transfer-Encoding: chunked", body=body)
        response = client.response()
        assert response.status == 400 and response.get("connection") == "close" and client.at_end()
    assert tenant.requests == []
    # The other way round it is the tenant's fault.
    rig.tenant(tenant_of(scripted({"/": [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body]})))
    try:
        assert fetch(rig).status == 502
    except (EOFError, ConnectionResetError, ValueError):
        assert body.startswith(b"3\r\nabc")  # the beginning was right, and may have gone out


@pytest.mark.parametrize("byte", [b for b in [*range(0x20), 0x7f] if b != 9])
def test_control_bytes_in_values_are_refused(rig, tenant_of, byte):
    tenant = tenant_of(lambda stream, request: b"HTTP/1.1 200 OK\r\nX: a" + bytes([byte]) + b"b\r\nContent-Length: 0\r\n\r\n")
    rig.tenant(tenant)
    assert raw(rig, b"GET / HTTP/1.1\r\nHost: t.localhost\r\nX: a" + bytes([byte]) + b"b\r\n\r\n").status == 400
    assert tenant.requests == []
    assert fetch(rig).status == 502
