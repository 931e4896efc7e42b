"""socket_activation = true: a socket that is there before its tenant, and outlives it."""

import os
import pathlib
import signal
import socket
import threading
import time

import pytest

from daemon_rig import ROOT, Load, kill, kill_daemon, pids, wait_daemon, wait_gone
from harness import SLOWNESS, process_alive, real_pids, wait_until

QUICK = {"backoff_base_ms": 100, "backoff_max_ms": 400}
PASSED = "echo --listen passed"

# One request after the other, each of which takes its time.
SERIAL = """\
import os, socket, time
server = socket.socket(fileno=3)
while True:
    client, _ = server.accept()
    with client:
        client.recv(65536)
        time.sleep(int(os.environ["TAKES_MS"]) / 1000)
        body = str(os.getpid()).encode()
        client.sendall(b"HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: %d\\r\\n\\r\\n%s"
                       % (len(body), body))
"""


@pytest.fixture
def one(tenement):
    def make(mode=PASSED, settings=None, tenant=None, **keys):
        t = tenement(start=False, settings={**QUICK, **(settings or {})})
        t.write("x.toml", t.service("x", mode, socket_activation=True, **keys))
        t.write("x-a.toml", t.tenant("x", **(tenant or {})))
        return t.start()
    return make


def socket_path(t):
    return t.runtime_dir / "sockets" / "x:a" / "s"


def asked(t, path="/", method="GET", body=None):
    """A request that goes on by itself; (thread, answers)."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(t.request("x:a", path, method, body, timeout=60)))
    thread.start()
    return thread, answers


def in_queue(t):
    """Whether somebody waits to be accepted: `ss` has it from the same place."""
    inode = None
    for line in pathlib.Path("/proc/net/unix").read_text().splitlines()[1:]:
        words = line.split()
        # flags 00010000: it listens; those in its queue are connected (03) and unnamed, or named like it
        if len(words) > 7 and words[7] == str(socket_path(t)) and words[5] != "01":
            inode = words[6]
    return inode is not None


@real_pids
def test_the_first_request_is_served_by_a_passed_socket(one):
    t = one()
    answer = t.get("x:a", "/hello").json()
    env = answer["env"]
    assert env["LISTEN_FDS"] == "1"
    assert env["LISTEN_PID"] == str(answer["pid"]) == str(pids(t)["x:a"])
    assert env["LISTEN_FDNAMES"] == "x.socket"
    descriptors = sorted(os.listdir(f"/proc/{answer['pid']}/fd"), key=int)
    assert descriptors[:4] == ["0", "1", "2", "3"]
    flags = pathlib.Path(f"/proc/{answer['pid']}/fdinfo/3").read_text().split("flags:")[1].split()[0]
    assert int(flags, 8) & os.O_NONBLOCK == 0


def test_who_starts_slowly_finds_all_requests_in_its_queue(one):
    t = one(PASSED + " --start-delay 0.7")
    waiting = [asked(t, f"/{i}") for i in range(20)]
    wait_until(lambda: t.state("x:a") == "ready", what="ready at once")
    wait_until(lambda: in_queue(t), what="requests in the socket's queue")
    for i, (thread, answers) in enumerate(waiting):
        thread.join(30 * SLOWNESS)
        assert answers[0].status == 200 and answers[0].json()["target"] == f"/{i}"


def test_the_socket_outlives_sleep_and_restart_and_loses_nobody(one):
    t = one()
    t.wait_ok("x:a")
    inode = socket_path(t).stat().st_ino
    t.ten("stop", "x:a")
    t.wait_state("x:a", "asleep")
    assert socket_path(t).stat().st_ino == inode
    with Load(t, ["x:a"], fresh=True) as load:
        load.wait_for(20)
        for _ in range(3):
            t.ten("restart", "x:a")
        load.wait_for(20)
    assert load.failures == []
    assert socket_path(t).stat().st_ino == inode


def test_who_connects_to_the_socket_itself_wakes_it(one):
    t = one()
    t.wait_ok("x:a")
    t.ten("stop", "x:a")
    t.wait_state("x:a", "asleep")
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20 * SLOWNESS)
        client.connect(str(socket_path(t)))
        client.sendall(b"GET /direct HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")
    t.wait_state("x:a", "ready")


def test_a_crash_at_start_is_no_error_for_who_waits(one):
    """The first try dies; the request stays in the queue and the second serves it, whatever its method."""
    t = one("crashes-once --listen passed")
    thread, answers = asked(t, "/upload", "POST", b"x" * 5000)
    thread.join(30 * SLOWNESS)
    assert answers[0].status == 200 and answers[0].json()["bytes"] == 5000
    assert "exit status 3" in t.said()


@pytest.mark.parametrize("status", [0, 3])
@pytest.mark.parametrize("restart", ["on-failure", "never", "always"])
def test_who_never_takes_its_socket_is_given_up(one, status, restart):
    """Also by a clean exit: else what is in its queue would wake it for ever."""
    t = one(f"dies --status {status}", settings={"max_restarts": 2}, restart=restart)
    thread, answers = asked(t, "/", "POST", b"body")
    failed = t.wait_state("x:a", "failed")
    thread.join(30 * SLOWNESS)
    assert answers[0].status == 503 and b"down" in answers[0].body
    assert f"exit status {status}" in failed["reason"]
    assert t.get("x:a").status == 503
    assert not pids(t)


@pytest.mark.parametrize("ms", [40, 1500])
def test_who_is_slow_and_has_always_somebody_in_its_queue_goes_on(one, ms):
    """More is asked of it than it can do, from its first moment: it takes what it can, one after the other."""
    t = one()
    (t.apps / "serial.py").write_text(SERIAL)
    t.write("x.toml", t.service("x", socket_activation=True, startup_timeout=1, restart="never",
                                env={"TAKES_MS": str(ms)}).replace("app.py echo", "serial.py"))
    waiting = [asked(t) for _ in range(160 if ms < 1000 else 3)]
    for thread, _ in waiting:
        thread.join(60 * SLOWNESS)
    assert {answers[0].status for _, answers in waiting} == {200}, t.said()
    assert len({answers[0].text for _, answers in waiting}) == 1


def test_who_runs_and_does_not_take_its_socket_is_not_ready_in_time(one):
    t = one("silent", startup_timeout=1, restart="never", stop_timeout=1)
    thread, answers = asked(t)
    failed = t.wait_state("x:a", "failed")
    thread.join(30 * SLOWNESS)
    assert "LISTEN_FDS" in failed["reason"] and "startup_timeout = 1" in failed["reason"]
    assert answers[0].status == 503
    assert not pids(t)


@pytest.mark.parametrize("ready", ["health", "notify"])
def test_ready_by_other_means_is_waited_for(one, ready):
    mode = PASSED + " --start-delay 0.3" if ready == "health" else "notifies --listen passed"
    t = one(mode, ready=ready, health="/health")
    answer = t.get("x:a", "/x")
    assert answer.status == 200 and answer.json()["env"]["LISTEN_FDS"] == "1"


def test_a_killed_daemon_finds_the_socket_again(one):
    t = one()
    t.wait_ok("x:a")
    inode = socket_path(t).stat().st_ino
    pid = pids(t)["x:a"]
    kill_daemon(t)
    assert t.get("x:a").status == 200 and pids(t)["x:a"] == pid
    t.ten("stop", "x:a")
    t.wait_state("x:a", "asleep")
    kill_daemon(t)
    assert t.get("x:a").status == 200
    assert socket_path(t).stat().st_ino == inode


@real_pids
def test_killed_at_any_moment_of_a_start(one):
    """However little of it was done: the request is answered, by one process, from one socket."""
    t = one()
    for delay in (0, 0.001, 0.002, 0.004, 0.008, 0.02, 0.05):
        daemon = t.pid_of("tenementd")
        thread, answers = asked(t)
        end = time.monotonic() + delay
        while time.monotonic() < end:
            pass
        kill(daemon)
        thread.join(30 * SLOWNESS)
        assert answers[0].status == 200
        wait_daemon(t, daemon)
        assert pids(t)["x:a"] == answers[0].json()["pid"]
        t.ten("stop", "x:a")
        wait_gone(answers[0].json()["pid"])


def test_an_upgrade_keeps_the_socket_and_who_is_in_it(one):
    t = one(PASSED + " --start-delay 1")
    thread, answers = asked(t)
    t.wait_state("x:a", "ready")
    inode = socket_path(t).stat().st_ino
    t.ten("upgrade")
    thread.join(30 * SLOWNESS)
    assert answers[0].status == 200
    t.ten("stop", "x:a")
    t.wait_state("x:a", "asleep")
    assert t.get("x:a").status == 200
    assert socket_path(t).stat().st_ino == inode


def test_a_tenant_killed_under_load_costs_no_idempotent_request(one):
    # (the tiny one says its answer in one piece: none is cut in its middle)
    t = one("tiny", settings={"max_restarts": 100, "backoff_base_ms": 10})
    t.wait_ok("x:a")
    with Load(t, ["x:a"], fresh=True) as load:
        for _ in range(5):
            pid = wait_until(lambda: pids(t).get("x:a"))
            kill(pid)
            wait_gone(pid)
            load.wait_for(10)
    assert load.failures == []


def test_a_tenant_that_is_taken_away_leaves_no_socket(one):
    t = one()
    t.wait_ok("x:a")
    path = socket_path(t)
    keeper = t.keeper_pid()

    def kept():
        return [fd for fd in os.listdir(f"/proc/{keeper}/fd")
                if os.readlink(f"/proc/{keeper}/fd/{fd}").startswith("socket:")]
    before = len(kept())
    t.remove("x-a.toml")
    wait_until(lambda: not path.exists(), what="the end of the socket")
    wait_until(lambda: len(kept()) == before - 1, what="the keeper to let go of the socket")


def test_an_end_by_the_option_gives_the_path_back(one):
    t = one()
    t.wait_ok("x:a")
    t.write("x.toml", t.service("x", "echo"))
    wait_until(lambda: "LISTEN_FDS" not in t.get("x:a").json()["env"], what="a process with a socket of its own")
    t.write("x.toml", t.service("x", PASSED, socket_activation=True))
    wait_until(lambda: "LISTEN_FDS" in t.get("x:a").json()["env"], what="a process with ours")


@pytest.mark.skipif(not ROOT, reason="only root gives tenants uids of their own")
def test_nobody_but_us_puts_a_socket_there_and_the_listener_is_the_tenant(one):
    t = one()
    t.wait_ok("x:a")
    path = socket_path(t)
    uid = int(pathlib.Path(f"/proc/{pids(t)['x:a']}/status").read_text().split("Uid:")[1].split()[0])
    assert path.parent.stat().st_uid == 0 and path.parent.stat().st_mode & 0o777 == 0o710
    assert path.stat().st_uid == uid and path.stat().st_mode & 0o777 == 0o660
    assert t.get("x:a").status == 200


def test_a_socket_that_was_removed_is_made_anew(one):
    t = one()
    t.wait_ok("x:a")
    socket_path(t).unlink()
    t.ten("restart", "x:a")
    t.wait_ok("x:a")


def test_a_full_queue_is_waited_out(one):
    """A process that is stopped takes nothing: what comes waits, and is served when it goes on."""
    t = one()
    t.wait_ok("x:a")
    pid = pids(t)["x:a"]
    os.kill(pid, signal.SIGSTOP)
    waiting = [asked(t, f"/{i}") for i in range(30)]
    wait_until(lambda: in_queue(t), what="requests in the queue")
    assert process_alive(pid)
    os.kill(pid, signal.SIGCONT)
    for thread, answers in waiting:
        thread.join(30 * SLOWNESS)
        assert answers[0].status == 200
