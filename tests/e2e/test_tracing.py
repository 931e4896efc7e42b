"""OTLP export of the proxy's spans, against a small collector of our own."""

import contextlib
import http.server
import json
import re
import secrets
import socket
import threading

import pytest
from daemon_rig import in_threads, kill, wait_gone
from harness import children_of, wait_until
from test_metrics import value

PARENT = re.compile("00-([0-9a-f]{32})-([0-9a-f]{16})-0([01])")


class Collector:
    """Takes what comes to /v1/traces; answers with .status."""

    def __init__(self):
        self.status, self.spans, self.requests = 200, [], 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.requests += 1
                if outer.status == 200:
                    assert self.path == "/v1/traces" and self.headers["Content-Type"] == "application/json"
                    for resource in body["resourceSpans"]:
                        assert {"key": "service.name", "value": {"stringValue": "tenement"}} in resource["resource"]["attributes"]
                        for scope in resource["scopeSpans"]:
                            outer.spans += scope["spans"]
                self.send_response(outer.status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def of(self, trace):
        return [span for span in self.spans if span["traceId"] == trace]


@pytest.fixture
def collector():
    one = Collector()
    yield one
    one.server.shutdown()
    one.server.server_close()


def traced(tenement, endpoint, **settings):
    t = tenement(start=False, settings={"otlp_endpoint": endpoint, **settings})
    t.write("echo.toml", t.service("echo", "echo --start-delay 0.1"))
    t.write("echo-alice.toml", t.tenant("echo", max_concurrent=1))
    t.write("echo-bob.toml", t.tenant("echo", state="stopped"))
    return t.start()


def attributes(span):
    found = {}
    for one in span["attributes"]:
        (kind, what), = one["value"].items()
        found[one["key"]] = int(what) if kind == "intValue" else what
    return found


def seen_by_tenant(answer):
    """What the tenant was told: (trace, span, sampled), and its tracestate."""
    fields = {name.lower(): text for name, text in answer.json()["headers"]}
    return PARENT.fullmatch(fields["traceparent"]).groups(), fields.get("tracestate")


def test_spans_arrive_and_link(tenement, collector):
    t = traced(tenement, collector.url + "/", trace_sample=1)
    # It wakes the tenant: a span of the request, with one of the wait below it.
    (trace, span, sampled), _ = seen_by_tenant(t.get("echo:alice", "/notes/7?secret=yes"))
    assert sampled == "1"
    wait_until(lambda: len(collector.of(trace)) == 2, what="the spans")
    root, = [one for one in collector.of(trace) if one["spanId"] == span]
    wake, = [one for one in collector.of(trace) if one["spanId"] != span]
    assert (root["name"], root["kind"]) == ("GET", 2) and "parentSpanId" not in root and "status" not in root
    told = attributes(root)
    assert told["http.request.method"] == "GET" and told["http.response.status_code"] == 200
    assert told["url.path"] == "/notes/7" and "secret" not in json.dumps(root)
    assert (told["server.address"], told["server.port"]) == (t.host("echo:alice").split(":")[0], t.port)
    assert told["client.address"] == "127.0.0.1"
    assert (told["tenement.service"], told["tenement.id"]) == ("echo", "alice")
    assert (wake["name"], wake["parentSpanId"]) == ("wake", span)
    assert int(root["startTimeUnixNano"]) <= int(wake["startTimeUnixNano"])
    assert int(wake["startTimeUnixNano"]) + 90_000_000 <= int(wake["endTimeUnixNano"]) <= int(root["endTimeUnixNano"])

    # A client's trace goes on, with us between.
    theirs, parent = secrets.token_hex(16), secrets.token_hex(8)
    answer = t.get("echo:alice", headers={"traceparent": f"00-{theirs}-{parent}-01", "tracestate": "a=1"})
    (trace, span, sampled), state = seen_by_tenant(answer)
    assert (trace, sampled, state) == (theirs, "1", "a=1") and span != parent
    wait_until(lambda: collector.of(theirs))
    assert [(one["spanId"], one["parentSpanId"]) for one in collector.of(theirs)] == [(span, parent)]

    # What its client does not have sampled is not, and passes as it is.
    theirs = secrets.token_hex(16)
    answer = t.get("echo:alice", headers={"traceparent": f"00-{theirs}-{parent}-00", "tracestate": "a=1"})
    assert seen_by_tenant(answer) == ((theirs, parent, "0"), "a=1")
    # What is no parent begins a trace, of which its tracestate is no part.
    answer = t.get("echo:alice", headers={"traceparent": f"00-{theirs}-{parent}-1", "tracestate": "a=1"})
    (trace, _, sampled), state = seen_by_tenant(answer)
    assert trace != theirs and sampled == "1" and state is None

    # A refusal, and who waits for a place.
    refused = secrets.token_hex(16)
    assert t.get("echo:bob", headers={"traceparent": f"00-{refused}-{parent}-01"}).status == 503
    told = attributes(wait_until(lambda: collector.of(refused))[0])
    assert (told["tenement.refused"], told["error.type"]) == ("down", "503")
    assert collector.of(refused)[0]["status"] == {"code": 2}
    both = [secrets.token_hex(16) for _ in range(2)]
    in_threads(2, lambda i: t.get("echo:alice", "/?delay=0.2", headers={"traceparent": f"00-{both[i]}-{parent}-01"}))
    wait_until(lambda: "queue" in [one["name"] for trace in both for one in collector.of(trace)])

    assert not collector.of(theirs)
    wait_until(lambda: value(t, "tenement_trace_spans", result="exported") >= 6)
    assert value(t, "tenement_trace_spans", result="lost") == value(t, "tenement_trace_spans", result="dropped") == 0

    # A tracer that is killed is followed by another; without sampling there is nothing but the mark.
    tracer = t.pid_of("tenement-tracer")
    kill(tracer)
    wait_gone(tracer)
    again = secrets.token_hex(16)
    t.get("echo:alice", headers={"traceparent": f"00-{again}-{parent}-01"})
    wait_until(lambda: collector.of(again))
    t.settings["trace_sample"] = 0
    t.write_main()
    wait_until(lambda: seen_by_tenant(t.get("echo:alice"))[0][2] == "0")
    t.settings["otlp_endpoint"] = ""
    t.write_main()
    wait_until(lambda: "traceparent" not in t.get("echo:alice").text.lower())
    wait_until(lambda: "tenement-tracer"[:15] not in programs(t))


def programs(t):
    return set(children_of(t.keeper_pid()).values())


def test_a_collector_that_is_dead_or_stalls_harms_nobody(tenement, collector):
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as stalling:
        t = traced(tenement, f"http://127.0.0.1:{stalling.getsockname()[1]}")
        t.wait_ok("echo:alice")
        for _ in range(40):
            assert t.get("echo:alice").status == 200
        # Nobody listens at all.
        dead = stalling.getsockname()[1]
        t.settings["otlp_endpoint"] = f"http://127.0.0.1:{dead}"
    t.write_main()
    wait_until(lambda: t.get("echo:alice").status == 200 and value(t, "tenement_trace_export_failures") > 0)
    # One that is busy is tried again, and has all then; one that wants none is not.
    collector.status = 503
    t.settings["otlp_endpoint"] = collector.url
    t.write_main()
    trace = secrets.token_hex(16)
    wait_until(lambda: t.get("echo:alice", headers={"traceparent": f"00-{trace}-{trace[:16]}-01"}).status == 200
               and collector.requests >= 2)
    collector.status = 200
    wait_until(lambda: collector.of(trace))
    collector.status = 400
    before = value(t, "tenement_trace_spans", result="dropped")
    t.get("echo:alice")
    wait_until(lambda: value(t, "tenement_trace_spans", result="dropped") > before)


def test_an_endpoint_is_a_url(tenement):
    t = tenement(start=False, settings={"otlp_endpoint": "localhost:4318"})
    t.write_main()
    said = t.ten("check", status=None)
    assert said.returncode != 0 and "is no URL of a collector" in said.stdout + said.stderr
