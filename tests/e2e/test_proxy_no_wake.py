"""The wake firewall in the proxy: which requests wake a tenant that sleeps, and how often."""

import random
import socket
import threading

import pytest

from proxy_rig import *  # noqa: F401,F403
from proxy_rig import OK, Client, Rig, Stream, answer, fetch, wait_until

RULES = ("/favicon.ico", "/wp-*.php", "method:HEAD", "agent:*bot*", "from:127.0.0.9")
SHORT = 30  # milliseconds in which nothing is asked for


@pytest.fixture
def rig_of():
    rigs = []

    def make(workers, **settings):
        rigs.append(Rig(workers=workers))
        rigs[-1].do("settings", **settings)
        return rigs[-1]

    yield make
    for made in rigs:
        made.close()


def not_woken(rig, name="t"):
    refusals = rig.use(name)["refusals"]
    reasons = ("no_wake", "max_wakes_per_minute_per_ip", "max_wakes_per_minute", "health_while_asleep")
    return {reason: refusals[reason] for reason in reasons if refusals[reason]}


class From(Client):
    """A client at another address of the loopback."""

    def __init__(self, rig, source, host="t.localhost"):  # pylint: disable=super-init-not-called
        Stream.__init__(self, socket.create_connection(("127.0.0.1", rig.port), source_address=(source, 0)))
        self.host = host


MATCHING = {
    "path": ("GET /favicon.ico HTTP/1.1",),
    "path with a query": ("GET /favicon.ico?v=2 HTTP/1.1",),
    "path in absolute form": ("GET http://t.localhost/favicon.ico HTTP/1.1",),
    "pattern": ("POST /wp-login.php HTTP/1.1",),
    "method": ("HEAD /page HTTP/1.1",),
    "agent": ("GET /page HTTP/1.1", "user-agent: GoogleBOT/2.1"),
}
OTHERS = {
    "below the path": ("GET /favicon.ico/x HTTP/1.1",),
    "in the query": ("GET /page?/favicon.ico HTTP/1.1",),
    "encoded": ("GET /%66avicon.ico HTTP/1.1",),
    "another method": ("GET /head HTTP/1.1",),
    "agent in another field": ("GET /page HTTP/1.1", "X-User-Agent: bot"),
}


@pytest.mark.parametrize("state", ["asleep", "frozen"])
@pytest.mark.parametrize("name", MATCHING)
def test_what_matches_wakes_nobody(rig, tenant_of, name, state):
    tenant = tenant_of()
    rig.do("wake", "t", *RULES)
    rig.tenant(tenant, state=state, wake="service")
    with Client(rig) as client:
        response = client.get(*MATCHING[name])
        assert response.status == 503 and response.get("retry-after") == "60"
        assert rig.wanted(SHORT) == [] and rig.use()["waiting"] == 0
        assert not_woken(rig) == {"no_wake": 1}
        # Awake, it is a request like any other, on the same connection.
        rig.do("state", "t", "ready")
        assert client.get(*MATCHING[name]).status == 200
    assert len(tenant.requests) == 1 and not_woken(rig) == {"no_wake": 1}


@pytest.mark.parametrize("state", ["asleep", "frozen"])
@pytest.mark.parametrize("name", OTHERS)
def test_what_does_not_match_wakes(rig, tenant_of, name, state):
    rig.do("wake", "t", *RULES)
    rig.tenant(tenant_of(), state=state, wake="service")
    with Client(rig) as client:
        client.ask(*OTHERS[name])
        assert rig.wanted() == ["t"]
        rig.do("state", "t", "ready")
        assert client.response().status == 200


def test_by_the_client_s_address(rig, tenant_of):
    rig.do("wake", "t", "from:127.0.0.8/31", "from:2001:db8::/32")
    rig.tenant(tenant_of(), state="asleep", wake="service")
    with From(rig, "127.0.0.9") as client:
        assert client.get().status == 503
        # What a stranger says of itself is not believed.
        assert client.get("GET / HTTP/1.1", "X-Real-IP: 10.0.0.1").status == 503
    assert rig.wanted(SHORT) == []
    with Client(rig, port=rig.introduced_port) as client:
        client.send("PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n")
        assert client.get().status == 503
    with Client(rig, port=rig.introduced_port) as client:
        client.send("PROXY TCP4 127.0.0.9 127.0.0.1 1 2\r\n")
        assert client.get().status == 503
    rig.do("settings", trusted="127.0.0.1/32")
    for said in ("X-Real-IP: 127.0.0.9", "X-Forwarded-For: 192.0.2.1, 2001:db8:1::7"):
        assert fetch(rig, "GET / HTTP/1.1", said).status == 503
    assert rig.wanted(SHORT) == [] and not_woken(rig) == {"no_wake": 6}
    with Client(rig) as client:
        client.ask("GET / HTTP/1.1", "X-Real-IP: 127.0.0.10")
        assert rig.wanted() == ["t"]


def test_our_own_page_or_the_operator_s(rig, tenant_of):
    rig.do("wake", "t", "/x")
    rig.tenant(tenant_of(), state="asleep", wake="service")
    assert fetch(rig, "GET /x HTTP/1.1").json() == {"error": "the application sleeps", "status": 503}
    page = fetch(rig, "GET /x HTTP/1.1", "Accept: text/html")
    assert b"<h1>503 Service Unavailable</h1>" in page.body and b"sleeps" in page.body
    rig.do("settings", page="503:<p>later</p>")
    assert fetch(rig, "GET /x HTTP/1.1", "Accept: text/html").body == b"<p>later</p>"


def test_a_refused_request_s_body_and_what_follows(rig, tenant_of):
    tenant = tenant_of()
    rig.do("wake", "t", "/x")
    rig.tenant(tenant, state="asleep", wake="service")
    with Client(rig) as client:
        client.ask("POST /x HTTP/1.1", "Content-Length: 5", body=b"12345")
        client.ask("GET /y HTTP/1.1")
        assert client.response().status == 503
        assert rig.wanted() == ["t"]
        rig.do("state", "t", "ready")
        assert client.response().status == 200
    assert [request.target for request in tenant.requests] == ["/y"]


def test_an_instance_may_have_a_list_of_its_own(rig, tenant_of):
    rig.do("wake", "tiny", "/service")
    rig.do("wake", "tiny:a", "/own")
    rig.tenant(tenant_of(), "tiny:a", host="t.localhost", state="asleep", wake="own")
    rig.tenant(tenant_of(), "tiny:b", host="b.localhost", state="asleep", wake="service")
    assert fetch(rig, "GET /own HTTP/1.1").status == 503
    assert fetch(rig, "GET /service HTTP/1.1", host="b.localhost").status == 503
    assert rig.wanted(SHORT) == []
    with Client(rig) as client:
        client.ask("GET /service HTTP/1.1")
        assert rig.wanted() == ["tiny:a"]


def test_a_changed_list_holds_for_the_next_request(rig, tenant_of):
    rig.do("wake", "t", "/x")
    rig.tenant(tenant_of(), state="asleep", wake="service")
    assert fetch(rig, "GET /x HTTP/1.1").status == 503
    rig.do("wake", "t", "/y")
    assert fetch(rig, "GET /y HTTP/1.1").status == 503
    with Client(rig) as client:
        client.ask("GET /x HTTP/1.1")
        assert rig.wanted() == ["t"]
        # Who waits already is looked at anew as long as nothing has come of it.
        rig.do("wake", "t", "/x")
        assert client.response().status == 503


@pytest.mark.parametrize("state", ["starting", "backoff", "draining", "stopping"])
def test_between_up_and_down_it_waits_and_asks_for_nothing(rig, tenant_of, state):
    rig.do("wake", "t", "/x")
    rig.tenant(tenant_of(), state=state, wake="service")
    with Client(rig) as client:
        client.ask("GET /x HTTP/1.1")
        wait_until(lambda: rig.use()["waiting"] == 1)
        assert rig.wanted(SHORT) == []
        rig.do("state", "t", "ready")
        assert client.response().status == 200
        rig.do("state", "t", state)
        client.ask("GET /x HTTP/1.1")
        wait_until(lambda: rig.use()["waiting"] == 1)
        rig.do("state", "t", "asleep")
        assert client.response().status == 503
    assert rig.wanted(SHORT) == [] and not_woken(rig) == {"no_wake": 1}


def test_beside_one_that_wakes(rig, tenant_of):
    """Who asks for nothing takes nothing away from who does, and is served along with it."""
    rig.do("wake", "t", "/x")
    rig.tenant(tenant_of(), state="stopping", wake="service")
    quiet, asking, late = Client(rig), Client(rig), Client(rig)
    quiet.ask("GET /x HTTP/1.1")
    wait_until(lambda: rig.use()["waiting"] == 1)
    asking.ask()
    assert rig.wanted() == ["t"]
    rig.do("state", "t", "starting")
    late.ask("GET /x HTTP/1.1")
    wait_until(lambda: rig.use()["waiting"] == 3)
    asking.sock.close()
    wait_until(lambda: rig.use()["waiting"] == 2)
    rig.wanted(0)
    rig.do("state", "t", "backoff")
    assert rig.wanted(SHORT) == []
    rig.do("state", "t", "ready")
    for client in (quiet, late):
        assert client.response().status == 200
        client.sock.close()


def test_a_tenant_that_ends_by_itself_is_not_woken_by_who_met_it(rig, tenant_of):
    """It was ready when the request came and refuses its connection; then it is known to sleep."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        rig.do("wake", "t", "/x")
        rig.do("instance", "t", port=unused.getsockname()[1], wake="service")
        rig.do("host", "t.localhost", "t")
        rig.do("state", "t", "ready")
        with Client(rig) as client:
            client.ask("GET /x HTTP/1.1")
            wait_until(lambda: rig.use()["waiting"] == 1)
            rig.wanted()
            rig.do("state", "t", "asleep")
            assert client.response().status == 503
            rig.wanted(0)  # (of before it was asleep)
            assert rig.wanted(SHORT) == [] and rig.use()["waiting"] == 0


def test_an_open_websocket_is_not_touched(rig, tenant_of):
    def handler(stream, request):
        if request.get("upgrade"):
            stream.sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                                b"Connection: upgrade\r\n\r\n")
            stream.sock.sendall(stream.sock.recv(100))
            return None
        return OK
    rig.do("wake", "t", "/ws")
    rig.tenant(tenant_of(handler), wake="service")
    with Client(rig) as client:
        client.ask("GET /ws HTTP/1.1", "Connection: upgrade", "Upgrade: websocket")
        assert client.response().status == 101
        rig.do("state", "t", "frozen")
        assert fetch(rig, "GET /ws HTTP/1.1", "Connection: upgrade", "Upgrade: websocket").status == 503
        assert rig.wanted(SHORT) == []
        client.send(b"data of the open one thaws it")
        assert rig.wanted() == ["t"]
        assert client.bytes(4) == b"data"


def test_an_undeclared_id_is_not_asked_for(rig):
    rig.do("wake", "notes", "/x", "agent:*bot*")
    rig.do("spawn", "notes", "localhost")
    host = "new.notes.localhost"
    assert fetch(rig, "GET /x HTTP/1.1", host=host).status == 503
    assert fetch(rig, "GET / HTTP/1.1", "User-Agent: bot", host=host).status == 503
    assert rig.do("ask", SHORT) == {}
    with Client(rig, host) as client:
        client.ask()
        assert rig.do("ask", 5000)["id"] == "new"


# ---- its health path ----


@pytest.mark.parametrize("state", ["asleep", "frozen"])
def test_health_while_asleep(rig, tenant_of, state):
    rig.do("wake", "t", health="/healthz")
    tenant = tenant_of(lambda stream, request: answer("awake"))
    rig.tenant(tenant, state=state, wake="service")
    with Client(rig) as client:
        response = client.get("GET /healthz?verbose HTTP/1.1")
        assert response.status == 200 and response.json() == {"status": "asleep"}
        response = client.get("HEAD /healthz HTTP/1.1")
        assert response.status == 200 and response.get("content-length") == "20"
        assert rig.wanted(SHORT) == [] and not_woken(rig) == {"health_while_asleep": 2}
        rig.do("state", "t", "ready")
        assert client.get("GET /healthz HTTP/1.1").body == b"awake"
        rig.do("state", "t", state)
        for other in ("POST /healthz HTTP/1.1", "GET /healthz/x HTTP/1.1"):
            client.ask(other)
            assert rig.wanted() == ["t"]
            rig.do("state", "t", "ready")
            assert client.response().body == b"awake"
            rig.do("state", "t", state)


def test_health_goes_before_no_wake(rig, tenant_of):
    rig.do("wake", "t", "/*", health="/healthz")
    rig.tenant(tenant_of(), state="asleep", wake="service")
    assert fetch(rig, "GET /healthz HTTP/1.1").status == 200
    assert fetch(rig, "GET / HTTP/1.1").status == 503


def test_a_tenant_that_is_down_says_so_itself(rig, tenant_of):
    rig.do("wake", "t", "/x", health="/healthz")
    rig.tenant(tenant_of(), state="failed", wake="service")
    for state in ("failed", "stopped", "suspended"):
        rig.do("state", "t", state)
        assert fetch(rig, "GET /healthz HTTP/1.1").status == 503
        assert "retry-after" not in dict(fetch(rig, "GET /x HTTP/1.1").fields)
    assert not_woken(rig) == {}


# ---- budgets ----


def sleepers(rig, tenant_of, count, **options):
    tenant = tenant_of()
    names = [f"t{i}" for i in range(count)]
    for name in names:
        rig.tenant(tenant, name, state="asleep", **options)
    return names


def wakes(rig, name, make=Client):
    """Whether a request wakes NAME, or how it is refused."""
    with make(rig, host=f"{name}.localhost") as client:
        client.ask()
        seen = []
        wait_until(lambda: seen.extend(rig.wanted(10)) or seen or rig.use(name)["waiting"] == 0)
        if name in seen:
            rig.do("state", name, "ready")
            assert client.response().status == 200
            return True
        response = client.response()
        return response.status, int(response.get("retry-after"))


def nine(rig, host):
    return From(rig, "127.0.0.9", host)


def test_so_many_wakes_of_one_address(rig, tenant_of):
    rig.do("settings", wakes_per_ip=3)
    names = sleepers(rig, tenant_of, 6)
    assert [wakes(rig, name) for name in names[:3]] == [True] * 3
    for name in names[3:]:
        status, seconds = wakes(rig, name)
        assert status == 429 and 1 <= seconds <= 20
        assert not_woken(rig, name) == {"max_wakes_per_minute_per_ip": 1}
    assert fetch(rig, host="t0.localhost").status == 200  # (who is awake is not counted)
    assert wakes(rig, names[3], nine) is True
    # Frozen is not stopped.
    rig.do("state", "t4", "frozen")
    assert wakes(rig, names[4]) is True
    # No bound, no refusal.
    rig.do("settings")
    assert wakes(rig, names[5]) is True


def test_whom_a_trusted_proxy_names_counts_and_not_the_proxy(rig, tenant_of):
    rig.do("settings", wakes_per_ip=1, trusted="127.0.0.1/32")
    names = sleepers(rig, tenant_of, 6)
    assert [wakes(rig, name) for name in names[:3]] == [True] * 3

    def named(rig, host):
        client = Client(rig, host)
        plain = client.ask
        client.ask = lambda *words, **rest: plain("GET / HTTP/1.1", "X-Forwarded-For: 2001:db8::5", **rest)
        return client
    assert wakes(rig, names[3], named) is True
    assert wakes(rig, names[4], named)[0] == 429
    assert wakes(rig, names[4]) is True


def test_so_many_wakes_of_one_service(rig, tenant_of):
    rig.do("wake", "t", per_minute=2, counter=5)
    rig.do("wake", "u", per_minute=2, counter=6)
    tenant = tenant_of()
    for name in ("t:1", "t:2", "t:3", "u:1"):
        rig.tenant(tenant, name, host=name.replace(":", "") + ".localhost", state="asleep", wake="service")

    def woken(name, make=Client):
        with make(rig, host=name.replace(":", "") + ".localhost") as client:
            client.ask()
            seen = rig.wanted(200)
            if name in seen:
                return True
            response = client.response()
            return response.status, 1 <= int(response.get("retry-after")) <= 30
    assert woken("t:1") is True and woken("t:2", nine) is True
    assert woken("t:3") == (503, True) and woken("t:3", nine) == (503, True)
    assert not_woken(rig, "t:3") == {"max_wakes_per_minute": 2}
    assert woken("u:1") is True


def test_who_is_refused_by_the_service_has_spent_nothing_of_its_own(rig, tenant_of):
    rig.do("settings", wakes_per_ip=1)
    rig.do("wake", "t", per_minute=1, counter=5)
    tenant = tenant_of()
    rig.tenant(tenant, "t:1", host="t1.localhost", state="asleep", wake="service")
    rig.tenant(tenant, "t:2", host="t2.localhost", state="asleep", wake="service")
    rig.tenant(tenant, "free", state="asleep")
    with nine(rig, "t1.localhost") as client:
        client.ask()
        assert rig.wanted() == ["t:1"]
    assert fetch(rig, host="t2.localhost").status == 503
    assert wakes(rig, "free") is True
    assert fetch(rig, host="t2.localhost").status == 429


def test_who_joins_a_wake_is_not_counted(rig_of, tenant_of):
    rig = rig_of(4, wakes_per_ip=1)
    rig.tenant(tenant_of(), state="asleep")
    clients = [Client(rig) for _ in range(40)]
    for client in clients:
        client.ask()
    wait_until(lambda: rig.use()["waiting"] == 40)
    wait_until(lambda: "t" in rig.wanted(100))
    rig.do("state", "t", "starting")
    rig.do("state", "t", "ready")
    for client in clients:
        assert client.response().status == 200
        client.sock.close()
    assert not_woken(rig) == {}


def test_all_workers_together_keep_to_it(rig_of, tenant_of):
    """40 tenants are asked for at once, twice each, by one address that may wake 10."""
    rig = rig_of(4, wakes_per_ip=10)
    names = sleepers(rig, tenant_of, 40)
    clients = [Client(rig, f"{name}.localhost") for name in names * 2]
    gate = threading.Barrier(len(clients))

    def ask(client):
        gate.wait()
        client.ask()
    threads = [threading.Thread(target=ask, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    def settled():
        waiting = sum(rig.use(name)["waiting"] for name in names)
        refused = sum(sum(not_woken(rig, name).values()) for name in names)
        return waiting + refused == len(clients)
    wait_until(settled)
    woken = set()
    while found := rig.wanted(SHORT):
        woken.update(found)
    assert len(woken) == 10
    # Each of the two that ask for one waits with it, or came when it had been refused.
    assert all(1 <= rig.use(name)["waiting"] <= 2 for name in woken)
    assert all(rig.use(name)["waiting"] == 0 for name in names if name not in woken)
    for client in clients:
        client.sock.close()


def test_what_goes_down_is_counted_when_it_is_known_to_sleep(rig, tenant_of):
    rig.do("settings", wakes_per_ip=1)
    names = sleepers(rig, tenant_of, 2)
    assert wakes(rig, names[0]) is True
    rig.do("state", "t1", "stopping")
    with Client(rig, "t1.localhost") as client:
        client.ask()
        wait_until(lambda: rig.use("t1")["waiting"] == 1)
        assert rig.wanted(SHORT) == []
        rig.do("state", "t1", "ready")  # a restart, that is: nobody was woken
        assert client.response().status == 200
        rig.do("state", "t1", "stopping")
        client.ask()
        wait_until(lambda: rig.use("t1")["waiting"] == 1)
        rig.do("state", "t1", "asleep")
        assert client.response().status == 429


def test_a_killed_worker_leaves_nothing(rig_of, tenant_of):
    rig = rig_of(1, wakes_per_ip=2)
    names = sleepers(rig, tenant_of, 3)
    with Client(rig, "t0.localhost") as client:
        client.ask()
        assert rig.wanted() == ["t0"]
        rig.do("kill", 0)
    # The wake that it asked for is under way, and whoever comes again joins it.
    assert wakes(rig, names[0]) is True
    assert wakes(rig, names[1]) is True
    assert wakes(rig, names[2])[0] == 429
    rig.do("state", "t0", "asleep")
    assert wakes(rig, names[0])[0] == 429


def test_an_undeclared_id_counts(rig):
    rig.do("settings", wakes_per_ip=1)
    rig.do("spawn", "notes", "localhost")
    rig.do("instance", "notes:a", port=1)
    with Client(rig, "a.notes.localhost") as client:
        client.ask()
        asked = rig.do("ask", 5000)
        rig.do("host", "a.notes.localhost", "notes:a")
        rig.do("state", "notes:a", "asleep")
        rig.do("answer", asked["worker"], asked["index"], "done")
        assert rig.wanted() == ["notes:a"]
    response = fetch(rig, host="b.notes.localhost")
    assert response.status == 429 and 1 <= int(response.get("retry-after")) <= 60
    assert rig.do("ask", SHORT) == {}


def test_it_comes_back_with_time(rig, tenant_of):
    rig.do("settings", wakes_per_ip=60)
    rig.tenant(tenant_of(), state="asleep")
    results = []

    def wake():
        rig.do("state", "t", "asleep")
        results.append(wakes(rig, "t"))
        return results[-1]
    wait_until(lambda: wake() is not True)
    assert len(results) > 60 and results[-1] == (429, 1)
    wait_until(lambda: wake() is True)


def test_a_damaged_record_refuses_nothing(rig, tenant_of):
    """An instance whose list is not there wakes as ever."""
    rig.tenant(tenant_of(), state="asleep", wake="service")
    with Client(rig) as client:
        client.ask("GET /x HTTP/1.1")
        assert rig.wanted() == ["t"]
    # The name that lists are under is no host.
    rig.do("wake", "t", "/x")
    assert fetch(rig, host="#t").status in (400, 404)


def test_who_waits_quietly_is_told_that_the_server_stops(rig, tenant_of):
    rig.do("wake", "t", "/x")
    rig.tenant(tenant_of(), state="stopping", wake="service")
    with Client(rig) as client:
        client.ask("GET /x HTTP/1.1")
        wait_until(lambda: rig.use()["waiting"] == 1)
        rig.do("settings", ready=0)
        assert rig.do("term", 0)["status"] == 0
        assert client.response().status == 503


LINES = ("GET / HTTP/1.1", "GET /x HTTP/1.1", "GET /h HTTP/1.1", "HEAD /x HTTP/1.1", "POST /x HTTP/1.1")


def test_nothing_is_left_after_any_order_of_things(rig_of, tenant_of):
    """Clients of all kinds come and go while states, lists and budgets change under them."""
    rig = rig_of(2)
    rig.do("wake", "t", "/x", health="/h", per_minute=9, counter=1)
    rig.tenant(tenant_of(), state="asleep", wake="service")
    over = threading.Event()
    odd = []

    def come_and_go(number):
        chance = random.Random(number)
        while not over.is_set():
            with Client(rig) as client:
                line = chance.choice(LINES)
                client.ask(line)
                if chance.random() < 0.3:
                    continue
                try:
                    status = client.response(line.split()[0]).status
                except (AssertionError, OSError, EOFError) as error:
                    status = repr(error)
                if status not in (200, 429, 503):
                    odd.append((line, status))

    threads = [threading.Thread(target=come_and_go, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    chance = random.Random(0)
    for turn in range(3000):
        rig.do("state", "t", chance.choice(("asleep", "starting", "ready", "frozen", "draining", "stopping", "backoff")))
        if turn % 7 == 0:
            rig.do("wake", "t", *chance.choice((("/x",), ("/y",), ())), health="/h", counter=1,
                   per_minute=chance.choice((0, 1, 10000)))
        if turn % 31 == 0:
            rig.do("settings", wakes_per_ip=chance.choice((0, 1, 10000)))
        if turn % 211 == 210:
            rig.do("instance", "t", port=1, wake=chance.choice(("own", "service", "none")))
            rig.tenant(tenant_of(), state="stopping", wake="service")
    over.set()
    rig.do("state", "t", "ready")
    for thread in threads:
        thread.join()
    assert not odd
    wait_until(lambda: rig.use()["waiting"] == 0 and rig.use()["in_flight"] == 0)
    rig.do("wake", "t", "/x")
    rig.do("state", "t", "asleep")
    rig.wanted(0)
    assert fetch(rig, "GET /x HTTP/1.1").status == 503 and rig.wanted(SHORT) == []
