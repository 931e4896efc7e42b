"""A request is sent again only when nobody can have seen it, or when that does no harm; then as often
as it takes."""

import errno
import os
import signal
import threading

import pytest

from faults import CLOSE, RESET, scripted
from proxy_preload import preloaded  # noqa: F401
from proxy_rig import *  # noqa: F401,F403
from proxy_rig import DEADLINE, Client, answer, fetch, wait_until

POOL = 128  # UPSTREAM_POOL_MAX


class Pooled:
    """A tenant to which the proxy keeps POOL idle connections; what they do next is up to .mood."""

    def __init__(self, rig, tenant_of, path, count=POOL):
        self.gate = threading.Barrier(count + 1)
        self.mood = lambda stream: False
        self.tenant = tenant_of(self.handle, path=path)
        rig.tenant(self.tenant)
        clients = [Client(rig) for _ in range(count)]
        for client in clients:
            client.ask("GET /fill HTTP/1.1")
        self.gate.wait(DEADLINE * 2)
        for client in clients:
            assert client.response().body == b"/fill"
            client.sock.close()
        wait_until(lambda: rig.worker()["clients"] == 0)
        assert self.tenant.connections == count
        self.old = set(self.tenant.open)
        self.tenant.requests.clear()

    def handle(self, stream, request):
        if request.target == "/fill":
            self.gate.wait(DEADLINE * 2)
        elif stream.sock in self.old:
            return self.mood(stream)
        return answer(request.body or request.target)


def stopped(rig):
    """The worker does not run inside of this: what happens there is one moment to it."""
    class Stopped:
        def __enter__(self):
            self.pid = rig.worker()["pid"]
            os.kill(self.pid, signal.SIGSTOP)
            wait_until(lambda: open(f"/proc/{self.pid}/stat").read().rsplit(")", 1)[1].split()[0] == "T")

        def __exit__(self, *_):
            os.kill(self.pid, signal.SIGCONT)
    return Stopped()


@pytest.mark.parametrize("line, body", [("GET /x HTTP/1.1", b""), ("HEAD /x HTTP/1.1", b""),
                                        ("DELETE /x HTTP/1.1", b""), ("PUT /x HTTP/1.1", b"")])
def test_a_pool_that_dies_with_the_request_on_it_costs_an_idempotent_one_nothing(rig, tenant_of, tmp_path, line, body):
    """Every one of 128 connections reads the request and hangs up: the next is asked."""
    pooled = Pooled(rig, tenant_of, tmp_path / "s")
    with Client(rig) as client:
        response = client.get(line, f"Content-Length: {len(body)}", body=body)
        assert response.status == 200 and response.get("connection") is None
        assert len(pooled.tenant.requests) == POOL + 1
        assert client.get().status == 200
    assert rig.use()["failures"] == 0
    wait_until(lambda: rig.use()["in_flight"] == 0)


@pytest.mark.parametrize("line, body", [("POST /x HTTP/1.1", b""), ("POST /x HTTP/1.1", b"ab"), ("PATCH /x HTTP/1.1", b"ab"),
                                        ("PUT /x HTTP/1.1", b"ab"), ("MKCOL /x HTTP/1.1", b"")])
def test_what_a_pooled_connection_may_have_seen_is_never_sent_twice(rig, tenant_of, tmp_path, line, body):
    pooled = Pooled(rig, tenant_of, tmp_path / "s", count=8)
    response = fetch(rig, line, f"Content-Length: {len(body)}", body=body)
    assert response.status == 502 and response.json()["error"] == "the application broke the connection"
    assert len(pooled.tenant.requests) == 1


@pytest.mark.parametrize("kind", ["unix", "tcp"])
@pytest.mark.parametrize("line, body", [("GET /x HTTP/1.1", b""), ("POST /x HTTP/1.1", b"abc"), ("PUT /x HTTP/1.1", b"abc")])
def test_a_pool_that_dies_in_the_moment_of_the_request_costs_nobody_anything(rig, tenant_of, tmp_path, kind, line, body):
    pooled = Pooled(rig, tenant_of, tmp_path / "s" if kind == "unix" else None)
    with Client(rig) as client:
        with stopped(rig):
            client.ask(line, f"Content-Length: {len(body)}", body=body)
            pooled.tenant.break_all()
        response = client.response()
        assert (response.status, response.body) == (200, body or b"/x")
    assert len(pooled.tenant.requests) == 1 and rig.use()["failures"] == 0


def test_a_farewell_in_the_moment_of_the_request_is_not_its_answer(rig, tenant_of, tmp_path):
    """As servers do that say 408 when they close an idle connection."""
    pooled = Pooled(rig, tenant_of, tmp_path / "s", count=16)
    with Client(rig) as client:
        with stopped(rig):
            client.ask("POST /x HTTP/1.1", "Content-Length: 3", body=b"abc")
            for connection in list(pooled.old):
                connection.sendall(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 4\r\nConnection: close\r\n\r\nevil")
            pooled.tenant.break_all()
        assert client.response().body == b"abc"
    assert len(pooled.tenant.requests) == 1


@pytest.mark.parametrize("error", [errno.EPIPE, errno.ECONNRESET])
@pytest.mark.parametrize("line, body", [("GET /x HTTP/1.1", b""), ("POST /x HTTP/1.1", b"abc"), ("PUT /x HTTP/1.1", b"abc")])
def test_writes_that_fail_at_once_cost_nothing(preloaded, tenant_of, tmp_path, line, body, error):
    """The connection looked well and was dead: nothing has been sent, whatever the method."""
    rig = preloaded
    pooled = Pooled(rig, tenant_of, tmp_path / "s")
    rig.fail_writes(POOL, error)
    with Client(rig) as client:
        response = client.get(line, f"Content-Length: {len(body)}", body=body)
        assert (response.status, response.body) == (200, body or b"/x")
        assert response.get("connection") is None
        assert client.get().status == 200
    assert rig.failed_writes() == POOL and len(pooled.tenant.requests) == 2


@pytest.mark.parametrize("line, again", [("GET /x HTTP/1.1", True), ("POST /x HTTP/1.1", False)])
def test_a_head_half_sent(preloaded, tenant_of, tmp_path, line, again):
    """Of a head that was cut the tenant may have seen enough, unless to repeat it does no harm."""
    rig = preloaded
    pooled = Pooled(rig, tenant_of, tmp_path / "s", count=4)
    assert cut(rig, pooled, 10, line, b"") == (200 if again else 502)
    assert bool(pooled.tenant.requests) == again


def test_a_put_whose_body_was_begun_is_not_repeated(preloaded, tenant_of, tmp_path):
    pooled = Pooled(preloaded, tenant_of, tmp_path / "s", count=4)
    assert cut(preloaded, pooled, 4000, "PUT /x HTTP/1.1", b"x" * 20000) == 502
    assert pooled.tenant.requests == [] and pooled.tenant.connections == 4


def cut(rig, pooled, after, line, body):
    """The tenant gets AFTER bytes of the request, then goes away. Returns the answer's status."""
    rig.fail_writes(1, after=after)
    with Client(rig) as client:
        client.ask(line, f"Content-Length: {len(body)}", body=body)
        wait_until(lambda: rig.failed_writes() == 1)
        pooled.tenant.break_all()
        return client.response().status


def test_fresh_connections_that_die_are_few(preloaded, tenant_of, tmp_path):
    """What is not an old connection's fault is not tried for ever, and failures are counted."""
    rig = preloaded
    tenant = tenant_of(path=tmp_path / "s")
    rig.tenant(tenant)
    rig.fail_writes(1000)
    assert fetch(rig, "POST / HTTP/1.1", "Content-Length: 0").status == 502
    assert rig.failed_writes() == 2 and rig.use()["failures"] == 2
    rig.fail_writes(0)
    assert fetch(rig, "POST / HTTP/1.1", "Content-Length: 0").status == 200
    assert len(tenant.requests) == 1


def test_after_an_interim_answer_nothing_is_repeated(rig, tenant_of):
    tenant = tenant_of(scripted({"/": [b"HTTP/1.1 103 Early Hints\r\n\r\n", CLOSE]}))
    rig.tenant(tenant)
    with Client(rig) as client:
        assert client.get().status == 103
        assert client.response().status == 502
    assert len(tenant.requests) == 1


def test_a_reset_instead_of_an_answer(rig, tenant_of):
    tenant = tenant_of(scripted({"/": [RESET]}))
    rig.tenant(tenant)
    assert fetch(rig, "POST / HTTP/1.1", "Content-Length: 0").status == 502
    assert len(tenant.requests) == 1
    assert fetch(rig).status == 502
    assert len(tenant.requests) == 3  # a GET: twice
