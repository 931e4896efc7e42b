"""HTTP/1 in front and behind: framing, connections, limits, and what is refused."""

import socket
import threading

import pytest

from proxy_rig import *  # noqa: F401,F403
from proxy_rig import OK, Client, answer, fetch, raw, wait_until


def test_request_and_answer(rig, tenant_of):
    tenant = tenant_of(lambda stream, request: answer("hello", "X-Two: a, b", "Date: today"))
    rig.tenant(tenant)
    response = fetch(rig, "GET /a?b=c HTTP/1.1", "X-One: 1")
    assert response.line == "HTTP/1.1 200 OK"
    assert (response.body, response.get("x-two"), response.get("date")) == (b"hello", "a, b", "today")
    request = tenant.requests[0]
    assert request.line == "GET /a?b=c HTTP/1.1"
    assert request.get("x-one") == "1" and request.get("host") == "t.localhost"
    wait_until(lambda: rig.use()["in_flight"] == 0)
    use = rig.use()
    assert (use["requests"], use["failures"]) == (1, 0)
    assert use["bytes_in"] > 0 and use["bytes_out"] > 0 and use["idle_ms"] < 5000


def test_unix_socket(rig, tenant_of, tmp_path):
    rig.tenant(tenant_of(path=tmp_path / "s"))
    assert fetch(rig).body == b"ok"


def test_keep_alive_on_both_sides(rig, tenant_of):
    tenant = tenant_of()
    rig.tenant(tenant)
    with Client(rig) as client:
        for _ in range(20):
            assert client.get().body == b"ok"
    assert tenant.connections == 1 and len(tenant.requests) == 20
    assert rig.worker()["requests"] == 20


def test_pipelining_is_answered_in_order(rig, tenant_of):
    tenant = tenant_of(lambda stream, request: answer(request.target))
    rig.tenant(tenant)
    with Client(rig) as client:
        client.send("".join(f"GET /{i} HTTP/1.1\r\nHost: {'t' if i % 3 else 'nobody'}.localhost\r\n\r\n"
                            for i in range(200)))
        for i in range(200):
            response = client.response()
            assert response.status == (200 if i % 3 else 404)
            if i % 3:
                assert response.body == f"/{i}".encode()


def test_pipelining_after_bodies(rig, tenant_of):
    tenant = tenant_of(lambda stream, request: answer(request.body))
    rig.tenant(tenant)
    head = "POST / HTTP/1.1\r\nHost: t.localhost\r\n"
    with Client(rig) as client:
        client.send(head + "Content-Length: 3\r\n\r\nabc" + head + "Transfer-Encoding: chunked\r\n\r\n"
                    "4;x=y\r\ndefg\r\n1\r\nh\r\n0\r\nX-Trailer: 1\r\n\r\n" + head + "Content-Length: 1\r\n\r\ni")
        assert [client.response().body for _ in range(3)] == [b"abc", b"defgh", b"i"]


def test_every_split_of_a_request(rig, tenant_of):
    rig.tenant(tenant_of(lambda stream, request: answer(request.body)))
    data = b"POST / HTTP/1.1\r\nHost: t.localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    with Client(rig) as client:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(1, len(data)):
            client.send(data[:at])
            # The second half must come by itself: wait until the first has been read.
            wait_until(lambda: not unread(client.sock))
            client.send(data[at:])
            assert client.response().body == b"abcde"


def unread(sock):
    """Bytes that the peer's kernel has not acknowledged (SIOCOUTQ)."""
    import fcntl
    import struct
    import termios
    return struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, b"\0\0\0\0"))[0]


@pytest.mark.parametrize("close", ["HTTP/1.0", "HTTP/1.1\r\nConnection: close"])
def test_old_tenant_that_closes(rig, tenant_of, close):
    def handler(stream, request):
        version, _, field = close.partition("\r\n")
        stream.sock.sendall(f"{version} 200 OK\r\n{field + chr(13) + chr(10) if field else ''}\r\nuntil close".encode())
        return False
    tenant = tenant_of(handler)
    rig.tenant(tenant)
    with Client(rig) as client:
        for _ in range(3):
            response = client.get()
            assert response.body == b"until close" and response.get("transfer-encoding") == "chunked"
        client.ask("GET / HTTP/1.0")
        response = client.response()
        assert response.body == b"until close" and response.get("transfer-encoding") is None
    assert tenant.connections == 4


def test_http10_client(rig, tenant_of):
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    rig.tenant(tenant_of(lambda stream, request: chunked if request.target == "/c" else OK))
    with Client(rig) as client:
        response = client.get("GET / HTTP/1.0", "Connection: keep-alive")
        assert response.body == b"ok" and response.get("connection") == "keep-alive"
        response = client.get("GET /c HTTP/1.0", "Connection: keep-alive")
        assert response.body == b"abc" and response.get("connection") == "close"
        assert client.at_end()
    with Client(rig) as client:
        assert client.get("GET / HTTP/1.0").body == b"ok" and client.at_end()


def test_chunked_answer_is_made_anew(rig, tenant_of):
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n2;ext=1\r\nab\r\n1\r\nc\r\n0\r\nX: y\r\n\r\n"
    rig.tenant(tenant_of(lambda stream, request: chunked))
    with Client(rig) as client:
        for _ in range(3):
            response = client.get()
            assert response.body == b"abc"
            assert response.get("trailer") is None and response.get("transfer-encoding") == "chunked"


def test_answers_without_a_body(rig, tenant_of):
    answers = {
        "/head": b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
        "/204": b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
        "/304": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n",
    }
    tenant = tenant_of(lambda stream, request: answers[request.target])
    rig.tenant(tenant)
    with Client(rig) as client:
        response = client.get("HEAD /head HTTP/1.1")
        assert response.status == 200 and response.get("content-length") == "1000"
        response = client.get("GET /204 HTTP/1.1")
        assert response.status == 204 and response.get("content-length") is None
        response = client.get("GET /304 HTTP/1.1")
        assert response.status == 304 and response.get("content-length") == "77"
    assert tenant.connections == 1


def test_expect_continue_and_other_interim_answers(rig, tenant_of):
    def handler(stream, request):
        assert request.get("expect") == "100-continue"
        stream.sock.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
        return answer(stream.bytes(5))
    rig.tenant(tenant_of(handler, read_body=False))
    with Client(rig) as client:
        for _ in range(2):
            client.ask("POST / HTTP/1.1", "Content-Length: 5", "Expect: 100-continue")
            hints = client.response()
            assert hints.status == 103 and hints.get("link") == "</a>"
            assert client.response().status == 100
            client.send(b"12345")
            assert client.response().body == b"12345"


def test_early_answer_to_an_expectation(rig, tenant_of):
    rig.tenant(tenant_of(lambda stream, request: answer("no", status="403 Forbidden"), read_body=False))
    with Client(rig) as client:
        client.ask("POST / HTTP/1.1", "Content-Length: 5", "Expect: 100-continue")
        response = client.response()
        assert response.status == 403 and response.get("connection") == "close"
        assert client.at_end()


def test_early_answer_to_a_large_upload(rig, tenant_of):
    def handler(stream, request):
        stream.sock.sendall(answer("too much", status="413 Content Too Large"))
        return False
    rig.tenant(tenant_of(handler, read_body=False))
    with Client(rig) as client:
        client.ask("POST / HTTP/1.1", f"Content-Length: {64 << 20}")
        sender = threading.Thread(target=try_send, args=(client, b"x" * (8 << 20)))
        sender.start()
        response = client.response()
        sender.join()
        assert response.status in (413, 502)
    wait_until(lambda: rig.use()["in_flight"] == 0)


def try_send(client, data):
    try:
        client.send(data)
    except OSError:
        pass


HOST = b"Host: t.localhost\r\n"
SMUGGLING = {
    "both lengths": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\n12345",
    "a repeated length": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 4\r\nContent-Length: 4\r\n\r\n1234",
    "a list of lengths": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 4, 4\r\n\r\n1234",
    "a signed length": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: +4\r\n\r\n1234",
    "a length with a space": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1 4\r\n\r\n1234",
    "a hexadecimal length": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 0x4\r\n\r\n1234",
    "a huge length": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999999999999999\r\n\r\n",
    "identity, chunked": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "two encodings": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
    "xchunked": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a vertical tab": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "chunked in 1.0": b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a space before the colon": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length : 4\r\n\r\n1234",
    "a folded line": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n b\r\n\r\n",
    "a bare LF": b"GET / HTTP/1.1\n" + HOST + b"\r\n",
    "a bare LF at the end": b"GET / HTTP/1.1\r\n" + HOST + b"\n",
    "a bare CR": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\rb\r\n\r\n",
    "a NUL": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\0b\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
    "a host with a path": b"GET / HTTP/1.1\r\nHost: t.localhost/x\r\n\r\n",
    "another host in the target": b"GET http://a.localhost/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "a bad chunk size": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
    "a chunk size with a space": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n0\r\n\r\n",
    "a chunk size that overflows": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n10000000000000003\r\nabc\r\n0\r\n\r\n",
    "a chunk that ends by LF": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
    "a chunk that is longer": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("name", SMUGGLING)
def test_smuggling_is_refused(rig, tenant_of, name):
    tenant = tenant_of()
    rig.tenant(tenant)
    with Client(rig) as client:
        client.send(SMUGGLING[name] + b"GET /smuggled HTTP/1.1\r\nHost: t.localhost\r\n\r\n")
        response = client.response()
        assert response.status == 400 and response.get("connection") == "close"
        assert client.at_end()
    assert tenant.requests == []


def test_a_bad_chunk_later_on(rig, tenant_of):
    tenant = tenant_of()
    rig.tenant(tenant)
    with Client(rig) as client:
        client.ask("POST / HTTP/1.1", "Transfer-Encoding: chunked", body=b"3\r\nabc\r\n")
        wait_until(lambda: rig.use()["bytes_in"] > 100)
        client.send(b"zz\r\n")
        assert client.response().status == 400 and client.at_end()
    assert tenant.requests == []
    wait_until(lambda: rig.use()["in_flight"] == 0)


@pytest.mark.parametrize("data, status", [
    (b"GET / HTTP/2.0\r\n\r\n", 505),
    (b"GET / HTTP/0.9\r\n\r\n", 505),
    (b"GET /\r\n\r\n", 505),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    (b"CONNECT t.localhost:80 HTTP/1.1\r\n" + HOST + b"\r\n", 501),
    (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
    (b"GET /" + b"a" * 40000, 414),
    (b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 20000 + b"\r\n\r\n", 431),
    (b"GET / HTTP/1.1\r\n" + HOST + b"X: 1\r\n" * 101 + b"\r\n", 431),
    (b"GET / HTTP/1.1\r\n" + HOST + b"Expect: tea\r\n\r\n", 417),
    (b"GARBAGE\r\n\r\n", 400),
])
def test_limits_and_versions(rig, tenant_of, data, status):
    tenant = tenant_of()
    rig.tenant(tenant)
    response = raw(rig, data)
    assert response.status == status and response.json()["status"] == status
    assert tenant.requests == []


def test_large_heads_where_they_are_allowed(rig, tenant_of):
    tenant = tenant_of(lambda stream, request: answer(request.get("x")))
    rig.do("settings", max_header=100000)
    rig.tenant(tenant)
    value = "a" * 90000
    with Client(rig) as client:
        for _ in range(2):
            assert client.get("GET / HTTP/1.1", f"X: {value}").body == value.encode()


def test_large_answer_heads(rig, tenant_of):
    def handler(stream, request):
        return answer("ok", "X: " + "a" * int(request.target[1:]))
    rig.tenant(tenant_of(handler))
    assert len(fetch(rig, "GET /60000 HTTP/1.1").get("x")) == 60000
    assert fetch(rig, "GET /70000 HTTP/1.1").status == 502


def test_bodies_over_the_limit(rig, tenant_of):
    tenant = tenant_of(lambda stream, request: answer(request.body))
    rig.tenant(tenant, max_body=10)
    assert fetch(rig, "POST / HTTP/1.1", "Content-Length: 10", body=b"0123456789").body == b"0123456789"
    assert fetch(rig, "POST / HTTP/1.1", "Content-Length: 11").status == 413
    chunk = b"6\r\n012345\r\n"
    assert fetch(rig, "POST / HTTP/1.1", "Transfer-Encoding: chunked", body=chunk + b"0\r\n\r\n").body == b"012345"
    assert fetch(rig, "POST / HTTP/1.1", "Transfer-Encoding: chunked", body=chunk * 2 + b"0\r\n\r\n").status == 413
    with Client(rig) as client:
        client.ask("POST / HTTP/1.1", "Transfer-Encoding: chunked", body=chunk)
        wait_until(lambda: rig.use()["in_flight"] == 1)
        client.send(chunk)
        assert client.response().status == 413
    assert len(tenant.requests) == 2
    wait_until(lambda: rig.use()["in_flight"] == 0)


@pytest.mark.parametrize("broken", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
    b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Le",
    b"\0" * 100 + b"\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n",
])
def test_broken_answers(rig, tenant_of, broken):
    def handler(stream, request):
        stream.sock.sendall(broken)
        return False
    rig.tenant(tenant_of(handler))
    with Client(rig) as client:
        assert client.get().status == 502
        assert client.get().status == 502  # and the client's connection is as good as ever
    assert rig.use()["failures"] == 2
    wait_until(lambda: rig.use()["in_flight"] == 0)


def test_bytes_behind_an_answer_condemn_the_connection(rig, tenant_of):
    tenant = tenant_of(lambda stream, request: OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    rig.tenant(tenant)
    with Client(rig) as client:
        for _ in range(3):
            assert client.get().body == b"ok"
    assert tenant.connections == 3


def test_an_answer_cut_short_is_seen_to_be(rig, tenant_of):
    cut = {
        "/length": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        "/chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    }

    def handler(stream, request):
        stream.sock.sendall(cut[request.target])
        return False
    rig.tenant(tenant_of(handler))
    for target in cut:
        with pytest.raises((EOFError, ConnectionResetError, ValueError)):
            fetch(rig, f"GET {target} HTTP/1.1")
    with pytest.raises(ConnectionResetError):
        fetch(rig, "GET /chunked HTTP/1.0")
    wait_until(lambda: rig.use()["in_flight"] == 0)


def test_absolute_target_and_asterisk(rig, tenant_of):
    tenant = tenant_of()
    rig.tenant(tenant)
    fetch(rig, "GET http://T.localhost/x?y HTTP/1.1", host="t.localhost")
    fetch(rig, "OPTIONS * HTTP/1.1")
    fetch(rig, "GET http://t.localhost?q HTTP/1.1")
    assert [r.line for r in tenant.requests] == ["GET /x?y HTTP/1.1", "OPTIONS * HTTP/1.1", "GET /?q HTTP/1.1"]


def test_one_empty_line_before_a_request(rig, tenant_of):
    rig.tenant(tenant_of())
    assert raw(rig, b"\r\nGET / HTTP/1.1\r\nHost: t.localhost\r\n\r\n").status == 200
    assert raw(rig, b"\r\n\r\nGET / HTTP/1.1\r\nHost: t.localhost\r\n\r\n").status == 400


def test_connection_after_our_own_errors(rig, tenant_of):
    rig.tenant(tenant_of())
    with Client(rig) as client:
        client.host = "nobody.localhost"
        assert client.get("POST / HTTP/1.1", "Content-Length: 3", body=b"abc").status == 404
        assert client.get("POST / HTTP/1.1", "Transfer-Encoding: chunked", body=b"3\r\nabc\r\n0\r\n\r\n").status == 404
        client.host = "t.localhost"
        assert client.get().status == 200
        client.host = "nobody.localhost"
        response = client.get("POST / HTTP/1.1", "Content-Length: 100000", body=b"abc")
        assert response.status == 404 and response.get("connection") == "close"
