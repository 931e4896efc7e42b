"""The networks of tenants of a plain user's daemon."""

import os

import pytest

from daemon_rig import status, wait_problem
from harness import wait_until
from network_rig import Greeter, declare, reach

pytestmark = pytest.mark.skipif(os.geteuid() == 0, reason="is for a daemon that is not root")


def needs_namespaces(t):
    lack = [text for text in status(t)["degraded"] if "namespace" in text]
    if lack:
        pytest.skip(f"no user namespaces here: {lack}")


def test_none_in_a_user_namespace(tenement):
    t = tenement()
    ours = Greeter("127.0.0.1")
    t.write("probe.toml", t.service("probe", "tiny", isolation="namespace"))
    t.write("probe-a.toml", t.tenant("probe"))
    t.wait_status("probe:a", 200)
    needs_namespaces(t)
    declare(t, ["web:a"], listen="socket", network="none", isolation="namespace")
    t.wait_ok("web:a")
    assert t.get("web:a", "/interfaces").json() == ["lo"]
    assert reach(t, "web:a", host="127.0.0.1", port=ours.port) == "ECONNREFUSED"
    ours.close()


def test_none_without_namespaces_is_no_start(tenement):
    t = tenement()
    declare(t, ["web:a"], listen="socket", network="none", isolation="process")
    t.get("web:a")
    wait_until(lambda: "needs isolation" in (t.instance("web:a")["reason"] or ""), what="the reason")


def test_private_is_refused(tenement):
    t = tenement()
    t.write("web.toml", t.service("web", network="private"))
    t.write("web-a.toml", t.tenant("web"))
    wait_problem(t, "private", "root")


def test_trusted_loopback_is_told_of(tenement):
    t = tenement(settings={"trusted_proxies": ["::/0"]})

    def told():
        return any("X-Forwarded-For" in text for text in status(t)["warnings"])
    wait_until(told, what="the warning")
    t.settings["trusted_proxies"] = ["10.0.0.0/8", "::ffff:10.0.0.1", "fd00::/8"]
    t.write_main()
    wait_until(lambda: not told(), what="no warning")
    t.settings["trusted_proxies"] = ["127.0.0.2"]
    t.write_main()
    wait_until(told, what="the warning")
