"""Where the management API is asked: the root domain, or the addresses of api_listen."""

import os

from harness import free_port, wait_until
from test_listeners import ask


def served(t, address, path="/api/status", host="localhost", **headers):
    answer = ask(address, path, {name.replace("_", "-"): value for name, value in headers.items()}, host=host)
    return answer.status


def test_at_the_root_domain(tenement):
    t = tenement(start=False, settings={"trusted_proxies": ["127.0.0.3"]}, main='[routing.path]\n"/api" = "web"\n')
    t.write("web.toml", t.service("web", balance=True) + t.tenant("web", id="a"))
    t.start()
    t.wait_ok("web:a")
    here = f"127.0.0.1:{t.port}"
    assert ask(here, "/health", host="localhost").status == 200
    for path in ("/api/status", "/metrics", "/api/instances", "/api/config/apply"):
        answer = ask(here, path, host="localhost")
        assert answer.status in (401, 405) and answer.json()["where"]["path"] == path
    # what is not ours there is the operator's; and on a tenant's name all of it is the tenant's
    assert "headers" in ask(here, "/api/other", host="localhost").json()
    assert "headers" in ask(here, "/api/status", host="a.web.localhost").json()
    assert served(t, here, host="evil.example") == 404
    assert served(t, here, host="127.0.0.1") == 401
    # who is elsewhere is told so, and nothing else; one who says so himself is not believed
    assert served(t, here, X_Forwarded_For="192.0.2.1", X_Real_IP="192.0.2.1") == 401


def test_from_elsewhere_there_is_none(tenement):
    t = tenement(start=False, settings={"trusted_proxies": ["127.0.0.1"]})
    t.start()
    here = f"127.0.0.1:{t.port}"
    assert served(t, here, X_Forwarded_For="127.0.0.1") == 401
    assert served(t, here, X_Forwarded_For="192.0.2.1") == 403
    assert served(t, here, X_Forwarded_For="127.0.0.1.evil") == 403
    assert served(t, here, "/", X_Forwarded_For="192.0.2.1") == 404
    assert served(t, here, "/metrics", X_Forwarded_For="2001:db8::1") == 403
    assert served(t, here, X_Forwarded_For="192.0.2.1", X_Forwarded_Proto="https") == 401


def test_on_addresses_of_its_own(tenement):
    port = free_port()
    t = tenement(start=False, settings={"api_listen": [f"127.0.0.1:{port}"]})
    t.write("echo.toml", t.service("echo") + t.tenant("echo", id="a"))
    t.start()
    t.wait_ok("echo:a")
    front, api = f"127.0.0.1:{t.port}", f"127.0.0.1:{port}"
    assert t.control("GET", "/api/config").json()["settings"]["api_listen"] == [api]
    assert served(t, front) == 404 and served(t, front, "/") == 404
    assert served(t, api) == 401 and served(t, api, host=f"127.0.0.1:{port}") == 401
    assert served(t, api, "/health") == 200
    assert served(t, api, "/", host="a.echo.localhost") == 404
    assert served(t, api, host="evil.example") == 404
    # more of them, while it runs; then none: the root domain has it again
    t.settings["api_listen"] = [api, f"unix:{t.root}/api.sock"]
    t.write_main()
    wait_until(lambda: os.path.exists(f"{t.root}/api.sock"))
    wait_until(lambda: served(t, f"unix:{t.root}/api.sock") == 401)
    assert served(t, api) == 401
    del t.settings["api_listen"]
    t.write_main()
    wait_until(lambda: served(t, front) == 401)
    wait_until(lambda: not os.path.exists(f"{t.root}/api.sock"))


def test_only_on_this_machine(tenement):
    t = tenement(start=False, settings={"api_listen": ["0.0.0.0:7"]})
    t.write_main()
    said = t.ten("check", status=1)
    assert 'api_listen: "0.0.0.0:7" is not of this machine alone' in said.stdout + said.stderr


def test_asked_while_there_is_no_daemon(tenement):
    """The keeper holds the socket: who asks meanwhile waits for the next daemon."""
    t = tenement(start=False)
    t.start()
    here = f"127.0.0.1:{t.port}"
    for _ in range(5):
        os.kill(t.pid_of("tenementd"), 9)
        assert served(t, here) == 401
