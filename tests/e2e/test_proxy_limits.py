"""What fences one tenant off from its neighbours: rate, places, connections, client addresses; exact in
all workers together."""

import socket
import threading
import time

import pytest

from harness import SLOWNESS
from proxy_preload import preloaded  # noqa: F401
from proxy_rig import *  # noqa: F401,F403
from proxy_rig import OK, Client, Rig, Stream, fetch, wait_until

UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
PER_IP = 13  # enum board_refusal
ASK_UPGRADE = ("GET /ws HTTP/1.1", "Connection: Upgrade", "Upgrade: echo")


@pytest.fixture
def rig_of():
    """rig_of(workers): a rig that is closed after the test."""
    made = []

    def make(workers):
        rig = Rig(workers)
        made.append(rig)
        rig.do("settings")
        return rig

    yield make
    for rig in made:
        rig.close()


class Gate:
    """A tenant's handler that holds each request until open(), and knows how many it held at once."""

    def __init__(self):
        self.lock = threading.Lock()
        self.places = threading.Semaphore(0)
        self.inside = self.most = 0
        self.order = []

    def __call__(self, stream, request):
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.order.append(request.target)
        self.places.acquire()
        with self.lock:
            self.inside -= 1
        return OK

    def open(self, count=1000):
        for _ in range(count):
            self.places.release()


@pytest.fixture
def gate():
    gate = Gate()
    yield gate
    gate.open()


def clients_of(rig, count, **options):
    return [Client(rig, **options) for _ in range(count)]


def ask_all(clients, line="GET / HTTP/1.1"):
    for client in clients:
        client.ask(line)


def close_all(clients):
    for client in clients:
        client.sock.close()


def from_address(rig, source):
    client = Client.__new__(Client)
    Stream.__init__(client, socket.create_connection(("127.0.0.1", rig.port), source_address=(source, 0)))
    client.host = "t.localhost"
    return client


def statuses(clients):
    return [client.response().status for client in clients]


# ---- rate ----

def test_a_burst_is_let_in_exactly_in_all_workers_together(rig_of, tenant_of):
    rig = rig_of(4)
    rig.tenant(tenant_of(), rate_limit=1, rate_burst=50)
    clients = clients_of(rig, 20)
    begun = time.monotonic()
    answers = []
    for _ in range(4):
        ask_all(clients)
        answers += statuses(clients)
    elapsed = time.monotonic() - begun
    assert 50 <= answers.count(200) <= 50 + int(elapsed)
    assert answers.count(429) == 80 - answers.count(200)
    assert sum(worker["requests"] > 0 for worker in rig.do("workers")["workers"]) > 1
    assert rig.use()["refusals"]["rate_limit"] == answers.count(429)
    close_all(clients)


def test_who_comes_again_after_retry_after_is_let_in(rig, tenant_of):
    tenant = tenant_of()
    rig.tenant(tenant, rate_limit=2, rate_burst=1)
    with Client(rig) as client:
        assert client.get().status == 200
        refused = client.get()
        assert refused.status == 429 and refused.line == "HTTP/1.1 429 Too Many Requests"
        assert refused.get("retry-after") == "1" and refused.get("connection") is None
        assert refused.json() == {"error": "too many requests", "status": 429}
        page = client.get("GET / HTTP/1.1", "Accept: text/html")
        assert page.status == 429 and b"<h1>429 Too Many Requests</h1>" in page.body
        time.sleep(int(refused.get("retry-after")))
        assert client.get().status == 200
    assert len(tenant.requests) == 2


def test_a_steady_rate_is_kept(rig, tenant_of):
    """A burst of a second's worth, so that nothing is lost while the client is held up by others."""
    rig.tenant(tenant_of(), rate_limit=100, rate_burst=100)
    asked = let_in = 0
    begun = time.monotonic()
    with Client(rig) as client:
        while time.monotonic() - begun < 1:
            asked += 1
            let_in += client.get().status == 200
        elapsed = time.monotonic() - begun
    assert min(asked, int(elapsed * 100)) <= let_in <= elapsed * 100 + 101


def test_a_request_that_is_sent_again_counts_once(rig, tenant_of):
    tenant = tenant_of()
    rig.tenant(tenant, rate_limit=1, rate_burst=2)
    with Client(rig) as client:
        assert client.get().status == 200
        tenant.break_all()
        assert client.get().status == 200 and tenant.connections == 2
        assert client.get().status == 429


def test_who_comes_too_often_wakes_nobody_and_does_not_wait(rig, tenant_of):
    rig.tenant(tenant_of(), state="asleep", rate_limit=1, rate_burst=1)
    with Client(rig) as first, Client(rig) as second:
        first.ask()
        assert rig.wanted() == ["t"]
        assert second.get().status == 429
        rig.do("state", "t", "ready")
        assert first.response().status == 200


def test_another_tenant_has_a_rate_of_its_own(rig, tenant_of):
    tenant = tenant_of()
    rig.tenant(tenant, rate_limit=1, rate_burst=1)
    rig.tenant(tenant, name="u", rate_limit=1, rate_burst=1)
    assert [fetch(rig).status, fetch(rig).status] == [200, 429]
    assert [fetch(rig, host="u.localhost").status for _ in range(2)] == [200, 429]


def test_a_changed_rate_holds_at_once(rig, tenant_of):
    tenant = tenant_of()
    rig.tenant(tenant, rate_limit=1, rate_burst=1000)
    with Client(rig) as client:
        assert [client.get().status for _ in range(200)] == [200] * 200
        rig.tenant(tenant, rate_limit=1, rate_burst=1)
        assert client.get().status == 429
        rig.tenant(tenant, rate_limit=0)
        assert client.get().status == 200
        rig.tenant(tenant, rate_limit=1000, rate_burst=10)
        wait_until(lambda: client.get().status == 200, 2 * SLOWNESS)


# ---- places ----

def test_no_more_than_max_concurrent_in_all_workers_together(rig_of, tenant_of, gate):
    rig = rig_of(3)
    tenant = tenant_of(gate)
    rig.tenant(tenant, max_concurrent=3)
    clients = clients_of(rig, 24)
    ask_all(clients)
    wait_until(lambda: rig.use()["queued"] == 21)
    assert rig.use()["admitted"] == 3 and rig.use()["in_flight"] == 3
    wait_until(lambda: len(tenant.requests) == 3)
    assert sum(worker["clients"] > 0 for worker in rig.do("workers")["workers"]) > 1
    gate.open()
    assert statuses(clients) == [200] * 24
    assert gate.most == 3
    wait_until(lambda: rig.use()["admitted"] == 0)
    assert rig.use()["queued"] == 0 and sum(rig.use()["refusals"].values()) == 0
    close_all(clients)


def test_under_load_the_places_are_filled_and_never_exceeded(rig_of, tenant_of):
    rig = rig_of(2)
    gate = Gate()
    gate.open(100000)
    rig.tenant(tenant_of(gate), max_concurrent=4, queue_size=1000)
    clients = clients_of(rig, 16)

    def load(client):
        for _ in range(100):
            assert client.get().status == 200
    threads = [threading.Thread(target=load, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(gate.order) == 1600 and gate.most <= 4
    wait_until(lambda: rig.use()["admitted"] == 0)
    close_all(clients)


def test_the_queue_is_served_in_order(rig, tenant_of, gate):
    rig.tenant(tenant_of(gate), max_concurrent=1)
    clients = clients_of(rig, 8)
    for i, client in enumerate(clients):
        client.ask(f"GET /{i} HTTP/1.1")
        wait_until(lambda i=i: (rig.use()["admitted"], rig.use()["queued"]) == (1, i))
    for i, client in enumerate(clients):
        gate.open(1)
        assert client.response().status == 200
    assert gate.order == [f"/{i}" for i in range(8)]
    close_all(clients)


def test_a_place_goes_to_the_next_at_once(preloaded, tenant_of):
    """None waits for the worker's look at its queues, for which the time never comes here."""
    preloaded.tenant(tenant_of(), max_concurrent=1)
    clients = clients_of(preloaded, 40)
    preloaded.stop_time()
    ask_all(clients)
    assert statuses(clients) == [200] * 40
    close_all(clients)


def test_no_worker_keeps_the_places_to_itself(rig_of, tenant_of):
    rig = rig_of(2)
    rig.tenant(tenant_of(lambda stream, request: time.sleep(0.002) or OK), max_concurrent=1, queue_size=1000)
    clients = []
    while [worker["clients"] for worker in rig.do("workers")["workers"]] != [4, 4]:
        before = [worker["clients"] for worker in rig.do("workers")["workers"]]
        client = Client(rig)
        wait_until(lambda b=before: [w["clients"] for w in rig.do("workers")["workers"]] != b)
        after = [worker["clients"] for worker in rig.do("workers")["workers"]]
        if max(after) > 4:
            client.sock.close()
            wait_until(lambda b=before: [w["clients"] for w in rig.do("workers")["workers"]] == b)
        else:
            clients.append(client)
    counts = [0] * len(clients)
    end = time.monotonic() + 2

    def load(i):
        while time.monotonic() < end:
            assert clients[i].get().status == 200
            counts[i] += 1
    threads = [threading.Thread(target=load, args=(i,)) for i in range(len(clients))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    served = [worker["requests"] for worker in rig.do("workers")["workers"]]
    assert min(served) > max(served) / 4, served
    close_all(clients)


def test_a_full_queue_refuses_at_once(rig_of, tenant_of, gate):
    rig = rig_of(2)
    rig.tenant(tenant_of(gate), max_concurrent=2, queue_size=5)
    clients = clients_of(rig, 7)
    ask_all(clients)
    wait_until(lambda: rig.use()["queued"] == 5)
    for _ in range(6):
        with Client(rig) as client:
            refused = client.get()
            assert refused.status == 503 and refused.get("retry-after") == "1"
            assert refused.get("connection") is None
            assert client.get().status == 503
    assert rig.use()["refusals"]["max_concurrent"] == 12
    gate.open()
    assert statuses(clients) == [200] * 7
    close_all(clients)


def test_without_a_queue_nobody_waits(rig, tenant_of, gate):
    rig.tenant(tenant_of(gate), max_concurrent=1, queue_size=0)
    with Client(rig) as first:
        first.ask()
        wait_until(lambda: rig.use()["admitted"] == 1)
        assert fetch(rig).status == 503
        gate.open()
        assert first.response().status == 200
    assert fetch(rig).status == 200


def test_the_queue_has_a_time(rig, tenant_of, gate):
    tenant = tenant_of(gate)
    rig.tenant(tenant, max_concurrent=1, queue_timeout=300)
    with Client(rig) as first, Client(rig) as second:
        first.ask()
        wait_until(lambda: rig.use()["admitted"] == 1)
        begun = time.monotonic()
        refused = second.get("POST /late HTTP/1.1", "Content-Length: 3", body=b"abc")
        assert time.monotonic() - begun >= 0.3
        assert refused.status == 503 and refused.get("retry-after") == "1"
        assert "busy" in refused.json()["error"]
        assert rig.use()["queued"] == 0 and rig.use()["refusals"]["max_concurrent"] == 1
        gate.open()
        assert first.response().status == 200
        assert second.get().status == 200, "its connection goes on"
    assert gate.order == ["/", "/"]


def test_who_leaves_the_queue_is_forgotten(rig, tenant_of, gate):
    tenant = tenant_of(gate)
    rig.tenant(tenant, max_concurrent=1)
    clients = clients_of(rig, 4)
    for i, client in enumerate(clients):
        client.ask(f"GET /{i} HTTP/1.1")
        wait_until(lambda i=i: (rig.use()["admitted"], rig.use()["queued"]) == (1, i))
    clients[1].sock.close()
    clients[2].sock.close()
    wait_until(lambda: rig.use()["queued"] == 1)
    gate.open()
    assert clients[0].response().status == clients[3].response().status == 200
    assert gate.order == ["/0", "/3"]
    close_all(clients)


def test_who_leaves_its_place_frees_it(rig, tenant_of, gate):
    rig.tenant(tenant_of(gate), max_concurrent=1)
    with Client(rig) as second:
        with Client(rig) as first:
            first.ask("GET /0 HTTP/1.1")
            wait_until(lambda: gate.order == ["/0"])
            second.ask("GET /1 HTTP/1.1")
            wait_until(lambda: rig.use()["queued"] == 1)
        wait_until(lambda: gate.order == ["/0", "/1"])
        gate.open()
        assert second.response().status == 200


def test_pipelined_requests_have_a_place_each(rig, tenant_of):
    tenant = tenant_of()
    rig.tenant(tenant, max_concurrent=1)
    with Client(rig) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: t.localhost\r\n\r\n" * 20)
        assert [client.response().status for _ in range(20)] == [200] * 20
    wait_until(lambda: rig.use()["admitted"] == 0)


def test_who_waits_is_not_overtaken_by_a_pipelined_request(rig, tenant_of, gate):
    rig.tenant(tenant_of(gate), max_concurrent=1)
    with Client(rig) as first, Client(rig) as second:
        first.send(b"GET /1 HTTP/1.1\r\nHost: t.localhost\r\n\r\nGET /3 HTTP/1.1\r\nHost: t.localhost\r\n\r\n")
        wait_until(lambda: gate.order == ["/1"])
        second.ask("GET /2 HTTP/1.1")
        wait_until(lambda: rig.use()["queued"] == 1)
        gate.open()
        assert [client.response().status for client in (first, second, first)] == [200] * 3
    assert gate.order == ["/1", "/2", "/3"]


def test_what_follows_a_refused_request_goes_to_its_own_tenant(rig, tenant_of, gate):
    """The next one begins, and is let in, before the first one's refusal has returned."""
    busy, free = tenant_of(gate), tenant_of()
    rig.tenant(busy, max_concurrent=1, queue_size=0)
    rig.tenant(free, name="u", max_concurrent=5)
    with Client(rig) as first, Client(rig) as second:
        first.ask("GET /0 HTTP/1.1")
        wait_until(lambda: gate.order == ["/0"])
        second.send(b"GET /1 HTTP/1.1\r\nHost: t.localhost\r\n\r\n"
                    b"GET /2 HTTP/1.1\r\nHost: u.localhost\r\n\r\n")
        assert [second.response().status for _ in range(2)] == [503, 200]
        assert [request.target for request in free.requests] == ["/2"]
        assert [request.target for request in busy.requests] == ["/0"]
        wait_until(lambda: rig.use("u")["in_flight"] == 0)
        assert rig.use("u")["admitted"] == 0 and rig.use()["in_flight"] == 1
        gate.open()
        assert first.response().status == 200


def test_a_request_that_is_sent_again_keeps_its_place(rig, tenant_of, gate):
    """It has been let in: neither the queue, be it full, nor the time it waited there counts again."""
    lose = threading.Event()

    def handler(stream, request):
        if request.target == "/1" and not lose.is_set():
            lose.wait(10)
            return False
        return gate(stream, request)

    gate.open()
    tenant = tenant_of(handler)
    rig.tenant(tenant, max_concurrent=1, queue_size=1)
    with Client(rig) as first, Client(rig) as second:
        assert first.get("GET /0 HTTP/1.1").status == 200
        first.ask("GET /1 HTTP/1.1")
        wait_until(lambda: len(tenant.requests) == 2)
        second.ask("GET /2 HTTP/1.1")
        wait_until(lambda: rig.use()["queued"] == 1)
        lose.set()
        assert first.response().status == 200
        assert second.response().status == 200
    assert gate.order == ["/0", "/1", "/2"]


def test_a_changed_number_of_places_holds_at_once(rig_of, tenant_of, gate):
    rig = rig_of(2)
    tenant = tenant_of(gate)
    rig.tenant(tenant, max_concurrent=1)
    clients = clients_of(rig, 10)
    ask_all(clients)
    wait_until(lambda: rig.use()["queued"] == 9)
    rig.tenant(tenant, max_concurrent=4)
    wait_until(lambda: rig.use()["queued"] == 6)
    rig.tenant(tenant, max_concurrent=2)
    gate.open(2)
    wait_until(lambda: len(gate.order) - gate.inside == 2)
    wait_until(lambda: rig.use()["admitted"] == 2)
    assert rig.use()["queued"] == 6
    rig.tenant(tenant, max_concurrent=0)
    wait_until(lambda: rig.use()["queued"] == 0)
    wait_until(lambda: gate.inside == 8)
    gate.open()
    assert statuses(clients) == [200] * 10
    wait_until(lambda: rig.use()["admitted"] == 0)
    close_all(clients)


@pytest.mark.parametrize("end", ["drop", "stopped"])
def test_who_waits_for_a_tenant_that_goes_is_told(rig, tenant_of, gate, end):
    rig.tenant(tenant_of(gate), max_concurrent=1)
    with Client(rig) as first, Client(rig) as second:
        first.ask()
        wait_until(lambda: rig.use()["admitted"] == 1)
        second.ask()
        wait_until(lambda: rig.use()["queued"] == 1)
        if end == "drop":
            rig.do("unhost", "t.localhost")
            rig.do("drop", "t")
        else:
            rig.do("state", "t", "stopped")
        assert second.response().status == (404 if end == "drop" else 503)
        gate.open()
        assert first.response().status == 200


def test_who_waits_for_a_tenant_that_restarts_goes_on_waiting(rig, tenant_of, gate):
    tenant = tenant_of(gate)
    rig.tenant(tenant, max_concurrent=2)
    clients = clients_of(rig, 6)
    ask_all(clients)
    wait_until(lambda: rig.use()["queued"] == 4)
    rig.do("state", "t", "draining")
    wait_until(lambda: rig.use()["waiting"] == 4)
    assert rig.use()["queued"] == 0
    gate.open()
    wait_until(lambda: rig.use()["in_flight"] == 0)
    assert len(tenant.requests) == 2
    rig.do("state", "t", "ready")
    assert statuses(clients) == [200] * 6
    assert gate.most <= 2
    close_all(clients)


def test_a_sleeping_tenant_is_not_flooded_when_it_wakes(rig_of, tenant_of, gate):
    rig = rig_of(2)
    tenant = tenant_of(gate)
    rig.tenant(tenant, state="asleep", max_concurrent=3)
    clients = clients_of(rig, 12)
    ask_all(clients)
    wait_until(lambda: rig.use()["waiting"] == 12)
    rig.do("state", "t", "ready")
    wait_until(lambda: rig.use()["queued"] == 9)
    assert rig.use()["admitted"] == 3
    wait_until(lambda: gate.inside == 3)
    gate.open()
    assert statuses(clients) == [200] * 12
    assert gate.most == 3
    close_all(clients)


def test_a_tenant_that_refuses_connections_holds_no_place(rig, tmp_path):
    rig.do("instance", "t", socket=tmp_path / "nobody", max_concurrent=1, wait_ms=400)
    rig.do("host", "t.localhost", "t")
    rig.do("state", "t", "ready")
    clients = clients_of(rig, 3)
    ask_all(clients)
    assert statuses(clients) == [502] * 3
    assert rig.use()["admitted"] == 0 and rig.use()["queued"] == 0
    close_all(clients)


# ---- connections ----

def test_connections_are_counted_while_they_are_open(rig_of, tenant_of):
    rig = rig_of(3)
    rig.tenant(tenant_of(), max_connections=5)
    clients = clients_of(rig, 5)
    ask_all(clients)
    assert statuses(clients) == [200] * 5
    for _ in range(4):
        with Client(rig) as client:
            refused = client.get()
            assert refused.status == 503 and refused.get("connection") == "close"
            assert refused.get("retry-after") == "1" and client.at_end()
    assert rig.use()["connections"] == 5 and rig.use()["refusals"]["max_connections"] == 4
    ask_all(clients)
    assert statuses(clients) == [200] * 5, "those that are in stay in"
    clients.pop().sock.close()
    wait_until(lambda: rig.use()["connections"] == 4)
    assert fetch(rig).status == 200
    close_all(clients)
    wait_until(lambda: rig.use()["connections"] == 0)


def test_a_connection_counts_for_whom_it_asked_last(rig, tenant_of):
    tenant = tenant_of()
    rig.tenant(tenant, max_connections=1)
    rig.tenant(tenant, name="u", max_connections=1)
    with Client(rig) as first, Client(rig) as second:
        assert first.get().status == 200
        assert (rig.use()["connections"], rig.use("u")["connections"]) == (1, 0)
        first.host = "u.localhost"
        assert first.get().status == 200
        assert (rig.use()["connections"], rig.use("u")["connections"]) == (0, 1)
        assert second.get().status == 200
        second.host = "u.localhost"
        assert second.get().status == 503
    wait_until(lambda: rig.use("u")["connections"] == 0)
    assert rig.use()["connections"] == 0


def upgrade(stream, request):
    stream.sock.sendall(UPGRADED)
    while data := stream.more():
        stream.sock.sendall(data)
    return False


def test_a_websocket_counts_as_a_connection_and_takes_no_place(rig, tenant_of):
    rig.tenant(tenant_of(upgrade), max_connections=3, max_concurrent=1)
    clients = clients_of(rig, 3)
    for client in clients:
        client.ask(*ASK_UPGRADE)
        assert client.response().status == 101
        client.send(b"hello")
        assert client.bytes(5) == b"hello"
    use = rig.use()
    assert (use["connections"], use["upgraded"], use["admitted"]) == (3, 3, 0)
    with Client(rig) as client:
        client.ask(*ASK_UPGRADE)
        assert client.response().status == 503
    close_all(clients)
    wait_until(lambda: rig.use()["connections"] == 0)


def test_changed_max_connections(rig, tenant_of):
    tenant = tenant_of()
    rig.tenant(tenant)
    clients = clients_of(rig, 4)
    ask_all(clients)
    assert statuses(clients) == [200] * 4
    rig.tenant(tenant, max_connections=2)
    ask_all(clients)
    assert sorted(statuses(clients)) == [200, 200, 503, 503]
    rig.tenant(tenant, max_connections=0)
    assert fetch(rig).status == 200
    close_all(clients)
    wait_until(lambda: rig.use()["connections"] == 0)


def test_clients_of_a_tenant_that_is_gone_count_for_none_that_comes_after(rig, tenant_of):
    """Its place on the board is given to another one."""
    rig.tenant(tenant_of(), name="a", max_connections=3)
    clients = clients_of(rig, 3, host="a.localhost")
    ask_all(clients)
    assert statuses(clients) == [200] * 3
    rig.do("drop", "a")
    rig.tenant(tenant_of(), name="b", max_connections=3)
    assert rig.use("b")["connections"] == 0
    others = clients_of(rig, 3, host="b.localhost")
    ask_all(others)
    assert statuses(others) == [200] * 3
    close_all(clients)
    assert fetch(rig, host="b.localhost").status == 503, "who was forgotten gives nothing back"
    close_all(others)
    wait_until(lambda: rig.use("b")["connections"] == 0)


# ---- addresses ----

def turned_away(rig, source):
    """Whether who comes from SOURCE is; without a byte said."""
    client = from_address(rig, source)
    try:
        client.sock.settimeout(0.2 * SLOWNESS)
        try:
            answer = client.response()
        except TimeoutError:
            return False
        assert answer.status == 429 and answer.get("connection") == "close"
        assert answer.get("retry-after") == "1" and client.at_end()
        return True
    finally:
        client.sock.close()


def test_connections_of_an_address_are_bounded_in_all_workers_together(rig_of, tenant_of):
    rig = rig_of(3)
    rig.tenant(tenant_of())
    rig.do("settings", per_ip=6)
    clients = [from_address(rig, "127.0.0.2") for _ in range(6)]
    ask_all(clients)
    assert statuses(clients) == [200] * 6
    assert all(turned_away(rig, "127.0.0.2") for _ in range(10))
    assert not turned_away(rig, "127.0.0.3")
    assert sum(worker["refusals"][PER_IP] for worker in rig.do("workers")["workers"]) == 10
    ask_all(clients)
    assert statuses(clients) == [200] * 6
    clients.pop().sock.close()
    wait_until(lambda: rig.do("workers")["addresses"] == 5)
    clients.append(from_address(rig, "127.0.0.2"))
    assert clients[-1].get().status == 200
    close_all(clients)
    wait_until(lambda: rig.do("workers")["addresses"] == 0)


def test_who_sends_at_once_hears_that_it_has_too_many(rig, tenant_of):
    """The answer is not lost to a reset, though what was sent was not read before it."""
    rig.tenant(tenant_of())
    rig.do("settings", per_ip=1)
    with from_address(rig, "127.0.0.2") as first:
        assert first.get().status == 200
        for _ in range(20):
            with from_address(rig, "127.0.0.2") as second:
                second.ask("POST / HTTP/1.1", "Content-Length: 100000", body=bytes(100000))
                assert second.response().status == 429


def test_a_trusted_proxy_stands_for_many(rig, tenant_of):
    rig.tenant(tenant_of())
    rig.do("settings", per_ip=1, trusted="127.0.0.2/32")
    clients = [from_address(rig, "127.0.0.2") for _ in range(5)]
    ask_all(clients)
    assert statuses(clients) == [200] * 5
    assert rig.do("workers")["addresses"] == 0
    close_all(clients)


def introduced(rig, header):
    client = Client(rig, port=rig.introduced_port)
    client.send(header)
    return client


def test_who_is_introduced_counts_by_its_own_address(rig, tenant_of):
    """What a PROXY header says; whom it does not name stands for many. Of IPv6 the /64 counts."""
    rig.tenant(tenant_of())
    rig.do("settings", per_ip=2)
    here = "2001:db8:0:1::"
    sources = ["192.0.2.1"] * 2 + ["192.0.2.2"] * 2 + [here + "1", here + "ffff:2", "2001:db8:0:2::1"]
    headers = [f"PROXY TCP{6 if ':' in source else 4} {source} {source} 1 2\r\n" for source in sources]
    clients = [introduced(rig, header) for header in headers + ["PROXY UNKNOWN\r\n"] * 5]
    ask_all(clients)
    assert statuses(clients) == [200] * 12
    for source in ("192.0.2.1", here + "3"):
        with introduced(rig, f"PROXY TCP{6 if ':' in source else 4} {source} {source} 1 2\r\n") as client:
            client.ask()
            refused = client.response()
            assert refused.status == 429 and refused.get("connection") == "close"
            assert client.at_end()
    assert rig.do("workers")["addresses"] == 7
    close_all(clients)
    wait_until(lambda: rig.do("workers")["addresses"] == 0)


def test_a_changed_bound_holds_for_who_comes_after(rig, tenant_of):
    rig.tenant(tenant_of())
    clients = [from_address(rig, "127.0.0.2") for _ in range(3)]
    ask_all(clients)
    assert statuses(clients) == [200] * 3
    rig.do("settings", per_ip=2)
    clients += [from_address(rig, "127.0.0.2") for _ in range(2)]
    ask_all(clients)
    assert statuses(clients) == [200] * 5, "who was there before is not counted"
    assert turned_away(rig, "127.0.0.2")
    rig.do("settings", per_ip=0)
    assert not turned_away(rig, "127.0.0.2")
    close_all(clients)
    wait_until(lambda: rig.do("workers")["addresses"] == 0)


def test_a_flood_of_one_address_keeps_little(rig, tenant_of):
    rig.tenant(tenant_of())
    rig.do("settings", per_ip=2)
    flood = [from_address(rig, "127.0.0.2") for _ in range(300)]
    # Two are in, and 64 are lingered for.
    wait_until(lambda: sum(rig.worker()["refusals"]) == 298 and rig.worker()["clients"] <= 66)
    assert fetch(rig).status == 200
    wait_until(lambda: rig.worker()["clients"] == 2)
    close_all(flood)
    wait_until(lambda: rig.worker()["clients"] == 0)


# ---- kill it ----

def test_a_killed_worker_leaves_nothing_counted(rig_of, tenant_of, gate):
    rig = rig_of(2)
    rig.tenant(tenant_of(gate), max_concurrent=4, max_connections=30)
    rig.do("settings", per_ip=100)
    clients = clients_of(rig, 20)
    ask_all(clients)
    wait_until(lambda: rig.use()["queued"] == 16)
    assert rig.use()["connections"] == 20 and rig.do("workers")["addresses"] == 20
    rig.do("kill", 0)
    left = rig.worker(1)["clients"]
    assert 0 < left < 20
    wait_until(lambda: rig.use()["queued"] == left - 4 and rig.use()["admitted"] == 4)
    assert rig.use()["connections"] == left and rig.do("workers")["addresses"] == left
    close_all(clients)
    wait_until(lambda: rig.use()["connections"] == 0)
    gate.open()
    wait_until(lambda: rig.use()["admitted"] == 0)
    assert rig.use()["queued"] == 0
    wait_until(lambda: rig.do("workers")["addresses"] == 0)
    rig.do("kill", 1)
    assert fetch(rig).status == 200
    wait_until(lambda: rig.use()["admitted"] == 0)


def test_workers_killed_under_load_lose_no_place(rig_of, tenant_of):
    rig = rig_of(2)
    gate = Gate()
    gate.open(1000000)
    rig.tenant(tenant_of(gate), max_concurrent=3, queue_size=1000, max_connections=100)
    rig.do("settings", per_ip=1000)
    over = threading.Event()

    def load():
        while not over.is_set():
            try:
                with Client(rig) as client:
                    for _ in range(20):
                        assert client.get().status == 200
            except (OSError, EOFError, AssertionError):
                pass  # its worker was killed
    threads = [threading.Thread(target=load) for _ in range(12)]
    for thread in threads:
        thread.start()
    for turn in range(10):
        before = len(gate.order)
        wait_until(lambda b=before: len(gate.order) > b + 50)
        rig.do("kill", turn % 2)
    over.set()
    for thread in threads:
        thread.join()
    wait_until(lambda: rig.use()["in_flight"] == 0 and rig.use()["connections"] == 0)
    use = rig.use()
    assert (use["admitted"], use["queued"]) == (0, 0)
    assert rig.do("workers")["addresses"] == 0


def test_a_drained_worker_serves_who_waits(rig, tenant_of, gate):
    rig.tenant(tenant_of(gate), max_concurrent=1)
    clients = clients_of(rig, 3)
    ask_all(clients)
    wait_until(lambda: rig.use()["queued"] == 2)
    done = []
    ender = threading.Thread(target=lambda: done.append(rig.do("term", 0)))
    ender.start()
    gate.open()
    assert statuses(clients) == [200] * 3
    ender.join()
    assert done[0]["status"] == 0
    assert rig.use()["admitted"] == 0 and rig.use()["queued"] == 0
    close_all(clients)


def test_counts_go_on_when_a_worker_dies(rig, tenant_of):
    rig.tenant(tenant_of(), rate_limit=1, rate_burst=5)
    with Client(rig) as client:
        answers = [client.get().status for _ in range(9)]
    wait_until(lambda: rig.use()["in_flight"] == 0)
    before = rig.use()
    assert before["requests"] == answers.count(200)
    rig.do("kill", 0)
    after = rig.use()
    for name in ("requests", "bytes_in", "bytes_out", "refusals"):
        assert after[name] == before[name], name
