"""Which instance a request goes to, and what the head looks like that gets there."""

import re
import threading

import pytest

from proxy_rig import *  # noqa: F401,F403
from proxy_rig import Client, Rig, answer, fetch, raw, wait_until


def test_unknown_hosts(rig, tenant_of):
    rig.tenant(tenant_of(), state="asleep")
    for host in ("nobody.localhost", "example.com", "t.localhost.evil", "."):
        assert fetch(rig, host=host).status in (404, 400)
    assert rig.wanted(50) == [] and rig.worker()["refusals"][1] >= 3


@pytest.mark.parametrize("host", ["t.localhost", "T.LocalHost", "t.localhost.", "t.localhost:8080", "T.localhost.:80",
                                  "t.localhost:"])  # (an empty port is none: RFC 3986, 3.2.3)
def test_forms_of_a_host(rig, tenant_of, host):
    tenant = tenant_of()
    rig.tenant(tenant)
    assert fetch(rig, host=host).status == 200
    assert tenant.requests[0].get("host") == host


def test_weights_are_exact(tenant_of):
    rig = Rig(workers=2)
    rig.do("settings")
    for name in ("a", "b", "c"):
        rig.tenant(tenant_of(lambda stream, request, name=name: answer(name)), name)
    rig.do("weighted", "notes.localhost", 7, "a=70", "b=20", "c=10")
    for _ in range(5):
        got = [fetch(rig, host="notes.localhost").body for _ in range(10)]
        assert (got.count(b"a"), got.count(b"b"), got.count(b"c")) == (7, 2, 1)
    rig.do("weighted", "notes.localhost", 7, "a=0", "b=5")
    assert {fetch(rig, host="notes.localhost").body for _ in range(10)} == {b"b"}
    rig.do("weighted", "notes.localhost", 7, "a=0", "b=0")
    assert fetch(rig, host="notes.localhost").status == 503
    rig.close()


def test_a_swap_is_whole_when_it_is_acknowledged(tenant_of):
    rig = Rig(workers=2)
    rig.do("settings")
    for name in ("v1", "v2"):
        rig.tenant(tenant_of(lambda stream, request, name=name: answer(name)), name)
    clients = [Client(rig, "notes.localhost") for _ in range(8)]
    for turn in range(20):
        now = ("v1", "v2")[turn % 2]
        rig.do("weighted", "notes.localhost", 1, f"{now}=1")
        for client in clients:
            assert client.get().body == now.encode()
    for client in clients:
        client.sock.close()
    rig.close()


def test_the_root_domain(rig, tenant_of):
    for name in ("api", "deep", "web"):
        rig.tenant(tenant_of(lambda stream, request, name=name: answer(name)), name)
    rig.do("root", "localhost", "/api/deep=deep.localhost", "/api=api.localhost", default="web.localhost")
    want = {"/": "web", "/api": "api", "/api/x": "api", "/api/deep/y": "deep", "/api?q": "api", "/apix": "web"}
    for target, name in want.items():
        assert fetch(rig, f"GET {target} HTTP/1.1", host="localhost").body == name.encode(), target
    rig.do("root", "localhost", "/api=api.localhost")
    assert fetch(rig, host="localhost").status == 404


def test_health(rig, tenant_of):
    tenant = tenant_of()
    rig.tenant(tenant)
    rig.do("settings", ready=0)
    for turn, (status, body) in enumerate([(503, {"status": "starting"}), (200, {"status": "ok"})]):
        for host in ("localhost", "127.0.0.1", f"127.0.0.1:{rig.port}", "[::1]"):
            response = fetch(rig, "GET /health HTTP/1.1", host=host)
            assert (response.status, response.json()) == (status, body)
            assert response.get("content-type") == "application/json"
        assert fetch(rig, "HEAD /health HTTP/1.1", host="localhost").status == status
        assert raw(rig, b"GET /health HTTP/1.0\r\n\r\n").status == status
        rig.do("settings", ready=1)
        rig.do("root", "localhost")
    assert fetch(rig, "POST /health HTTP/1.1", "Content-Length: 0", host="localhost").status == 404
    assert fetch(rig, "GET /healthy HTTP/1.1", host="localhost").status == 404
    # A tenant's own is its own.
    assert fetch(rig, "GET /health HTTP/1.1").body == b"ok" and len(tenant.requests) == 1


@pytest.mark.parametrize("host", ["[::1]", "[::1]:8080", "[0:0::1]:80", "127.0.0.1", "127.0.0.1:80", "LOCALHOST.:80"])
def test_an_address_as_host_is_the_root_domain(rig, tenant_of, host):
    tenant = tenant_of()
    rig.tenant(tenant)
    rig.do("root", "localhost", default="t.localhost")
    assert fetch(rig, "GET /x HTTP/1.1", host=host).status == 200
    assert fetch(rig, f"GET http://{host}/y HTTP/1.1", host=host).status == 200
    assert [request.line for request in tenant.requests] == ["GET /x HTTP/1.1", "GET /y HTTP/1.1"]
    assert {request.get("host") for request in tenant.requests} == {host}
    assert {request.get("forwarded") for request in tenant.requests} == {f'for=127.0.0.1;host="{host}";proto=http'}


@pytest.mark.parametrize("head", [
    "GET / HTTP/1.1\r\nHost: t.localhost\r\nHost: t.localhost",
    "GET / HTTP/1.1\r\nHost: t.localhost\r\nhost: other.localhost",
    "GET http://t.localhost/ HTTP/1.1\r\nHost: t.localhost\r\nHost: t.localhost",
    "GET / HTTP/1.0\r\nHost: t.localhost\r\nHost: t.localhost",
    "GET http://t.localhost/ HTTP/1.1\r\nHost: other.localhost",
    "GET http://t.localhost:80/ HTTP/1.1\r\nHost: t.localhost:81",
    "GET http://u@t.localhost/ HTTP/1.1\r\nHost: t.localhost",
    "GET * HTTP/1.1\r\nHost: t.localhost",
    "POST * HTTP/1.1\r\nHost: t.localhost\r\nContent-Length: 0",
    "GET / HTTP/1.1\r\nHost: t.localhost..",
    "GET / HTTP/1.1\r\nHost: .t.localhost",
    "GET / HTTP/1.1\r\nHost: t.localhost:x",
    "GET / HTTP/1.1\r\nHost: [::1",
    "GET / HTTP/1.1\r\nHost: [::1%eth0]",
    "GET / HTTP/1.1\r\nHost: t.localhost, other.localhost",
])
def test_hosts_that_two_could_read_differently(rig, tenant_of, head):
    tenant = tenant_of()
    rig.tenant(tenant)
    with Client(rig) as client:
        client.send(head + "\r\n\r\n")
        response = client.response()
        assert response.status == 400 and client.at_end()
    assert tenant.requests == []


# ---- the head ----


def test_end_to_end_fields_are_untouched(rig, tenant_of):
    tenant = tenant_of()
    rig.tenant(tenant)
    fields = ["Authorization: Basic Zm9vOmJhcg==", "Cookie: a=b; c=d", "Cookie: e=f", "X-Custom: \xe9\t\"q\"",
              "Accept-Encoding: gzip", "Origin: http://x", "X-Request-Id: mine"]
    with Client(rig) as client:
        client.send(("GET / HTTP/1.1\r\nHost: t.localhost\r\n" + "\r\n".join(fields) + "\r\n\r\n").encode("latin-1"))
        assert client.response().status == 200
    request = tenant.requests[0]
    assert [f"{name}: {value}" for name, value in request.fields][:len(fields) + 1] == ["Host: t.localhost"] + fields
    assert request.get("x-request-id") == "mine"


@pytest.mark.parametrize("parent", [
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-later-versions",
    "malformed", "00-00000000000000000000000000000000-0000000000000000-00", ""])
def test_traces_pass_as_they_are(rig, tenant_of, parent):
    tenant = tenant_of()
    rig.tenant(tenant)
    state = ["congo=t61rcWkgMzE,rojo=00f067aa0ba902b7", "other=1", ",=malformed"]
    fetch(rig, "GET / HTTP/1.1", f"traceparent: {parent}", *(f"TraceState: {value}" for value in state))
    request = tenant.requests[0]
    assert [value for name, value in request.fields if name == "traceparent"] == [parent]
    assert [value for name, value in request.fields if name == "TraceState"] == state
    # It is the client's to begin a trace: none is made.
    fetch(rig)
    assert not [name for name, _ in tenant.requests[1].fields if name.lower().startswith("trace")]


def test_a_request_id_is_made_or_kept(rig, tenant_of):
    tenant = tenant_of()
    rig.tenant(tenant)
    for mine in ("mine", "x" * 500, "\"quoted, with\tspaces\""):
        response = fetch(rig, "GET / HTTP/1.1", f"X-REQUEST-ID: {mine}")
        assert tenant.requests.pop().get("x-request-id") == mine
        assert response.get("x-request-id") is None  # the tenant's to tell
    fetch(rig)
    assert re.fullmatch("[0-9a-f]{32}", tenant.requests[0].get("x-request-id"))


def test_hop_by_hop_fields_are_dropped(rig, tenant_of):
    tenant = tenant_of(lambda *_: answer(
        "ok", "Connection: X-Mine, keep-alive", "X-Mine: 1", "Keep-Alive: timeout=5", "Proxy-Authenticate: Basic",
        "X-Kept: 1", "Upgrade: h2c", "Set-Cookie: a", "Set-Cookie: b"))
    rig.tenant(tenant)
    response = fetch(rig, "POST / HTTP/1.1", "Connection: X-Drop, close-not, Content-Length, Host", "X-Drop: 1",
                     "X-Keep: 1", "Keep-Alive: 5", "Proxy-Connection: keep-alive", "Proxy-Authorization: secret",
                     "TE: trailers", "Trailer: X", "Upgrade: websocket", "Content-Length: 2", body=b"ab")
    request = tenant.requests[0]
    for name in ("x-drop", "keep-alive", "proxy-connection", "proxy-authorization", "te", "trailer", "upgrade",
                 "connection"):
        assert request.get(name) is None, name
    assert request.get("x-keep") == "1" and request.get("host") == "t.localhost" and request.body == b"ab"
    for name in ("x-mine", "keep-alive", "proxy-authenticate", "upgrade", "connection"):
        assert response.get(name) is None, name
    assert response.get("x-kept") == "1" and response.all("set-cookie") == ["a", "b"]


FORGED = ["X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil", "X-Real-IP: 6.6.6.6",
          "Forwarded: for=6.6.6.6", "X-Forwarded-Port: 1", "X_Forwarded_For: 6.6.6.6", "X-Real_IP: 6.6.6.6",
          "X_Forwarded-Prefix: /x", "Content_Length: 5", "Transfer_Encoding: chunked"]


def test_where_a_request_comes_from(rig, tenant_of):
    tenant = tenant_of()
    rig.tenant(tenant)
    fetch(rig, "GET / HTTP/1.1", *FORGED, host="T.localhost:81")
    request = tenant.requests[0]
    assert request.get("x-forwarded-for") == "127.0.0.1" and request.get("x-real-ip") == "127.0.0.1"
    assert request.get("x-forwarded-proto") == "http" and request.get("x-forwarded-host") == "T.localhost:81"
    assert request.get("forwarded") == 'for=127.0.0.1;host="T.localhost:81";proto=http'
    names = [name.lower() for name, _ in request.fields]
    assert "x-forwarded-port" not in names and not [name for name in names if "_" in name]
    assert re.fullmatch("[0-9a-f]{32}", request.get("x-request-id"))


def test_a_trusted_proxy_is_believed(rig, tenant_of):
    tenant = tenant_of()
    rig.do("settings", trusted="127.0.0.0/8")
    rig.tenant(tenant)
    fetch(rig, "GET / HTTP/1.1", "X-Forwarded-For: 1.1.1.1", "X-Forwarded-For: 2.2.2.2", "X-Forwarded-Proto: https",
          "X-Forwarded-Host: shop.example", "X-Forwarded-Port: 443", "Forwarded: for=1.1.1.1", "X_Real_IP: 6.6.6.6")
    request = tenant.requests[0]
    assert request.get("x-forwarded-for") == "1.1.1.1, 2.2.2.2, 127.0.0.1"
    assert request.get("x-forwarded-proto") == "https" and request.get("x-forwarded-host") == "shop.example"
    assert request.get("x-real-ip") == "2.2.2.2" and request.get("x-forwarded-port") == "443"
    assert request.get("forwarded") == 'for=1.1.1.1, for=127.0.0.1;host="t.localhost";proto=http'
    assert request.get("x_real_ip") is None
    fetch(rig, "GET / HTTP/1.1", "X-Real-IP: 9.9.9.9")
    assert tenant.requests[1].get("x-real-ip") == "9.9.9.9"
    rig.do("settings", trusted="127.0.0.2/32")
    fetch(rig, "GET / HTTP/1.1", *FORGED)
    assert tenant.requests[2].get("x-forwarded-for") == "127.0.0.1"


def test_request_ids_differ(rig, tenant_of):
    tenant = tenant_of()
    rig.tenant(tenant)
    with Client(rig) as client:
        for _ in range(200):
            client.get()
    assert len({request.get("x-request-id") for request in tenant.requests}) == 200


def test_http10_without_a_host(rig, tenant_of):
    tenant = tenant_of()
    rig.tenant(tenant)
    rig.do("root", "localhost", default="t.localhost")
    assert raw(rig, b"GET / HTTP/1.0\r\n\r\n").status == 200
    assert tenant.requests[0].get("host") == "localhost" and tenant.requests[0].version == "HTTP/1.1"


def test_our_errors_by_accept(rig):
    response = fetch(rig, host="nobody.localhost")
    assert response.get("content-type") == "application/json"
    assert response.json() == {"error": "not found", "status": 404}
    assert fetch(rig, "GET / HTTP/1.1", "Accept: */*", host="x.localhost").get("content-type") == "application/json"
    for accept in ("text/html", "application/xhtml+xml,text/html;q=0.9", "Text/HTML , */*"):
        response = fetch(rig, "GET / HTTP/1.1", f"Accept: {accept}", host="x.localhost")
        assert response.get("content-type").startswith("text/html") and b"404" in response.body
    rig.do("settings", page="404:<b>gone</b>")
    assert fetch(rig, "GET / HTTP/1.1", "Accept: text/html", host="x.localhost").body == b"<b>gone</b>"
    assert fetch(rig, host="x.localhost").json()["status"] == 404
    response = fetch(rig, "HEAD / HTTP/1.1", host="x.localhost")
    assert response.status == 404 and int(response.get("content-length")) > 0


def test_load_from_many_clients(rig, tenant_of, tmp_path):
    rig.tenant(tenant_of(lambda stream, request: answer(request.target), path=tmp_path / "s"))
    errors = []

    def run(number):
        with Client(rig) as client:
            for i in range(100):
                response = client.get(f"GET /{number}/{i} HTTP/1.1")
                if response.body != f"/{number}/{i}".encode():
                    errors.append(response)
    threads = [threading.Thread(target=run, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert rig.use()["requests"] == 1600
    wait_until(lambda: rig.use()["in_flight"] == 0)
