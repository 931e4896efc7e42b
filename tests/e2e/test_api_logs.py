"""GET /api/logs and /api/logs/stream, and `ten logs`: finding and following what tenants wrote."""

import contextlib
import json
import os
import random
import subprocess
import time
import urllib.parse

import pytest

from daemon_rig import kill, kill_daemon
from harness import build_program, children_of, wait_until
from sse_rig import Stream
from test_api_tokens import ask, make
from test_daemon_logs import TALKER


@pytest.fixture
def talker(tenement):
    def make_talker(keys, **options):
        t = tenement(start=False, **options)
        (t.apps / "talker.py").write_text(TALKER)
        os.chmod(t.apps / "talker.py", 0o755)
        t.declare(keys, command="/usr/bin/python3 talker.py")
        return t
    return make_talker


def say(t, words, key="x:a", err=False):
    query = urllib.parse.urlencode({"say": words, **({"err": 1} if err else {})})
    assert t.get(key, f"/?{query}").status == 200


def found(t, **filters):
    answer = t.control("GET", "/api/logs?" + urllib.parse.urlencode(filters))
    assert answer.status == 200, answer.text
    assert answer.headers["Content-Type"] == "application/json"
    return answer.json()


def words(t, **filters):
    return [entry["message"] for entry in found(t, **filters)]


def wait_found(t, message, **filters):
    return wait_until(lambda: [entry for entry in found(t, **filters) if entry["message"] == message],
                      what=f"the line {message!r}")[0]


def reader_of(t):
    """The process that reads for the daemon."""
    def find():
        return [pid for pid, name in children_of(t.pid_of("tenementd")).items() if name == "tenement-logs"]
    return wait_until(find, what="a tenement-logs")[0]


def test_filters_and_refusals(talker):
    t = talker(["x:a", "x:b"])
    t.write("y.toml", t.service("y", command="/usr/bin/python3 talker.py", log_format="json"))
    t.write("y-a.toml", t.tenant("y"))
    t.start()
    began = int(time.time() * 1000)
    say(t, "connection refused by 10.0.0.1")
    wait_found(t, "connection refused by 10.0.0.1")
    say(t, "timeout of /health", err=True)
    wait_found(t, "timeout of /health")
    say(t, "timeout of a request", "x:b", err=True)
    entry = wait_found(t, "timeout of a request")
    assert entry.keys() == {"timestamp", "level", "process", "instance_id", "message"}
    assert (entry["level"], entry["process"], entry["instance_id"]) == ("stderr", "x", "b")
    assert began <= entry["timestamp"] <= time.time() * 1000
    say(t, '{"level":"error","user":{"id":42}}', "y:a")
    assert wait_found(t, '{"level":"error","user":{"id":42}}')["fields"] == {"level": "error", "user": {"id": 42}}

    # each filter, and all of them together
    refused, health, request, failed = everything = words(t)
    assert everything == ["connection refused by 10.0.0.1", "timeout of /health", "timeout of a request",
                          '{"level":"error","user":{"id":42}}']
    assert words(t, process="x") == [refused, health, request]
    assert words(t, id="a") == [refused, health, failed]
    assert words(t, id="x:a") == words(t, process="x", id="a") == [refused, health]
    assert words(t, level="stderr") == [health, request]
    assert words(t, level="tenement") == []
    assert words(t, limit=1) == [failed] and words(t, limit=0) == []
    assert words(t, search="timeout AND NOT health") == [request]
    assert words(t, search='"connection refused" OR request') == [refused, request]
    assert words(t, search="level:error") == words(t, search="user.id:42") == [failed]
    assert words(t, since=entry["timestamp"]) == [request, failed]
    assert words(t, until=entry["timestamp"]) == [refused, health]
    assert words(t, id="x:b", level="stderr", search="timeout", since=began, limit=5) == [request]
    assert words(t, id="x:b", level="stdout") == []

    # what cannot be asked, and whom there is not
    for query, status, parameter in (
            ("process=../x", 422, "process"), ("id=a:b:c", 422, "id"), ("id=x:a&process=y", 422, "id"),
            ("level=error", 422, "level"), ("since=1h", 422, "since"), ("until=-1", 422, "until"),
            ("limit=many", 422, "limit"), ("search=" + "x" * 5000, 422, "search"), ("search=%ff", 422, "search")):
        for path in ("/api/logs", "/api/logs/stream"):
            answer = t.control("GET", f"{path}?{query}")
            assert answer.status == status, answer.text
            assert answer.json()["where"] == {"parameter": parameter} and answer.json()["error"]
    assert "did you mean x:b" in t.control("GET", "/api/logs?id=x:bb").json()["error"]
    for query in ("id=x:bb", "process=z", "id=z"):
        for path in ("/api/logs", "/api/logs/stream"):
            assert t.control("GET", f"{path}?{query}").status == 404
    assert t.control("GET", "/api/logs/stream?until=5").status == 422
    assert t.control("GET", "/api/logs/stream?last_event_id=x").status == 422
    assert t.control("POST", "/api/logs", {}).status == 405

    # whatever is typed is a search
    chance = random.Random(7)
    pieces = ['"', "(", ")", "*", ":", "AND", "OR", "NOT", "NEAR", "timeout", "^", "-", "'", "\0", "\\", "é", "{",
              ";--", "%", "_", " "]
    for _ in range(100):
        typed = "".join(chance.choice(pieces) for _ in range(chance.randrange(1, 12)))
        answer = t.control("GET", "/api/logs?" + urllib.parse.urlencode({"search": typed}))
        assert answer.status == 200, (typed, answer.text)
        assert isinstance(answer.json(), list)

    # the command
    assert t.ten("logs").stdout.splitlines() == [f"x:a  {refused}", f"x:a  {health}", f"x:b  {request}",
                                                 f"y:a  {failed}"]
    assert t.ten("logs", "x", "--search", "timeout AND NOT health", "--since", "1h").stdout == f"x:b  {request}\n"
    assert t.ten("logs", "x:a", "--level", "stderr", "-n", "1").stdout == f"{health}\n"
    shown = t.ten("logs", "y:a", "-o", "json").stdout.splitlines()
    assert [json.loads(line)["message"] for line in shown] == [failed]
    assert t.ten("logs", "--until", "1h").stdout == ""
    assert "no tenant x:nobody" in t.ten("logs", "x:nobody", status=1).stderr

    # a tenant's token sees what that tenant wrote, whatever it asks for
    alice, one = make(t, tenant="a")["token"], make(t, instance="x:a", read_only=True)["token"]

    def seen(token, query=""):
        return [entry["message"] for entry in ask(t, "GET", f"/api/logs?{query}", token).json()]
    assert ask(t, "GET", "/api/logs").status == ask(t, "GET", "/api/logs/stream").status == 401
    assert seen(alice) == [refused, health, failed]
    assert seen(alice, "process=x") == seen(one) == [refused, health]
    assert seen(alice, "search=timeout") == [health]
    for token, query in ((alice, "id=b"), (alice, "id=x:b"), (one, "process=y"), (one, "id=y:a")):
        for path in ("/api/logs", "/api/logs/stream"):
            answer = ask(t, "GET", f"{path}?{query}", token)
            assert answer.status == 404 and "mean" not in answer.json()["error"]

    # however many tenants follow, there is room for who sees all
    with contextlib.ExitStack() as stack:
        for token in [alice] * 20 + [one] * 12:
            assert stack.enter_context(Stream(t, "/api/logs/stream?limit=0", token=token)).status == 200
        assert ask(t, "GET", "/api/logs", one).status == 503
        assert words(t, id="x:b") == [request]
    wait_until(lambda: ask(t, "GET", "/api/logs", one).status == 200, what="room again")

    # of who is no more, the lines stay
    t.remove("y-a.toml")
    wait_until(lambda: t.instance("y:a") is None)
    assert words(t, id="y:a") == [failed]
    assert t.control("GET", "/api/logs?id=y:a&search=nothing").status == 404


def numbers(events):
    return [int(event["message"].split()[1]) for event in events if event["message"].startswith("line ")]


def test_following(talker):
    t = talker(["x:a", "x:b"])
    t.start()
    said = iter(range(1000000))

    def say_next(key="x:a"):
        number = next(said)
        say(t, f"line {number}", key)
        return number

    def is_line(number):
        return lambda event: event["message"] == f"line {number}"

    # what was, and what comes
    last = say_next()
    wait_found(t, f"line {last}")
    with Stream(t, "/api/logs/stream?id=x:a&limit=10") as stream:
        assert stream.response.headers["Content-Type"] == "text/event-stream"
        stream.until(is_line(last))
        other = say_next("x:b")
        wait_found(t, f"line {other}")
        last = say_next()
        event, before = stream.until(is_line(last))
        assert not numbers(before), "it is another tenant's"
        for _ in range(5):
            last = say_next()
        stream.until(is_line(last))
    with Stream(t, "/api/logs/stream?search=nine&limit=0") as stream:
        say(t, "one nine two")
        assert stream.next()["message"] == "one nine two"

    # it is gone on with where it was, without a loss or a double
    for how in ({"headers": {"Last-Event-ID": event["id"]}}, {}):
        query = "" if how else f"&last_event_id={event['id']}"
        with Stream(t, f"/api/logs/stream?id=x:a{query}", **how) as stream:
            _, before = stream.until(is_line(last))
            assert numbers(before) + [last] == list(range(int(event["message"].split()[1]) + 1, last + 1))

    # whoever of the processes on the way is killed
    with Stream(t, "/api/logs/stream?limit=0") as stream:
        first = last = say_next()
        got = [stream.until(is_line(last))[0]]
        for victim in (reader_of, lambda t: t.pid_of("tenement-logger"), reader_of):
            kill(victim(t))
            for _ in range(3):
                last = say_next()
            event, before = stream.until(is_line(last))
            got += [*before, event]
        assert numbers(got) == list(range(first, last + 1))

    # the daemon takes the stream with it; the command comes back by itself
    with subprocess.Popen([build_program("ten"), "logs", "x:a", "-f", "-n", "0"], cwd=t.root, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as follower:
        try:
            wait_until(lambda: children_of(reader_of(t)), what="one who reads for it")
            first = say_next()
            assert follower.stdout.readline() == f"line {first}\n"
            kill_daemon(t)
            last = say_next()
            assert [follower.stdout.readline() for _ in range(first, last)] == [
                f"line {number}\n" for number in range(first + 1, last + 1)]
        finally:
            follower.kill()


def test_who_does_not_read_is_waited_for(talker):
    t = talker(["x:a"])
    t.start()
    with Stream(t, "/api/logs/stream?id=x:a", receive_bytes=4096) as stream:
        # far more than the daemon keeps for a reader, and it is there all the same
        for i in range(400):
            say(t, f"line {i} " + "y" * 6000)
        say(t, "line 400 ")
        wait_found(t, "line 400 ")
        assert t.control("GET", "/health").status == 200
        _, before = stream.until(lambda event: event["message"] == "line 400 ")
        assert numbers(before) == list(range(400))
    told = t.control("GET", "/api/instances/x:a").json()["log"]
    assert numbers(told) == [398, 399, 400], "the last lines of the last 16 KiB"
    reader = reader_of(t)
    wait_until(lambda: not children_of(reader), what="the end of who read for it")
