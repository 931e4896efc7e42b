"""Access logs: what is written, where, and what happens when it cannot be."""

import contextlib
import json
import os
import re
import resource
import signal
import socket
import time

import pytest

from daemon_rig import kill, kill_daemon
from proxy_rig import *  # noqa: F401,F403
from proxy_rig import Client, Rig, answer, fetch
from harness import build_program, wait_until  # pylint: disable=wrong-import-order

COMBINED = re.compile(r'(\S+) - - \[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000)\] "(.*)" (\d+) (\d+) '
                      r'"([^"]*)" "([^"]*)"')


class Logs:
    """A rig with a log writer."""

    def __init__(self, folder, workers=1, max_mb=1):
        self.folder = folder
        self.max_mb = max_mb
        folder.mkdir(exist_ok=True)
        self.rig = Rig(workers)
        self.rig.do("settings")
        self.pid = None
        self.start()

    def start(self):
        self.pid = self.rig.do("logger", build_program("tenement-logger"), self.folder, self.max_mb)["pid"]

    def end(self, number=signal.SIGTERM):
        self.rig.do("unlogger", int(number))
        self.pid = None

    def path(self, name, suffix=""):
        service, tenant = name.split(":")
        return self.folder / service / f"{tenant}.access.log{suffix}"

    def text(self, name, suffix=""):
        with contextlib.suppress(FileNotFoundError):
            return self.path(name, suffix).read_bytes().decode()
        return ""

    def lines(self, name, suffix=""):
        """Of JSON: each line is parsed."""
        text = self.text(name, suffix)
        return [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]

    def wait(self, name, count, what=lambda line: True):
        """Wait until COUNT lines of NAME are there, and return them."""
        def enough():
            found = [line for line in self.lines(name) if what(line)]
            return found if len(found) >= count else None
        found = wait_until(enough, what=f"{count} lines of {name}")
        assert len(found) == count, found
        return found

    def close(self):
        self.rig.close()


@pytest.fixture
def logs(tmp_path):
    made = Logs(tmp_path / "logs")
    yield made
    made.close()


def serve(logs, tenant, name="notes:a", host="a.localhost", form="json", **options):
    logs.rig.tenant(tenant, name, host, access_log=form, **options)


def test_a_line_of_json(logs, tenant_of):
    serve(logs, tenant_of(lambda stream, request: answer("hello", "X-Y: z")))
    with Client(logs.rig, "A.localhost:80") as client:
        client.ask("POST /x%20y?q=1 HTTP/1.1", "Referer: http://r.test/", "User-Agent: tést/1", "X-Request-Id: id-7",
                   "Content-Length: 3", body=b"abc")
        head = client.head()
        assert client.bytes(5) == b"hello"
    line, = logs.wait("notes:a", 1)
    assert abs(time.time() - time.mktime(time.strptime(line["time"][:19], "%Y-%m-%dT%H:%M:%S")) + time.timezone) < 60
    assert 0 < line["upstream_ms"] <= line["duration_ms"] < 10000
    sent = len(head) + 4 + 5
    request = ("POST /x%20y?q=1 HTTP/1.1\r\nHost: A.localhost:80\r\nReferer: http://r.test/\r\n"
               "User-Agent: tést/1\r\nX-Request-Id: id-7\r\nContent-Length: 3\r\n\r\nabc").encode()
    del line["time"], line["duration_ms"], line["upstream_ms"]
    assert line == {
        "client": "127.0.0.1", "method": "POST", "target": "/x%20y?q=1", "protocol": "HTTP/1.1", "status": 200,
        "bytes_sent": sent, "body_bytes_sent": 5, "bytes_received": len(request), "host": "A.localhost:80",
        "referer": "http://r.test/", "user_agent": "tést/1", "request_id": "id-7", "tenant": "notes:a",
        "route": "a.localhost", "upgraded": False, "complete": True, "refused": None}


def test_a_line_of_the_combined_form(logs, tenant_of):
    serve(logs, tenant_of(lambda stream, request: answer("hello")), form="combined")
    fetch(logs.rig, "GET /x HTTP/1.0", 'User-Agent: a "quoted" \\ é', host="a.localhost")
    wait_until(lambda: logs.text("notes:a").endswith("\n"))
    match = COMBINED.fullmatch(logs.text("notes:a")[:-1])
    assert match.group(1, 3, 4, 5, 6, 7) == (
        "127.0.0.1", "GET /x HTTP/1.0", "200", "5", "-", "a \\x22quoted\\x22 \\x5C \\xC3\\xA9")


def test_off_is_off(logs, tenant_of):
    logs.rig.tenant(tenant_of(), "notes:quiet", "quiet.localhost")
    serve(logs, tenant_of())
    for host in ("quiet.localhost", "a.localhost", "nobody.localhost"):
        fetch(logs.rig, host=host)
    logs.wait("notes:a", 1)
    assert os.listdir(logs.folder / "notes") == ["a.access.log"]


def test_the_form_is_changed_live(logs, tenant_of):
    tenant = tenant_of()
    with Client(logs.rig, "a.localhost") as client:
        for form in ("json", "combined", "off", "json"):
            serve(logs, tenant, form=form)
            client.get(f"GET /{form} HTTP/1.1")
    wait_until(lambda: logs.text("notes:a").count("\n") == 3)
    first, second, third = logs.text("notes:a").splitlines()
    assert json.loads(first)["target"] == json.loads(third)["target"] == "/json"
    assert COMBINED.fullmatch(second).group(3) == "GET /combined HTTP/1.1"


def test_a_made_request_id_is_the_tenants(logs, tenant_of):
    tenant = tenant_of()
    serve(logs, tenant)
    fetch(logs.rig, host="a.localhost")
    line, = logs.wait("notes:a", 1)
    assert re.fullmatch("[0-9a-f]{32}", line["request_id"])
    assert line["request_id"] == tenant.requests[0].get("x-request-id")


def test_the_real_client(logs, tenant_of):
    serve(logs, tenant_of())
    ask = lambda: fetch(logs.rig, "GET / HTTP/1.1", "X-Forwarded-For: 198.51.100.1, 192.0.2.9", host="a.localhost")
    ask()
    logs.rig.do("settings", trusted="127.0.0.0/8")
    ask()
    assert [line["client"] for line in logs.wait("notes:a", 2)] == ["127.0.0.1", "192.0.2.9"]


@pytest.mark.parametrize("form", ["json", "combined"])
def test_nothing_gets_out_of_its_field(logs, tenant_of, form):
    serve(logs, tenant_of(), form=form)
    hostile = b'x" 200 0 "-" "\\","status":0,\t\xff\xc3\x28\xe2\x80\xae\xc2\x9b2J'
    with Client(logs.rig) as client:
        client.send(b"GET /" + b'a"\\{' + b" HTTP/1.1\r\nHost: a.localhost\r\nUser-Agent: " + hostile + b"\r\nReferer: "
                    + hostile + b"\r\nX-Request-Id: " + hostile + b"\r\n\r\n")
        status = client.response().status
    fetch(logs.rig, "GET /after HTTP/1.1", host="a.localhost")
    wait_until(lambda: "/after" in logs.text("notes:a"))
    raw = logs.path("notes:a").read_bytes()
    lines = raw.decode().splitlines()  # well-formed
    assert len(lines) == (2 if status == 200 else 1)
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", raw) and b"\xc2\x9b" not in raw
    for line in lines:
        if form == "json":
            assert json.loads(line)["status"] == 200
        else:
            assert COMBINED.fullmatch(line), line


def test_a_long_head_is_cut(logs, tenant_of):
    serve(logs, tenant_of())
    fetch(logs.rig, f"GET /{'t' * 8000} HTTP/1.1", f"User-Agent: {'u' * 6000}", host="a.localhost")
    fetch(logs.rig, "GET /after HTTP/1.1", host="a.localhost")
    long, after = logs.wait("notes:a", 2)
    assert long["target"] == "/" + "t" * 8000 and long["user_agent"] == "u" * 1024
    assert after["target"] == "/after"


# ---- what became of the request ----

def one(logs, name="notes:a"):
    return logs.wait(name, 1)[0]


@pytest.mark.parametrize("state, options, status, why", [
    ("failed", {}, 503, "down"), ("stopped", {}, 503, "down"), ("suspended", {"suspended_status": 402}, 402, "down"),
    ("asleep", {"wait_ms": 50}, 504, "wake_timeout"), ("asleep", {"wake_queue": 0}, 503, "wake_queue"),
])
def test_refusals(logs, tenant_of, state, options, status, why):
    serve(logs, tenant_of(), state=state, **options)
    response = fetch(logs.rig, host="a.localhost")
    line = one(logs)
    assert (response.status, line["status"], line["refused"], line["upstream_ms"]) == (status, status, why, None)
    assert line["complete"] and line["body_bytes_sent"] == len(response.body)


def test_a_body_too_large(logs, tenant_of):
    serve(logs, tenant_of(), max_body=10)
    fetch(logs.rig, "POST / HTTP/1.1", "Content-Length: 11", host="a.localhost", body=b"x" * 11)
    assert (one(logs)["status"], one(logs)["refused"]) == (413, "too_large")


def test_a_limit(logs, tenant_of):
    serve(logs, tenant_of(), rate_limit=1, rate_burst=1)
    assert [fetch(logs.rig, host="a.localhost").status for _ in range(2)] == [200, 429]
    lines = logs.wait("notes:a", 2)
    assert [(line["status"], line["refused"]) for line in lines] == [(200, None), (429, "rate_limit")]


def test_a_tenant_that_breaks(logs, tenant_of):
    serve(logs, tenant_of(lambda stream, request: b"garbage\r\n\r\n"))
    assert fetch(logs.rig, host="a.localhost").status == 502
    assert (one(logs)["status"], one(logs)["refused"]) == (502, "upstream")


def test_a_tenant_that_is_slow(logs, tenant_of):
    serve(logs, tenant_of(lambda stream, request: stream.more() and None), request_timeout=60)
    assert fetch(logs.rig, host="a.localhost").status == 504
    assert (one(logs)["status"], one(logs)["refused"]) == (504, "request_timeout")
    assert one(logs)["duration_ms"] >= 50


def test_half_an_answer(logs, tenant_of):
    def handler(stream, request):
        stream.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        return False
    serve(logs, tenant_of(handler))
    with Client(logs.rig, "a.localhost") as client:
        client.ask()
        client.rest()
    line = one(logs)
    assert (line["status"], line["complete"], line["body_bytes_sent"], line["refused"]) == (200, False, 4, None)


def test_a_client_that_goes(logs, tenant_of):
    serve(logs, tenant_of(lambda stream, request: stream.more() and None))
    with Client(logs.rig, "a.localhost") as client:
        client.ask()
        wait_until(lambda: logs.rig.use("notes:a")["in_flight"] == 1)
    line = one(logs)
    assert (line["status"], line["complete"], line["bytes_sent"], line["upstream_ms"]) == (499, False, 0, None)


def test_a_client_that_goes_while_it_waits(logs, tenant_of):
    serve(logs, tenant_of(), state="asleep")
    with Client(logs.rig, "a.localhost") as client:
        client.ask()
        logs.rig.wanted()
    assert (one(logs)["status"], one(logs)["complete"]) == (499, False)


def test_a_wake_is_in_the_duration(logs, tenant_of):
    serve(logs, tenant_of(), state="asleep")
    with Client(logs.rig, "a.localhost") as client:
        client.ask()
        assert logs.rig.wanted() == ["notes:a"]
        begun = time.monotonic()
        time.sleep(0.05)
        logs.rig.do("state", "notes:a", "ready")
        least = (time.monotonic() - begun) * 1000
        assert client.response().status == 200
    assert one(logs)["status"] == 200 and one(logs)["upstream_ms"] >= least - 20


def test_an_upgraded_connection(logs, tenant_of):
    def handler(stream, request):
        stream.sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
        stream.sock.sendall(stream.bytes(1000))
        stream.more()
        return False
    serve(logs, tenant_of(handler))
    with Client(logs.rig, "a.localhost") as client:
        client.ask("GET / HTTP/1.1", "Connection: upgrade", "Upgrade: echo")
        head = client.head()
        client.send(b"x" * 1000)
        assert client.bytes(1000) == b"x" * 1000
        assert logs.text("notes:a") == "", "not before it is over"
        client.sock.shutdown(socket.SHUT_WR)
        client.rest()
    line = one(logs)
    assert (line["status"], line["upgraded"], line["complete"]) == (101, True, True)
    assert (line["bytes_sent"], line["body_bytes_sent"]) == (len(head) + 4 + 1000, 1000)
    assert 1000 < line["bytes_received"] < 1200


def test_pipelined_and_kept_alive(logs, tenant_of):
    serve(logs, tenant_of(lambda stream, request: answer(request.target)))
    with Client(logs.rig, "a.localhost") as client:
        for i in range(50):
            client.ask(f"GET /{i} HTTP/1.1")
        for i in range(50):
            assert client.response().body == f"/{i}".encode()
        assert client.get("HEAD /head HTTP/1.1").status == 200
    lines = logs.wait("notes:a", 51)
    assert [line["target"] for line in lines] == [f"/{i}" for i in range(50)] + ["/head"]
    assert [line["body_bytes_sent"] for line in lines[:50]] == [len(f"/{i}") for i in range(50)]
    assert lines[50]["body_bytes_sent"] == 0


def test_a_chunked_upload_is_counted(logs, tenant_of):
    serve(logs, tenant_of())
    body = b"".join(b"%x\r\n" % 5000 + b"y" * 5000 + b"\r\n" for _ in range(20)) + b"0\r\n\r\n"
    fetch(logs.rig, "PUT / HTTP/1.1", "Transfer-Encoding: chunked", host="a.localhost", body=body)
    assert 100000 < one(logs)["bytes_received"] < 100200


def test_weighted_routes_name_the_version(logs, tenant_of):
    for name in ("v1", "v2"):
        serve(logs, tenant_of(), f"notes:{name}", f"{name}.notes.localhost")
    logs.rig.do("weighted", "notes.localhost", 1, "notes:v1=1", "notes:v2=1")
    for _ in range(4):
        fetch(logs.rig, host="notes.localhost")
    for name in ("v1", "v2"):
        for line in logs.wait(f"notes:{name}", 2):
            assert (line["tenant"], line["route"]) == (f"notes:{name}", "notes.localhost")


# ---- files ----

def test_a_moved_file_is_left_when_told(logs, tenant_of):
    serve(logs, tenant_of())
    fetch(logs.rig, "GET /1 HTTP/1.1", host="a.localhost")
    logs.wait("notes:a", 1)
    logs.path("notes:a").rename(logs.path("notes:a", ".old"))
    fetch(logs.rig, "GET /2 HTTP/1.1", host="a.localhost")
    wait_until(lambda: len(logs.lines("notes:a", ".old")) == 2, what="the old file is written until then")
    os.kill(logs.pid, signal.SIGUSR1)
    wait_until(lambda: not any(link.endswith(".old") for link in open_files(logs.pid)))
    fetch(logs.rig, "GET /3 HTTP/1.1", host="a.localhost")
    assert logs.wait("notes:a", 1)[0]["target"] == "/3"
    assert [line["target"] for line in logs.lines("notes:a", ".old")] == ["/1", "/2"]


def open_files(pid):
    found = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            found.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
    return found


def test_a_removed_or_truncated_file(logs, tenant_of):
    serve(logs, tenant_of())
    fetch(logs.rig, "GET /1 HTTP/1.1", host="a.localhost")
    logs.wait("notes:a", 1)
    logs.path("notes:a").unlink()
    fetch(logs.rig, "GET /2 HTTP/1.1", host="a.localhost")
    assert logs.wait("notes:a", 1)[0]["target"] == "/2"
    os.truncate(logs.path("notes:a"), 0)
    fetch(logs.rig, "GET /3 HTTP/1.1", host="a.localhost")
    assert logs.wait("notes:a", 1)[0]["target"] == "/3"


def test_the_bound_holds(logs, tenant_of):
    serve(logs, tenant_of())
    with Client(logs.rig, "a.localhost") as client:
        for i in range(250):  # 2 MB into a log of 1 MiB
            client.get(f"GET /{i}/{'x' * 8000} HTTP/1.1")
            if i % 10 == 9:  # not much faster than it is written
                wait_until(lambda: f"/{i - 8}/" in logs.text("notes:a") + logs.text("notes:a", ".1"))
    wait_until(lambda: "/249/" in logs.text("notes:a"))
    sizes = [logs.path("notes:a", suffix).stat().st_size for suffix in ("", ".1")]
    assert sum(sizes) <= 1 << 20 and max(sizes) > 400000
    numbers = [int(line["target"].split("/")[1]) for suffix in (".1", "") for line in logs.lines("notes:a", suffix)]
    assert numbers == list(range(numbers[0], 250)), "the newest are there, in order"


def test_very_many_tenants(logs, tenant_of):
    """More than there may be files open."""
    tenant = tenant_of()
    with Client(logs.rig, "h0.localhost") as client:
        logs.rig.do("fill", 600, **tenant.address(), access_log="json")
        for turn in range(2):
            for i in range(600):
                client.host = f"t{i}.localhost"
                assert client.get(f"GET /{turn} HTTP/1.1").status == 200
    for i in range(600):
        assert [line["target"] for line in logs.wait(f"fill:t{i}", 2)] == ["/0", "/1"]
    assert sum(link.endswith(".access.log") for link in open_files(logs.pid)) <= 256


# ---- adversity ----

def test_the_log_writer_is_killed(logs, tenant_of):
    serve(logs, tenant_of())
    with Client(logs.rig, "a.localhost") as client:
        for turn in range(5):
            logs.end(signal.SIGKILL)
            for i in range(20):
                client.get(f"GET /{turn}.{i} HTTP/1.1")
            logs.start()
            for i in range(20, 40):
                client.get(f"GET /{turn}.{i} HTTP/1.1")
    wanted = [f"/{turn}.{i}" for turn in range(5) for i in range(40)]
    # It may have been killed between writing and forgetting: then there are lines twice, but all are there.
    wait_until(lambda: set(wanted) <= {line["target"] for line in logs.lines("notes:a")}, what="all lines")


@pytest.mark.parametrize("there, left", [
    (b'{"a":1}\n{"b":2}\n', b'{"a":1}\n{"b":2}\n'), (b'{"a":1}\n{"b":', b'{"a":1}\n'), (b'{"b":', b""), (b"", b""),
    (b"x" * 70000, b"x" * 70000 + b"\n"), (b"x" * 70000 + b"\n" + b"y" * 16000, b"x" * 70000 + b"\n"),
], ids=["whole", "half", "first", "empty", "foreign", "long"])
def test_a_torn_line_is_taken_away(logs, tenant_of, there, left):
    """A log writer that was killed in the middle of it will be given it again."""
    logs.path("notes:a").parent.mkdir()
    logs.path("notes:a").write_bytes(there)
    serve(logs, tenant_of())
    fetch(logs.rig, host="a.localhost")
    wait_until(lambda: b'"target"' in logs.path("notes:a").read_bytes())
    text = logs.path("notes:a").read_bytes()
    assert text.startswith(left) and json.loads(text[len(left):])["status"] == 200


def test_a_stalled_log_writer_holds_nobody_up(tmp_path, tenant_of):
    logs = Logs(tmp_path / "logs", max_mb=64)
    serve(logs, tenant_of())
    serve(logs, tenant_of(), "notes:b", "b.localhost", form="combined")
    os.kill(logs.pid, signal.SIGSTOP)
    with Client(logs.rig, "a.localhost") as client:
        for i in range(800):  # 6 MB: more than buffer and socket hold together
            client.host = "ab"[i % 2] + ".localhost"
            assert client.get(f"GET /{i}/{'x' * 8000} HTTP/1.1").status == 200
        os.kill(logs.pid, signal.SIGCONT)
        # Once there is room again each tenant's log says how many are lost: none is unaccounted for.
        def lost():
            client.host = "a.localhost"
            client.get("GET /later HTTP/1.1")
            said = [line["lost"] for line in logs.lines("notes:a") if "lost" in line]
            other = re.findall(r'"tenement: (\d+) lines lost', logs.text("notes:b"))
            return (sum(said), sum(map(int, other))) if said and other else None
        lost_a, lost_b = wait_until(lost)
    assert lost_a + len([1 for line in logs.lines("notes:a") if "x" * 100 in line.get("target", "")]) == 400
    assert lost_b + len([1 for line in logs.text("notes:b").splitlines() if "x" * 100 in line]) == 400
    for line in logs.text("notes:b").splitlines():
        assert COMBINED.fullmatch(line), line
    warnings = [line for line in logs.rig.stderr if "lines of access logs are lost" in line]
    assert len(warnings) == 1, "said once, not per line"
    logs.close()


def test_a_killed_worker_loses_a_second_at_most(logs, tenant_of):
    serve(logs, tenant_of())
    with Client(logs.rig, "a.localhost") as client:
        client.get("GET /old HTTP/1.1")
        logs.wait("notes:a", 1)
        client.get("GET /new HTTP/1.1")
    logs.rig.do("kill", 0)
    fetch(logs.rig, "GET /after HTTP/1.1", host="a.localhost")
    targets = wait_until(lambda: (got := [line["target"] for line in logs.lines("notes:a")])[-1] == "/after" and got)
    assert targets in (["/old", "/new", "/after"], ["/old", "/after"])


def test_a_worker_that_is_told_to_end_says_all(logs, tenant_of):
    serve(logs, tenant_of())
    fetch(logs.rig, "GET /first HTTP/1.1", host="a.localhost")
    logs.wait("notes:a", 1)  # both programs are up
    fetch(logs.rig, "GET /last HTTP/1.1", host="a.localhost")
    logs.rig.do("term", 0)
    logs.end()
    assert [line["target"] for line in logs.lines("notes:a")] == ["/first", "/last"]


def test_a_full_disk(logs, tenant_of):
    """By a limit on the size of files, which to a writer is the same."""
    resource.prlimit(logs.pid, resource.RLIMIT_FSIZE, (30000, 30000))
    serve(logs, tenant_of())
    with Client(logs.rig, "a.localhost") as client:
        for i in range(20):
            assert client.get(f"GET /{i}/{'x' * 4000} HTTP/1.1").status == 200
        serve(logs, tenant_of(), "notes:b", "b.localhost")
        client.host = "b.localhost"
        client.get()
    logs.wait("notes:b", 1)  # what came before that has been tried
    wait_until(lambda: any("dropping lines" in line for line in logs.rig.stderr))
    kept = [line for line in logs.lines("notes:a") if "target" in line]
    assert 0 < len(kept) < 20
    # Room again: the file says what is missing, and goes on.
    logs.path("notes:a").rename(logs.path("notes:a", ".moved"))
    os.kill(logs.pid, signal.SIGUSR1)
    line, = logs.wait("notes:a", 1)
    # (A remark may have found room where a line had not.)
    said = [line, *logs.lines("notes:a", ".moved")]
    assert line["why"] and sum(line.get("lost", 0) for line in said) == 20 - len(kept)
    fetch(logs.rig, "GET /after HTTP/1.1", host="a.localhost")
    assert logs.wait("notes:a", 2)[1]["target"] == "/after"
    assert len([line for line in logs.rig.stderr if "dropping lines" in line]) == 1


def test_a_folder_that_is_a_link_is_not_followed(logs, tenant_of, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (logs.folder / "notes").symlink_to(elsewhere)
    serve(logs, tenant_of())
    assert fetch(logs.rig, host="a.localhost").status == 200
    wait_until(lambda: any("dropping lines" in line for line in logs.rig.stderr))
    assert not os.listdir(elsewhere)


@pytest.mark.parametrize("name", ["notes:b", "notes:", ":a", "notes", "../../x:a", "notes:../a", "notes:a.access.log",
                                  "notes:a/b", "Notes:a", "notes:nobody", "x" * 120])
def test_a_worker_that_lies_writes_nowhere_else(logs, tenant_of, name):
    serve(logs, tenant_of())
    serve(logs, tenant_of(), "notes:b", "b.localhost")
    logs.rig.do("forge", "notes:a", name, "{}")
    logs.rig.do("forge", "notes:a", "notes:a", "one\x1bline")
    logs.rig.do("forge", "notes:a", "notes:a", '{"true":1}')
    assert logs.wait("notes:a", 1) == [{"true": 1}]
    found = [str(path.relative_to(logs.folder.parent)) for path in logs.folder.parent.rglob("*")
             if path.is_file() and not path.name.startswith("logs.db")]
    assert found == ["logs/notes/a.access.log"]
    wait_until(lambda: any("refused" in line for line in logs.rig.stderr))


def test_two_workers_share_the_files(tmp_path, tenant_of):
    logs = Logs(tmp_path / "logs", workers=2)
    serve(logs, tenant_of())
    for i in range(60):
        fetch(logs.rig, f"GET /{i} HTTP/1.1", host="a.localhost")
    lines = logs.wait("notes:a", 60)
    assert sorted(int(line["target"][1:]) for line in lines) == list(range(60))
    assert all(worker["requests"] for worker in logs.rig.do("workers")["workers"])
    logs.close()


# ---- the whole thing ----

def logged(t, key):
    service, tenant = key.split(":")
    path = t.data_dir / ".tenement" / "logs" / service / f"{tenant}.access.log"
    try:
        return [json.loads(line) for line in path.read_text().splitlines()]
    except FileNotFoundError:
        return []


def test_from_a_file_to_a_line(tenement):
    t = tenement(start=False)
    t.write("tiny.toml", t.service("tiny", "tiny", access_log="json"))
    t.write("tiny-a.toml", t.tenant("tiny"))
    t.write("tiny-b.toml", t.tenant("tiny", access_log="off"))
    t.start()
    for name in ("a", "b"):
        t.wait_ok(f"tiny:{name}", "/first")
    lines = wait_until(lambda: logged(t, "tiny:a"))
    assert (lines[0]["target"], lines[0]["tenant"]) == ("/first", "tiny:a")
    assert not logged(t, "tiny:b")
    # It is switched without a restart.
    pid = t.instance("tiny:a")["pid"]
    t.write("tiny.toml", t.service("tiny", "tiny"))
    t.write("tiny-b.toml", t.tenant("tiny", access_log="json"))
    wait_until(lambda: t.get("tiny:b", "/on") and any(line["target"] == "/on" for line in logged(t, "tiny:b")))
    count = len(logged(t, "tiny:a"))
    t.get("tiny:a", "/off")
    t.get("tiny:b", "/later")
    wait_until(lambda: any(line["target"] == "/later" for line in logged(t, "tiny:b")))
    assert len(logged(t, "tiny:a")) == count and t.instance("tiny:a")["pid"] == pid


def test_everything_is_killed_and_the_log_goes_on(tenement):
    t = tenement(start=False)
    t.write("tiny.toml", t.service("tiny", "tiny", access_log="json"))
    t.write("tiny-a.toml", t.tenant("tiny"))
    t.start()
    t.wait_ok("tiny:a", "/0")
    for turn, program in enumerate(("tenement-logger", "tenementd", "tenement-proxy"), 1):
        wait_until(lambda turn=turn: any(line["target"] == f"/{turn - 1}" for line in logged(t, "tiny:a")))
        old = t.pid_of(program)
        if program == "tenementd":
            kill_daemon(t)
        else:
            kill(old)
        wait_until(lambda: t.get("tiny:a", f"/{turn}").status == 200)
    wait_until(lambda: any(line["target"] == "/3" for line in logged(t, "tiny:a")))


def test_the_operator_rotates(tenement):
    t = tenement(start=False, settings={"access_log_max_mb": 0})
    t.write("tiny.toml", t.service("tiny", "tiny", access_log="json"))
    t.write("tiny-a.toml", t.tenant("tiny"))
    t.start()
    t.wait_ok("tiny:a", "/1")
    wait_until(lambda: logged(t, "tiny:a"))
    folder = t.data_dir / ".tenement" / "logs" / "tiny"
    (folder / "a.access.log").rename(folder / "a.access.log.20261120")
    logger = t.pid_of("tenement-logger")
    os.kill(t.keeper_pid(), signal.SIGUSR1)
    wait_until(lambda: not any("20261120" in link for link in open_files(logger)))
    t.get("tiny:a", "/2")
    lines = wait_until(lambda: logged(t, "tiny:a"))
    assert [line["target"] for line in lines] == ["/2"]
    assert t.pid_of("tenement-logger") == logger, "it was told, not ended"


def test_all_is_written_when_all_ends(tenement):
    t = tenement(start=False)
    t.write("tiny.toml", t.service("tiny", "tiny", access_log="json"))
    t.write("tiny-a.toml", t.tenant("tiny"))
    t.start()
    t.wait_ok("tiny:a", "/first")
    for i in range(50):
        t.get("tiny:a", f"/{i}")
    assert t.stop() == 0
    targets = [line["target"] for line in logged(t, "tiny:a")]
    assert sorted(target for target in targets if target != "/first") == sorted(f"/{i}" for i in range(50))
