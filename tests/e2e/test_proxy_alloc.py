"""On its steady path a request costs no allocation."""

import threading

from proxy_rig import *  # noqa: F401,F403
from proxy_rig import DEADLINE, Client, answer
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
    together = threading.Barrier(CONNECTIONS)
    warm = threading.Event()

    def handler(stream, request):
        if not warm.is_set():
            together.wait(DEADLINE)  # as many at once as there can be: no more will ever be needed
        return answer(request.body or request.target)
    rig.tenant(tenant_of(handler, path=tmp_path / "s"))
    clients = [Client(rig) for _ in range(CONNECTIONS)]
    serve_some(clients, 20)
    warm.set()
    # The loop's own arrays grow with how many descriptors happen to be ready at once, which is over
    # soon: of a few rounds of 2,000 requests one has not a single allocation.
    rounds = []
    while not rounds or rounds[-1] != (0, 0):
        before, served = rig.memory_calls(), rig.worker()["requests"]
        assert before[0] > 0
        serve_some(clients, 2000 // (2 * CONNECTIONS))
        assert rig.worker()["requests"] == served + 2000
        rounds.append(tuple(now - then for now, then in zip(rig.memory_calls(), before)))
        assert len(rounds) < 6 and sum(rounds[-1]) < 10, rounds
    for client in clients:
        client.sock.close()
