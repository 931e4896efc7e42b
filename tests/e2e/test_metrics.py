"""GET /metrics: both formats, held against their own tools, and what is counted."""

import http.client
import json
import pathlib
import re
import subprocess
import threading

import openmetrics
import pytest
from daemon_rig import in_threads, kill, wait_gone
from harness import wait_until

ROOT = pathlib.Path(__file__).parents[2]
OPEN = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3"


def scrape(t, accept=None):
    answer = t.control("GET", "/metrics", headers={"Accept": accept} if accept else None)
    assert answer.status == 200
    return answer


def families(t):
    return openmetrics.read(scrape(t, OPEN).text)


def value(t, name, **labels):
    """The sample of metric NAME, a counter's _total left out; None: there is none."""
    found = [number for (suffix, have), number in families(t)[name].samples.items() if dict(have) == labels]
    return found[0] if found else None


def table():
    """{name: kind} of lib/metrics.def."""
    rows = re.findall(r'^METRIC\(\w+, (\w+), "(\w+)"', (ROOT / "lib/metrics.def").read_text(), re.M)
    return {name: kind.lower() for kind, name in rows}


@pytest.fixture
def busy(tenement):
    """Two services, some of whose tenants answer, fail, are refused and sleep."""
    t = tenement(start=False)
    t.write("echo.toml", t.service("echo", health="/health"))
    t.write("sad.toml", t.service("sad", "dies", startup_timeout=1))
    for one in ("alice", "bob", "carol"):
        t.write(f"echo-{one}.toml", t.tenant("echo", rate_limit=1, rate_burst=4))
    t.write("sad-x.toml", t.tenant("sad"))
    t.start()
    in_threads(6, lambda i: t.get("echo:alice", "/?status=200"))
    t.wait_ok("echo:bob")
    t.get("sad:x")
    return t


def test_both_formats_are_as_their_tools_want_them(busy):
    t = busy
    plain, opened = scrape(t), scrape(t, OPEN)
    assert plain.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert opened.headers["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    said = subprocess.run(["promtool", "check", "metrics"], input=plain.text, capture_output=True, text=True, timeout=60)
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")
    told = openmetrics.read(opened.text)
    assert {name: family.type for name, family in told.items()} == {
        name: kind for name, kind in table().items() if name != "tenement_memory_bytes"}
    suffixes = {"counter": "_total", "info": "_info"}
    assert sorted(openmetrics.read(plain.text, open=False)) == sorted(
        name + suffixes.get(family.type, "") for name, family in told.items())
    assert told["tenement_instance_cpu_seconds"].unit == "seconds"


def test_what_is_counted_of_requests(busy):
    t = busy
    # (the count of a request is made when its last byte has gone, which its client may see before)
    wait_until(lambda: value(t, "tenement_instance_requests", service="echo", id="alice", code="2xx") == 4)
    wait_until(lambda: value(t, "tenement_instance_requests", service="echo", id="alice", code="4xx") == 2)
    wait_until(lambda: value(t, "tenement_service_requests", service="sad", code="5xx") == 1)
    t.get("echo:bob", "/?delay=0.12")
    wait_until(lambda: value(t, "tenement_service_requests", service="echo", code="2xx") == 6)
    told = families(t)
    times = {labels: number for (suffix, labels), number in
             told["tenement_instance_request_duration_seconds"].samples.items()}
    slow = told["tenement_instance_request_duration_seconds"].samples
    bob = (("service", "echo"), ("id", "bob"))
    assert slow["_count", bob] == 2 and slow["_sum", bob] >= 0.12
    assert slow["_bucket", (*bob, ("le", "0.1"))] <= 1 and slow["_bucket", (*bob, ("le", "+Inf"))] == 2
    assert not any(("id", "carol") in labels for labels in times), "nobody asked for it"
    # What services have is the sum of what their tenants have.
    for name in ("requests", "bytes", "in_flight", "refusals", "request_duration_seconds"):
        sums = {}
        for (suffix, labels), number in told[f"tenement_instance_{name}"].samples.items():
            key = (suffix, tuple(label for label in labels if label[0] != "id"))
            sums[key] = sums.get(key, 0) + number
        have = told[f"tenement_service_{name}"].samples
        assert {key: pytest.approx(number) for key, number in sums.items()} == {key: have[key] for key in sums}, name


def test_what_is_told_of_the_rest(busy):
    t = busy
    assert value(t, "tenement_service_instances", service="echo", state="ready") == 2
    assert value(t, "tenement_service_instances", service="echo", state="asleep") == 1
    assert value(t, "tenement_instance_state", service="echo", id="carol", state="asleep") == 1
    assert value(t, "tenement_service_wakes", service="echo", cause="request") == 2
    assert value(t, "tenement_service_starts", service="echo") == 2
    assert value(t, "tenement_instance_starts", service="echo", id="alice") == 1
    assert value(t, "tenement_service_failures", service="sad") >= 1
    assert value(t, "tenement_proxy_workers", state="accepting") == len(t.control("GET", "/api/status").json()["workers"])
    told = families(t)
    programs = {dict(labels)["program"] for _, labels in told["tenement_process_cpu_seconds"].samples}
    assert {"keeper", "daemon", "proxy", "logger", "usage"} <= programs
    for name in ("resident_memory_bytes", "open_fds", "start_time_seconds"):
        assert all(number > 0 for number in told[f"tenement_process_{name}"].samples.values())
    t.ten("stop", "echo:bob")
    t.ten("start", "echo:bob")
    assert value(t, "tenement_service_wakes", service="echo", cause="command") == 1
    assert value(t, "tenement_api_requests", right="metrics", code="2xx") >= 1
    assert value(t, "tenement_api_wrong_tokens") == 0
    wrong = t.request(f"{t.domain}:{t.port}", "/metrics", headers={"Authorization": "Bearer ten_none"})
    assert wrong.status == 401 and value(t, "tenement_api_wrong_tokens") == 1
    # Of the reconciler and the files.
    assert told["tenement_reconcile_duration_seconds"].samples["_count", ()] > 0
    before = value(t, "tenement_config_generation")
    assert value(t, "tenement_config_files_bad") == 0
    t.write("echo-carol.toml", "[tenant]\nservice = \"echo\"\nno_such_key = 1\n")
    wait_until(lambda: value(t, "tenement_config_files_bad") == 1)
    t.write("echo-carol.toml", t.tenant("echo", idle_timeout=77))
    wait_until(lambda: value(t, "tenement_config_files_bad") == 0)
    assert value(t, "tenement_config_generation") > before
    t.ten("pause", "a look")
    assert value(t, "tenement_config_paused") == 1
    t.ten("unpause")


def test_lines_of_logs_are_counted(tenement):
    t = tenement(start=False)
    t.write("loud.toml", t.service("loud", "flood", log_rate=1, access_log="json"))
    t.write("loud-x.toml", t.tenant("loud"))
    t.start()
    t.wait_ok("loud:x")
    wait_until(lambda: value(t, "tenement_log_lost_lines", reason="log_rate") > 0)
    t.ten("stop", "loud:x")
    lines = value(t, "tenement_log_lines", log="output")
    assert lines > 0
    wait_until(lambda: value(t, "tenement_log_lines", log="access") >= 1)
    assert value(t, "tenement_log_lost_lines", reason="store") == value(t, "tenement_log_lost_lines", reason="access") == 0
    # They outlive the log writer.
    logger = t.pid_of("tenement-logger")
    kill(logger)
    wait_gone(logger)
    assert value(t, "tenement_log_lines", log="output") >= lines


def test_without_tenants_there_are_services(busy):
    t = busy
    wait_until(lambda: value(t, "tenement_service_requests", service="echo", code="2xx") == 5)
    t.settings["metrics_per_tenant"] = False
    t.write_main()
    wait_until(lambda: not any("_instance_" in name for name in families(t)))
    assert 'id="' not in scrape(t).text
    assert value(t, "tenement_service_requests", service="echo", code="2xx") == 5
    assert value(t, "tenement_service_instances", service="echo", state="ready") == 2


def test_who_reads_slowly_or_goes_harms_nobody(busy):
    """More than one answer at a time is bounded; who asks again before it has read gets that after."""
    t = busy
    for _ in range(20):
        connection = http.client.HTTPConnection("localhost", timeout=20)
        connection.sock = t.control_socket()
        connection.request("GET", "/metrics")
        connection.sock.close()
    with t.control_socket() as both:
        both.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        got = b""
        while b'"status":"ok"' not in got:
            more = both.recv(65536)
            assert more, got[-200:]
            got += more
        assert got.index(b"tenement_build_info") < got.index(b'"status":"ok"')
    assert value(t, "tenement_config_paused") == 0


def test_who_leaves_takes_nothing_along(tenement):
    """Counters of a service do not go back while a tenant of it leaves, which may be in the middle of a scrape."""
    t = tenement(start=False)
    late = [f"z{i}" for i in range(6)]
    t.write("echo.toml", t.service("echo", "tiny"))
    for one in [*(f"a{i:03d}" for i in range(600)), *late]:
        t.write(f"echo-{one}.toml", t.tenant("echo"))
    t.start()
    for one in late:
        t.get(f"echo:{one}")
    wait_until(lambda: value(t, "tenement_service_requests", service="echo", code="2xx") == len(late))
    told, over = set(), threading.Event()

    def look():
        while not over.is_set():
            told.update(re.findall(r'^tenement_service_requests_total{service="echo",code="2xx"} (\d+)', scrape(t).text, re.M))

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for one in late:
        t.remove(f"echo-{one}.toml")
        wait_until(lambda one=one: t.control("GET", f"/api/instances/echo:{one}").status == 404)
    over.set()
    for thread in threads:
        thread.join()
    assert told == {str(len(late))}


NAMES = re.compile(r"\btenement_[a-z_]+\b")
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count"), "info": ("_info",)}


def queries_of(panels):
    for panel in panels:
        yield from (target["expr"] for target in panel.get("targets", ()))
        yield from queries_of(panel.get("panels", ()))


def test_the_dashboard_and_the_alerts_ask_for_what_there_is(tmp_path):
    """(That /metrics has all of the table, and nothing else, is a test above.)"""
    there = {name + suffix for name, kind in table().items() for suffix in SUFFIXES[kind]}
    dashboard = json.loads((ROOT / "contrib/grafana/tenement.json").read_text())
    queries = [*queries_of(dashboard["panels"]),
               *(one["definition"] for one in dashboard["templating"]["list"] if "definition" in one),
               *(one["expr"] for one in dashboard["annotations"]["list"])]
    assert len(queries) > 40
    assert {name for query in queries for name in NAMES.findall(query)} <= there
    alerts = (ROOT / "contrib/prometheus/alerts.yml").read_text()
    assert set(NAMES.findall(re.sub(r"summary:.*", "", alerts))) <= there
    for page in (*ROOT.glob("tenement/man/*.[0-9]"), ROOT / "README.md", ROOT / "conf.d/README.md"):
        named = re.findall(r"\btenement_[a-z_]+_total\b", page.read_text().replace("\\", ""))
        assert set(named) <= there, page
    # Prometheus itself reads all of them; what Grafana fills in is filled in as it would.
    filled = [re.sub(r"\$__rate_interval", "5m", re.sub(r'"\$\w+"', '".*"', query)) for query in queries
              if not query.startswith("label_values")]
    rules = tmp_path / "dashboard.json"
    rules.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": [
        {"record": f"panel:{number}", "expr": query} for number, query in enumerate(filled)]}]}))
    for command in (["check", "rules", str(rules)], ["check", "rules", "alerts.yml"],
                    ["test", "rules", "alerts_test.yml"]):
        said = subprocess.run(["promtool", *command], cwd=ROOT / "contrib/prometheus", capture_output=True, text=True,
                              timeout=60)
        assert said.returncode == 0, said.stdout + said.stderr
