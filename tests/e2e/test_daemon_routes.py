"""Which instance a request to {service}.{domain} goes to, and how that is changed."""

import collections
import json
import os
import signal
import time

import pytest

from daemon_rig import Load, in_threads, kill_daemon, pids, status
from harness import children_of, processes_of, wait_until

ROUTE = '[route.tiny]\nsplit = {{ {} }}\n'


@pytest.fixture
def versions(tenement):
    """tiny:v1, v2 and v3, and a route among them."""
    def make(split="v1 = 95, v2 = 5", mode="tiny", **keys):
        t = tenement(start=False)
        t.write("tiny.toml", t.service("tiny", mode, **keys))
        for name in ("v1", "v2", "v3"):
            t.write(f"tiny-{name}.toml", t.tenant("tiny"))
        if split:
            t.write("tiny.route.toml", ROUTE.format(split))
        t.start()
        for name in ("v1", "v2", "v3"):
            t.wait_ok(f"tiny:{name}")
        return t
    return make


def tally(t, count, threads=4):
    """How COUNT requests to the service, from several connections, were shared out."""
    def some(_):
        return [t.get("tiny:").text.strip() for _ in range(count // threads)]
    found = in_threads(threads, some)
    return dict(collections.Counter(name for part in found for name in part))


def workers_used(t):
    return [worker["requests"] for worker in status(t)["workers"]]


def test_weights_are_exact_over_two_workers(versions):
    t = versions("v1 = 95, v2 = 5")
    before = workers_used(t)
    assert tally(t, 20) == {"v1": 19, "v2": 1}  # sum / gcd = 20
    assert tally(t, 200) == {"v1": 190, "v2": 10}
    after = workers_used(t)
    assert all(now > then for now, then in zip(after, before)), "both workers took part"


def test_weights_with_a_gcd_and_zero(versions):
    t = versions("v1 = 30, v2 = 20, v3 = 0")
    for _ in range(4):
        assert tally(t, 5, threads=1) == {"v1": 3, "v2": 2}


def test_route_from_to_swaps_at_once(versions):
    t = versions("v1 = 1, v2 = 0")
    assert tally(t, 20) == {"v1": 20}
    for old, new in [("v1", "v2"), ("v2", "v1")] * 5:
        with Load(t, ["tiny:"], threads=6, fresh=old == "v1") as load:
            t.ten("route", "tiny", "--from", old, "--to", new)
            returned = time.monotonic()
            load.wait_for(100)
        assert load.failures == []
        late = [body.strip().decode() for begun, _, body in load.answers if begun > returned]
        assert late and set(late) == {new}, f"after it returned: {collections.Counter(late)}"


def test_weight_by_hand_is_an_override(versions):
    t = versions("v1 = 1, v2 = 1")
    answer = t.ten_json("weight", "tiny:v2", "0")
    assert answer["split"] == {"v1": 1, "v2": 0}
    assert tally(t, 20) == {"v1": 20}
    listed = t.ten_json("route")["routes"]
    assert listed[0]["source"] == "override" and listed[0]["host"] == "tiny.localhost"
    kill_daemon(t)
    assert tally(t, 20) == {"v1": 20}
    t.ten("overrides", "clear")
    assert tally(t, 20) == {"v1": 10, "v2": 10}


def test_a_route_by_hand_ends_when_the_file_changes(versions):
    t = versions("v1 = 1")
    t.ten("route", "tiny", "--from", "v1", "--to", "v2")
    assert tally(t, 8) == {"v2": 8}
    t.write("tiny.route.toml", ROUTE.format("v3 = 1"))
    wait_until(lambda: tally(t, 4) == {"v3": 4}, what="the file's word")
    assert t.ten_json("overrides")["overrides"] == []


def test_declare_writes_the_file(versions):
    t = versions(None)
    t.ten("weight", "tiny:v1", "3", "--declare", status=None)
    t.write("tiny.route.toml", ROUTE.format("v1 = 1"))
    wait_until(lambda: tally(t, 4) == {"v1": 4})
    refused = t.ten("route", "tiny", "--from", "v1", "--to", "v2", "--declare", status=4)
    assert "tiny.route.toml" in refused.stderr
    assert tally(t, 4) == {"v1": 4}


def test_declare_changes_a_file_of_tens_own(versions):
    t = versions(None)
    t.ten("apply", "-", "--name", "tiny.route.toml", text=ROUTE.format("v1 = 1"))
    assert tally(t, 4) == {"v1": 4}
    t.ten("route", "tiny", "--from", "v1", "--to", "v2", "--declare")
    assert tally(t, 20) == {"v2": 20}
    assert "v2" in (t.conf_dir / "tiny.route.toml").read_text()
    assert t.ten_json("overrides")["overrides"] == []


def test_a_dropped_route_file_swaps_all_traffic(versions):
    t = versions("v1 = 1")
    with Load(t, ["tiny:"], threads=4) as load:
        for split in ("v2 = 1", "v3 = 1", "v1 = 1") * 3:
            t.write("tiny.route.toml", ROUTE.format(split))
            name = split[:2]
            wait_until(lambda name=name: t.get("tiny:").text.strip() == name)
    assert load.failures == []


def test_without_a_route_the_service_is_unknown(versions):
    t = versions(None)
    assert t.get("tiny:").status == 404
    t.write("tiny.route.toml", ROUTE.format("v1 = 1"))
    t.wait_ok("tiny:")
    t.remove("tiny.route.toml")
    t.wait_status("tiny:", 404)


def test_a_route_wakes_who_sleeps(versions):
    t = versions("v1 = 1, v2 = 1")
    for name in ("v1", "v2"):
        t.ten("stop", f"tiny:{name}")
    assert tally(t, 20) == {"v1": 10, "v2": 10}


def test_a_route_to_nobody_is_an_error(versions):
    t = versions("v1 = 1")
    t.write("tiny.route.toml", ROUTE.format("v1 = 1, v9 = 1"))
    wait_until(lambda: any("v9" in problem for problem in status(t)["problems"]), what="a problem")
    assert tally(t, 8) == {"v1": 8}


def test_balance_shares_by_weight(versions):
    t = versions(None, balance=True)
    assert tally(t, 30, threads=3) == {"v1": 10, "v2": 10, "v3": 10}
    t.write("tiny-v1.toml", t.tenant("tiny", weight=200))
    t.write("tiny-v3.toml", t.tenant("tiny", weight=0))
    wait_until(lambda: (t.instance("tiny:v1")["weight"], t.instance("tiny:v3")["weight"]) == (200, 0))
    wait_until(lambda: status(t)["converged"])
    wait_until(lambda: tally(t, 6, threads=1) == {"v1": 4, "v2": 2}, 5)
    t.remove("tiny-v1.toml")
    t.wait_status("tiny:v1", 404)
    wait_until(lambda: tally(t, 6, threads=1) == {"v2": 6}, 5)


MAIN = """
[routing]
default = "home"
[routing.subdomain]
admin = "console"
[routing.path]
"/api" = "interface"
"""


def test_routing_of_the_root_domain(tenement):
    t = tenement(start=False, main=MAIN)
    for name in ("home", "console", "interface"):
        t.write(f"{name}.toml", t.service(name, env={"WHO": name}))
        t.write(f"{name}-prod.toml", t.tenant(name))
        t.write(f"{name}.route.toml", f"[route.{name}]\nsplit = {{ prod = 1 }}\n")
    t.start()
    assert status(t)["problems"] == []

    def who(host, path="/"):
        answer = t.get(host, path)
        return answer.json()["env"]["WHO"] if answer.status == 200 else answer.status
    assert who("localhost") == "home"
    assert who("localhost", "/x/api") == "home"
    assert who("localhost", "/api") == "interface"
    assert who("localhost", "/api/x?y=1") == "interface"
    assert who("localhost", "/apix") == "home"
    assert who("admin.localhost") == "console"
    assert who("nobody.localhost") == 404
    assert who("prod.home.localhost") == "home"
    assert t.get("localhost", "/health").json() == {"status": "ok"}


def test_hosts_that_nobody_declared(versions):
    t = versions("v1 = 1")
    running = len(processes_of(str(t.root)))
    for host in ("v9.tiny.localhost", "v1.other.localhost", "v1.tiny.localhost.evil.test",
                 "evil.test", "x.v1.tiny.localhost", "tiny"):
        answer = t.get(host)
        assert answer.status == 404, (host, answer)
    for host in ("localhost", "127.0.0.2"):  # the root domain: where nobody else is, the dashboard
        answer = t.get(host)
        assert answer.status == 303 and answer.headers["Location"] == "/dashboard/", (host, answer)
    for host in ("V1.TINY.LocalHost", "v1.tiny.localhost.", f"v1.tiny.localhost:{t.port}"):
        assert t.get(host).text.strip() == "v1", host
    assert len(processes_of(str(t.root))) == running
    assert len(t.instances()) == 3


def test_spawn_undeclared_within_its_bound(tenement):
    t = tenement(start=False)
    t.write("tiny.toml", t.service("tiny", "tiny", spawn_undeclared=True, spawn_undeclared_max=3))
    t.write("closed.toml", t.service("closed", "tiny"))
    t.start()
    answers = in_threads(12, lambda i: t.get(f"tiny:n{i % 3}"))
    assert [getattr(answer, "status", answer) for answer in answers] == [200] * 12
    assert sorted(pids(t)) == ["tiny:n0", "tiny:n1", "tiny:n2"]
    assert (t.conf_dir / "tiny-n0.toml").exists()
    assert t.get("tiny:n3").status == 404
    assert t.get("closed:n0").status == 404
    assert t.get("../x.tiny.localhost").status in (400, 404)
    assert t.get("-x.tiny.localhost").status == 404
    assert sorted(pids(t)) == ["tiny:n0", "tiny:n1", "tiny:n2"]
    t.ten("rm", "tiny:n0")
    assert t.get("tiny:n3").status == 200


def visit(t, cookie=None):
    """Who answers a visitor with that cookie, and the cookie that they have then."""
    answer = t.get("tiny:", headers={"Cookie": cookie} if cookie else {})
    assert answer.status == 200
    given = answer.headers["set-cookie"]
    return answer.text.strip(), given.split(";")[0] if given else cookie


def test_visitors_stay_until_weights_say_otherwise(versions):
    t = versions("v1 = 1, v2 = 1", sticky="cookie")
    assert t.ten_json("route")["routes"][0]["sticky"] == "cookie"
    assert t.instance("tiny:v1")["sticky"] == "cookie"
    assert "sticky" in t.ten("status", "tiny:v1").stdout
    had = dict(visit(t) for _ in range(2))
    assert sorted(had) == ["v1", "v2"]
    for name, cookie in had.items():
        assert [visit(t, cookie) for _ in range(4)] == [(name, cookie)] * 4
    # What served them is put to sleep, the daemon is killed, the workers are: they stay.
    t.ten("stop", "tiny:v1")
    kill_daemon(t)
    for pid in [pid for pid, name in children_of(t.keeper_pid()).items() if name == "tenement-proxy"]:
        os.kill(pid, signal.SIGKILL)
    t.wait_healthy()
    assert [visit(t, had["v1"]) for _ in range(4)] == [("v1", had["v1"])] * 4
    # No weight, no traffic, cookie or not.
    t.ten("route", "tiny", "--from", "v1", "--to", "v3")
    name, cookie = visit(t, had["v1"])
    assert name in ("v2", "v3") and cookie != had["v1"]
    assert visit(t, had["v2"]) == ("v2", had["v2"])


def test_a_route_says_how_its_visitors_are_kept(versions):
    t = versions("v1 = 1, v2 = 1", sticky="cookie")
    t.write("tiny.route.toml", ROUTE.format("v1 = 1, v2 = 1") + 'sticky = "ip"\n')
    wait_until(lambda: t.ten_json("route")["routes"][0]["sticky"] == "ip")
    wait_until(lambda: t.get("tiny:").headers["set-cookie"] is None)
    assert len(tally(t, 8)) == 1, "one address, one version"
    t.write("tiny.route.toml", ROUTE.format("v1 = 1, v2 = 1") + 'sticky = "none"\n')
    wait_until(lambda: tally(t, 8) == {"v1": 4, "v2": 4}, 5)
    t.remove("tiny.route.toml")
    t.write("tiny.toml", t.service("tiny", "tiny", sticky="ip", balance=True))
    wait_until(lambda: t.ten_json("route")["routes"][0]["source"] == "balance")
    wait_until(lambda: len(tally(t, 9)) == 1, 5)


def test_declaring_a_split_keeps_the_rest_of_the_route(versions):
    t = versions(None)
    t.ten("apply", "-", "--name", "tiny.route.toml", text=ROUTE.format("v1 = 1") + 'sticky = "ip"\n')
    t.ten("route", "tiny", "--from", "v1", "--to", "v2", "--declare")
    assert t.ten_json("route")["routes"][0]["sticky"] == "ip"
    assert 'sticky = "ip"' in (t.conf_dir / "tiny.route.toml").read_text()


def test_routes_are_listed(versions):
    t = versions("v1 = 95, v2 = 5")
    shown = t.ten("route").stdout
    assert "tiny.localhost" in shown and "v1 95%" in shown and "v2 5%" in shown
    listed = json.loads(t.ten("route", "-o", "json").stdout)["routes"]
    assert listed[0]["split"] == {"v1": 95, "v2": 5} and listed[0]["source"] == "route"
