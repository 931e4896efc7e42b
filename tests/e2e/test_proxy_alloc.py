"""On its steady path a request costs no allocation."""

from proxy_rig import *  # noqa: F401,F403
from proxy_rig import Client, answer
from proxy_preload import preloaded  # noqa: F401

CONNECTIONS = 8


def serve_some(clients, rounds):
    for _ in range(rounds):
        for client in clients:
            client.ask("GET /small HTTP/1.1", "Accept: text/plain", "Cookie: a=b")
        for client in clients:
            assert client.response().body == b"/small"
        for client in clients:
            client.ask("POST /echo HTTP/1.1", "Content-Length: 5", body=b"12345")
        for client in clients:
            assert client.response().body == b"12345"


def test_no_allocation_per_request(preloaded, tenant_of, tmp_path):
    rig = preloaded
    rig.tenant(tenant_of(lambda stream, request: answer(request.body or request.target), path=tmp_path / "s"))
    clients = [Client(rig) for _ in range(CONNECTIONS)]
    serve_some(clients, 20)
    before = rig.memory_calls()
    assert before[0] > 0 and rig.worker()["requests"] == 20 * 2 * CONNECTIONS
    serve_some(clients, 2000 // (2 * CONNECTIONS))
    assert rig.worker()["requests"] == (20 + 2000 // (2 * CONNECTIONS)) * 2 * CONNECTIONS
    assert rig.memory_calls() == before
    for client in clients:
        client.sock.close()
