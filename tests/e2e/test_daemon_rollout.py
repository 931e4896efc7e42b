"""A changed template: one tenant tries it, then they take it a few at a time; a bad one harms nobody."""

import json
import re
import signal

import pytest

from daemon_rig import Load, in_threads, kill, kill_daemon, pids, status, wait_gone
from harness import wait_until
from rollout_rig import (  # pylint: disable=unused-import
    COUNT, KEYS, change, halted_at, pids_of_records, six, version_of,
    wait_halted, wait_over, wait_quiet, wait_versions, watched)

assert six  # a fixture

# What serves well and ends a moment later, with $CODE.
BRIEF = """
import os, runpy, sys, threading
threading.Timer(0.4, lambda: os._exit(int(os.environ["CODE"]))).start()
sys.argv = ["app.py", "echo"]
runpy.run_path("app.py", run_name="__main__")
"""


def test_one_first_then_by_batches_and_no_request_is_lost(six):
    t = six(settings={"restart_batch": 2})
    before = pids(t)
    with Load(t, KEYS, threads=3) as load, watched(t) as seen:
        change(t, 2)
        wait_versions(t, 2)
        wait_over(t)
    assert load.failures == []
    assert max(len(down) for down in seen) <= 2
    first = next(down for down in seen if down)
    assert len(first) == 1, "one tries it alone"
    wait_gone(*before.values())
    assert status(t)["halted"] == []


BAD = [
    ("dies", {}, "exit status 3"),
    ("silent", {"startup_timeout": 1}, "not ready within startup_timeout"),
    ("echo --health 503", {"health": "/health"}, "503"),
    ("brief 4", {}, "exit status 4"),
    ("brief 0", {}, "exit status 0"),
    ("stubborn --health 500", {"health": "/health", "stop_timeout": 1}, "500"),
]


@pytest.mark.parametrize("mode,keys,why", BAD, ids=[mode for mode, *_ in BAD])
def test_a_bad_template_halts_at_the_first_and_harms_nobody(six, mode, keys, why):
    t = six(settings={"max_restarts": 0})
    (t.apps / "brief.py").write_text(BRIEF)
    before = pids(t)
    text = t.service("echo", mode, env={"VERSION": "2"}, **keys)
    if mode.startswith("brief"):
        text = text.replace("app.py brief", "brief.py").replace(
            '"VERSION"', '"CODE"').replace("VERSION =", f'CODE = "{mode[-1]}"\nVERSION =')
    t.write("echo.toml", text)
    said = wait_halted(t)
    assert why in said and re.search("were: [56] that run", said) and "echo.toml" in said
    assert "ten apply --confirm" in said
    wait_quiet(t)
    wait_versions(t, 1)
    assert "were: 6 that run" in status(t)["halted"][0]
    now = pids(t)
    assert {key for key in KEYS if now[key] != before[key]} == {halted_at(said)}, "one was tried"
    shown = re.sub(r"\s+", " ", t.ten("status", status=None).stdout)
    assert "halted at" in shown and "ten apply --confirm" in shown
    # Mended, it goes on by itself.
    change(t, 3)
    wait_versions(t, 3)
    wait_over(t)
    assert status(t)["halted"] == []


def test_the_old_text_again_ends_it_without_a_restart(six):
    t = six()
    change(t, 2, "dies")
    wait_halted(t)
    wait_quiet(t)
    before = pids(t)
    change(t, 1)
    wait_over(t)
    wait_quiet(t)
    assert status(t)["halted"] == [] and pids(t) == before


@pytest.mark.parametrize("command", ["no-such-program", "./no-such-program", "./plain.txt"])
def test_a_command_that_is_not_there_stops_nobody(six, command):
    t = six()
    (t.apps / "plain.txt").write_text("not a program")
    before = pids(t)
    t.write("echo.toml", t.service("echo", command=command))
    said = wait_halted(t)
    assert command in said and "were: 6 that run" in said
    wait_quiet(t)
    assert pids(t) == before
    assert "draining" not in t.said()


def test_confirm_goes_on_with_the_next(six):
    """One tenant's own trouble need not keep the others from the new template."""
    t = six()
    t.write("echo-t2.toml", t.tenant("echo", state="running", env={"PICKY": "1"}))
    wait_until(lambda: t.get("echo:t2").json()["env"].get("PICKY") == "1")
    picky = ("import os, runpy, sys\n"
             "if os.environ.get('PICKY'): sys.exit(5)\n"
             "sys.argv = ['app.py', 'echo']\nrunpy.run_path('app.py', run_name='__main__')\n")
    (t.apps / "picky.py").write_text(picky)
    t.write("echo.toml", t.service("echo", env={"VERSION": "2"}).replace("app.py echo", "picky.py"))
    said = wait_halted(t)
    assert halted_at(said) == "echo:t2" and "exit status 5" in said
    wait_quiet(t)
    t.ten("apply", "--confirm", status=None)
    others = [key for key in KEYS if key != "echo:t2"]
    wait_versions(t, 2, others)
    # It is tried once more when all others are on it.
    assert halted_at(wait_halted(t)) == "echo:t2"
    wait_until(lambda: version_of(t, "echo:t2") == "1")
    assert "1 that run" in status(t)["halted"][0]
    # Its own file mended, it is told again.
    t.write("echo-t2.toml", t.tenant("echo", state="running"))
    t.ten("apply", "--confirm", status=None)
    wait_versions(t, 2)
    wait_over(t)


def test_sleepers_do_not_take_part(six):
    t = six(state="on-demand")
    generation = status(t)["generation"]
    change(t, 2)
    wait_until(lambda: status(t)["generation"] > generation)
    wait_quiet(t)
    assert pids(t) == {}
    assert version_of(t, "echo:t3") == "2"
    wait_over(t)
    assert version_of(t, "echo:t1") == "2"


def test_who_is_woken_first_tries_it_and_is_served_by_the_old_one(six):
    t = six(state="on-demand")
    generation = status(t)["generation"]
    change(t, 2, "dies")
    wait_until(lambda: status(t)["generation"] > generation)
    assert version_of(t, "echo:t3") == "1", "the request waited for the old one"
    assert halted_at(wait_halted(t)) == "echo:t3"
    answers = in_threads(COUNT, lambda i: version_of(t, f"echo:t{i}"))
    assert answers == ["1"] * COUNT
    change(t, 3)
    wait_versions(t, 3)
    wait_over(t)


def test_who_is_woken_does_not_try_what_is_not_there(six):
    t = six(state="on-demand")
    generation = status(t)["generation"]
    t.write("echo.toml", t.service("echo", command="./no-such-program"))
    wait_until(lambda: status(t)["generation"] > generation)
    answers = in_threads(COUNT, lambda i: version_of(t, f"echo:t{i}"))
    assert answers == ["1"] * COUNT
    assert "no-such-program" in wait_halted(t)
    assert "backoff" not in t.said()


def test_one_that_died_while_it_was_tried_and_nobody_looked(six):
    t = six()
    change(t, 2)
    tried = wait_until(lambda: [key for key in KEYS if version_of(t, key) == "2"])[0]
    t.serve.send_signal(signal.SIGSTOP)
    kill(t.pid_of("tenementd"))
    kill(pids_of_records(t)[tried])
    t.serve.send_signal(signal.SIGCONT)
    assert halted_at(wait_halted(t)) == tried
    wait_quiet(t)
    wait_versions(t, 1, [key for key in KEYS if key != tried][-1:])
    assert version_of(t, tried) == "1"


def test_a_tenants_own_change_restarts_it_alone(six):
    t = six()
    before = pids(t)
    t.write("echo-t4.toml", t.tenant("echo", state="running", env={"PLAN": "pro"}))
    wait_until(lambda: t.get("echo:t4").json()["env"].get("PLAN") == "pro")
    wait_quiet(t)
    now = pids(t)
    assert {key for key in KEYS if now[key] != before[key]} == {"echo:t4"}
    assert not list((t.data_dir / ".tenement" / "rollouts").iterdir())


def test_a_tenants_own_change_after_a_halt_keeps_the_old_template(six):
    t = six()
    change(t, 2, "dies")
    one = next(key for key in KEYS if key != halted_at(wait_halted(t)))
    wait_quiet(t)
    before = pids(t)
    t.write(f"{one.replace(':', '-')}.toml", t.tenant("echo", state="running", env={"PLAN": "pro"}))
    wait_until(lambda: t.get(one).json()["env"].get("PLAN") == "pro")
    wait_quiet(t)
    now = pids(t)
    assert version_of(t, one) == "1"
    assert {key for key in KEYS if now[key] != before[key]} == {one}
    # So does a crash, and a restart by hand.
    t.post(one, "/exit?code=9")
    wait_until(lambda: pids(t).get(one) not in (None, now[one]))
    assert version_of(t, one) == "1"
    t.ten("restart", one)
    assert version_of(t, one) == "1"
    assert status(t)["halted"]


def test_live_keys_are_in_force_at_once_for_those_that_are_held(six):
    t = six()
    change(t, 2, "dies", max_body_mb=1)
    wait_halted(t)
    wait_quiet(t)
    for key in KEYS:
        assert t.post(key, "/upload", b"x" * ((1 << 20) + 1)).status == 413


def test_a_second_change_in_the_middle(six):
    t = six(settings={"restart_batch": 1})
    change(t, 2)
    wait_until(lambda: any(version_of(t, key) == "2" for key in KEYS))
    change(t, 3)
    wait_versions(t, 3)
    wait_over(t)


def test_a_bad_second_change_in_the_middle_leaves_each_where_it_is(six):
    t = six(settings={"restart_batch": 1})
    change(t, 2)
    # (the second one is chosen when the first was well)
    wait_until(lambda: sum(version_of(t, key) == "2" for key in KEYS) >= 2)
    change(t, 3, "dies")
    tried = halted_at(wait_halted(t))
    wait_quiet(t)
    before = pids(t)
    versions = {key: version_of(t, key) for key in KEYS}
    assert set(versions.values()) == {"1", "2"}, versions
    assert versions[tried] in "12"
    assert pids(t) == before
    change(t, 4)
    wait_versions(t, 4)


def test_tenants_that_go_and_come_in_the_middle(six):
    t = six(settings={"restart_batch": 1, "max_delete_percent": 100})
    change(t, 2)
    wait_until(lambda: any(version_of(t, key) == "2" for key in KEYS))
    for key in KEYS[2:]:
        t.remove(f"{key.replace(':', '-')}.toml")
    wait_until(lambda: len(t.instances()) == 2, what="their going")
    t.write("echo-new.toml", t.tenant("echo", state="running"))
    wait_versions(t, 2, [*KEYS[:2], "echo:new"])
    wait_over(t)
    # All of them, while one is being tried.
    change(t, 3, "silent")
    wait_until(lambda: any(one["state"] == "starting" for one in t.instances().values()))
    for name in ("echo-t0.toml", "echo-t1.toml", "echo-new.toml"):
        t.remove(name)
    wait_until(lambda: not t.instances(), what="their going")
    wait_over(t)


def test_who_failed_before_is_no_sign_and_tries_the_new_one(six):
    t = six(settings={"max_restarts": 0})
    t.post("echo:t5", "/exit?code=7")
    t.wait_state("echo:t5", "failed")
    before = pids(t)
    change(t, 2)
    wait_versions(t, 2)
    wait_over(t)
    assert not set(pids(t).values()) & set(before.values())
    t.post("echo:t5", "/exit?code=7")
    t.wait_state("echo:t5", "failed")
    change(t, 3, "dies")
    wait_halted(t)
    t.wait_state("echo:t5", "failed")
    wait_versions(t, 2, KEYS[:5])


def test_the_frozen_are_stopped_when_their_turn_comes(six):
    t = six(state="on-demand", sleep=[{"after": 1, "to": "frozen"}])
    for key in KEYS[:3]:
        assert version_of(t, key) == "1"
    for key in KEYS[:3]:
        t.wait_state(key, "frozen")
    before = pids(t)
    change(t, 2, sleep=[{"after": 1, "to": "frozen"}])
    wait_gone(*before.values())
    wait_quiet(t)
    assert pids(t) == {}
    assert version_of(t, "echo:t1") == "2"
    wait_over(t)


def test_the_frozen_are_left_alone_by_a_halt(six):
    t = six(state="on-demand", sleep=[{"after": 1, "to": "frozen"}])
    for key in KEYS[1:3]:
        assert version_of(t, key) == "1"
    for key in KEYS[1:3]:
        t.wait_state(key, "frozen")
    t.ten("hold", "echo:t0", "1h")
    t.wait_state("echo:t0", "ready")
    before = pids(t)
    change(t, 2, "dies", sleep=[{"after": 1, "to": "frozen"}])
    assert halted_at(wait_halted(t)) == "echo:t0"
    wait_quiet(t)
    assert {key: pids(t)[key] for key in KEYS[1:3]} == {key: before[key] for key in KEYS[1:3]}
    assert version_of(t, "echo:t1") == "1" and pids(t)["echo:t1"] == before["echo:t1"]


def test_a_pause_holds_it(six):
    t = six(settings={"restart_batch": 1})
    change(t, 2)
    wait_until(lambda: any(version_of(t, key) == "2" for key in KEYS))
    t.ten("pause")
    wait_until(lambda: {one["state"] for one in t.instances().values()} == {"ready"})
    before = pids(t)
    change(t, 3)
    kill_daemon(t)
    assert t.ten_json("status", status=None)["paused"]
    assert pids(t) == before
    t.ten("unpause")
    wait_versions(t, 3)
    wait_over(t)


def test_it_survives_the_daemon(six):
    t = six(settings={"restart_batch": 1})
    with Load(t, KEYS, threads=3) as load:
        change(t, 2)
        for _ in range(6):
            seen = t.said().count("-> draining: changed")
            wait_until(lambda seen=seen: t.said().count("-> draining: changed") > seen or
                       "nobody runs by the template before" in t.said())
            kill_daemon(t)
        wait_versions(t, 2)
        wait_over(t)
    assert load.failures == []


def test_a_halt_survives_the_daemon_and_everything(six):
    t = six()
    change(t, 2, "dies")
    said = wait_halted(t)
    wait_quiet(t)
    before = pids(t)
    kill_daemon(t)
    assert status(t)["halted"] == [said]
    wait_quiet(t)
    assert pids(t) == before
    t.post("echo:t1", "/exit?code=9")
    wait_until(lambda: pids(t).get("echo:t1") not in (None, before["echo:t1"]))
    assert version_of(t, "echo:t1") == "1", "who is started is started by the old one"
    t.stop()
    t.start()
    wait_versions(t, 1)
    assert halted_at(status(t)["halted"][0]) == halted_at(said)
    change(t, 3)
    wait_versions(t, 3)
    wait_over(t)


def test_killed_while_one_is_tried_it_finds_out_again(six):
    t = six(startup_timeout=2)
    change(t, 2, "silent", startup_timeout=2)
    wait_until(lambda: any(one["state"] == "starting" for one in t.instances().values()))
    kill_daemon(t)
    said = wait_halted(t)
    assert "not ready" in said
    wait_quiet(t)
    wait_versions(t, 1)


def test_a_template_changed_while_nobody_looked(six):
    t = six()
    before = pids(t)
    t.serve.send_signal(signal.SIGSTOP)  # the keeper: no new daemon before it goes on
    kill(t.pid_of("tenementd"))
    change(t, 2, "dies")
    t.serve.send_signal(signal.SIGCONT)
    said = wait_halted(t)
    wait_quiet(t)
    now = pids(t)
    assert {key for key in KEYS if now[key] != before[key]} == {halted_at(said)}
    wait_versions(t, 1)


@pytest.mark.parametrize("text", ["", "{}", json.dumps({"version": 1, "file": "echo.toml",
                                  "before": "[service", "proven": True}), "\0\xff"])
def test_a_damaged_note_of_it_is_dropped(six, text):
    t = six()
    change(t, 2, "dies")
    wait_halted(t)
    wait_quiet(t)
    note = t.data_dir / ".tenement" / "rollouts" / "echo"
    assert note.exists()
    note.write_text(text)
    kill_daemon(t)
    assert "cannot be read and is dropped" in t.said()
    change(t, 3)
    wait_versions(t, 3)
    wait_over(t)
    assert status(t)["halted"] == []


def test_apply_tells_of_a_halt(six, tmp_path):
    t = six()
    text = t.service("echo", "dies")
    file = tmp_path / "echo.toml"
    file.write_text(text)
    done = t.ten("apply", "--force", str(file), status=None)
    assert done.returncode != 0
    assert "halted at" in re.sub(r"\s+", " ", done.stdout + done.stderr)
    wait_quiet(t)
    wait_versions(t, 1)
