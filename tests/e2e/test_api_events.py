"""GET /api/events: what happens, live and of late."""

import json
import os
import signal
import subprocess
import time

from api_rig import Api
from harness import process_alive, wait_until
from sse_rig import Stream


def events(t, query=""):
    return t.control("GET", f"/api/events{query}").json()["events"]


def is_state(key, state):
    return lambda event: event["kind"] == "state" and event["instance"] == key and event["to"] == state


def test_events(tenement):
    t = tenement()
    t.declare(["app:a", "app:b"])
    t.wait_ok("app:a")
    with Stream(t, "/api/events") as stream:
        assert stream.response.headers["Content-Type"] == "text/event-stream"
        assert stream.response.headers["Cache-Control"] == "no-store"

        # transitions, in order and numbered
        t.wait_ok("app:b")
        ready, before = stream.until(is_state("app:b", "ready"))
        path = [(event["from"], event["to"]) for event in [*before, ready] if event.get("instance") == "app:b"]
        assert path == [("asleep", "starting"), ("starting", "ready")]
        assert ready["event"] == "state" and abs(ready["time"] / 1000 - time.time()) < 60
        numbers = [int(event["id"].split("-")[1]) for event in [*before, ready]]
        assert numbers == sorted(set(numbers))

        # files: a refusal with its place, and its end; a tenant that comes and goes
        t.write("app-b.toml", t.tenant("app", memmory=5))
        problem, _ = stream.until(lambda event: event["kind"] == "problem")
        assert (problem["file"], problem["line"]) == ("app-b.toml", 3), problem
        assert "memmory" in problem["text"]
        t.write("app-b.toml", t.tenant("app"))
        solved, _ = stream.until(lambda event: event["kind"] == "solved")
        assert solved["file"] == "app-b.toml"
        t.write("app-c.toml", t.tenant("app"))
        declared, before = stream.until(lambda event: event["kind"] == "declared")
        assert declared["instance"] == "app:c"
        assert [event["kind"] for event in before] == ["reconcile"]
        assert before[0]["generation"] == t.ten_json("status")["generation"]
        t.remove("app-c.toml")
        removed, _ = stream.until(lambda event: event["kind"] == "removed")
        assert removed["instance"] == "app:c"
        t.ten("pause", "a", "while")
        assert stream.until(lambda event: event["kind"] == "pause")[0]["text"] == "a while"
        t.ten("unpause")
        stream.until(lambda event: event["kind"] == "unpause")

        # a changed template is rolled out
        t.write("app.toml", t.service("app", env={"PLAN": "2"}))
        stream.until(lambda event: event["kind"] == "rollout" and event["text"].startswith("begins"))
        over, _ = stream.until(lambda event: event["kind"] == "rollout")
        assert over["process"] == "app" and over["text"].startswith("over")

        # a list of the same
        listed = events(t)
        assert over["id"] in [event["id"] for event in listed]
        assert [event["id"] for event in events(t, "?limit=2")] == [event["id"] for event in events(t)[-2:]]
        assert {event["instance"] for event in events(t, "?instance=app:b")} == {"app:b"}
        assert t.control("GET", "/api/events?limit=x").status == 422
        assert t.control("POST", "/api/events", {}).status == 405

        # who comes back is told what was missed
        with Stream(t, "/api/events", {"Last-Event-ID": ready["id"]}) as again:
            assert again.next()["kind"] in ("problem", "reconcile")
            again.until(lambda event: event["id"] == over["id"])
        with Stream(t, "/api/events?instance=app:a&limit=1") as again:
            assert again.next()["instance"] == "app:a"
        for unknown in ("x", "1-1", "-", ready["id"] + "0", "%n%n%n"):
            with Stream(t, "/api/events", {"Last-Event-ID": unknown}) as again:
                assert again.next()["event"] == "reset"

        # killed: who comes back with an id of the daemon before is told that it is another
        daemon = t.pid_of("tenementd")
        os.kill(daemon, signal.SIGKILL)
        wait_until(lambda: not process_alive(daemon))
        assert stream.next() is None
        t.pid_of("tenementd")
        wait_until(lambda: t.control("GET", "/health").status == 200)
        with Stream(t, "/api/events", {"Last-Event-ID": over["id"]}) as again:
            assert again.next()["event"] == "reset"
            t.ten("restart", "app:a")
            again.until(is_state("app:a", "ready"))

    # ten events
    lines = t.ten("events", "app:a", "-n", "2").stdout.splitlines()
    assert [line.split()[2:4] for line in lines] == [["state", "app:a"]] * 2
    assert "starting -> ready" in lines[-1]
    assert json.loads(t.ten("events", "-n1", "-o", "json").stdout)["kind"] == "state"
    with subprocess.Popen([t.program("ten"), "events", "-f", "-n", "1"], cwd=t.root, text=True,
                          stdout=subprocess.PIPE) as follower:
        try:
            assert "ready" in follower.stdout.readline()
            t.ten("stop", "app:a")
            assert "-> stopping" in follower.stdout.readline() + follower.stdout.readline()
        finally:
            follower.kill()

    # silence is filled by comments
    with Stream(t, "/api/events?instance=app:nobody") as silent:
        silent.wait_comment()


def test_slow_and_many_watchers(tenement):
    """One who does not read is cut off; too many are refused, and commands go on."""
    t = tenement()
    with Stream(t, "/api/events", receive_bytes=4096) as slow:
        assert slow.status == 200
        why = "\x01" * 2000  # six times as long as JSON
        for _ in range(200):
            t.control("POST", "/api/pause", {"why": why})
            t.control("POST", "/api/unpause", {})
        with open(f"/proc/{t.pid_of('tenementd')}/status", encoding="ascii") as status:
            resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
        assert resident < 200 * 1024
        seen = 0
        while slow.next():
            seen += 1
        assert 10 < seen < 400
    streams = [Stream(t, "/api/events") for _ in range(64)]
    assert all(stream.status == 200 for stream in streams)
    with Stream(t, "/api/events") as more:
        assert more.status == 503
        assert "streams" in json.loads(more.response.read())["error"]
    assert t.control("GET", "/health").status == 200
    for stream in streams:
        stream.close()
    def room():
        with Stream(t, "/api/events") as stream:
            return stream.status == 200
    wait_until(room)


def test_who_sees_a_part_hears_of_that_part(tenement):
    t = tenement(settings={"max_running": 3})
    t.declare(["app:alice", "app:bob", "app:carol"])
    t.write("web.toml", t.service("web"))
    t.write("web-alice.toml", t.tenant("web"))
    t.wait_ok("app:alice")
    api = Api(t)
    tenant, instance = api.token(tenant="alice", read_only=True), api.token(instance="app:alice")
    with Stream(t, "/api/events?limit=100", token=tenant) as stream, \
            Stream(t, "/api/events?limit=100", token=instance) as narrow:
        t.wait_ok("app:bob")
        t.ten("pause")
        t.ten("unpause")
        t.wait_ok("web:alice")
        _, before = stream.until(is_state("web:alice", "ready"))
        assert {event.get("instance") for event in before} == {"app:alice", "web:alice"}
        # alice makes room for carol, of whom she is not told
        t.wait_ok("app:carol")
        away, _ = narrow.until(is_state("app:alice", "draining"))
        assert away["text"] == "making room"
        assert "for app:carol" in [event["text"] for event in events(t, "?instance=app:alice") if event["id"] == away["id"]][0]
        _, before = narrow.until(is_state("app:alice", "asleep"))
        assert {event.get("instance") for event in before} == {"app:alice"}
    listed = api.ask("GET", "/api/events?instance=app:bob", instance).json()
    assert listed["events"] == []
    assert {event["instance"] for event in api.ask("GET", "/api/events", tenant).json()["events"]} == {
        "app:alice", "web:alice"}
