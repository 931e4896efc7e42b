"""Limits from the files to the answers, and what is told of them: ten status, ten metrics, /metrics."""

import contextlib
import http.client
import re
import socket

from daemon_rig import in_threads, kill, kill_daemon, pids, wait_gone
from harness import wait_until

SAMPLE = re.compile(r'^([a-z_]+)(?:\{(.*)\})? ([0-9.]+)$')
# What the board keeps, whatever becomes of the daemon.
KEPT = re.compile("^tenement_(proxy|service|instance)_(requests|bytes|refusals|not_woken)_total$")
OF_HISTOGRAM = re.compile("_(bucket|sum|count)$")


def metrics(t):
    """{(name, label="value", ...): number}; every line must be one of the text format."""
    answer = t.control("GET", "/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    found, typed = {}, set()
    for line in answer.text.splitlines():
        if line.startswith("# TYPE "):
            name = line.split()[2]
            assert name not in typed, "all lines of a metric are together"
            typed.add(name)
        elif not line.startswith("# HELP "):
            name, labels, number = SAMPLE.match(line).groups()
            assert name in typed or OF_HISTOGRAM.sub("", name) in typed
            key = (name, *(labels.split(",") if labels else ()))
            assert key not in found, key
            found[key] = float(number) if "." in number else int(number)
    return found


def of_alice(name, *labels):
    return (f"tenement_instance_{name}", 'service="echo"', 'id="alice"', *labels)


def tenement_with(tenement, service=None, tenant=None, settings=None):
    t = tenement(start=False, settings=settings)
    t.write("echo.toml", t.service("echo", **(service or {})))
    t.write("echo-alice.toml", t.tenant("echo", **(tenant or {})))
    t.write("echo-bob.toml", t.tenant("echo"))
    t.start()
    t.wait_ok("echo:bob")
    return t


def wait_answered(t, number, code="2xx"):
    """A request is counted when its last byte has gone, which its client may see before we do."""
    wait_until(lambda: metrics(t).get(of_alice("requests_total", f'code="{code}"')) == number)


def statuses(answers):
    return sorted(getattr(answer, "status", answer) for answer in answers)


def test_limits_of_a_file_hold_and_are_told_of(tenement):
    t = tenement_with(tenement, tenant={"rate_limit": 1, "rate_burst": 4})
    answers = in_threads(10, lambda i: t.get("echo:alice"))
    assert statuses(answers) == [200] * 4 + [429] * 6
    for answer in answers:
        assert (answer.headers["Retry-After"] == "1") == (answer.status == 429)
    assert t.get("echo:bob").status == 200
    assert t.instance("echo:alice")["refusals"] == {"rate_limit": 6}
    assert t.ten_json("status", "echo:alice")["refusals"] == {"rate_limit": 6}
    assert "6 by rate_limit" in t.ten("status", "echo:alice").stdout
    wait_answered(t, 4)
    wait_answered(t, 6, "4xx")
    told = metrics(t)
    assert told[of_alice("refusals_total", 'reason="rate_limit"')] == 6
    assert told[of_alice("bytes_total", 'direction="in"')] > 0
    assert told[of_alice("bytes_total", 'direction="out"')] > 0
    assert told[of_alice("state", 'state="ready"')] == 1
    assert told["tenement_proxy_refusals_total", 'reason="rate_limit"'] == 6
    assert told["tenement_proxy_requests_total",] >= 12
    assert ("tenement_proxy_clients",) in told
    assert "tenement_proxy_clients " in t.ten("metrics").stdout
    assert "no JSON" in t.ten("metrics", "-o", "json", status=2).stderr


def test_a_tenant_has_its_service_s_limits_but_for_its_own(tenement):
    t = tenement_with(tenement, service={"max_concurrent": 1, "queue_size": 0}, tenant={"queue_size": 3})
    t.wait_ok("echo:alice")
    slow = "/?delay=1"
    assert statuses(in_threads(6, lambda i: t.get("echo:bob", slow))) == [200] + [503] * 5
    assert statuses(in_threads(6, lambda i: t.get("echo:alice", slow))) == [200] * 4 + [503] * 2


def test_limits_change_while_it_runs(tenement):
    t = tenement_with(tenement)
    t.wait_ok("echo:alice")
    before = pids(t)
    t.write("echo-alice.toml", t.tenant("echo", max_concurrent=1, queue_timeout=1))
    wait_until(lambda: 503 in statuses(in_threads(3, lambda i: t.get("echo:alice", "/?delay=0.8"))))
    assert t.instance("echo:alice")["refusals"]["max_concurrent"] >= 1
    t.write("echo-alice.toml", t.tenant("echo", max_connections=1))
    with contextlib.closing(t.connection()) as held:
        held.request("GET", "/", headers={"Host": t.host("echo:alice")})
        assert held.getresponse().read()
        wait_until(lambda: t.get("echo:alice").status == 503 or held.request(
            "GET", "/", headers={"Host": t.host("echo:alice")}) or not held.getresponse().read())
        assert t.instance("echo:alice")["connections"] == 1
    wait_until(lambda: t.get("echo:alice").status == 200)
    t.write("echo-alice.toml", t.tenant("echo"))
    wait_until(lambda: statuses(in_threads(4, lambda i: t.get("echo:alice", "/?delay=0.3"))) == [200] * 4)
    assert pids(t) == before


def test_connections_per_address(tenement):
    t = tenement_with(tenement, settings={"max_connections_per_ip": 3})

    def held():
        connection = http.client.HTTPConnection("127.0.0.1", t.port, source_address=("127.0.0.9", 0))
        connection.request("GET", "/", headers={"Host": t.host("echo:bob")})
        return connection, connection.getresponse().status
    connections = [held() for _ in range(5)]
    assert [status for _, status in connections] == [200, 200, 200, 429, 429]
    assert t.get("echo:bob").status == 200, "another address"
    assert metrics(t)["tenement_proxy_refusals_total", 'reason="max_connections_per_ip"'] == 2
    for connection, _ in connections:
        connection.close()
    t.settings["max_connections_per_ip"] = 0
    t.write_main()
    many = []
    wait_until(lambda: not many.append(held()) and len(many) > 10 and many[-1][1] == 200)
    for connection, _ in many:
        connection.close()


def statuses_counted(t):
    return sum(number for key, number in metrics(t).items() if key[:3] == of_alice("requests_total"))


def test_counters_never_go_backwards(tenement):
    t = tenement_with(tenement, tenant={"rate_limit": 1, "rate_burst": 20})
    in_threads(30, lambda i: t.get("echo:alice"))
    wait_until(lambda: statuses_counted(t) == 30)
    before = metrics(t)
    for worker in t.control("GET", "/api/status").json()["workers"]:
        kill(worker["pid"])
        wait_gone(worker["pid"])
    kill_daemon(t)
    wait_until(lambda: t.get("echo:bob").status == 200)
    after = metrics(t)
    for key, number in before.items():
        if KEPT.match(key[0]):
            assert after[key] >= number, key
    assert statuses_counted(t) == 30


def test_what_is_counted_of_a_removed_tenant_is_not_told_of_the_next(tenement):
    t = tenement_with(tenement, tenant={"rate_limit": 1, "rate_burst": 3}, settings={"max_delete_percent": 100})
    in_threads(9, lambda i: t.get("echo:alice"))
    t.remove("echo-alice.toml")
    wait_until(lambda: not any('id="alice"' in key for key in metrics(t)))
    for name in ("carol", "dave", "erin"):
        t.write(f"echo-{name}.toml", t.tenant("echo", rate_limit=1, rate_burst=3))
        wait_until(lambda n=name: t.instance(f"echo:{n}"))
        told = metrics(t)
        assert not any(f'id="{name}"' in key for key in told if KEPT.match(key[0]) and told[key])
    # What its service had it keeps.
    counted = {key[2]: number for key, number in told.items() if key[0] == "tenement_service_requests_total"}
    assert counted['code="4xx"'] == 6 and counted['code="2xx"'] >= 4
    assert told["tenement_service_refusals_total", 'service="echo"', 'reason="rate_limit"'] == 6


def test_a_tenant_that_sleeps_is_told_of(tenement):
    t = tenement_with(tenement)
    t.wait_ok("echo:alice")
    t.ten("stop", "echo:alice")
    told = metrics(t)
    assert told[of_alice("state", 'state="asleep"')] == 1
    wait_answered(t, 1)


def test_a_reader_of_metrics_that_stalls_holds_up_nobody(tenement):
    t = tenement_with(tenement)
    with socket.socket(socket.AF_UNIX) as stalled:
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        stalled.connect(str(t.data_dir / ".tenement" / "run" / "control.sock"))
        stalled.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
        assert metrics(t)[of_alice("state", 'state="asleep"')] == 1
    assert metrics(t)
