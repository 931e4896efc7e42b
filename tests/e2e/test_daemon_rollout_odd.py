"""A changed template in odd company: other changes, a want of descriptors, health paths, clients."""

import concurrent.futures
import os
import resource
import time

import pytest

from daemon_rig import Load, kill_daemon, pids, status, wait_no_problem, wait_problem
from harness import wait_until
from rollout_rig import (  # pylint: disable=unused-import
    KEYS, change, halted_at, six, version_of, wait_halted, wait_over,
    wait_quiet, wait_versions)

assert six  # a fixture


def wait_tried(t, version):
    return wait_until(lambda: [key for key in KEYS if version_of(t, key) == str(version)])[0]


def test_another_text_that_asks_for_the_same_while_one_is_tried(six):
    t = six()
    change(t, 2)
    wait_tried(t, 2)
    t.write("echo.toml", "# the same\n" + t.service("echo", env={"VERSION": "2"}))
    wait_versions(t, 2)
    wait_over(t)
    wait_quiet(t)


def test_a_pause_while_one_is_tried_and_the_text_comes_back(six):
    t = six()
    change(t, 2)
    wait_tried(t, 2)
    t.ten("pause")
    generation = status(t)["generation"]
    change(t, 3)
    wait_until(lambda: status(t)["generation"] > generation)
    change(t, 2)
    wait_until(lambda: status(t)["generation"] > generation + 1)
    t.ten("unpause")
    wait_versions(t, 2)
    wait_over(t)
    wait_quiet(t)


def test_a_health_path_that_the_old_one_does_not_have(six):
    """Who waits for the new template is not found unwell by what the new one is asked."""
    t = six(settings={"health_check_interval": 1, "max_restarts": 0})
    before = pids(t)
    change(t, 2, "dies", health="/new?status=404")
    tried = halted_at(wait_halted(t))
    wait_quiet(t)
    wait_versions(t, 1)
    time.sleep(5)  # three checks and more
    now = pids(t)
    assert {key for key in KEYS if now.get(key) != before[key]} == {tried}


def test_a_held_sleeper_for_which_there_is_no_descriptor(six):
    t = six(state="on-demand")
    generation = status(t)["generation"]
    change(t, 2, "dies")
    wait_until(lambda: status(t)["generation"] > generation)
    assert version_of(t, "echo:t0") == "1"
    wait_halted(t)
    wait_quiet(t)
    daemon = t.pid_of("tenementd")
    before = resource.prlimit(daemon, resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir(f"/proc/{daemon}/fd"))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        resource.prlimit(daemon, resource.RLIMIT_NOFILE, (highest + 2, before[1]))
        try:
            asked = pool.submit(version_of, t, "echo:t2")
            wait_until(lambda: "echo:t2: starting -> backoff" in t.said())
            time.sleep(1)
        finally:
            resource.prlimit(daemon, resource.RLIMIT_NOFILE, before)
        assert asked.result() == "1"
    assert "echo:t2: backoff -> asleep" not in t.said(), "it waits for its next try"
    assert t.said().count("echo:t2: starting -> backoff") < 10


def test_one_that_is_stopped_while_it_is_tried_is_tried_again(six):
    t = six(state="on-demand")
    generation = status(t)["generation"]
    change(t, 2, "silent", startup_timeout=2)
    wait_until(lambda: status(t)["generation"] > generation)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(version_of, t, "echo:t0")
        t.wait_state("echo:t0", "starting")
        t.ten("stop", "echo:t0")
        asked.result()
        t.ten("start", "echo:t0", status=None)
    assert halted_at(wait_halted(t)) == "echo:t0"
    assert version_of(t, "echo:t0") == "1"


@pytest.mark.parametrize("clients", [0, 4])
def test_one_that_takes_nothing_from_its_socket_proves_nothing(six, clients):
    """It listens from the start, and is well only when it takes what comes."""
    t = six("echo --listen passed", socket_activation=True)
    load = Load(t, KEYS, threads=clients)
    with load:
        change(t, 2, "dies --after 2", socket_activation=True)
        tried = halted_at(wait_halted(t))
        wait_quiet(t)
    assert load.failures == []
    wait_versions(t, 1)
    assert [key for key in KEYS if t.said().count(f"{key}: asleep -> starting") > 1] == [tried]
    change(t, 3, "echo --listen passed", socket_activation=True)
    wait_versions(t, 3)
    wait_over(t)


def test_who_is_to_be_tried_again_is_not_lost_to_a_bad_template(six):
    t = six(settings={"backoff_base_ms": 2000, "max_restarts": 1})
    t.post("echo:t5", "/exit?code=7")
    t.wait_state("echo:t5", "backoff")
    change(t, 2, "dies")
    assert halted_at(wait_halted(t)) != "echo:t5"
    wait_versions(t, 1)
    assert "failed" not in t.said()


def test_who_fails_by_either_template_does_not_keep_the_others_from_the_new_one(six):
    t = six(settings={"backoff_base_ms": 500, "backoff_max_ms": 500, "max_restarts": 100})
    t.write("echo-t5.toml", t.tenant("echo", state="running", command="/usr/bin/python3 app.py dies"))
    t.wait_state("echo:t5", "backoff")
    change(t, 2)
    wait_versions(t, 2, KEYS[:5])
    wait_over(t)
    assert "halted" not in t.said()


def test_who_fails_by_either_template_is_tried_once_more_and_not_for_ever(six):
    t = six(settings={"backoff_base_ms": 100, "backoff_max_ms": 100, "max_restarts": 100})
    (t.apps / "brief.py").write_text(
        "import os, runpy, sys, threading\n"
        "threading.Timer(0.6, lambda: os._exit(3)).start()\n"
        "sys.argv = ['app.py', 'echo']\nrunpy.run_path('app.py', run_name='__main__')\n")
    t.write("echo-t5.toml", t.tenant("echo", state="running", command="/usr/bin/python3 brief.py"))
    t.wait_state("echo:t5", "backoff")
    change(t, 2)
    assert halted_at(wait_halted(t)) == "echo:t5"
    wait_versions(t, 2, KEYS[:5])


def test_a_note_that_the_disk_refuses_is_written_when_it_can_be(six):
    t = six()
    folder = t.data_dir / ".tenement" / "rollouts"
    accepted = t.data_dir / ".tenement" / "accepted"
    (folder / ".echo.new").mkdir()  # where it would be written
    (accepted / ".conf.d@echo.toml.new").mkdir()
    change(t, 2, "dies")
    said = wait_halted(t)
    wait_problem(t, "2 files", "for room on the disk")
    assert not (folder / "echo").exists()
    # What is owed after it does not wait for it.
    (accepted / ".conf.d@echo.toml.new").rmdir()
    wait_until(lambda: "dies" in (accepted / "conf.d@echo.toml").read_text())
    (folder / ".echo.new").rmdir()
    wait_until(lambda: (folder / "echo").exists())
    wait_no_problem(t)
    kill_daemon(t)
    assert status(t)["halted"] == [said.replace("5 that run", "6 that run")]
    wait_versions(t, 1)


def test_what_a_health_path_answers_is_no_way_to_hide_a_halt(six):
    t = six(settings={"max_restarts": 0})
    (t.apps / "rude.py").write_text(
        "import os, socket\n"
        "s = socket.socket(socket.AF_UNIX)\n"
        "s.bind(os.environ['SOCKET_PATH'])\ns.listen()\n"
        "while True:\n"
        "    c, _ = s.accept()\n"
        "    c.recv(4096)\n    c.sendall(b'HTTP/1.1 \\xff\\x1b[J rude\\r\\n\\r\\n')\n    c.close()\n")
    t.write("echo.toml", t.service("echo", command="/usr/bin/python3 rude.py", health="/health"))
    said = wait_halted(t)
    assert "the answer is not HTTP" in said
    assert (t.data_dir / ".tenement" / "rollouts" / "echo").exists()
    wait_quiet(t)
    wait_versions(t, 1)
    kill_daemon(t)
    assert halted_at(status(t)["halted"][0]) == halted_at(said)
    assert b"\x1b[J" not in t.log.read_bytes() and b"\xff" not in t.log.read_bytes()
