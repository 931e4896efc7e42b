"""The management API as tooling knows it, path by path, on the control socket."""

from api_rig import Api
from harness import wait_until


def test_instances(tenement):
    t = tenement()
    t.declare(["app:a", "app:b"], health="/health", health_interval=1, storage_quota_mb=64)
    t.wait_ok("app:a")

    # the list: those that run; of each at least what tooling knows
    (one,) = t.control("GET", "/api/instances").json()
    assert one["id"] == "app:a" and one["socket"].startswith("/")
    assert one["uptime_secs"] >= 0 and one["idle_secs"] >= 0 and one["restarts"] == 0 and one["weight"] == 100
    assert one["health"] in ("healthy", "unknown") and one["storage_quota_bytes"] == 64 << 20
    assert "storage_used_bytes" in one
    assert [one["id"] for one in t.control("GET", "/api/instances?all=1").json()] == ["app:a", "app:b"]

    # health and storage of one
    wait_until(lambda: t.control("GET", "/api/instances/app:a/health").json()
               == {"instance": "app:a", "health": "healthy"})
    assert t.control("GET", "/api/instances/app:b/health").json() == {"instance": "app:b", "health": "unknown"}
    storage = t.control("GET", "/api/instances/app:a/storage").json()
    assert storage["path"] == str(t.data_dir / "app" / "a") and storage["quota_bytes"] == 64 << 20
    assert storage.keys() >= {"used_bytes", "usage_percent"}

    # spawn
    spawned = t.control("POST", "/api/instances/spawn", {"process": "app", "id": "c"})
    assert spawned.status == 200
    spawned = spawned.json()
    assert spawned["instance"] == "app:c" and spawned["socket"].startswith("/") and spawned["state"] == "ready"
    assert spawned["port"] is None or spawned["port"] > 0
    assert (t.conf_dir / spawned["file"]).exists()
    again = t.control("POST", "/api/instances/spawn", {"process": "app", "id": "c"})
    assert again.status == 409 and "declared already" in again.json()["error"]
    assert again.json()["where"] == {"method": "POST", "path": "/api/instances/spawn"}
    assert t.control("POST", "/api/instances/spawn", {"process": "app"}).status == 422
    assert t.control("POST", "/api/instances/spawn", {"process": "nobody", "id": "c"}).status == 404
    assert t.control("POST", "/api/instances/spawn", {"process": "app", "id": "../c"}).status == 422

    # restart
    restarted = t.control("POST", "/api/instances/app:c/restart", {}).json()
    assert restarted["instance"] == "app:c" and restarted["pid"] != spawned["pid"]

    # DELETE stops, as `ten stop` does: the declaration stays, and a request wakes it
    gone = t.control("DELETE", "/api/instances/app:c")
    assert gone.status == 204 and gone.body == b""
    assert t.state("app:c") == "asleep" and (t.conf_dir / spawned["file"]).exists()
    assert t.control("DELETE", "/api/instances/app:c").status == 204
    t.wait_ok("app:c")
    # one that is declared running stays down
    t.write("app-b.toml", t.tenant("app", state="running"))
    t.wait_state("app:b", "ready")
    assert t.control("DELETE", "/api/instances/app:b").status == 204
    assert t.state("app:b") == "stopped"

    # refusals
    assert t.control("DELETE", "/api/instances/app:nobody").status == 404
    unknown = t.control("GET", "/api/instances/app:d/health").json()
    assert "did you mean" in unknown["error"]
    wrong = t.control("POST", "/api/instances/app:a/health", {})
    assert wrong.status == 405 and wrong.headers["Allow"] == "GET"


def test_delete_says_when_it_takes_too_long(tenement):
    t = tenement()
    t.declare(["app:a"], "stubborn", stop_timeout=2)
    t.wait_state("app:a", "asleep")
    t.ten("start", "app:a")
    answer = t.control("DELETE", "/api/instances/app:a", {"timeout": 0.1})
    assert answer.status == 504 and "going down" in answer.json()["error"]


def test_telemetry_and_tls(tenement):
    t = tenement()
    t.declare(["app:a", "app:b"])
    for _ in range(5):
        t.wait_ok("app:a")
    t.get("app:a", "/?status=404")
    t.wait_state("app:b", "asleep")

    def told_of_all():
        told = t.control("GET", "/api/telemetry").json()
        return told if told["total"]["codes"]["4xx"] == 1 else None
    told = wait_until(told_of_all)  # (an answer is counted after its last byte)
    (one,) = told["instances"]
    assert one["id"] == "app:a" and one["state"] == "ready" and one["requests"] >= 6 and one["in_flight"] == 0
    assert one["codes"]["2xx"] >= 5 and one["codes"]["5xx"] == 0
    assert one["wakes"] == 1 and one["restarts"] == 0 and one["bytes_out"] > 0
    assert 0 < one["latency_ms"]["p50"] <= one["latency_ms"]["p95"] <= one["latency_ms"]["p99"]
    assert len(one["times"]) == len(told["time_bounds_secs"]) + 1
    assert sum(one["times"]) == sum(one["codes"].values()) - one["codes"]["none"]
    assert one["memory_bytes"] is None or one["memory_bytes"] > 1 << 20
    assert told["states"]["ready"] == 1 and told["states"]["asleep"] == 1
    assert told["total"]["requests"] == one["requests"]
    # what it was asked stays in the sum when it sleeps
    t.ten("stop", "app:a")
    told = t.control("GET", "/api/telemetry").json()
    assert told["instances"] == [] and told["total"]["requests"] == one["requests"]
    assert told["total"]["latency_ms"]["p50"] > 0

    tls = t.control("GET", "/api/tls/status").json()
    assert tls["enabled"] is False and "plain HTTP" in tls["reason"]


def test_telemetry_of_a_part_and_in_public(tenement):
    t = tenement()
    t.declare(["app:alice", "app:bob"])
    t.wait_ok("app:alice")
    t.wait_ok("app:bob")
    api = Api(t)
    alice = api.token(tenant="alice")
    told = api.ask("GET", "/api/telemetry", alice).json()
    assert [one["id"] for one in told["instances"]] == ["app:alice"]
    assert sum(told["states"].values()) == 1 and told["total"]["requests"] == told["instances"][0]["requests"]
    assert api.ask("GET", "/metrics", alice).status == 403
    for path in ("/api/telemetry", "/metrics"):
        assert api.ask("GET", path).status == 401
    t.settings["metrics_public"] = True
    t.write_main()
    wait_until(lambda: api.ask("GET", "/metrics").status == 200)
    told = api.ask("GET", "/api/telemetry").json()
    assert sorted(one["id"] for one in told["instances"]) == ["app:alice", "app:bob"]
    # who shows a token for a part goes on seeing that part; nothing else is public
    told = api.ask("GET", "/api/telemetry", alice).json()
    assert [one["id"] for one in told["instances"]] == ["app:alice"]
    for path in ("/api/instances", "/api/status", "/api/top"):
        assert api.ask("GET", path).status == 401
