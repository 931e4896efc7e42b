"""No descriptors, no memory, a full accept queue: what is idle goes first, answers stay whole, the log
says so once, and it is over when the need is."""

import os
import resource
import select
import signal
import socket
import threading

import pytest

from harness import SLOWNESS

from proxy_rig import *  # noqa: F401,F403
from proxy_rig import DEADLINE, OK, Client, answer, fetch, wait_until

OVERLOAD = 9  # enum board_refusal
SANITIZED = SLOWNESS > 1


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def limit_descriptors(rig, more):
    """Let the worker open MORE descriptors than it has now."""
    pid = rig.worker()["pid"]
    limit = descriptors(pid) + more
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, limit))
    return limit


def said(rig, text):
    return [line for line in rig.stderr if text in line]


def is_closed(client):
    client.sock.setblocking(False)
    try:
        return client.sock.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    finally:
        client.sock.settimeout(DEADLINE)


def test_the_oldest_idle_connections_go_first(rig, tenant_of):
    rig.tenant(tenant_of())
    clients = [Client(rig) for _ in range(60)]
    for client in clients:
        assert client.get().status == 200
    limit_descriptors(rig, 1)
    late = [Client(rig) for _ in range(20)]
    for client in late:
        assert client.get().status == 200
    gone = [is_closed(client) for client in clients]
    assert 1 < gone.count(True) < 60
    assert gone == sorted(gone, reverse=True)  # a prefix: none that was used later
    assert not [client for client in late if is_closed(client)]
    assert len(said(rig, "closing idle connections")) == 1 and not said(rig, "cannot accept")
    for client in clients + late:
        client.sock.close()


def test_pooled_connections_go_before_requests_fail(rig, tenant_of):
    """Of many tenants' idle connections some are given up for one that is needed, and not all."""
    tenants = {f"t{i}": tenant_of() for i in range(20)}
    for name, tenant in tenants.items():
        rig.tenant(tenant, name)
        assert fetch(rig, host=f"{name}.localhost").status == 200
    rig.tenant(tenant_of(), "late")
    wait_until(lambda: rig.worker()["clients"] == 0)
    limit_descriptors(rig, 1)  # the client's
    assert fetch(rig, host="late.localhost").status == 200
    wait_until(lambda: sum(not tenant.open for tenant in tenants.values()) == 16)
    assert not tenants["t0"].open and tenants["t19"].open


def test_without_a_descriptor_for_the_tenant_the_answer_is_503(rig, tenant_of):
    release = threading.Event()
    tenant = tenant_of(lambda *_: release.wait(DEADLINE) and OK)
    rig.tenant(tenant)
    busy = [Client(rig) for _ in range(5)]
    for client in busy:
        client.ask()
    wait_until(lambda: len(tenant.requests) == 5)
    limit_descriptors(rig, 1)
    with Client(rig) as client:
        for _ in range(20):
            response = client.get()
            assert response.status == 503 and response.get("retry-after") == "1"
            assert response.json() == {"error": "overloaded", "status": 503}
        assert rig.worker()["refusals"][OVERLOAD] == 20
        assert len(said(rig, "closing idle connections")) == 1
        release.set()
        for other in busy:
            assert other.response().status == 200
        assert client.get().status == 200
    for client in busy:
        client.sock.close()
    wait_until(lambda: rig.use()["in_flight"] == 0)


def test_a_flood_of_connections_ends_and_all_is_as_before(rig, tenant_of):
    rig.tenant(tenant_of())
    assert fetch(rig).status == 200
    pid = rig.worker()["pid"]
    wait_until(lambda: rig.worker()["clients"] == 0)
    before = descriptors(pid)
    limit_descriptors(rig, 20)
    stuck = [Client(rig) for _ in range(200)]
    for client in stuck:
        client.send(b"GET / HT")
    wait_until(lambda: said(rig, "cannot accept"))
    for client in stuck[:100]:
        client.sock.close()
    for client in stuck[100:]:
        client.send(b"TP/1.1\r\nHost: t.localhost\r\n\r\n")
        response = client.response()
        assert response.status in (200, 503)
        client.sock.close()
    assert fetch(rig).status == 200
    wait_until(lambda: rig.worker()["clients"] == 0)
    wait_until(lambda: descriptors(pid) <= before)
    assert len(said(rig, "cannot accept")) == 1 and len(said(rig, "closing idle")) <= 1


def test_a_full_accept_queue_empties(rig, tenant_of):
    """More connect than the queue holds while nobody accepts: all are answered in the end."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    rig.tenant(tenant_of())
    pid = rig.worker()["pid"]
    os.kill(pid, signal.SIGSTOP)
    socks = []
    try:
        for _ in range(1100):  # listen(1024)
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", rig.port))
            socks.append(sock)
    finally:
        os.kill(pid, signal.SIGCONT)
    for sock in socks:
        connected = select.poll()
        connected.register(sock, select.POLLOUT)
        assert connected.poll(DEADLINE * 1000)
        sock.settimeout(DEADLINE * max(SLOWNESS, 1))
        sock.sendall(b"GET / HTTP/1.1\r\nHost: t.localhost\r\nConnection: close\r\n\r\n")
    for sock in socks:
        data = b""
        while piece := sock.recv(4096):
            data += piece
        assert data.startswith(b"HTTP/1.1 200 OK\r\n") and data.endswith(b"ok")
        sock.close()
    wait_until(lambda: rig.worker()["clients"] == 0 and rig.use()["in_flight"] == 0)


# ---- memory ----


def limit_memory(rig, more):
    pid = rig.worker()["pid"]
    with open(f"/proc/{pid}/statm") as statm:
        size = int(statm.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.prlimit(pid, resource.RLIMIT_AS, (size + more, resource.RLIM_INFINITY))


def unlimit_memory(rig):
    resource.prlimit(rig.worker()["pid"], resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@pytest.mark.skipif(SANITIZED, reason="a sanitizer takes address space as it likes")
@pytest.mark.parametrize("more", [0, 64 << 10, 1 << 20, 8 << 20])
def test_running_out_of_memory(rig, tenant_of, more):
    """Hundreds wait for a tenant to wake, each with a body in a buffer, and there is no more."""
    rig.do("settings", header_timeout=60000)
    rig.tenant(tenant_of(lambda stream, request: answer(request.body)), state="asleep", wake_queue=1000, wait_ms=60000)
    assert fetch(rig, "POST / HTTP/1.1", "Content-Length: 0", host="nobody.localhost").status == 404
    pid = rig.worker()["pid"]
    limit_memory(rig, more)
    clients = []
    for i in range(400):
        client = Client(rig)
        client.send(b"POST / HTTP/1.1\r\nHost: t.localhost\r\nContent-Length: 20000\r\n\r\n" + b"x" * 10000)
        clients.append(client)
    wait_until(lambda: said(rig, "Cannot allocate memory"))
    rig.do("state", "t", "ready")
    statuses = []
    for client in clients:
        try:
            client.send(b"x" * 10000)
            response = client.response()
        except (AssertionError, OSError) as error:
            # Closed without a word, when there was no memory for as much as the connection.
            assert not client.buffer and not isinstance(error, TimeoutError), error
        else:
            statuses.append(response.status)
            assert response.status == 503 or response.body == b"x" * 20000
        client.sock.close()
    unlimit_memory(rig)
    assert set(statuses) <= {200, 503} and len(statuses) > 20
    assert rig.worker()["pid"] == pid and os.path.exists(f"/proc/{pid}")
    for _ in range(10):
        assert fetch(rig, "POST / HTTP/1.1", "Content-Length: 3", body=b"abc").body == b"abc"
    wait_until(lambda: rig.worker()["clients"] == 0 and rig.use()["in_flight"] == 0)
    assert len(said(rig, "closing idle")) == 1
