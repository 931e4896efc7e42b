"""Apps that listen on PORT, and what is in their way."""

import os
import socket

import pytest

from daemon_rig import ROOT, in_threads, kill_daemon, pids
from harness import free_port


@pytest.fixture
def by_port(tenement):
    def make(settings=None, count=1, **keys):
        t = tenement(start=False, settings={"backoff_base_ms": 100, **(settings or {})})
        t.write("echo.toml", t.service("echo", "echo --listen port", **keys))
        for i in range(count):
            t.write(f"echo-t{i}.toml", t.tenant("echo"))
        return t.start()
    return make


def test_an_app_on_its_port_alone(by_port):
    t = by_port()
    answer = t.get("echo:t0")
    assert answer.status == 200
    port = t.instance("echo:t0")["port"]
    assert answer.json()["env"]["PORT"] == str(port) and 20000 <= port <= 29999
    kill_daemon(t)
    assert t.get("echo:t0").json()["pid"] == answer.json()["pid"]
    t.ten("restart", "echo:t0")
    assert t.get("echo:t0").status == 200


def test_each_has_another_port(by_port):
    t = by_port(count=6)
    answers = in_threads(6, lambda i: t.get(f"echo:t{i}").json()["env"]["PORT"])
    assert len(set(answers)) == 6


def test_a_port_that_is_taken_is_passed_over(by_port):
    first = free_port()
    while first > 65000 or not all(is_free(first + i) for i in range(3)):
        first = free_port()
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", first))
        stranger.listen()
        t = by_port(settings={"port_range": f"{first}-{first + 2}"}, count=2)
        ports = {t.get(f"echo:t{i}").json()["env"]["PORT"] for i in range(2)}
        assert ports == {str(first + 1), str(first + 2)}


def is_free(port):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def test_no_port_is_left(by_port):
    first = free_port()
    t = by_port(settings={"port_range": f"{first}-{first}", "max_restarts": 0}, count=2)
    t.ten("start", "echo:t0")  # (and no request: a port on which connections linger is not free)
    assert t.get("echo:t1").status in (503, 504)
    assert "port_range" in t.wait_state("echo:t1", "failed")["reason"]
    t.ten("stop", "echo:t0")
    t.ten("start", "echo:t1")
    assert t.get("echo:t1").status == 200


def test_a_chosen_socket_path(tenement):
    t = tenement(start=False)
    t.write("echo.toml", t.service("echo", socket="{runtime_dir}/mine/{name}-{id}.sock"))
    t.write("echo-alice.toml", t.tenant("echo"))
    t.start()
    path = str(t.runtime_dir / "mine" / "echo-alice.sock")
    assert t.get("echo:alice").json()["env"]["SOCKET_PATH"] == path
    assert t.instance("echo:alice")["socket"] == path


def test_a_stale_socket_is_no_obstacle(tenement):
    t = tenement(start=False)
    t.write("echo.toml", t.service("echo", restart="always"))
    t.write("echo-alice.toml", t.tenant("echo"))
    t.start()
    t.wait_ok("echo:alice")
    path, pid = t.instance("echo:alice")["socket"], pids(t)["echo:alice"]
    os.kill(pid, 9)
    assert t.wait_ok("echo:alice").json()["pid"] != pid
    assert t.instance("echo:alice")["socket"] == path


@pytest.mark.skipif(not ROOT, reason="the uid is what tells them apart")
def test_an_app_that_drops_its_socket_gets_502(tenement):
    t = tenement(start=False)
    t.write("echo.toml", t.service("echo", "unlinked", startup_timeout=2))
    t.write("echo-alice.toml", t.tenant("echo"))
    t.start()
    assert t.get("echo:alice").status in (502, 503, 504)
