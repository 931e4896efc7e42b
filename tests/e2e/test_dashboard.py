"""The dashboard, in a real browser: see tests/browser."""

import contextlib
import json
import os
import re
import select
import shutil
import socket
import subprocess

import pytest

from harness import SLOWNESS, SOURCE, wait_until

BROWSER = SOURCE / "tests" / "browser"
CHROMIUM = shutil.which(os.environ.get("CHROMIUM", "chromium"))
SECONDS = 60


def lacking():
    if SLOWNESS > 1:
        return "a browser adds nothing in a build with sanitizers"
    if not CHROMIUM or not shutil.which("node"):
        return "there is no chromium, or no node: scripts/setup test"
    if not (BROWSER / "node_modules" / "playwright-core").is_dir():
        return "playwright-core is not there: npm ci in tests/browser"
    return None


needs_browser = pytest.mark.skipif(lacking() is not None, reason=str(lacking()))


class Browser:
    def __init__(self, folder):
        self.errors = open(folder / "browser.log", "w+", encoding="utf-8")
        self.node = subprocess.Popen(["node", "dashboard.mjs"], cwd=BROWSER, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     stderr=self.errors, text=True, bufsize=1, env={**os.environ, "CHROMIUM": CHROMIUM})

    def __call__(self, step, **asked):
        self.node.stdin.write(json.dumps({"step": step, **asked}) + "\n")
        self.node.stdin.flush()
        assert select.select([self.node.stdout], [], [], SECONDS)[0], f"{step}: no word from the browser"
        answer = json.loads(self.node.stdout.readline() or '{"failed": "node has ended"}')
        self.errors.seek(0)
        assert "failed" not in answer, f"{answer['failed']}\n{answer.get('shown')}\n{self.errors.read()}"
        return answer

    def close(self):
        self.node.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.node.wait(10)
        self.node.kill()
        self.node.wait()
        self.node.stdout.close()
        self.errors.close()


@pytest.fixture
def browser(tmp_path):
    one = Browser(tmp_path)
    yield one
    one.close()


def make_token(t, **wish):
    return t.control("POST", "/api/tokens", {"description": "of a test", **wish}).json()["token"]


def ask(t, method, path, body=None, **headers):
    return t.request(f"localhost:{t.port}", path, method, None if body is None else json.dumps(body),
                     {"Content-Type": "application/json", **headers})


def cookie_of(answer):
    return answer.headers["Set-Cookie"].partition(";")[0]


def open_events(t, cookie):
    stream = socket.create_connection(("127.0.0.1", t.port), 30)
    stream.sendall(f"GET /api/events HTTP/1.1\r\nHost: localhost:{t.port}\r\nCookie: {cookie}\r\n"
                   "Accept: text/event-stream\r\n\r\n".encode())
    assert stream.recv(15) == b"HTTP/1.1 200 OK"
    return stream


def test_sessions(tenement):
    """What needs no browser: the files and their headers, sessions, and how those end."""
    t = tenement()
    t.write("app.toml", t.service("app"))
    t.write("app-a.toml", t.tenant("app"))
    answer = ask(t, "GET", "/")
    assert (answer.status, answer.headers["Location"]) == (303, "/dashboard/")

    page = ask(t, "GET", "/dashboard/")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert page.headers["X-Content-Type-Options"] == "nosniff" and page.headers["Referrer-Policy"] == "no-referrer"
    assert not re.search(r"<script(?![^>]*src=)|\sstyle=|\son\w+=|//[a-z]+\.", page.text.split("<noscript")[0])
    for name in set(re.findall(r'(?:href|src)="([\w.]+)"', page.text)):
        assert ask(t, "GET", f"/dashboard/{name}").status == 200, name
    script = ask(t, "GET", "/dashboard/app.js")
    assert script.headers["Content-Type"].startswith("text/javascript")
    packed = ask(t, "GET", "/dashboard/app.js", **{"Accept-Encoding": "gzip, br"})
    assert packed.headers["Content-Encoding"] == "gzip" and len(packed.body) < len(script.body) / 2
    assert ask(t, "GET", "/dashboard/app.js", **{"If-None-Match": script.headers["ETag"]}).status == 304
    assert ask(t, "GET", "/dashboard/nothing.js").status == 404
    # a link from elsewhere leads to the page, and to nothing that says anything
    assert ask(t, "GET", "/dashboard/", **{"Sec-Fetch-Site": "cross-site"}).status == 200
    assert ask(t, "GET", "/api/session", **{"Sec-Fetch-Site": "cross-site"}).status == 403

    token = make_token(t)
    assert ask(t, "GET", "/api/session").json()["scope"] == "none"
    signed = ask(t, "POST", "/api/session", {"token": token})
    assert signed.status == 200 and signed.json()["scope"] == "all", signed
    assert re.search(r"^tenement_session=[0-9a-f]{64}; Path=/; Max-Age=\d+; HttpOnly; SameSite=Strict$",
                     signed.headers["Set-Cookie"])
    cookie = cookie_of(signed)
    assert ask(t, "GET", "/api/status").status == 401
    assert ask(t, "GET", "/api/status", Cookie=cookie).status == 200
    # a tenant's page may add cookies of that name, and no more
    assert ask(t, "GET", "/api/status", Cookie=f"tenement_session=0; {cookie}").status == 200
    assert ask(t, "POST", "/api/instances/app:a/start", {}, Cookie=cookie,
               Origin=f"http://a.app.localhost:{t.port}").status == 403
    # what changes something by it says where it was asked, as every browser does
    assert ask(t, "POST", "/api/instances/app:a/start", {}, Cookie=cookie).status == 403
    assert ask(t, "POST", "/api/instances/app:a/start", {}, Cookie=cookie, Origin=f"http://localhost:{t.port}").status == 200
    assert ask(t, "POST", "/api/session", {"token": token}, **{"Sec-Fetch-Site": "same-site"}).status == 403
    assert ask(t, "POST", "/api/session", {"token": token}, **{"Content-Type": "text/plain"}).status == 422
    assert ask(t, "POST", "/api/session", {}).status == 422
    # nowhere is it kept but as a hash
    kept = t.runtime_dir / "sessions"
    assert kept.stat().st_mode & 0o777 == 0o600 and cookie.split("=")[1] not in kept.read_text()

    daemon = t.pid_of("tenementd")
    os.kill(daemon, 9)
    wait_until(lambda: ask(t, "GET", "/api/status", Cookie=cookie).status == 200, what="the session after kill -9")

    other = cookie_of(ask(t, "POST", "/api/session", {"token": token}))
    assert ask(t, "DELETE", "/api/session", Cookie=cookie).status == 403
    with open_events(t, cookie) as mine, open_events(t, other) as kept_on:
        answer = ask(t, "DELETE", "/api/session", Cookie=cookie, **{"Sec-Fetch-Site": "same-origin"})
        t.ten("restart", "app:a")
        came = b"".join(iter(lambda: mine.recv(65536), b""))
        assert b"app:a" not in came  # (who has signed out is told nothing more)
        seen = b""
        while b"app:a" not in seen:
            piece = kept_on.recv(65536)
            assert piece
            seen += piece
    assert answer.status == 204 and "Max-Age=0" in answer.headers["Set-Cookie"]
    assert ask(t, "GET", "/api/status", Cookie=cookie).status == 401
    assert ask(t, "GET", "/api/status", Cookie=other).status == 200
    made = t.control("GET", "/api/tokens").json()
    assert t.control("DELETE", f"/api/tokens/{made[0]['id']}").status < 300
    assert ask(t, "GET", "/api/status", Cookie=other).status == 401

    for _ in range(10):
        assert ask(t, "POST", "/api/session", {"token": "ten_" + "1" * 64}).status == 401
    answer = ask(t, "POST", "/api/session", {"token": make_token(t)})
    assert answer.status == 429 and int(answer.headers["Retry-After"]) > 0


@needs_browser
def test_story(tenement, browser):
    t = tenement()
    says = "/bin/sh -c 'echo the first needle; echo only straw >&2; exec /usr/bin/python3 app.py echo'"
    t.write("notes.toml", t.service("notes", command=says, env={"API_KEY": "s3cret"}))
    t.write("notes-alice.toml", t.tenant("notes"))
    t.write("notes-bob.toml", t.tenant("notes"))
    t.write("api.toml", t.service("api", "tiny"))
    for version in ("v1", "v2"):
        t.write(f"api-{version}.toml", t.tenant("api"))
    t.write("api.route.toml", "[route.api]\nsplit = { v1 = 90, v2 = 10 }\n")
    token = make_token(t)
    url = f"http://localhost:{t.port}"

    wrong = browser("wrong", url=url)
    assert "not known" in wrong["said"] and wrong["address"] == f"{url}/dashboard/"
    signed = browser("sign_in", token=token)
    assert [(c["name"], c["httpOnly"], c["sameSite"]) for c in signed["cookies"]] == [("tenement_session", True, "Strict")]
    assert signed["script_sees"] == ""

    browser("state", id="notes:alice", state="asleep")
    t.wait_ok("notes:alice")
    browser("state", id="notes:alice", state="ready")
    t.wait_ok("notes:bob")
    browser("state", id="notes:bob", state="ready")
    t.ten("stop", "notes:bob")
    browser("state", id="notes:bob", state="asleep")
    assert browser("in_trouble") == {"ids": []}
    keys = browser("keyboard")
    assert {"Restart", "Stop", "Hold awake", "Suspend"} <= set(keys["buttons"]) and keys["outline"] != "none", keys
    assert keys["asked"] == "Suspend notes:alice?"

    log = browser("log", search="needle NOT straw", **{"not": "only straw"})
    assert log["lines"] == ["the first needle"], log
    t.ten("restart", "notes:alice")
    browser("log_live", count=2)
    spec = browser("spec")
    assert any('API_KEY = "***"' in text for text in spec["declared"]) and '"API_KEY": "***"' in spec["merged"], spec
    assert "s3cret" not in json.dumps(spec)
    weight = browser("weight")
    assert weight["value"].startswith("40,"), weight
    assert weight["diff"] == ["v190 (90 %)→90 (69.2 %)", "v210 (10 %)→40 (30.8 %)"], weight
    split = lambda: t.control("GET", "/api/routes").json()["routes"][0]["split"]
    assert split() == {"v1": 90, "v2": 10}
    browser("weight_apply")
    assert split() == {"v1": 90, "v2": 40}

    t.write("notes-bob.toml", '[tenant]\nservice = "notes"\nmemmory_limit_mb = 5\n')
    problem = browser("problem", file="conf.d/notes-bob.toml")
    assert "unknown key" in problem["said"] and "3 | memmory_limit_mb = 5" in problem["excerpt"] and "^" in problem["excerpt"]
    t.write("notes-bob.toml", t.tenant("notes"))
    browser("solved")
    assert any("asleep → starting" in text for text in browser("events", id="notes:alice")["events"])

    phone = browser("phone", token=token)
    assert phone["wide"] == {} and phone["troubles"] == [] and phone["colour"] == "rgb(16, 19, 23)", phone
    many = browser("many", token=token)
    assert many["rows"] < 60 and many["found"] == ["s7:t9957"] and many["troubles"] == [], many
    print(f"10,000 tenants: {many['search']:.0f} ms for a search, {many['scroll']:.0f} ms for a scroll")
    reader = browser("read_only", token=make_token(t, tenant="alice", read_only=True))
    assert reader["tenants"] == ["notes:alice"] and reader["buttons"] == [] and len(reader["pages"]) == 2, reader
    assert reader["troubles"] == []

    out = browser("sign_out")
    assert out["cookies"] == [] and out["status"] == 401
    assert browser("troubles")["troubles"] == []

    browser("sign_in", token=token)
    t.stop()
    assert browser("lost")["stale"]
