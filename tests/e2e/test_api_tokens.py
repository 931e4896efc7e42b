"""Tokens: who may do what by the API at the root domain, and what is written down of it."""

import contextlib
import http.client
import json
import os
import re
import signal
import stat
import subprocess
import sys
import time

import pytest

from harness import SOURCE, wait_until


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
            ("POST", "/api/config/diff", {"files": []}, "admin reader"),
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
                 {"readonly": True}, {"tenant": None}, {"instance": None}, {"read_only": "yes"}, {"expires": 1}, {"expires": "90d"},
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

    # who looks into a tenant is written down, though it changes nothing
    t.ten("exec", "app:bob", "--", "true")
    t.ten("status", "app:bob", "--secrets")
    t.ten("status", "app:bob")
    assert [entry["path"] for entry in t.ten_json("audit", "-n", "3")][1:] == \
        ["/api/instances/app:bob/exec", "/api/instances/app:bob"]

    # the list says all but the tokens themselves
    listed = ask(t, "GET", "/api/tokens", admin["token"]).json()
    assert [item["id"] for item in listed][:1] != [alice["id"]]
    by_id = {item["id"]: item for item in listed}
    assert by_id[admin["id"]]["last_used"] >= by_id[admin["id"]]["created"]
    assert (by_id[notes["id"]]["scope"], by_id[notes["id"]]["of"]) == ("instance", "app:alice")
    assert by_id[admin["id"]]["by"] == f"uid {os.getuid()}"
    assert admin["token"] not in json.dumps(listed)


ROW = re.compile(r"\{ HTTP_METHOD_(\w+),\s*\"([^\"]+)\",\s*RIGHT_(\w+),\s*\w+,\s*BODY_(\w+) \}")
READERS, STEERERS, EVERYTHING = {"SEE", "TELEMETRY", "SEE_ALL", "METRICS"}, {"STEER", "ADMIN"}, \
    {"SEE_ALL", "METRICS", "ADMIN"}


def expected(right, read_only, scoped, sees):
    """The answer to one who may do so much, about an instance that they do or do not see (None: about none)."""
    if right == "LOCAL" or (read_only and right in STEERERS) or (scoped and right in EVERYTHING):
        return 403
    return 404 if sees is False else 400


def test_every_right(tenement):
    """Whatever the API answers, asked by everybody: with a body that ends it where the rights were looked at."""
    rows = ROW.findall((SOURCE / "tenement" / "daemon" / "endpoints.c").read_text())
    assert len(rows) >= 40 and {right for _, _, right, _ in rows} <= READERS | STEERERS | {"OPEN", "LOCAL"}
    t = tenement(start=False)
    t.write("app.toml", t.service("app"))
    for name in ("alice", "bob"):
        t.write(f"app-{name}.toml", t.tenant("app", id=name))
    t.start()
    wait_until(lambda: len(t.instances()) == 2)
    asking = [(make(t, **what)["token"], "read_only" in what, scoped, sees_alice) for what, scoped, sees_alice in (
        ({}, False, True), ({"read_only": True}, False, True),
        ({"tenant": "alice"}, True, True), ({"tenant": "alice", "read_only": True}, True, True),
        ({"tenant": "bob"}, True, False), ({"instance": "app:bob"}, True, False),
        ({"instance": "app:alice"}, True, True), ({"instance": "app:alice", "read_only": True}, True, True))]
    for method, pattern, right, body in rows:
        if right == "OPEN":
            continue
        path = re.sub(r"\{.*?\}", "x", pattern.replace("{instance}", "app:alice"))
        assert t.request(t.domain, path, method, body=b"[1]").status == (403 if right == "LOCAL" else 401), (method, path)
        for token, read_only, scoped, sees_alice in asking:
            got = t.request(t.domain, path, method, body=b"[1]" if body == "JSON" else b"\xff",
                            headers={"Authorization": f"Bearer {token}"})
            wanted = expected(right, read_only, scoped, sees_alice if "{instance}" in pattern else None)
            assert got.status == wanted or (body != "JSON" and wanted == 400 and got.status not in (401, 403)), \
                (method, path, read_only, scoped, sees_alice, got)
        assert t.control(method, path, [1]).status in (400, 422), (method, path)


def test_before_the_first_start(tenement):
    """ten works on the files where no daemon runs, and the daemon goes by them."""
    t = tenement(start=False)
    t.write_main()
    t.declare(["app:alice"])
    made = t.ten("token-gen")
    token = made.stdout.strip()
    assert token.startswith("ten_") and "not shown again" in made.stderr
    own = t.data_dir / ".tenement"
    assert (t.data_dir / "api_token").read_text() == token + "\n"
    alice = t.ten_json("token-gen", "--tenant", "alice", "--expires", "90d", "--description", "für Alice")
    assert alice["expires"] - alice["created"] == pytest.approx(90 * 86400, abs=5)
    assert alice["saved"] is None and (t.data_dir / "api_token").read_text() == token + "\n"
    gone = t.ten_json("token-gen", "--read-only")
    assert t.ten("token-revoke", gone["id"], "00000000", status=1).stdout == f"{gone['id']} revoked\n"
    again = t.ten("token-gen")
    assert "the token that was there stays good" in again.stderr
    assert (t.data_dir / "api_token").read_text() == again.stdout
    listed = t.ten_json("tokens")
    assert len(listed) == 3 and [item["last_used"] for item in listed] == [None] * 3
    assert [entry["path"] for entry in t.ten_json("audit")] == \
        ["/api/tokens"] * 3 + [f"/api/tokens/{gone['id']}", "/api/tokens"]
    for path, mode in ((t.data_dir, 0o711), (own, 0o711), (own / "tokens", 0o700), (own / "audit", 0o700),
                       (t.data_dir / "api_token", 0o600), (own / "tokens" / alice["id"], 0o600),
                       (own / "audit" / "done-0000000001.jsonl", 0o600)):
        assert stat.S_IMODE(path.stat().st_mode) == mode, path
    for path in own.rglob("*"):
        assert not path.is_file() or token[4:] not in path.read_text(errors="replace"), path

    t.start()
    assert ask(t, "GET", "/api/status", token).status == 200
    assert ask(t, "GET", "/api/instances", alice["token"]).status == 200
    assert ask(t, "GET", "/api/status", gone["token"]).status == 401
    # the saved one is found, and goes with its token
    t.ten("ps", "--server", f"http://127.0.0.1:{t.port}")
    assert len(t.ten_json("tokens")) == 3
    assert len(t.ten_json("audit")) == 6  # (and the refused one)
    ids = [item["id"] for item in t.ten_json("tokens") if item["scope"] == "all"]
    for one in ids:
        assert (t.data_dir / "api_token").read_text() == again.stdout
        if "it was the saved one" in t.ten("token-revoke", one).stderr:
            break
    assert not (t.data_dir / "api_token").exists()
    assert ask(t, "GET", "/api/status", again.stdout.strip()).status == 401
    t.write("x.toml", t.service("api_token"))
    assert "kept for tenement's own use" in t.ten("check", status=1).stderr


def test_what_is_beside_the_daemon(tenement):
    """Files that come, go, are torn, hostile or expired; and the death of the daemon."""
    t = tenement()
    folder = t.data_dir / ".tenement" / "tokens"
    admin = make(t)
    assert ask(t, "GET", "/api/status", admin["token"]).status == 200

    # it ends as it is removed, and is back as it is back
    text = (folder / admin["id"]).read_text()
    (folder / admin["id"]).rename(folder.parent / "aside")
    assert ask(t, "GET", "/api/status", admin["token"]).status == 401
    (folder.parent / "aside").rename(folder / admin["id"])
    assert ask(t, "GET", "/api/status", admin["token"]).status == 200

    def put(name, content, mode=0o600):
        path = folder / f".{name}"
        path.write_text(content)
        path.chmod(mode)
        path.rename(folder / name)

    def refused(why=401):
        return ask(t, "GET", "/api/status", admin["token"]).status == why

    # what is not whole, another's, or open to others grants nothing; others go on counting
    other = make(t, read_only=True)
    for content, mode in ((text[:-1], 0o600), (text, 0o644), (text.replace("expires 0", "expires 1"), 0o600),
                          (text.replace("scope all", "scope tenant app"), 0o600), ("x" * 100000, 0o600)):
        put(admin["id"], content, mode)
        assert refused(403 if "scope tenant" in content else 401), content[:200]
        assert ask(t, "GET", "/api/status", other["token"]).status == 200
    (folder / admin["id"]).unlink()
    os.mkfifo(folder / admin["id"], 0o600)
    assert refused()
    (folder / admin["id"]).unlink()
    (folder / admin["id"]).symlink_to(folder.parent / "aside")
    (folder.parent / "aside").write_text(text)
    assert refused()
    (folder / admin["id"]).unlink()
    assert "a token is passed over" in t.said()

    # a token that has expired says so
    put(admin["id"], text.replace("expires 0", f"expires {int(time.time()) - 1}"))
    answer = ask(t, "GET", "/api/status", admin["token"])
    assert answer.status == 401 and "expired" in answer.json()["error"]
    put(admin["id"], text)
    assert ask(t, "GET", "/api/status", admin["token"]).status == 200

    # a folder that is others', too, counts for nothing
    folder.chmod(0o777)
    assert refused()
    folder.chmod(0o700)
    assert not refused()

    # who follows is cut off when its token is revoked
    with contextlib.closing(t.connection()) as connection:
        connection.request("GET", "/api/events?stream=1", headers={
            "Host": t.domain, "Authorization": f"Bearer {other['token']}"})
        answer = connection.getresponse()
        assert answer.status == 200
        t.ten("token-revoke", other["id"])
        t.control("POST", "/api/pause", {"why": "secret"})
        with contextlib.suppress(http.client.IncompleteRead):
            assert b"secret" not in answer.read()
    t.ten("unpause")

    # the daemon is killed as it makes them: each that was answered counts, and none is half there
    daemon = t.pid_of("tenementd")
    made = []
    for number in range(20):
        if number == 10:
            os.kill(daemon, signal.SIGKILL)
        try:
            made.append(make(t, description=str(number)))
        except (OSError, AssertionError):
            wait_until(lambda: t.control("GET", "/health").status == 200)
    assert len(made) >= 15
    wait_until(lambda: t.control("GET", "/health").status == 200)
    for token in made:
        assert ask(t, "GET", "/api/status", token["token"]).status == 200
    listed = t.ten_json("tokens")
    assert {item["id"] for item in listed} >= {token["id"] for token in made}
    used = {item["id"]: item["last_used"] for item in listed}
    assert all(abs(used[token["id"]] - time.time()) < 60 for token in made)


GUESS = """
import os, socket, sys
os.setgid(int(sys.argv[1])), os.setuid(int(sys.argv[1]))
for number in range(24):
    with socket.create_connection(("127.0.0.1", int(sys.argv[2]))) as guess:
        guess.sendall(b"GET /api/status HTTP/1.1\\r\\nHost: localhost\\r\\nX-Forwarded-Ends: 127.0.0.1 1 127.0.0.1 2"
                      b"\\r\\nConnection: close\\r\\nAuthorization: Bearer ten_%064d\\r\\n\\r\\n" % number)
        if number < 12:
            print(guess.recv(12).decode()[9:])
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="tenants have uids of their own only where the daemon is root")
def test_a_tenant_guesses(tenement):
    """One of this machine's own tenants is refused, and nobody else who asks by way of loopback."""
    t = tenement()
    t.declare(["app:alice"], network="host")
    t.wait_ok("app:alice")
    token = make(t)["token"]
    uid = (t.data_dir / "app" / "alice").stat().st_uid
    assert uid != 0
    done = subprocess.run([sys.executable, "-c", GUESS, str(uid), str(t.port)], capture_output=True, text=True,
                          check=True)
    assert done.stdout.split() == ["401"] * 10 + ["429"] * 2
    assert f"127.0.0.1, uid {uid} has brought 10 wrong tokens" in t.said()
    assert ask(t, "GET", "/api/status", token).status == 200
    assert ask(t, "GET", "/api/status", "ten_" + "1" * 64).status == 401


def test_guesses_and_audit(tenement):
    """Ten wrong tokens in a minute: 429 for that address alone; and all of it is written down."""
    t = tenement(settings={"trusted_proxies": ["127.0.0.1"]})
    token = make(t)["token"]
    wrong = "ten_" + "0" * 64

    def from_address(address):
        return {"X-Forwarded-For": address, "X-Forwarded-Proto": "https"}

    def status(address, brought):
        return ask(t, "GET", "/api/status", brought, headers=from_address(address)).status

    assert [status("192.0.2.1", wrong) for _ in range(12)] == [401] * 10 + [429] * 2
    answer = ask(t, "GET", "/api/status", token, headers=from_address("192.0.2.1"))
    assert answer.status == 429 and 1 <= int(answer.headers["Retry-After"]) <= 60
    assert status("192.0.2.2", token) == 200
    assert status("2001:db8:1:2::1", token) == 200
    assert ask(t, "GET", "/health", headers=from_address("192.0.2.1")).status == 200
    assert status("192.0.2.2", "Ten_x") == 401
    for _ in range(10):
        status("2001:db8:1:2::1", wrong)
    assert status("2001:db8:1:2:3::4", token) == 429
    assert status("2001:db8:1:3::1", token) == 200

    # (the rest of a flood of refusals is one line with a number)
    for _ in range(50):
        status("192.0.2.1", wrong)
    assert ask(t, "POST", "/api/pause", token, {"why": token},
               headers=from_address("192.0.2.3")).status == 200
    t.control("POST", "/api/unpause", {})
    assert ask(t, "POST", f"/api/{token}", token).status == 404
    lines = t.control("GET", "/api/audit?limit=1000").json()
    done = [(line["by"], line["address"], line["method"], line["path"], line["status"])
            for line in lines if line["status"] < 400]
    name = next(line["by"] for line in lines if line["path"] == "/api/pause")
    local = f"uid {os.getuid()}"
    assert done == [(local, "local", "POST", "/api/tokens", 201), (name, "192.0.2.3", "POST", "/api/pause", 200),
                    (local, "local", "POST", "/api/unpause", 200)]
    assert name == f"token {t.ten_json('tokens')[0]['id']}"
    refused = [line for line in lines if line["status"] in (401, 403, 429)]
    assert len(refused) == 30 and refused[0]["address"] == "192.0.2.1"
    assert lines[-1]["path"] == "/api/ten_***"
    assert token[4:] not in json.dumps(lines)
    since = next(line["timestamp"] for line in lines if line["path"] == "/api/pause")
    later = t.control("GET", f"/api/audit?since={since}").json()
    assert [line["path"] for line in later] == ["/api/pause", "/api/unpause", "/api/ten_***"]
    assert len(t.ten_json("audit", "-n", "2")) == 2
    assert f"POST   /api/pause  by {name}, 192.0.2.3" in t.ten("audit").stdout
    for query in ("limit=0", "limit=x", "limit=10001", "since=-1", "since=1h"):
        answer = t.control("GET", f"/api/audit?{query}")
        assert answer.status == 422 and answer.json()["where"] == {"parameter": query.split("=")[0]}

    # no room: what is asked is done, and the loss is told
    audit = t.data_dir / ".tenement" / "audit"
    audit.rename(audit.with_name("aside"))
    audit.write_text("")
    assert t.control("POST", "/api/pause", {}).status == 200
    (t.data_dir / ".tenement" / "aside" / "done-0000000001.jsonl").unlink()
    assert t.control("POST", "/api/pause", {}).status == 200
    assert "the audit log cannot be written" in t.said()
    assert "audit log cannot be written, and lacks 1 lines" in json.dumps(t.ten_json("status")["warnings"])
    assert "\ntenement_audit_lost_total 1\n" in t.ten("metrics").stdout
    audit.unlink()
    assert t.control("POST", "/api/unpause", {}).status == 200
    lines = t.control("GET", "/api/audit").json()
    assert [line.get("lost") or line["path"] for line in lines] == [1, "/api/unpause"]

    # at the end the rest of the flood is one line
    folded = audit.with_name("aside")
    t.stop()
    count = [json.loads(line) for path in (*audit.glob("refused-*"), *folded.glob("refused-*"))
             for line in path.read_text().splitlines() if '"count"' in line]
    assert len(count) == 1 and count[0]["count"] > 40 and count[0]["status"] == 429
