"""The management API against who should not have it: strangers, scoped tokens, browsers that were tricked, tenants."""

import contextlib
import hashlib
import json
import os
import random
import secrets
import socket
import subprocess
import sys
import time
import types

import pytest

from api_rig import Api, endpoints
from daemon_rig import in_threads, kill
from harness import Tenement, wait_until
from network_rig import needs_root, run

KEYS = ("notes:alice", "notes:bob", "wiki:alice", "wiki:bob")


@pytest.fixture(scope="module", name="t")
def one_for_all():
    """notes and wiki, each with alice and bob, who say at their start whose they are."""
    one = Tenement()
    try:
        for service in ("notes", "wiki"):
            one.write(f"{service}.toml", one.service(
                service, command="/bin/sh -c 'echo printed-by-{name}-{id}; exec ./tiny'"))
        for key in KEYS:
            one.write(f"{key.replace(':', '-')}.toml", one.tenant(key.split(":")[0]))
        one.start_ok(KEYS)
        yield one
    finally:
        one.close()


@pytest.fixture(scope="module", name="tokens")
def all_tokens(t):
    api = Api(t)
    return types.SimpleNamespace(
        admin=api.token(), reader=api.token(read_only=True), alice=api.token(tenant="alice"),
        one=api.token(instance="notes:alice"), alice_reader=api.token(tenant="alice", read_only=True))


@pytest.fixture(name="api")
def from_an_address_of_its_own(t):
    return Api(t)


def as_it_is(t):
    """What no refused request may change."""
    status = t.control("GET", "/api/status").json()
    instances = {key: (one["state"], one["pid"], one["restarts"]) for key, one in t.instances().items()}
    files = {path.name: path.read_text() for path in t.conf_dir.glob("*.toml")}
    return (instances, files, status["generation"], status["paused"],
            t.control("GET", "/api/overrides").json(), len(t.control("GET", "/api/tokens").json()))


def each(rights, instance):
    """Those of the API's rows that ask for one of RIGHTS, of INSTANCE."""
    names = {"{instance}": instance, "{file}": "notes.toml", "{token}": "00000000", "{target}": instance}
    for method, path, right in endpoints():
        if right not in rights:
            continue
        for name, value in names.items():
            path = path.replace(name, value)
        assert "{" not in path
        yield method, path


def test_a_refused_head_tells_nothing_of_who_asked_before(t, api, tokens):
    """The proxy asks for many by one connection."""
    for _ in range(8):
        assert api.ask("GET", "/api/instances/notes:alice/why", tokens.admin).status == 200
        for lines, status in ((("Transfer-Encoding: chunked",), 411), (("Content-Length: 0", "Origin: a", "Origin: b"), 400)):
            came = api.raw(api.head("POST", "/api/nothing", None, *lines, "Connection: close") + (b"0\r\n\r\n" if status == 411 else b""))
            assert came.startswith(b"HTTP/1.1 %d " % status), came
            assert json.loads(came.split(b"\r\n\r\n", 1)[1])["where"] == {"method": "POST", "path": "/api/nothing"}


def test_what_is_asked_while_another_answer_is_waited_for(t):
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(30)
        one.connect(str(t.runtime_dir / "control.sock"))
        paths = ("/api/top", "/metrics", "/api/logs?limit=1", "/api/top", "/health")
        one.sendall("".join(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n" for path in paths).encode())
        came = b""
        while not came.endswith(b'{"status":"ok"}\n'):
            piece = one.recv(65536)
            assert piece
            came += piece
        assert came.count(b"HTTP/1.1 200 OK") == len(paths)


ASK_AS_ANOTHER = """
import os, socket, sys
os.chdir(sys.argv[1])
os.seteuid(4242)
one = socket.socket(socket.AF_UNIX)
one.connect("control.sock")
one.sendall(b"POST /api/pause HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 2\\r\\n\\r\\n{}")
print(one.recv(65536).decode())
"""


@needs_root
def test_a_uid_that_may_not_is_written_down(t):
    """Who comes as far as the control socket, by its group, say, and has no right there."""
    path = t.runtime_dir / "control.sock"
    mode = path.stat().st_mode & 0o777
    path.chmod(0o666)
    try:
        came = subprocess.run([sys.executable, "-c", ASK_AS_ANOTHER, t.runtime_dir], capture_output=True, text=True, check=True, timeout=30).stdout
    finally:
        path.chmod(mode)
    assert came.startswith("HTTP/1.1 403 ")
    line = [one for one in t.control("GET", "/api/audit").json() if one["path"] == "/api/pause"][-1]
    assert (line["by"], line["method"], line["status"]) == ("uid 4242", "POST", 403)
    assert not t.control("GET", "/api/status").json()["paused"]


def test_no_right_is_unknown_here():
    assert {right for _, _, right in endpoints()} <= {"OPEN", "SEE", "SEE_ALL", "STEER", "ADMIN", "LOCAL", "TELEMETRY", "METRICS"}


def body_of(method):
    return None if method in ("GET", "DELETE") else b'{"declare": false}'


# ---- who may what ----

def test_without_a_token_nothing(t, api):
    before = as_it_is(t)
    for method, path in each(("SEE", "SEE_ALL", "STEER", "ADMIN", "TELEMETRY", "METRICS"), "notes:alice"):
        answer = api.ask(method, path, body=body_of(method))
        assert answer.status == 401, (method, path, answer)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert "alice" not in answer.json()["error"].replace(path, "")
    for method, path in each(("LOCAL",), "notes:alice"):
        assert api.ask(method, path).status == 403
    assert api.ask("GET", "/health").status == 200
    assert as_it_is(t) == before


def test_wrong_tokens(t, api, tokens):
    expired = api.token(expires=int(time.time()) + 1)
    made = t.control("POST", "/api/tokens", {}).json()
    revoked = made["token"]
    assert t.control("DELETE", f"/api/tokens/{made['id']}").status == 200
    wait_until(lambda: api.ask("GET", "/api/status", expired).status == 401, what="the token's end")
    assert "expired" in api.ask("GET", "/api/status", expired).json()["error"]
    other = f"ten_{secrets.token_hex(32)}"
    for wrong in (revoked, other, tokens.admin[:-1], tokens.admin + "0", tokens.admin.upper(),
                  hashlib.sha256(tokens.admin.encode()).hexdigest()):
        answer = api.ask("GET", "/api/status", wrong)
        assert answer.status == 401, (wrong, answer)
        assert wrong not in answer.text
    assert api.ask("GET", "/api/status", tokens.admin).status == 200


def test_reading_tokens_change_nothing(t, api, tokens):
    before = as_it_is(t)
    for token in (tokens.reader, tokens.alice_reader):
        for method, path in each(("STEER", "ADMIN"), "notes:alice"):
            answer = api.ask(method, path, token, body_of(method))
            assert answer.status == 403, (method, path, answer)
    for method, path in each(("LOCAL",), "notes:alice"):
        assert api.ask(method, path, tokens.admin).status == 403
    assert as_it_is(t) == before


def test_tokens_of_a_tenant_are_for_it_alone(t, api, tokens):
    before = as_it_is(t)
    for token, others in ((tokens.alice, "notes:bob"), (tokens.one, "notes:bob"), (tokens.one, "wiki:alice")):
        for method, path in each(("SEE_ALL", "METRICS", "ADMIN"), "notes:alice"):
            answer = api.ask(method, path, token, body_of(method))
            assert answer.status == 403, (method, path, answer)
        for method, path in each(("SEE", "STEER"), others):
            if others not in path:
                continue
            answer = api.ask(method, path, token, body_of(method))
            assert answer.status == 404, (method, path, answer)
            # the same as for who is not there at all
            nobody = api.ask(method, path.replace(others, "notes:nobody"), token, body_of(method))
            assert answer.text.replace(others, "-") == nobody.text.replace("notes:nobody", "-")
    assert as_it_is(t) == before
    assert api.ask("GET", "/api/instances/wiki:alice", tokens.alice).status == 200
    assert api.ask("GET", "/api/instances/notes:alice", tokens.one).status == 200


def test_lists_are_of_what_a_token_sees(api, tokens):
    for path in ("/api/instances?all=1", "/api/instances?all=1&brief=1", "/api/top", "/api/usage", "/api/logs",
                 "/api/logs?limit=1000"):
        for token, mine in ((tokens.alice, {"notes:alice", "wiki:alice"}), (tokens.one, {"notes:alice"})):
            answer = api.ask("GET", path, token)
            assert answer.status in (200, 403, 404, 422), (path, answer)
            for key in KEYS:
                service, tenant = key.split(":")
                if key not in mine:
                    assert key not in answer.text and f"printed-by-{service}-{tenant}" not in answer.text, path


@pytest.mark.parametrize("query", [
    "id=bob", "id=notes:bob", "id=notes%3Abob", "process=notes&id=bob", "process=notes&id=%62ob",
    "id=notes:alice&id=notes:bob", "id=notes:bob&id=notes:alice", "id=alice%00&id=bob", "id=*", "id=", "id=%",
    "id=notes:alice,notes:bob", "process=notes&id=alice'%20OR%201=1--", "process=notes", "process=%25", "process=no_es",
    "search=printed", "search=printed*", "search=%22%20OR%20%22", "search=a:b", "search=NEAR(", "id=..%2fbob",
    "id=notes:bob&follow=1&limit=10", "ID=notes:bob", "i%64=notes:bob", "limit=-1", "limit=99999999999999999999",
    "id=notes%3Aalice%2F..%2Fbob", "tenant=bob", "after=0", "since=0&until=99999999999", "level=%00",
])
@pytest.mark.parametrize("path", ["/api/logs", "/api/logs/stream"])
def test_no_query_shows_anothers_lines(api, tokens, path, query):
    with api.connect() as connection:
        connection.sendall(api.head("GET", f"{path}?{query}", tokens.one, "Connection: close"))
        connection.settimeout(0.3)
        came = b""
        with contextlib.suppress(TimeoutError):
            while piece := connection.recv(65536):
                came += piece
    assert b"HTTP/1.1 5" not in came[:12]
    for others in (b"notes-bob", b"wiki-alice", b"wiki-bob"):
        assert b"printed-by-" + others not in came


TRICKS = [
    "/api/instances/notes%3Abob", "/api/instances/notes:bo%62", "/api/instances/notes:bob/", "//api/instances/notes:bob",
    "/api//instances/notes:bob", "/api/instances//notes:bob", "/api/instances/./notes:bob",
    "/api/instances/notes:alice/../notes:bob", "/api/instances/notes:alice/%2e%2e/notes:bob",
    "/api/instances/notes:alice%2f..%2fnotes:bob", "/api/instances/notes:alice%00:bob", "/api/instances/notes:bob%00",
    "/api/instances/notes%253Abob", "/api/instances/NOTES:BOB", "/api/instances/notes:bob;alice",
    "/api/instances/notes:alice;bob", "/api/instances/notes:alice?id=notes:bob", "/api/instances/notes:bob?x=notes:alice",
    "/api/instances/notes:alice#notes:bob", "/api/instances/%6eotes:bob", "/api/instances/notes:bob%20",
    "/api/instances/notes:bob%0d%0aX: y", "/api/instances/notes\\:bob", "/api/instances/notes:alice\\..\\bob",
    "/api/instances/..%5cnotes:bob", "/api/instances/notes:%c1%a2ob", "/api/instances/notes：bob", "/api/instances/",
    "/api/instances/" + "a" * 5000, "/api/instances/:", "/api/instances/notes:", "/api/instances/:bob",
    "/api/instances/*", "/api/instances/{instance}", "/API/instances/notes:bob", "/api/./status", "/api/../api/status",
    "/%61pi/status", "/api%2fstatus", "/api/status%00", "/api/status/", "/api/status;x", "/metrics/", "/metrics%2f",
    "/api/instances/notes:alice/restart/../../notes:bob", "/api/tokens/", "/api/tokens/..", "/api/overrides/%2e%2e",
]


def test_no_path_leads_to_another(t, api, tokens):
    before = as_it_is(t)
    for path in TRICKS:
        for method in ("GET", "POST", "DELETE", "PUT"):
            came = api.raw(api.head(method, path, tokens.one, "Connection: close", "Content-Length: 0"))
            assert came, path
            status = int(came.split(b" ")[1])
            if status == 200 and method == "GET":
                assert json.loads(came.split(b"\r\n\r\n", 1)[1])["id"] == "notes:alice", (path, came)
            assert 200 <= status < 500, (path, came)
            assert b"printed-by-notes-bob" not in came and b'"notes:bob"' not in came, (path, came)
    after = as_it_is(t)
    assert before[0].pop("notes:alice") and after[0].pop("notes:alice")  # (what is its own may be stopped)
    assert after == before
    t.wait_ok("notes:alice")


def test_methods_are_what_they_are(t, api, tokens):
    before = as_it_is(t)
    path = "/api/instances/notes:alice/restart"
    override = ["X-HTTP-Method-Override: POST", "X-HTTP-Method: POST", "X-Method-Override: POST", "Content-Length: 0"]
    for method in ("GET", "HEAD", "OPTIONS", "PATCH", "PUT", "DELETE"):
        assert api.statuses(api.head(method, path + "?_method=POST", tokens.admin, "Connection: close", *override)) == [405]
    for method in ("post", "TRACE", "CONNECT", "P\x00ST", "PROPFIND", "POST POST"):
        status, *_ = api.statuses(api.head(method, path, tokens.admin, "Connection: close", *override))
        assert 400 <= status <= 501, method
    # nor does a body say another path, another right, or be two things at once
    for body in (b'{"declare": true}', b'{"instance": "notes:bob"}', b'{"id": "notes:bob", "id": "notes:alice"}'):
        answer = api.ask("POST", "/api/instances/notes:alice/suspend", tokens.alice, body)
        assert answer.status == 403
    assert as_it_is(t) == before


def test_a_tenants_token_writes_no_file(t, api, tokens):
    files = as_it_is(t)[1]
    for verb in ("stop", "start", "restart", "hold", "release"):
        answer = api.ask("POST", f"/api/instances/notes:alice/{verb}", tokens.one,
                         json.dumps({"declare": True, "seconds": 5, "timeout": 20}).encode())
        assert answer.status < 500
    assert as_it_is(t)[1] == files
    t.control("DELETE", "/api/overrides")
    t.wait_ok("notes:alice")


def test_a_tenants_token_does_not_lift_what_operators_decide(t, api, tokens):
    """Neither a suspension nor a file, also of a tenant that is declared running."""
    t.write("notes-alice.toml", t.tenant("notes", state="running"))
    wait_until(lambda: t.instance("notes:alice")["declared"] == "running", what="the declaration")
    files = as_it_is(t)[1]
    try:
        for token in (tokens.alice, tokens.one):
            for verb in ("stop", "start"):
                answer = api.ask("POST", f"/api/instances/notes:alice/{verb}", token, b'{"declare": true}')
                assert answer.status == 403, (verb, answer)
        t.ten("suspend", "notes:alice")
        for token in (tokens.alice, tokens.one):
            for verb, status in (("start", 403), ("stop", 200), ("restart", 422), ("hold", 422)):
                answer = api.ask("POST", f"/api/instances/notes:alice/{verb}", token, b'{"seconds": 5, "timeout": 1}')
                assert answer.status == status, (verb, answer)
        assert t.instance("notes:alice")["state"] == "suspended"
        assert as_it_is(t)[1] == files
    finally:
        t.control("DELETE", "/api/overrides")
        t.write("notes-alice.toml", t.tenant("notes"))
        t.wait_ok("notes:alice")


NAMES = [
    "..", "../evil.toml", "..%2fevil.toml", "%2e%2e%2fevil.toml", "..%5cevil.toml", "a%2fb.toml", "/etc/evil.toml", "%2fetc%2fevil.toml",
    ".evil.toml", "evil.toml%00", "evil%00.toml", "evil.txt", ".toml", "evil.toml%0a", "e%0avil.toml", "evil%20x.toml", "evil.toml/",
    "./evil.toml", "%2e%2fevil.toml", "~evil.toml", "$(id).toml", "a" * 250 + ".toml", "a" * 5000 + ".toml", "%ff.toml", "%c0%ae.toml",
    "evil.toml;x", "..tenement.toml", "conf.d", "*.toml", "evil.TOML",
]


def everything(t):
    """The files of it that the API could reach, if it could reach more than conf.d."""
    return sorted(str(path) for path in t.root.rglob("*") if not path.is_relative_to(t.runtime_dir)
                  and not path.is_relative_to(t.data_dir)) + sorted(os.listdir("/etc")) + sorted(os.listdir(t.data_dir))


def test_no_name_leads_out_of_conf_d(t, api, tokens):
    text = b'[tenant]\nservice = "notes"\n'
    before, files = everything(t), as_it_is(t)
    for name in NAMES:
        for method, body in (("PUT", text), ("GET", b""), ("DELETE", b"")):
            head = api.head(method, f"/api/config/{name}?force=1", tokens.admin, f"Content-Length: {len(body)}", "Connection: close")
            came = api.raw(head + body)
            assert 400 <= int(came.split(b" ")[1]) < 500, (method, name, came)
            assert b"listen =" not in came and b"root:" not in came
        for path in ("/api/config/apply", "/api/config/diff", "/api/config/check"):
            for raw in {name, name.replace("%2f", "/").replace("%2e", ".").replace("%00", "\0").replace("%0a", "\n")}:
                asked = {"files": [{"name": raw, "text": text.decode()}], "force": True, "confirm": True}
                answer = api.ask("POST", path, tokens.admin, json.dumps(asked).encode())
                assert answer.status in (400, 422) or answer.json()["problems"] or answer.json()["conflicts"], (raw, answer)
    for name in ("..", "../..", "/", "tokens", "%2e%2e%2f%2e%2e"):
        for method, path in (("DELETE", "/api/tokens/"), ("DELETE", "/api/overrides/"), ("GET", "/api/instances/")):
            came = api.raw(api.head(method, path + name, tokens.admin, "Connection: close"))
            assert 400 <= int(came.split(b" ")[1]) < 500 or path == "/api/overrides/" and name == "/", (path + name, came)
    assert everything(t) == before and as_it_is(t) == files


def test_a_reading_token_is_shown_no_secret(t, api, tokens):
    t.write("notes-bob.toml", t.tenant("notes", env={"PASSWORD": "open-sesame"}))
    t.wait_ok("notes:bob")
    try:
        for method, path in each(("SEE", "SEE_ALL", "METRICS", "TELEMETRY"), "notes:bob"):
            for query in ("", "?secrets=1", "?all=1"):
                if "stream" not in path:
                    answer = api.ask(method, path.replace("notes.toml", "notes-bob.toml") + query, tokens.reader, body_of(method))
                    assert "sesame" not in answer.text, (path, answer)
        # (an admin's sees the file, but no more than its owner is shown)
        assert "sesame" in api.ask("GET", "/api/config/notes-bob.toml", tokens.admin).text
        assert "sesame" not in api.ask("GET", "/api/instances/notes:bob?secrets=1", tokens.admin).text
    finally:
        t.write("notes-bob.toml", t.tenant("notes"))
        t.wait_ok("notes:bob")


def begin_events(api, token):
    connection = api.connect()
    connection.sendall(api.head("GET", "/api/events", token, "Accept: text/event-stream"))
    assert connection.recv(15) == b"HTTP/1.1 200 OK"
    return connection


def test_events_are_of_what_a_token_sees(t, api, tokens):
    with begin_events(api, tokens.one) as connection:
        t.write("notes-bob.toml", "[tenant]\nservice = 'notes'\nmemmory = 5\n")
        wait_until(lambda: t.control("GET", "/api/status").json()["problems"], what="a wrong file of bob's")
        t.write("notes-bob.toml", t.tenant("notes"))
        wait_until(lambda: not t.control("GET", "/api/status").json()["problems"], what="a right one")
        t.ten("restart", "notes:bob", "wiki:alice")
        t.ten("stop", "notes:alice")
        t.ten("start", "notes:alice")
        came = b""
        while b'"to":"ready"' not in came.replace(b" ", b""):
            came += connection.recv(65536)
    assert b"notes:alice" in came
    for others in (b"bob", b"wiki"):
        assert others not in came


def test_tenants_tokens_leave_room(t, api, tokens):
    """However many of them there are."""
    with contextlib.ExitStack() as streams:
        heads = []
        for token in (tokens.one, tokens.alice, tokens.alice_reader, api.token(tenant="bob")):
            for _ in range(20):
                stream = streams.enter_context(api.connect())
                stream.sendall(api.head("GET", "/api/events", token, "Accept: text/event-stream"))
                heads.append(stream.recv(12)[-3:])
        assert heads.count(b"200") == 48 and heads.count(b"429") == 32, heads
        for token in (tokens.admin, tokens.reader):
            with begin_events(api, token):
                assert api.ask("GET", "/api/status", token).status == 200
        assert api.ask("GET", "/api/session").status == 200


def test_a_revoked_token_ends_its_stream(t, api):
    made = t.control("POST", "/api/tokens", {}).json()
    with begin_events(api, made["token"]) as connection:
        assert t.control("DELETE", f"/api/tokens/{made['id']}").status == 200
        t.ten("spawn", "wiki:late")
        t.ten("rm", "wiki:late")
        came = b""
        while piece := connection.recv(65536):
            came += piece
    assert b"wiki:late" not in came


# ---- browsers ----

def test_pages_of_other_origins(t, api, tokens):
    pid = t.instance("wiki:bob")["pid"]
    for headers in ({"Origin": f"http://alice.notes.localhost:{t.port}"}, {"Origin": "null"},
                    {"Origin": "http://localhost"}, {"Origin": f"https://localhost:{t.port}"},
                    {"Origin": f"http://localhost:{t.port}.evil.example"}, {"Origin": f"http://localhost:{t.port + 1}"},
                    {"Origin": f"http://notes.localhost:{t.port}"}, {"Origin": ""}, {"Origin": "http://evil.example"},
                    {"Origin": f"http://localhost:{t.port}, http://evil.example"}, {"Origin": "x" * 2000},
                    {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "cross-site"},
                    {"Sec-Fetch-Site": "same-site", "Origin": f"http://localhost:{t.port}"},
                    {"Sec-Fetch-Site": "cross-site" + " " * 100}, {"Sec-Fetch-Site": "x" * 100},
                    {"Sec-Fetch-Site": "none", "Origin": f"http://alice.notes.localhost:{t.port}"}):
        answer = api.ask("POST", "/api/instances/wiki:bob/restart", tokens.admin, b"{}", headers)
        assert answer.status == 403, (headers, answer)
        assert "Access-Control-Allow-Origin" not in answer.headers
    assert t.instance("wiki:bob")["pid"] == pid
    preflight = api.ask("OPTIONS", "/api/instances/wiki:bob/restart", headers={
        "Origin": f"http://alice.notes.localhost:{t.port}", "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization"})
    assert preflight.status in (401, 403, 405) and "Access-Control-Allow-Origin" not in preflight.headers
    # the last of several is no way around the first, nor the first around the last
    for first, last in (("http://evil.example", f"http://localhost:{t.port}"),
                        (f"http://localhost:{t.port}", "http://evil.example")):
        head = api.head("POST", "/api/instances/wiki:bob/restart", tokens.admin, f"Origin: {first}", f"Origin: {last}",
                        "Content-Length: 0", "Connection: close")
        assert api.statuses(head)[0] in (400, 403), (first, last)
    assert t.instance("wiki:bob")["pid"] == pid
    for headers in ({"Origin": f"http://localhost:{t.port}", "Sec-Fetch-Site": "same-origin"},
                    {"Origin": f"http://LOCALHOST:{t.port}"}, {"Sec-Fetch-Site": "none"}):
        answer = api.ask("POST", "/api/instances/wiki:bob/release", tokens.admin, b"{}", headers)
        assert answer.status not in (401, 403), (headers, answer)


def begin_session(api, token, **headers):
    answer = api.ask("POST", "/api/session", None, json.dumps({"token": token}).encode(),
                     {"Content-Type": "application/json", **headers})
    return answer, (answer.headers["Set-Cookie"] or "").partition(";")[0]


def test_sessions_are_for_our_own_pages(t, api, tokens):
    answer, cookie = begin_session(api, tokens.one)
    _, other = begin_session(api, tokens.admin)
    assert answer.status == 200 and "Domain" not in answer.headers["Set-Cookie"] and tokens.one not in answer.headers["Set-Cookie"]
    # neither a tenant's page, nor another's, begins one or uses one
    for headers in ({"Origin": f"http://alice.notes.localhost:{t.port}"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "null"}):
        assert begin_session(api, tokens.admin, **headers)[0].status == 403
        for method, path in (("GET", "/api/instances"), ("POST", "/api/instances/notes:alice/restart"), ("DELETE", "/api/session")):
            assert api.ask(method, path, None, body_of(method), {"Cookie": cookie, **headers}).status == 403
    # it has its token's rights, and is no token itself
    own = {"Cookie": cookie}
    assert [one["id"] for one in api.ask("GET", "/api/instances?all=1", headers=own).json()] == ["notes:alice"]
    assert api.ask("GET", "/api/status", headers=own).status == 403
    assert api.ask("GET", "/api/instances/notes:bob", headers=own).status == 404
    name, _, value = cookie.partition("=")
    assert api.ask("GET", "/api/instances", value).status == 401
    # what a tenant's page has set beside it takes no other's place, and none of it is a session by looking like one
    for tossed in (f"{name}=x; {cookie}", f"{name}=; {cookie}", f"{name}={'0' * 64}; {cookie}", f"{name}; ;;=;{cookie}"):
        assert api.ask("GET", "/api/instances/notes:alice", headers={"Cookie": tossed}).status == 200, tossed
    for forged in (f"{name}=", f"{name}={'0' * 64}", f"{name}={value[:-1]}", f"{name}={value}0", f"{name}=\"{value}\"", f"x{cookie}",
                   f"{name.upper()}={value}", f"{name}={tokens.admin}", f"{name}={value.upper()}" if value.upper() != value else "x",
                   "; ".join(f"{name}={i:064x}" for i in range(50))):
        assert api.ask("GET", "/api/instances/notes:alice", headers={"Cookie": forged}).status == 401, forged
    # a token that is shown goes before it; two cookies are no way to be two
    assert api.ask("GET", "/api/status", "wrong", headers={"Cookie": other}).status == 401
    twice = api.head("GET", "/api/status", None, f"Cookie: {other}", f"Cookie: {cookie}", "Connection: close")
    assert api.statuses(twice) == [400]
    assert api.ask("DELETE", "/api/session", headers={"Cookie": other}).status == 403
    assert api.ask("DELETE", "/api/session", headers={"Cookie": other, "Origin": f"http://localhost:{t.port}"}).status < 300
    assert api.ask("GET", "/api/status", headers={"Cookie": other}).status == 401


def test_guesses_at_sessions_count(t, tokens):
    guesser = Api(t)
    statuses = [begin_session(guesser, f"ten_{secrets.token_hex(32)}")[0].status for _ in range(11)]
    assert statuses == [401] * 10 + [429]
    assert begin_session(guesser, tokens.admin)[0].status == 429
    assert begin_session(Api(t), tokens.one)[0].status == 200


def test_the_api_is_not_on_a_tenants_host(t, api, tokens):
    """What is asked there goes to the tenant, whatever its path."""
    for path in ("/api/status", "/metrics", "/dashboard", "/api/instances", "/api/session"):
        answer = t.get("notes:alice", path, headers={"Authorization": f"Bearer {tokens.one}"})
        assert answer.status == 200 and "WWW-Authenticate" not in answer.headers
        assert "notes:alice" not in answer.text and "generation" not in answer.text
        own = Api(t, host=t.host("notes:alice").upper())
        assert own.ask("GET", path, tokens.admin).status == 200
    for host in ("evil.example", f"evil.example:{t.port}", f"localhost.evil.example:{t.port}", "xlocalhost", "#api",
                 f"#api:{t.port}", "nobody.notes.localhost", "nobody.localhost"):
        answer = Api(t, host=host).ask("GET", "/api/status", tokens.admin)
        assert answer.status in (400, 404) and "generation" not in answer.text, (host, answer)


def test_which_host_is_meant(t, api, tokens):
    status = f"http://localhost:{t.port}/api/status"
    asked = api.raw(api.head("GET", status, tokens.admin, f"Host: {t.host('notes:alice')}", "Connection: close", host=False))
    assert asked.startswith(b"HTTP/1.1 200 ") and b'"generation"' in asked or asked.startswith(b"HTTP/1.1 400 ")
    asked = api.raw(api.head("GET", f"http://{t.host('notes:alice')}/api/status", tokens.admin, "Connection: close"))
    assert b'"generation"' not in asked
    for lines in (("Host: localhost", f"Host: {t.host('notes:alice')}"), (f"Host: {t.host('notes:alice')}", "Host: localhost"),
                  ("Host: localhost, evil.example",), ("Host: localhost\x00",), ("Host: me@localhost",), ("Host: local host",)):
        asked = api.raw(api.head("GET", "/api/status", tokens.admin, *lines, "Connection: close", host=False))
        assert asked.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 404 ")), (lines, asked)
    # who says no name, or an address, means the root domain
    for host in (f"127.0.0.1:{t.port}", f"LOCALHOST:{t.port}", f"localhost.:{t.port}"):
        assert Api(t, host=host).ask("GET", "/api/status", tokens.admin).status == 200, host
    assert api.statuses(api.head("GET", "/api/status", tokens.admin, version="1.0", host=False)) == [200]
    assert api.statuses(api.head("GET", "/api/status", version="1.0", host=False)) == [401]
    # a rebound name is not one of an origin's either
    answer = Api(t, host=f"127.0.0.1:{t.port}").ask("POST", "/api/pause", tokens.admin, b"{}", {"Origin": "http://evil.example"})
    assert answer.status == 403


# ---- guessing ----

def test_an_address_that_guesses_is_refused_alone(t, tokens):
    guesser, other = Api(t), Api(t)
    for i in range(10):
        wrong = f"ten_{secrets.token_hex(32)}"
        forged = {"X-Forwarded-For": f"127.9.9.{i}", "X-Real-IP": f"127.9.9.{i}", "Forwarded": f"for=127.9.9.{i}"}
        assert guesser.ask("GET", "/api/status", wrong, headers=forged).status == 401
    for token in (f"ten_{secrets.token_hex(32)}", tokens.admin):
        answer = guesser.ask("GET", "/api/status", token, headers={"X-Forwarded-For": "127.8.8.8"})
        assert answer.status == 429 and 1 <= int(answer.headers["Retry-After"]) <= 60, answer
        assert answer.json()["error"]
    assert guesser.ask("GET", "/health").status == 200
    assert other.ask("GET", "/api/status", tokens.admin).status == 200
    # and nobody can have another refused
    victim = Api(t)
    for _ in range(12):
        other.ask("GET", "/api/status", "wrong", headers={"X-Forwarded-For": victim.address, "X-Real-IP": victim.address})
    assert victim.ask("GET", "/api/status", tokens.admin).status == 200


@pytest.mark.parametrize("value, statuses", [
    (b"", {401, 400}), (b"Bearer", {401}), (b"Bearer ", {401}), (b"Basic dXNlcjpwYXNz", {401}), (b"Bearer \xff\xfe\x80", {401, 400}),
    (b"Bearer " + b"A" * 8000, {401, 431}), (b"Bearer " + b"A" * 20000, {431}), (b"Bearer a\x00b", {400}), (b"Bearer a\rb", {400}),
    (b"Bearer\tTOKEN", {401, 200}), (b"bEARER   TOKEN", {200}), (b"Bearer TOKEN ", {200}), (b"BearerTOKEN", {401}),
    (b"Bearer TOKEN, Bearer x", {401}), (b"Bearer x, Bearer TOKEN", {401}), (b"TOKEN", {401}), (b"Bearer \"TOKEN\"", {401}),
    (b"Bearer TOKEN\r\nAuthorization: Bearer x", {400, 401}), (b"Bearer x\r\nAuthorization: Bearer TOKEN", {400, 401}),
    (b"Bearer\r\n TOKEN", {400}),
])
def test_strange_authorizations(api, tokens, value, statuses):
    line = b"Authorization: " + value.replace(b"TOKEN", tokens.admin.encode())
    came = api.statuses(api.head("GET", "/api/status", None, line, "Connection: close"))
    assert len(came) == 1 and came[0] in statuses, came


# ---- too much, too slow, too odd ----

def test_large_and_slow_bodies(t, api, tokens):
    head = ("Content-Type: application/json", "Connection: close")
    # more than is taken from anybody, and more than from a stranger: answered before it comes
    for token, length, status in ((tokens.admin, 9 << 20, 413), (None, 9 << 20, None), (None, 5000, 401), ("wrong", 5000, 401),
                                  (tokens.alice, 1 << 20, 413)):
        came = api.statuses(api.head("POST", "/api/config/check", token, f"Content-Length: {length}", *head) + b"x" * 1000)
        assert came and came[0] in ({status} if status else {401, 413}), (length, came)
    # all that is taken
    text = "#" * 60000
    body = json.dumps({"files": [{"name": f"notes-x{i}.toml", "text": text} for i in range(100)]}).encode()
    assert api.ask("POST", "/api/config/check", tokens.admin, body).status == 200
    chunked = api.head("POST", "/api/config/check", tokens.admin, "Transfer-Encoding: chunked", *head) + b"2\r\n{}\r\n0\r\n\r\n"
    assert api.statuses(chunked)[0] in (200, 411)
    assert api.statuses(api.head("POST", "/api/pause", tokens.admin, "Transfer-Encoding: chunked", "Content-Length: 4",
                                 *head) + b"0\r\n\r\n")[0] == 400
    assert api.statuses(api.head("POST", "/api/pause", tokens.admin, "Content-Length: -1", *head))[0] == 400
    assert not as_it_is(t)[3]
    for body in (b"[", b"[]", b'"x"', b"{" * 5000, b"[" * 100000, b'{"a":1,"a":2}', b"\xff", b'{"files": 5}', b"null", b"1e999"):
        answer = api.ask("POST", "/api/config/check", tokens.admin, body)
        assert answer.status in (200, 400, 422), (body[:20], answer)


@pytest.mark.parametrize("who", ["strangers", "a tenant's token", "a tenant's streams"])
def test_who_waits_keeps_nobody_out(t, tokens, who):
    """More than the API takes at once begin a request, and do not go on."""
    token = None if who == "strangers" else tokens.one
    waiting = []
    try:
        for _ in range(20):
            api = Api(t)
            for _ in range(10):
                connection = api.connect()
                connection.sendall(api.head("GET", "/api/events", token, "Accept: text/event-stream") if "streams" in who else
                                   api.head("POST", "/api/pause", token, "Content-Length: 100") + b"{")
                waiting.append(connection)
        for one in waiting[-2:]:
            one.settimeout(20)
            assert one.recv(1000).startswith((b"HTTP/1.1 429 ", b"HTTP/1.1 503 "))
        # (what came at once has to be refused first)
        wait_until(lambda: Api(t).ask("GET", "/api/status", tokens.admin).status == 200, what="a place")
        for _ in range(20):
            assert Api(t).ask("GET", "/api/status", tokens.admin).status == 200
        # (at its own socket, too)
        assert t.control("GET", "/api/status").status == 200
    finally:
        for connection in waiting:
            connection.close()


def test_requests_on_one_connection_are_each_their_own(api, tokens):
    keep = api.head("GET", "/api/status", tokens.admin)
    bare = api.head("GET", "/api/status")
    last = api.head("GET", "/api/status", None, "Connection: close")
    assert api.statuses(keep + bare + keep + last) == [200, 401, 200, 401]
    post = api.head("POST", "/api/config/diff", tokens.admin, "Content-Length: 2") + b"{}"
    assert api.statuses(post + last) == [200, 401]
    # what is left of a body that was refused is not another request
    inner = api.head("POST", "/api/pause", tokens.admin, "Content-Length: 0")
    came = api.statuses(api.head("POST", "/api/config/check", None, f"Content-Length: {len(inner)}") + inner + last)
    assert came[0] == 401 and 200 not in came
    # upstream connections are shared: the next request on one is still nobody's
    def both(i):
        one = Api(api.t)
        return [one.ask("GET", "/api/status", tokens.admin if (i + n) % 2 else None).status for n in range(20)]
    for i, statuses in enumerate(in_threads(4, both)):
        assert statuses == [200 if (i + n) % 2 else 401 for n in range(20)]


def test_noise(t, api, tokens):
    noise = random.Random(1)
    for i in range(100):
        head = bytearray(api.head("POST", "/api/config/check", tokens.reader, "Content-Length: 10") + b'{"a": [1]}')
        for _ in range(noise.randrange(1, 20)):
            head[noise.randrange(len(head))] = noise.randrange(256)
        for status in api.statuses(bytes(head), end=True):
            assert status < 500 or status == 501 or status == 505, bytes(head)
    assert api.t.control("GET", "/api/status").status == 200
    assert as_it_is(t)[3] is False


# ---- where it is asked from ----

@needs_root
def test_from_elsewhere_than_this_machine(tenement):
    run("ip", "address", "replace", "192.0.2.9/32", "dev", "lo")
    try:
        t = tenement(start=False)
        t.settings["listen"] = [f"127.0.0.1:{t.port}", f"192.0.2.9:{t.port}"]
        t.start()
        token = Api(t).token()
        for host in (f"localhost:{t.port}", f"127.0.0.1:{t.port}", f"192.0.2.9:{t.port}"):
            for path in ("/api/status", "/metrics", "/dashboard", "/api/session"):
                for forged in ("X-Forwarded-For: 127.0.0.1", "X-Real-IP: 127.0.0.1", "Forwarded: for=127.0.0.1;proto=https",
                               "X-Forwarded-Proto: https"):
                    with socket.create_connection(("192.0.2.9", t.port), 10, ("192.0.2.9", 0)) as connection:
                        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
                                           f"{forged}\r\nConnection: close\r\n\r\n".encode())
                        came = connection.recv(65536)
                    assert came.startswith(b"HTTP/1.1 403 "), (host, path, forged, came)
        assert Api(t).ask("GET", "/api/status", token).status == 200
        # by that address from here, it is here
    finally:
        run("ip", "address", "del", "192.0.2.9/32", "dev", "lo")


CONNECT = """
import socket, sys
for path in sys.argv[1:]:
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(path)
            s.sendall(b"GET /api/status HTTP/1.1\\r\\nHost: localhost\\r\\nX-Real-IP: 127.0.0.1\\r\\nConnection: close\\r\\n\\r\\n")
            print(s.recv(100).split()[1].decode())
    except OSError as error:
        print(type(error).__name__)
"""


@needs_root
def test_tenants_and_strangers_at_the_sockets(t):
    sockets = [str(t.runtime_dir / "control.sock"), str(t.runtime_dir / "api" / "api.sock")]

    def tried(uid, gid):
        done = subprocess.run([sys.executable, "-c", CONNECT, *sockets], user=uid, group=gid, extra_groups=[], cwd="/",
                              env={}, capture_output=True, text=True, check=True)
        return done.stdout.split()
    uid = t.instance("notes:alice")["uid"]
    assert uid and tried(uid, uid) == ["PermissionError"] * 2
    assert tried(65534, 65534) == ["PermissionError"] * 2
    # a proxy worker that was taken over: a stranger like all others
    proxy = os.stat(f"/proc/{t.pid_of('tenement-proxy')}")
    assert tried(proxy.st_uid, proxy.st_gid) == ["PermissionError", "401"]
    # root shows a token there, like everybody
    assert tried(0, 0) == ["200", "401"]
    # the folder says no names of others'
    assert subprocess.run(["ls", t.runtime_dir / "api"], user=uid, group=uid, extra_groups=[], capture_output=True,
                          check=False).returncode != 0


def test_who_asks_while_there_is_no_daemon(t, api, tokens):
    kill(t.pid_of("tenementd"))
    assert api.ask("GET", "/api/status", tokens.admin).status == 200
    assert api.ask("GET", "/api/status").status == 401
