"""Requests that meet an instance in any of its states: waiting, retrying, giving up."""

import os
import signal
import socket
import threading
import time

import pytest

from proxy_rig import *  # noqa: F401,F403
from proxy_rig import OK, Client, Rig, answer, fetch, wait_until

QUEUE_FULL, WAKE_TIMEOUT, DOWN, PEER = 2, 3, 4, 7  # enum board_refusal


@pytest.mark.parametrize("state", ["asleep", "starting", "frozen", "draining", "stopping", "backoff"])
def test_a_request_waits_and_is_served(rig, tenant_of, state):
    rig.tenant(tenant_of(), state=state)
    with Client(rig) as client:
        client.ask()
        assert rig.wanted() == ["t"]
        assert rig.use()["waiting"] == 1
        wait_until(lambda: rig.use()["in_flight"] == 0)
        rig.do("state", "t", "ready")
        assert client.response().body == b"ok"
    assert rig.use()["waiting"] == 0


def test_the_wish_is_made_again_at_every_bell(rig, tenant_of):
    rig.tenant(tenant_of(), state="draining")
    with Client(rig) as client:
        client.ask()
        for state in ("stopping", "asleep", "starting"):
            assert rig.wanted() == ["t"]
            rig.do("state", "t", state)
        assert rig.wanted() == ["t"]
        rig.do("state", "t", "ready")
        assert client.response().status == 200


def test_many_wait_for_one(rig, tenant_of):
    tenant = tenant_of()
    rig.tenant(tenant, state="asleep")
    clients = [Client(rig) for _ in range(200)]
    for client in clients:
        client.ask()
    wait_until(lambda: rig.use()["waiting"] == 200)
    assert rig.wanted() == ["t"]
    rig.do("state", "t", "ready")
    for client in clients:
        assert client.response().status == 200
        client.sock.close()
    assert rig.use()["waiting"] == 0 and len(tenant.requests) == 200


def test_the_queue_is_bounded_over_all_workers(tenant_of):
    rig = Rig(workers=2)
    rig.do("settings")
    rig.tenant(tenant_of(), state="asleep", wake_queue=8)
    clients = [Client(rig) for _ in range(8)]
    for client in clients:
        client.ask()
        # One after the other: at the same moment two workers may each let one too many in.
        wait_until(lambda: rig.use()["waiting"] == clients.index(client) + 1)
    for _ in range(10):
        response = fetch(rig)
        assert response.status == 503 and response.get("retry-after") == "1"
    assert sum(rig.worker(i)["refusals"][QUEUE_FULL] for i in range(2)) == 10
    rig.do("state", "t", "ready")
    for client in clients:
        assert client.response().status == 200
        client.sock.close()
    rig.close()


def test_the_wait_is_bounded_in_time(rig, tenant_of):
    rig.tenant(tenant_of(), state="asleep", wait_ms=200)
    begin = time.monotonic()
    with Client(rig) as client:
        assert client.get().status == 504
        assert time.monotonic() - begin > 0.19
        rig.do("state", "t", "ready")
        assert client.get().status == 200
    assert rig.worker()["refusals"][WAKE_TIMEOUT] == 1 and rig.use()["waiting"] == 0


def test_the_wait_begins_anew_for_who_had_got_through(rig, tenant_of):
    def handler(stream, request):
        if len(tenant.requests) == 1:
            time.sleep(1.3)
            return False
        return OK

    tenant = tenant_of(handler)
    rig.tenant(tenant, state="asleep", wait_ms=1000)
    with Client(rig) as client:
        client.ask()
        wait_until(lambda: rig.use()["waiting"] == 1)
        rig.do("state", "t", "ready")
        assert client.response().status == 200
    assert len(tenant.requests) == 2
    wait_until(lambda: rig.use()["in_flight"] == 0)


def test_a_client_that_goes_away_waits_no_more(rig, tenant_of):
    tenant = tenant_of()
    rig.tenant(tenant, state="asleep")
    with Client(rig) as client:
        client.ask()
        wait_until(lambda: rig.use()["waiting"] == 1)
    wait_until(lambda: rig.use()["waiting"] == 0)
    rig.do("state", "t", "ready")
    assert fetch(rig).status == 200 and len(tenant.requests) == 1


def test_a_waiting_body_is_not_read_beyond_a_buffer(rig, tenant_of):
    def handler(stream, request):
        left = size
        while left:
            left -= len(stream.buffer or stream.sock.recv(1 << 20))
            stream.buffer = b""
        return OK
    rig.tenant(tenant_of(handler, read_body=False), state="asleep", request_timeout=30000)
    size = 64 << 20
    sent = [0]

    def upload(client):
        data = b"x" * (1 << 20)
        for _ in range(size >> 20):
            client.send(data)
            sent[0] += len(data)

    with Client(rig) as client:
        client.ask("POST / HTTP/1.1", f"Content-Length: {size}")
        thread = threading.Thread(target=upload, args=(client,))
        thread.start()
        wait_until(lambda: rig.use()["waiting"] == 1)
        before = -1
        while before != sent[0]:
            before = sent[0]
            thread.join(0.3)
        assert sent[0] < 16 << 20  # what fits into the kernel's buffers
        rig.do("state", "t", "ready")
        assert client.response().status == 200
        thread.join()


@pytest.mark.parametrize("state", ["failed", "stopped"])
def test_what_is_down_answers_at_once(rig, tenant_of, state):
    rig.tenant(tenant_of(), state=state)
    assert fetch(rig).status == 503
    assert rig.wanted(50) == [] and rig.worker()["refusals"][DOWN] == 1


def test_suspended(rig, tenant_of):
    tenant = tenant_of()
    rig.tenant(tenant, state="suspended")
    response = fetch(rig)
    assert response.status == 503 and response.get("content-type").startswith("text/html")
    assert response.get("retry-after") is None
    rig.tenant(tenant, state="suspended", suspended_status=402, page="<p>pay</p>")
    with Client(rig) as client:
        response = client.get()
        assert response.status == 402 and response.body == b"<p>pay</p>"
        response = client.get("HEAD / HTTP/1.1")
        assert response.status == 402 and response.get("content-length") == "10"
    assert tenant.requests == [] and rig.wanted(50) == []


def test_a_waiter_of_what_fails_is_answered(rig, tenant_of):
    rig.tenant(tenant_of(), state="asleep")
    with Client(rig) as client:
        client.ask()
        wait_until(lambda: rig.use()["waiting"] == 1)
        rig.do("state", "t", "failed")
        assert client.response().status == 503


def test_an_instance_that_is_replaced_while_a_request_waits(rig, tenant_of):
    old, new = tenant_of(lambda *_: answer("old")), tenant_of(lambda *_: answer("new"))
    rig.tenant(old, "old", host="t.localhost", state="asleep")
    rig.tenant(new, "new", host="n.localhost")
    with Client(rig) as client:
        client.ask()
        wait_until(lambda: rig.use("old")["waiting"] == 1)
        rig.do("host", "t.localhost", "new")
        assert client.response().body == b"new"
    with Client(rig) as client:
        rig.do("host", "t.localhost", "old")
        client.ask()
        wait_until(lambda: rig.use("old")["waiting"] == 1)
        rig.do("unhost", "t.localhost")
        rig.do("drop", "old")
        assert client.response().status == 404


# ---- what breaks ----


def closed_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def test_a_refused_connection_waits_for_the_next_start(rig, tenant_of, tmp_path):
    for address in ({"port": closed_port()}, {"socket": tmp_path / "none"}):
        rig.do("instance", "t", **address)
        rig.do("host", "t.localhost", "t")
        rig.do("state", "t", "ready")
        with Client(rig) as client:
            client.ask("POST / HTTP/1.1", "Content-Length: 2", body=b"ab")
            assert rig.wanted() == ["t"]
            assert rig.use()["failures"] > 0
            wait_until(lambda: rig.use()["in_flight"] == 0 and rig.use()["waiting"] == 1)
            rig.do("state", "t", "backoff")
            tenant = tenant_of(lambda stream, request: answer(request.body))
            rig.do("instance", "t", **tenant.address())
            rig.do("state", "t", "ready")
            assert client.response().body == b"ab"


def test_a_refused_connection_is_tried_again_without_a_bell(rig, tenant_of, tmp_path):
    path = tmp_path / "late"
    rig.do("instance", "t", socket=path)
    rig.do("host", "t.localhost", "t")
    rig.do("state", "t", "ready")
    with Client(rig) as client:
        client.ask()
        wait_until(lambda: rig.use()["failures"] >= 2)
        tenant_of(path=path)
        assert client.response().body == b"ok"


def test_what_stays_refused_is_502(rig):
    rig.do("instance", "t", port=closed_port(), wait_ms=300)
    rig.do("host", "t.localhost", "t")
    rig.do("state", "t", "ready")
    assert fetch(rig).status == 502
    assert 3 <= rig.use()["failures"] <= 6  # at 0, 50, 150 and 300 ms or so
    assert rig.use()["waiting"] == 0


def test_a_full_listen_queue_is_waited_out(rig, tmp_path):
    path = str(tmp_path / "s")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(0)
    blockers = []
    while True:
        blocker = socket.socket(socket.AF_UNIX)
        blocker.setblocking(False)
        try:
            blocker.connect(path)
        except BlockingIOError:
            blocker.close()
            break
        blockers.append(blocker)
    rig.do("instance", "t", socket=path)
    rig.do("host", "t.localhost", "t")
    rig.do("state", "t", "ready")
    with Client(rig) as client:
        client.ask()
        assert rig.wanted() == ["t"]
        for _ in blockers:
            listener.accept()[0].close()
        connection, _ = listener.accept()
        connection.recv(65536)
        connection.sendall(OK)
        assert client.response().body == b"ok"
        connection.close()
    assert rig.use()["failures"] == 0
    for sock in [listener, *blockers]:
        sock.close()


def breaks_first(count):
    """A handler that hangs up on the first COUNT requests."""
    left = [count]

    def handler(stream, request):
        if left[0]:
            left[0] -= 1
            return False
        return answer(request.method)
    return handler


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_an_idempotent_request_is_repeated(rig, tenant_of, method):
    tenant = tenant_of(breaks_first(1))
    rig.tenant(tenant)
    assert fetch(rig, f"{method} / HTTP/1.1").status == 200
    assert len(tenant.requests) == 2


@pytest.mark.parametrize("line, body", [("POST / HTTP/1.1", b""), ("POST / HTTP/1.1", b"ab"),
                                        ("PATCH / HTTP/1.1", b"ab"), ("PUT / HTTP/1.1", b"ab")])
def test_what_may_have_been_seen_is_not_repeated(rig, tenant_of, line, body):
    tenant = tenant_of(breaks_first(1))
    rig.tenant(tenant)
    assert fetch(rig, line, f"Content-Length: {len(body)}", body=body).status == 502
    assert len(tenant.requests) == 1


def test_a_request_that_kills_is_not_repeated_for_ever(rig, tenant_of):
    tenant = tenant_of(breaks_first(100))
    rig.tenant(tenant)
    assert fetch(rig).status == 502
    assert len(tenant.requests) == 2


def test_pooled_connections_that_died_cost_nobody_an_error(rig, tenant_of):
    tenant = tenant_of()
    rig.tenant(tenant)
    for line in ("GET / HTTP/1.1", "POST / HTTP/1.1") * 10:
        clients = [Client(rig) for _ in range(5)]
        for client in clients:
            client.ask(line)
        for client in clients:
            assert client.response().status == 200
            client.sock.close()
        tenant.break_all()


def test_the_pool_is_flushed_when_the_instance_stops(rig, tenant_of):
    tenant = tenant_of()
    rig.tenant(tenant)
    assert fetch(rig).status == 200
    assert len(tenant.open) == 1
    rig.do("state", "t", "draining")
    wait_until(lambda: not tenant.open)


def test_an_instance_that_moves_is_followed(rig, tenant_of):
    old, new = tenant_of(lambda *_: answer("old")), tenant_of(lambda *_: answer("new"))
    rig.tenant(old)
    with Client(rig) as client:
        assert client.get().body == b"old"
        rig.do("instance", "t", **new.address())
        assert client.get().body == b"new"
        wait_until(lambda: not old.open)


def test_a_slow_answer_is_504(rig, tenant_of):
    release = threading.Event()
    rig.tenant(tenant_of(lambda *_: release.wait(10) and OK), request_timeout=200)
    with Client(rig) as client:
        assert client.get().status == 504
        release.set()
        assert client.get().status == 200
    wait_until(lambda: rig.use()["in_flight"] == 0)


def test_draining_sees_what_is_in_flight(rig, tenant_of):
    release = threading.Event()
    rig.tenant(tenant_of(lambda *_: release.wait(10) and OK))
    with Client(rig) as busy, Client(rig) as late:
        busy.ask()
        wait_until(lambda: rig.use()["in_flight"] == 1)
        rig.do("state", "t", "draining")
        late.ask()
        assert rig.wanted() == ["t"]
        assert rig.use()["in_flight"] == 1 and rig.use()["waiting"] == 1
        release.set()
        assert busy.response().status == 200
        wait_until(lambda: rig.use()["in_flight"] == 0)
        rig.do("state", "t", "asleep")
        rig.do("state", "t", "ready")
        assert late.response().status == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can listen as somebody else")
def test_a_socket_of_another_user_gets_nothing(rig, tenant_of, tmp_path):
    tenant = tenant_of(path=tmp_path / "s")
    rig.tenant(tenant, uid=4242)
    for _ in range(3):
        response = fetch(rig)
        assert response.status == 502 and b"/" not in response.body.replace(b"application/json", b"")
    assert tenant.requests == [] and rig.worker()["refusals"][PEER] == 3
    wait_until(lambda: [line for line in rig.stderr if "not its own" in line])
    assert len([line for line in rig.stderr if "not its own" in line]) == 1
    rig.tenant(tenant, uid=os.geteuid())
    assert fetch(rig).status == 200


# ---- undeclared instances ----


def test_spawn_is_asked_for_once(rig, tenant_of):
    rig.do("spawn", "notes", "localhost")
    clients = [Client(rig, "carol.notes.localhost") for _ in range(5)]
    for client in clients:
        client.ask()
    ask = rig.do("ask", 5000)
    assert (ask["service"], ask["id"]) == ("notes", "carol")
    wait_until(lambda: rig.worker()["requests"] == 5)
    rig.tenant(tenant_of(), "carol", host="carol.notes.localhost", state="asleep")
    rig.do("answer", ask["worker"], ask["index"], "done")
    assert rig.wanted() == ["carol"]
    rig.do("state", "carol", "ready")
    for client in clients:
        assert client.response().status == 200
        client.sock.close()
    assert rig.do("ask", 50) == {}


def test_spawn_refused_and_given_up(rig):
    rig.do("spawn", "notes", "localhost")
    with Client(rig, "dave.notes.localhost") as client:
        client.ask()
        ask = rig.do("ask", 5000)
        rig.do("answer", ask["worker"], ask["index"], "refused")
        assert client.response().status == 404
    with Client(rig, "eve.notes.localhost") as client:
        client.ask()
        ask = rig.do("ask", 5000)
    wait_until(lambda: rig.worker()["clients"] == 0)
    rig.do("answer", ask["worker"], ask["index"], "done")
    with Client(rig, "fay.notes.localhost") as client:
        client.ask()
        ask = rig.do("ask", 5000)
        rig.do("answer", ask["worker"], ask["index"], "done")  # but published nothing
        assert client.response().status == 404
    for name in ("-bad", "a.b", "x" * 64):
        assert fetch(rig, host=f"{name}.notes.localhost").status == 404
    assert rig.do("ask", 50) == {}


def test_asks_are_bounded(rig):
    rig.do("spawn", "notes", "localhost")
    clients = [Client(rig, f"n{i}.notes.localhost") for i in range(64)]
    for client in clients:
        client.ask()
    wait_until(lambda: rig.worker()["requests"] == 64)
    assert fetch(rig, host="one-more.notes.localhost").status == 503
    for client in clients:
        client.sock.close()


# ---- workers ----


def test_a_killed_worker_takes_its_counts_along(tenant_of):
    rig = Rig(workers=2)
    rig.do("settings")
    release = threading.Event()
    tenant = tenant_of(lambda stream, request: (request.target == "/" or release.wait(10)) and OK)
    rig.tenant(tenant)
    clients = [Client(rig) for _ in range(40)]
    for client in clients:
        client.ask("GET /wait HTTP/1.1")
    wait_until(lambda: rig.use()["in_flight"] == 40)
    on_first = rig.worker(0)["clients"]
    assert 0 < on_first < 40
    rig.do("kill", 0)
    assert rig.use()["in_flight"] == 40 - on_first and rig.worker(0)["clients"] == 0
    release.set()
    served = 0
    for client in clients:
        try:
            served += client.response().status == 200
        except (AssertionError, ConnectionError):
            pass
        client.sock.close()
    assert served == 40 - on_first
    for _ in range(20):
        assert fetch(rig).status == 200
    rig.close()


def test_sigterm_finishes_what_is_in_flight(rig, tenant_of):
    release = threading.Event()
    tenant = tenant_of(lambda stream, request: (request.target == "/" or release.wait(10)) and OK)
    rig.tenant(tenant)
    idle, busy = Client(rig), Client(rig)
    assert idle.get().status == 200
    busy.ask("GET /wait HTTP/1.1")
    wait_until(lambda: len(tenant.requests) == 2)
    os.kill(rig.worker()["pid"], signal.SIGTERM)
    assert idle.at_end()
    with pytest.raises((AssertionError, OSError)):
        refused = Client(rig)
        refused.sock.settimeout(0.3)
        refused.get()
    release.set()
    response = busy.response()
    assert response.status == 200 and response.get("connection") == "close"
    assert busy.at_end()
    ended = rig.do("term", 0)
    assert ended["status"] == 0


def test_sigterm_serves_what_has_been_sent(rig, tenant_of):
    rig.tenant(tenant_of())
    pid = rig.worker()["pid"]
    clients = [Client(rig) for _ in range(20)]
    for client in clients:
        assert client.get().status == 200
    os.kill(pid, signal.SIGSTOP)
    for client in clients:
        client.ask()
    os.kill(pid, signal.SIGTERM)
    os.kill(pid, signal.SIGCONT)
    for client in clients:
        response = client.response()
        assert response.status == 200 and response.get("connection") == "close"
        assert client.at_end()


def test_sigterm_with_nothing_to_do(rig):
    assert rig.do("term", 0)["status"] == 0
