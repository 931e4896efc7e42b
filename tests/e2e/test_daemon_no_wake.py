"""The wake firewall from the files to the answers: who sleeps stays asleep."""

import json
import re

import pytest

from daemon_rig import in_threads, kill, kill_daemon, pids
from harness import wait_until
from test_daemon_limits import metrics

RULES = ["/favicon.ico", "/.well-known/*", "method:HEAD", "agent:*bot*", "from:127.0.0.9"]


def declared(tenement, keys=("app:a", "app:b"), settings=None, tenants=None, **service):
    t = tenement(start=False, settings=settings)
    t.write("app.toml", t.service("app", "tiny", **service))
    for key in keys:
        t.write(f"{key.replace(':', '-')}.toml", t.tenant("app", **(tenants or {}).get(key, {})))
    t.start()
    for key in keys:
        t.wait_state(key, "asleep")
    return t


def not_woken(t, key):
    service, tenant = key.split(":")
    found = metrics(t)
    return {labels[2].split('"')[1]: number for (name, *labels), number in found.items()
            if name == "tenement_instance_not_woken_total" and labels[:2] == [f'service="{service}"', f'id="{tenant}"']}


def test_asleep_stays_asleep_under_each_rule(tenement):
    t = declared(tenement, no_wake=RULES, access_log="json")
    asked = [("/favicon.ico", "GET", {}), ("/favicon.ico?x", "POST", {}), ("/.well-known/a/b", "GET", {}),
             ("/", "HEAD", {}), ("/", "GET", {"User-Agent": "SomeBot/1"})]
    for path, method, headers in asked:
        answer = t.request("app:a", path, method, headers=headers)
        assert answer.status == 503 and answer.headers["Retry-After"] == "60", path
    assert t.state("app:a") == "asleep" and "app:a" not in pids(t)
    assert not_woken(t, "app:a") == {"no_wake": 5}
    assert t.instance("app:a")["refusals"] == {"no_wake": 5}
    why = t.ten_json("why", "app:a")
    assert why["not_woken_by"] == {"no_wake": 5} and why["woken_by"] is None
    assert "not woken by requests: 5 (no_wake)" in t.ten("why", "app:a").stdout
    log = t.data_dir / ".tenement" / "logs" / "app" / "a.access.log"
    lines = wait_until(lambda: log.exists() and len(log.read_text().splitlines()) == 5 and log.read_text().splitlines())
    assert [(line["status"], line["refused"]) for line in map(json.loads, lines)] == [(503, "no_wake")] * 5
    # Anything else wakes it, and then all of it is answered.
    assert t.get("app:a").status == 200
    assert t.ten_json("why", "app:a")["woken_by"] == "a request"
    for path, method, headers in asked:
        assert t.request("app:a", path, method, headers=headers).status == 200, path
    assert t.state("app:b") == "asleep"


def test_frozen_is_not_thawed_and_asleep_again_is_not_woken(tenement):
    t = declared(tenement, no_wake=["/x"], sleep=[{"after": 1, "to": "frozen"}, {"after": 3, "to": "stopped"}])
    assert t.get("app:a").status == 200
    t.wait_state("app:a", "frozen")
    states = set()

    def asleep():
        assert t.get("app:a", "/x").status == 503
        states.add(t.state("app:a"))
        return "asleep" in states
    # All the way down, at whatever moment it comes, it puts nothing off.
    wait_until(asleep)
    assert states <= {"frozen", "draining", "stopping", "asleep"}
    assert set(not_woken(t, "app:a")) == {"no_wake"}
    assert t.get("app:a").status == 200


def test_health_while_asleep(tenement):
    t = declared(tenement, health="/health", health_while_asleep=True)
    for method in ("GET", "HEAD"):
        answer = t.request("app:a", "/health", method)
        assert answer.status == 200 and answer.headers["Content-Type"] == "application/json"
    assert t.get("app:a", "/health").json() == {"status": "asleep"}
    assert t.state("app:a") == "asleep" and not_woken(t, "app:a") == {"health_while_asleep": 3}
    # It is no refusal.
    assert t.instance("app:a")["refusals"] == {}
    assert all("health_while_asleep" not in labels for (name, *labels) in metrics(t) if "refusals" in name)
    assert t.get("app:a").status == 200
    assert t.get("app:a", "/health").text != '{"status":"asleep"}\n'
    assert t.request("app:b", "/health", "POST").status == 200
    assert t.state("app:b") == "ready"


def change(t, marker, **service):
    """Write another file for the service, and wait until it is in force: MARKER then answers as its health path."""
    t.write("app.toml", t.service("app", "tiny", health=marker, health_while_asleep=True, **service))
    wait_until(lambda: t.get("app:c", marker).text == '{"status":"asleep"}\n')


def test_the_file_changes(tenement):
    t = declared(tenement, keys=("app:a", "app:b", "app:c"), no_wake=["/*"], tenants={"app:b": {"no_wake": ["/own"]}})
    assert t.get("app:a").status == 503
    change(t, "/1", no_wake=["/x", "/1*", "/2*"])
    assert t.get("app:a", "/x").status == 503 and t.state("app:a") == "asleep"
    assert t.get("app:a").status == 200
    # A tenant's own list stands in the place of its service's, and has its health path all the same.
    assert t.get("app:b", "/own").status == 503 and t.get("app:b", "/1").text == '{"status":"asleep"}\n'
    t.write("app-b.toml", t.tenant("app", no_wake=["/x", "/own"]))
    wait_until(lambda: t.get("app:b", "/own").status == 503)
    change(t, "/2", no_wake=["/y", "/2*", "/own"])
    assert t.get("app:b", "/own").status == 503 and t.state("app:b") == "asleep"
    t.remove("app-b.toml")
    wait_until(lambda: t.get("app:b", "/own").status == 404)
    t.write("app-b.toml", t.tenant("app"))
    wait_until(lambda: t.get("app:b", "/y").status == 503)
    assert t.state("app:b") == "asleep" and t.get("app:c", "/y").status == 503
    assert t.get("app:b", "/x").status == 200 and t.get("app:c", "/x").status == 200


def test_a_tenant_that_says_what_its_service_says_goes_on_saying_it(tenement):
    t = declared(tenement, keys=("app:a", "app:b", "app:c"), no_wake=["/x"], tenants={"app:b": {"no_wake": ["/x"]}})

    def write(name, text):
        before = t.control("GET", "/api/status").json()["generation"]
        t.write(name, text)
        wait_until(lambda: t.control("GET", "/api/status").json()["generation"] > before)
    assert t.get("app:b", "/x").status == 503
    # One says it later, when nothing else changes by that.
    write("app-c.toml", t.tenant("app", no_wake=["/x"]))
    write("app.toml", t.service("app", "tiny", no_wake=["/y"]))
    for key in ("app:b", "app:c"):
        assert t.get(key, "/x").status == 503 and t.state(key) == "asleep"
    assert t.get("app:a", "/y").status == 503 and t.get("app:a", "/x").status == 200


def test_so_many_wakes_of_an_address_and_of_a_service(tenement):
    keys = [f"app:t{i}" for i in range(6)] + ["app:c"]
    t = declared(tenement, keys, settings={"max_wakes_per_minute_per_ip": 3}, no_wake=["/1"])
    answers = in_threads(12, lambda i: t.get(keys[i % 6]))
    keys.remove("app:c")
    awake = [key for key in keys if t.state(key) == "ready"]
    assert len(awake) == 3
    for i, answer in enumerate(answers):
        assert answer.status == (200 if keys[i % 6] in awake else 429)
        assert answer.status == 200 or 1 <= int(answer.headers["Retry-After"]) <= 20
    for key in keys:
        assert not_woken(t, key) == ({} if key in awake else {"max_wakes_per_minute_per_ip": 2})
    # Without that bound, with the other; at once.
    t.settings["max_wakes_per_minute_per_ip"] = 0
    t.write_main()
    change(t, "/1", no_wake=["/1"], max_wakes_per_minute=1)
    rest = [key for key in keys if key not in awake]
    wait_until(lambda: t.get(rest[0]).status == 200)
    answer = t.get(rest[1])
    assert answer.status == 503 and 1 <= int(answer.headers["Retry-After"]) <= 60
    assert not_woken(t, rest[1])["max_wakes_per_minute"] >= 1
    # An operator is not bound.
    t.ten("start", rest[1])
    assert t.get(rest[1]).status == 200


def test_undeclared_ids_count_and_are_not_declared_in_vain(tenement):
    t = declared(tenement, keys=("app:a",), settings={"max_wakes_per_minute_per_ip": 2},
                 spawn_undeclared=True, no_wake=["/favicon.ico"])
    assert t.get("app:n1", "/favicon.ico").status == 503
    assert t.get("app:n1").status == 200 and t.get("app:n2").status == 200
    assert t.get("app:n3").status == 429
    assert set(t.instances()) == {"app:a", "app:n1", "app:n2"}
    assert t.get("app:a").status == 429 and t.state("app:a") == "asleep"


def test_those_that_ask_at_once_have_no_more_declared_than_they_may_wake(tenement):
    t = declared(tenement, keys=("app:a",), settings={"max_wakes_per_minute_per_ip": 3}, spawn_undeclared=True)
    # All that ask for the same are one.
    assert {answer.status for answer in in_threads(12, lambda i: t.get("app:n"))} == {200}
    answers = in_threads(30, lambda i: t.get(f"app:n{i}").status)
    assert sorted(answers) == [200] * 2 + [429] * 28
    assert len(t.instances()) == 4


@pytest.mark.parametrize("bound", ["of an address", "of a service"])
def test_who_is_not_declared_after_all_is_not_counted(tenement, bound):
    of_address = bound == "of an address"
    t = declared(tenement, keys=("app:a",), settings={"max_wakes_per_minute_per_ip": 2 if of_address else 0},
                 spawn_undeclared=True, spawn_undeclared_max=2, max_wakes_per_minute=0 if of_address else 2)
    assert t.get("app:n1").status == 200
    for i in range(5):
        assert t.get("app:n2").status == 404
    assert t.get("app:a").status == 200, "the second wake"
    t.ten("stop", "app:a")
    assert t.get("app:a").status == (429 if of_address else 503)


def test_budgets_outlive_the_daemon_and_the_workers(tenement):
    t = declared(tenement, settings={"max_wakes_per_minute_per_ip": 1}, no_wake=["/x"])
    assert t.get("app:a").status == 200
    for pid in [worker["pid"] for worker in t.control("GET", "/api/status").json()["workers"]]:
        kill(pid)
    kill_daemon(t)
    t.wait_healthy()
    assert t.get("app:b").status == 429 and t.get("app:b", "/x").status == 503
    assert t.state("app:b") == "asleep" and t.get("app:a").status == 200


PROBLEMS = [
    ("no_wake = ['/ok', '']", r"app\.toml:3:19: no_wake: an empty word is no rule"),
    ("no_wake = ['favicon.ico']", r"app\.toml:3:12: no_wake: \"favicon.ico\" is no rule"),
    ("no_wake = ['from:10.0.0.1/8']", r"app\.toml:3:12: no_wake: from: .*bits set behind its prefix of 8"),
    ("no_wake = ['method:get']", r"app\.toml:3:12: no_wake: .* in capitals"),
    (f"no_wake = {['/x'] * 65}", r"app\.toml:3:11: no_wake: 65 rules, 64 are possible"),
    ("health_while_asleep = true", r"app\.toml:3:23: health_while_asleep needs a health path"),
    ("max_wakes_per_minute = -1", r"app\.toml:3:24: max_wakes_per_minute wants a whole number from 0"),
]


@pytest.mark.parametrize("line, problem", PROBLEMS)
def test_what_is_wrong_is_told_with_its_place(tenement, line, problem):
    t = tenement(start=False)
    t.write_main()
    t.write("app.toml", f"[service.app]\ncommand = '/bin/true'\n{line}\n")
    t.write("app-a.toml", t.tenant("app"))
    told = t.ten("check", status=None)
    assert told.returncode and re.search(problem, told.stdout + told.stderr), told.stdout + told.stderr


def test_a_bound_of_all_is_not_one_tenant_s(tenement):
    t = tenement(start=False)
    t.write_main()
    t.write("app.toml", t.service("app"))
    t.write("app-a.toml", t.tenant("app", max_wakes_per_minute=5))
    told = t.ten("check", status=None)
    assert told.returncode
    assert re.search(r"app-a\.toml:3:24: max_wakes_per_minute .*write it in \[service\.app\]",
                     " ".join((told.stdout + told.stderr).split())), told.stdout + told.stderr
