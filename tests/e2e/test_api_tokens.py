"""Tokens: who may do what by the API at the root domain, and what is written down of it."""

import json
import os
import signal
import stat
import time

from harness import process_alive, wait_until


def ask(t, method, path, token=None, body=None, headers=None):
    """As a client elsewhere would: by the proxy, at the root domain."""
    headers = dict(headers or {})
    if token:
        headers["Authorization"] = f"Bearer {token}"
    if body is not None:
        body = json.dumps(body).encode()
        headers["Content-Type"] = "application/json"
    return t.request(t.domain, path, method, body=body, headers=headers)


def make(t, **what):
    answer = t.control("POST", "/api/tokens", what)
    assert answer.status == 201, answer
    return answer.json()


def test_rights(tenement):
    t = tenement()
    t.declare(["app:alice", "app:bob"])
    t.declare(["web:alice"])
    for key in ("app:alice", "app:bob", "web:alice"):
        t.wait_ok(key)
    admin, reader = make(t), make(t, read_only=True)
    alice, notes = make(t, tenant="alice"), make(t, instance="app:alice")
    alice_reads = make(t, tenant="alice", read_only=True)

    def status(token, method, path, body=None):
        return ask(t, method, path, token and token["token"], body).status

    # nobody: what is open, and nothing else
    assert status(None, "GET", "/health") == 200
    for method, path in (("GET", "/api/instances"), ("GET", "/api/status"), ("GET", "/api/tokens"),
                         ("GET", "/api/audit"), ("POST", "/api/instances/app:alice/restart"),
                         ("POST", "/api/tokens"), ("DELETE", f"/api/tokens/{admin['id']}")):
        answer = ask(t, method, path)
        assert answer.status == 401, (method, path)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert answer.json()["where"] == {"method": method, "path": path}

    # who sees what
    seen = {name: sorted(item["id"] for item in ask(t, "GET", "/api/instances?all=1", token["token"]).json())
            for name, token in (("admin", admin), ("reader", reader), ("alice", alice), ("notes", notes))}
    assert seen == {"admin": ["app:alice", "app:bob", "web:alice"],
                    "reader": ["app:alice", "app:bob", "web:alice"],
                    "alice": ["app:alice", "web:alice"], "notes": ["app:alice"]}

    # who may do what
    for method, path, body, may in (
            ("GET", "/api/instances/app:alice", None, "admin reader alice notes alice_reads"),
            ("GET", "/api/instances/web:alice", None, "admin reader alice alice_reads"),
            ("GET", "/api/instances/app:bob", None, "admin reader"),
            ("POST", "/api/instances/app:alice/hold", {"seconds": 60}, "admin alice notes"),
            ("POST", "/api/instances/web:alice/hold", {"seconds": 60}, "admin alice"),
            ("POST", "/api/instances/app:bob/hold", {"seconds": 60}, "admin"),
            ("DELETE", "/api/overrides", None, "admin"),
            ("GET", "/api/status", None, "admin reader"),
            ("GET", "/metrics", None, "admin reader"),
            ("GET", "/api/audit", None, "admin reader"),
            ("GET", "/api/tokens", None, "admin"),
            ("POST", "/api/tokens", {"tenant": "bob"}, "admin"),
            ("DELETE", "/api/tokens/00000000", None, ""),
            ("POST", "/api/config/diff", {"files": {}}, "admin reader"),
            ("POST", "/api/pause", {}, "admin"),
            ("POST", "/api/unpause", {}, "admin"),
            ("GET", "/api/instances/app:alice/exec", None, "")):
        for name, token in (("admin", admin), ("reader", reader), ("alice", alice), ("notes", notes),
                            ("alice_reads", alice_reads)):
            got = status(token, method, path, body)
            if name in may.split():
                assert got in (200, 201), (name, method, path, got)
            else:
                assert got in (403, 404), (name, method, path, got)
    # who sees a part is not told what else there is
    unknown = ask(t, "GET", "/api/instances/app:nobody", alice["token"]).json()["error"]
    assert ask(t, "GET", "/api/instances/app:bob", alice["token"]).json()["error"] == unknown

    # what is wrong with a wish for a token
    for wish in ({"tenant": "Alice"}, {"instance": "alice"}, {"tenant": "a", "instance": "a:b"},
                 {"readonly": True}, {"read_only": "yes"}, {"expires": 1}, {"expires": "90d"},
                 {"description": "two\nlines"}, {"description": "x" * 201}, {"tenant": 5}):
        answer = t.control("POST", "/api/tokens", wish)
        assert answer.status == 422, (wish, answer)

    # revoked, at once, and by its public id; what it follows ends, too
    assert status(alice, "GET", "/api/instances") == 200
    assert ask(t, "DELETE", f"/api/tokens/{alice['id']}", admin["token"]).json() == {"revoked": alice["id"]}
    answer = ask(t, "GET", "/api/instances", alice["token"])
    assert answer.status == 401 and "revoked" in answer.json()["error"]
    assert ask(t, "DELETE", f"/api/tokens/{alice['id']}", admin["token"]).status == 404
    assert ask(t, "DELETE", "/api/tokens/..%2Flock", admin["token"]).status == 404

    # the list says all but the tokens themselves
    listed = ask(t, "GET", "/api/tokens", admin["token"]).json()
    assert [item["id"] for item in listed][:1] != [alice["id"]]
    by_id = {item["id"]: item for item in listed}
    assert by_id[admin["id"]]["last_used"] >= by_id[admin["id"]]["created"]
    assert (by_id[notes["id"]]["scope"], by_id[notes["id"]]["of"]) == ("instance", "app:alice")
    assert by_id[admin["id"]]["by"] == f"uid {os.getuid()}"
    assert admin["token"] not in json.dumps(listed)
