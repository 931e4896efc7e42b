"""The sleep ladder: frozen, then stopped; and back at the first sign of a request."""

import base64
import contextlib
import os
import pathlib
import random
import resource
import socket
import threading
import time

import pytest

from daemon_rig import ROOT, kill, kill_daemon, pids, proc_status, wait_gone
from harness import SLOWNESS, children_of, wait_until

FROZEN = {"after": 1, "to": "frozen"}
LAYERS = ["v2", "v1", "none"]


def wait_no_helper(t):
    """What hands memory back is forked by the daemon, and has its name; other helpers have their own."""
    def names():
        return children_of(t.pid_of("tenementd")).values()
    wait_until(lambda: "tenementd" not in names(), what="no helper")


@pytest.fixture(params=LAYERS)
def layer(request):
    if request.param != "none":
        groups = pathlib.Path("/proc/self/cgroup").read_text()
        there = "\n0::/" in "\n" + groups if request.param == "v2" else ":freezer:" in groups
        if not ROOT or not there:
            pytest.skip(f"needs root and control groups {request.param}")
    return request.param


@pytest.fixture
def one(tenement):
    """A tenant that is frozen after a second."""
    def make(layer="auto", mode="echo", key="app", then=(), tenant=None, **keys):
        t = tenement(start=False, settings={"cgroups": layer, "health_check_interval": 1,
                                            "backoff_base_ms": 50})
        keys = {"sleep": [FROZEN, *then], **keys}
        t.write(f"{key}.toml", t.service(key, mode, **keys))
        t.write(f"{key}-a.toml", t.tenant(key, **(tenant or {})))
        t.start()
        assert t.get(f"{key}:a").status == 200
        return t
    return make


def is_still(t, pid):
    """Whether no thread of PID can run."""
    shown = t.control("GET", "/api/status").json()["cgroups"]
    if shown.startswith("none"):
        return proc_status(pid)["State"][0] == "T"
    base = pathlib.Path(shown.split("(")[1].rstrip(")"))
    group, = [one for one in base.iterdir() if one.is_dir()
              and str(pid) in (one / "cgroup.procs").read_text().split()]
    if shown.startswith("version 2"):
        return "frozen 1" in (group / "cgroup.events").read_text()
    return (group / "freezer.state").read_text().strip() == "FROZEN"


def wait_frozen(t, key="app:a"):
    pid = t.wait_state(key, "frozen")["pid"]
    wait_until(lambda: is_still(t, pid), what=f"{key} to be held still")
    return pid


def test_an_idle_tenant_is_frozen_and_the_next_request_thaws_it(one, layer):
    t = one(layer)
    first = pids(t)["app:a"]
    for _ in range(3):
        assert wait_frozen(t) == first
        assert "frozen" in t.ten("ps").stdout
        assert t.get("app:a").json()["pid"] == first
        assert t.state("app:a") == "ready"
        assert not is_still(t, first)
    shown = t.control("GET", "/metrics").text
    assert 'tenement_instance_freezes_total{service="app",id="a"} 3' in shown


def test_frozen_then_stopped_in_an_orderly_way(one, layer):
    t = one(layer, then=[{"after": 3, "to": "stopped"}], stop_timeout=30)
    pid = wait_frozen(t)
    t.wait_state("app:a", "asleep")
    wait_gone(pid)
    assert "SIGKILL" not in t.said()
    assert t.get("app:a").json()["pid"] != pid


def test_stop_of_a_frozen_tenant_is_acted_on(one, layer):
    t = one(layer, stop_timeout=60)
    pid = wait_frozen(t)
    t.ten("stop", "app:a", timeout=20)
    wait_gone(pid)
    assert t.state("app:a") == "asleep"
    assert "SIGKILL" not in t.said()


def test_an_end_of_everything_leaves_no_frozen_process(one, layer):
    t = one(layer, stop_timeout=60)
    pid = wait_frozen(t)
    t.stop(timeout=20)
    wait_gone(pid)


def test_a_frozen_tenant_is_taken_over_frozen(one, layer):
    t = one(layer)
    pid = wait_frozen(t)
    for _ in range(3):
        kill_daemon(t)
        assert t.wait_state("app:a", "frozen", "ready")["state"] == "frozen"
        assert is_still(t, pid)
    assert t.get("app:a").json()["pid"] == pid


def test_a_frozen_tenant_that_was_not_written_down_as_ready_is_thawed(one, layer):
    t = one(layer)
    pid = wait_frozen(t)
    record = t.runtime_dir / "instances" / "app:a"
    first, rest = record.read_text().split("\n", 1)
    words = first.split(" ")
    assert words[1] == str(pid) and words[7] == "1"
    words[7] = "0"
    record.write_text(" ".join(words) + "\n" + rest)
    kill_daemon(t)
    assert t.get("app:a").json()["pid"] == pid


def test_the_daemon_dies_while_a_request_waits_for_a_frozen_tenant(one, layer):
    t = one(layer)
    pid = wait_frozen(t)
    old = t.pid_of("tenementd")
    os.kill(old, 19)  # it does not hear the bell
    with contextlib.closing(t.connection()) as connection:
        connection.request("GET", "/", headers={"Host": t.host("app:a")})
        kill(old)
        response = connection.getresponse()
        assert response.status == 200 and f'"pid": {pid}' in response.read().decode()


def test_a_tenant_that_dies_frozen_is_asleep(one, layer):
    t = one(layer)
    pid = wait_frozen(t)
    if layer == "v1":
        pytest.skip("a kill takes effect when it is thawed")
    kill(pid)
    assert t.wait_state("app:a", "asleep", "backoff")["state"] == "asleep"
    assert t.get("app:a").json()["pid"] != pid


def test_a_changed_tenant_that_is_frozen_is_stopped_and_not_started(one, layer):
    t = one(layer)
    pid = wait_frozen(t)
    t.write("app-a.toml", t.tenant("app", env={"PLAN": "pro"}))
    t.wait_state("app:a", "asleep")
    wait_gone(pid)
    assert t.get("app:a").json()["env"]["PLAN"] == "pro"


def test_a_changed_ladder_acts_at_once(one):
    t = one()
    pid = wait_frozen(t)
    t.write("app-a.toml", t.tenant("app", idle_timeout=0))
    t.wait_state("app:a", "ready")
    assert pids(t)["app:a"] == pid
    t.write("app-a.toml", t.tenant("app", sleep=[{"after": 2, "to": "frozen"}]))
    assert wait_frozen(t) == pid
    t.write("app-a.toml", t.tenant("app", idle_timeout=1))
    t.wait_state("app:a", "asleep")
    t.write("app-a.toml", t.tenant("app", state="running"))
    t.wait_state("app:a", "ready")


def test_declared_running_thaws(one):
    t = one()
    pid = wait_frozen(t)
    t.write("app-a.toml", t.tenant("app", state="running"))
    t.wait_state("app:a", "ready")
    wait_until(lambda: t.instance("app:a")["state_secs"] >= 2, what="two seconds without work")
    assert pids(t)["app:a"] == pid


def test_a_frozen_tenant_is_not_asked_how_it_is(one, layer):
    t = one(layer, health="/health")
    pid = wait_frozen(t)
    wait_until(lambda: t.instance("app:a")["state_secs"] >= 4, what="four intervals of checks")
    one_ = t.instance("app:a")
    assert (one_["state"], one_["reason"]) == ("frozen", "")
    assert t.get("app:a").json()["pid"] == pid
    assert t.instance("app:a")["health"] != "unhealthy"


def test_start_and_restart_of_a_frozen_tenant(one):
    t = one()
    pid = wait_frozen(t)
    t.ten("start", "app:a")
    assert pids(t)["app:a"] == pid
    wait_frozen(t)
    t.ten("restart", "app:a")
    assert pids(t)["app:a"] != pid


class WebSocket:
    def __init__(self, t, key="app:a"):
        self.sock = socket.create_connection(("127.0.0.1", t.port), 20 * SLOWNESS)
        nonce = base64.b64encode(os.urandom(16)).decode()
        self.sock.sendall(f"GET /ws HTTP/1.1\r\nHost: {t.host(key)}\r\nUpgrade: websocket\r\n"
                          f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                          f"Sec-WebSocket-Key: {nonce}\r\n\r\n".encode())
        self.file = self.sock.makefile("rb")
        assert b" 101 " in self.file.readline()
        while self.file.readline() != b"\r\n":
            pass

    def send(self, payload, opcode=1):
        self.sock.sendall(bytes([0x80 | opcode, 0x80 | len(payload)]) + bytes(4) + payload)

    def receive(self):
        head = self.file.read(2)
        return (head[0] & 15, self.file.read(head[1])) if len(head) == 2 else None

    def close(self):
        self.file.close()
        self.sock.close()


def test_an_open_websocket_is_frozen_with_its_tenant_and_thaws_it(one, layer):
    t = one(layer, then=[{"after": 2, "to": "stopped"}])
    with contextlib.closing(WebSocket(t)) as ws:
        ws.send(b"one")
        assert ws.receive() == (1, b"one")
        pid = wait_frozen(t)
        # It is silent for longer than the ladder is, and keeps its tenant from being stopped.
        wait_until(lambda: t.instance("app:a")["state_secs"] >= 4, what="four seconds of frost")
        assert t.state("app:a") == "frozen"
        ws.send(b"two")
        assert ws.receive() == (1, b"two")
        assert t.instance("app:a")["pid"] == pid
        wait_frozen(t)
    t.wait_state("app:a", "asleep")
    wait_gone(pid)


def test_a_websocket_in_use_keeps_its_tenant_from_being_frozen(one):
    t = one()
    with contextlib.closing(WebSocket(t)) as ws:
        begun = time.monotonic()
        while time.monotonic() - begun < 3:
            ws.send(b"x")
            assert ws.receive() == (1, b"x")
            time.sleep(0.2)
        assert t.instance("app:a")["state"] == "ready"
        assert t.instance("app:a")["state_secs"] >= 2


# Reads nothing for a while, as one that computes, and then all of it.
BUSY = """\
import os, socket, time
server = socket.socket(socket.AF_UNIX)
server.bind(os.environ["SOCKET_PATH"])
server.listen()
while True:
    client, _ = server.accept()
    if b"/ws" not in client.recv(65536):
        client.sendall(b"HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: 0\\r\\n\\r\\n")
        client.close()
        continue
    client.sendall(b"HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n\\r\\n")
    time.sleep(3)
    size = 0
    while size < 4 << 20:
        size += len(client.recv(1 << 20))
    client.sendall(b"\\x81\\x03all")
"""


def test_who_has_yet_to_read_what_was_sent_is_not_frozen(one):
    t = one()
    (t.apps / "busy.py").write_text(BUSY)
    t.write("busy.toml", t.service("busy", sleep=[FROZEN]).replace("app.py echo", "busy.py"))
    t.write("busy-a.toml", t.tenant("busy"))
    t.wait_ok("busy:a")
    with contextlib.closing(WebSocket(t, "busy:a")) as ws:
        ws.sock.sendall(bytes(4 << 20))
        assert ws.receive() == (1, b"all")
    t.wait_state("busy:a", "frozen")


def test_a_websocket_that_goes_on_talking_does_not_start_anew_what_is_stopped(one):
    t = one(drain_timeout=1)
    with contextlib.closing(WebSocket(t)) as ws:
        ws.send(b"x")
        assert ws.receive() == (1, b"x")
        over = threading.Event()

        def talk():
            with contextlib.suppress(OSError):
                while not over.wait(0.02):
                    ws.send(b"x")

        thread = threading.Thread(target=talk)
        thread.start()
        t.ten("stop", "app:a")
        over.set()
        thread.join()
        time.sleep(0.5)
        assert t.state("app:a") == "asleep" and not pids(t)
    assert t.said().count("-> starting") == 1


def test_a_long_answer_keeps_its_tenant_from_being_frozen(one):
    t = one()
    answer = t.get("app:a", "/events?count=4&interval=1.2")
    assert answer.status == 200 and answer.text.count("data:") == 4
    assert "-> frozen" not in t.said()


@pytest.mark.parametrize("seed", range(2))
def test_requests_at_the_moment_of_freezing_are_answered(tenement, layer, seed):
    """The pause between two requests is what the ladder waits, give or take."""
    t = tenement(start=False, settings={"cgroups": layer})
    t.write("tiny.toml", t.service("tiny", "tiny", sleep=[FROZEN]))
    count = 24
    for i in range(count):
        t.write(f"tiny-t{i}.toml", t.tenant("tiny"))
    t.start()
    chance = random.Random(seed)
    due = [(0.1 * i / count, i) for i in range(count)]
    begun = time.monotonic()
    asked = 0
    while due and due[0][0] < 8:
        due.sort()
        at, i = due.pop(0)
        time.sleep(max(0, begun + at - time.monotonic()))
        answer = t.get(f"tiny:t{i}")
        assert (answer.status, answer.text.strip()) == (200, f"t{i}")
        asked += 1
        due.append((time.monotonic() - begun + 1 + chance.uniform(-0.004, 0.004), i))
    freezes = t.said().count("-> frozen")
    print(f"{asked} requests, {freezes} freezes")
    assert freezes > count


def test_a_ping_thaws_unless_it_is_told_not_to(one):
    t = one()
    with contextlib.closing(WebSocket(t)) as ws:
        pid = wait_frozen(t)
        ws.send(b"a", opcode=9)
        assert ws.receive() == (9, b"a")
        wait_frozen(t)
        generation = t.control("GET", "/api/status").json()["generation"]
        t.write("app-a.toml", t.tenant("app", wake_on_ping=False))
        wait_until(lambda: t.control("GET", "/api/status").json()["generation"] > generation)
        ws.send(b"b", opcode=9)
        ws.send(b"c", opcode=9)
        wait_until(lambda: t.instance("app:a")["idle_secs"] < 1, what="bytes that came")
        wait_until(lambda: t.instance("app:a")["state_secs"] >= 3, what="three seconds of frost")
        assert is_still(t, pid)
        ws.send(b"text")
        assert [ws.receive() for _ in range(3)] == [(9, b"b"), (9, b"c"), (1, b"text")]


def test_who_hangs_up_on_a_frozen_tenant_is_forgotten(one):
    t = one()
    for _ in range(3):
        with contextlib.closing(WebSocket(t)):
            wait_frozen(t)
            assert t.instance("app:a")["upgraded"] == 1
        wait_until(lambda: t.instance("app:a")["upgraded"] == 0, what="no connection")


def test_ignored_connections_are_told_that_the_tenant_goes_away(one):
    t = one(then=[{"after": 2, "to": "stopped"}], idle_connections="ignore")
    with contextlib.closing(WebSocket(t)) as ws:
        pid = wait_frozen(t)
        assert ws.receive() == (8, b"\x03\xe9")
        assert ws.file.read() == b""
        wait_gone(pid)
    assert t.get("app:a").status == 200


# Has 32 MiB of a file of its own mapped, and touched.
MAPPER = """\
import mmap, os, sys
with open(os.path.join(os.environ["DATA_DIR"], "big"), "wb+") as file:
    for _ in range(32):
        file.write(bytes(1 << 20))
    file.flush()
    os.fsync(file.fileno())
    mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    sum(mapped[i] for i in range(0, len(mapped), 4096))
sys.argv = ["app.py", "echo"]
exec(open("app.py").read())
"""


def resident_files_kb(pid):
    return int(proc_status(pid)["RssFile"][0])


@pytest.mark.skipif(not ROOT, reason="handing back another process's memory needs root")
def test_memory_of_a_frozen_tenant_is_handed_back(tenement, layer):
    t = tenement(start=False, settings={"cgroups": layer})
    (t.apps / "mapper.py").write_text(MAPPER)
    for key, reclaim in (("a", True), ("b", False)):
        t.write(f"{key}.toml", t.service(key, sleep=[FROZEN], frozen_reclaim=reclaim)
                .replace("app.py echo", "mapper.py"))
        t.write(f"{key}-a.toml", t.tenant(key))
    t.start()
    given = {key: t.get(f"{key}:a").json()["pid"] for key in "ab"}
    assert all(resident_files_kb(pid) > 32 << 10 for pid in given.values())
    for key in "ab":
        t.wait_state(f"{key}:a", "frozen")
    wait_until(lambda: resident_files_kb(given["a"]) < 16 << 10, what="memory handed back")
    assert resident_files_kb(given["b"]) > 32 << 10
    for key in "ab":
        assert t.get(f"{key}:a").json()["pid"] == given[key]
    wait_no_helper(t)


@pytest.mark.skipif(not ROOT, reason="handing back another process's memory needs root")
def test_many_are_handed_back_while_they_come_and_go(tenement):
    t = tenement(start=False)
    t.write("app.toml", t.service("app", sleep=[FROZEN], frozen_reclaim=True))
    keys = [f"app:t{i}" for i in range(12)]
    for key in keys:
        t.write(f"app-{key[4:]}.toml", t.tenant("app"))
    t.start()
    given = {key: t.get(key).json()["pid"] for key in keys}
    for turn in range(3):
        for key in keys:
            t.wait_state(key, "frozen")
        for key in keys:
            assert t.get(key).json()["pid"] == given[key]
        if turn == 1:
            kill_daemon(t)
    for key in keys:
        t.ten("stop", key)
    wait_gone(*given.values())
    wait_no_helper(t)


def test_who_stops_twice_leaves_no_frozen_process(one, layer):
    t = one(layer)
    pid = wait_frozen(t)
    os.kill(t.pid_of("tenementd"), 19)  # it will not see to anything
    t.serve.send_signal(15)
    wait_until(lambda: "stopping" in t.said())
    t.serve.send_signal(15)
    wait_gone(pid)
    assert t.stop(timeout=20) == 0


def test_a_daemon_without_descriptors_thaws_all_the_same(one, layer):
    t = one(layer)
    pid = wait_frozen(t)
    daemon = t.pid_of("tenementd")
    used = len(os.listdir(f"/proc/{daemon}/fd"))
    limits = resource.prlimit(daemon, resource.RLIMIT_NOFILE)
    resource.prlimit(daemon, resource.RLIMIT_NOFILE, (used // 2, limits[1]))
    try:
        assert t.get("app:a").json()["pid"] == pid
    finally:
        resource.prlimit(daemon, resource.RLIMIT_NOFILE, limits)
