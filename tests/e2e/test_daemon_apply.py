"""`ten apply` and its kin against a daemon that acts on it."""

import http.client
import json
import os
import re
import signal
import subprocess
import threading

import pytest

from daemon_rig import ROOT, in_threads, kill, pids, status, wait_daemon, wait_gone
from harness import build_program, wait_until

DONE, FAILED, USAGE, HELD, CONFLICT = range(5)


@pytest.fixture
def tiny(tenement):
    """The service tiny, in a file of the operator's; a folder `new` for what is applied."""
    def make(**settings):
        t = tenement(start=False, settings={"backoff_base_ms": 50, **settings})
        t.write("tiny.toml", t.service("tiny", "tiny"))
        t.new = t.root / "new"
        t.new.mkdir()
        return t.start()
    return make


def put(t, *names, **keys):
    for name in names:
        (t.new / f"tiny-{name}.toml").write_text(t.tenant("tiny", **keys))


def apply(t, *arguments, status=DONE):
    return t.ten("apply", str(t.new), *arguments, status=status)


def test_applied_is_there_when_it_returns(tiny):
    t = tiny()
    put(t, "a", "b")
    put(t, "c", state="running")
    apply(t)
    assert t.get("tiny:a").status == 200
    assert t.state("tiny:c") == "ready"
    assert (t.conf_dir / "tiny-a.toml").read_text() == (t.new / "tiny-a.toml").read_text()
    again = t.ten_json("apply", str(t.new))
    assert again["outcome"] == "converged"
    assert {one["change"] for one in again["files"]} == {"same"}


def test_dry_run_and_diff_tell_what_apply_does(tiny):
    t = tiny()
    put(t, "a", state="running")
    generation = status(t)["generation"]
    would = t.ten_json("apply", str(t.new), "--dry-run")["actions"]
    assert would == t.ten_json("diff", str(t.new))["actions"]
    assert [one["action"] for one in would if one["instance"] == "tiny:a"] == ["declare", "start"]
    assert status(t)["generation"] == generation and not (t.conf_dir / "tiny-a.toml").exists()
    assert t.ten_json("apply", str(t.new))["actions"] == would
    pid = pids(t)["tiny:a"]
    put(t, "a", state="running", nofile_limit=100)
    would = t.ten_json("diff", str(t.new))["actions"]
    assert [(one["action"], one["instance"]) for one in would] == [("restart", "tiny:a")]
    put(t, "a", state="running", weight=7)
    would = t.ten_json("diff", str(t.new))["actions"]
    assert ("update", "tiny:a") in [(one["action"], one["instance"]) for one in would]
    assert "restart" not in [one["action"] for one in would]
    apply(t)
    assert pids(t)["tiny:a"] == pid
    assert t.ten_json("diff")["actions"] == []


def test_wrong_files_are_refused_as_a_whole(tiny):
    t = tiny()
    put(t, "a")
    (t.new / "tiny-b.toml").write_text('[tenant]\nservice = "tinny"\nwieght = 1\n')
    refused = apply(t, status=FAILED)
    assert "tiny-b.toml:3:" in refused.stderr + refused.stdout
    assert 'did you mean "weight"' in refused.stderr + refused.stdout
    assert sorted(os.listdir(t.conf_dir)) == ["tiny.toml"]
    assert t.get("tiny:a").status == 404
    assert status(t)["problems"] == []


def test_what_ten_did_not_write_is_a_conflict(tiny):
    t = tiny()
    t.write("tiny-a.toml", t.tenant("tiny", weight=3))
    t.wait_ok("tiny:a")
    put(t, "a", "b", weight=9)
    refused = apply(t, status=CONFLICT)
    assert "tiny-a.toml" in refused.stderr + refused.stdout
    assert t.instance("tiny:a")["weight"] == 3 and t.get("tiny:b").status == 404
    apply(t, "--force")
    assert t.instance("tiny:a")["weight"] == 9 and t.get("tiny:b").status == 200


def test_what_was_changed_by_hand_is_a_conflict(tiny):
    t = tiny()
    put(t, "a")
    apply(t)
    t.write("tiny-a.toml", t.tenant("tiny", weight=3))
    wait_until(lambda: t.instance("tiny:a")["weight"] == 3)
    put(t, "a", weight=9)
    refused = apply(t, status=CONFLICT)
    assert "by hand" in refused.stderr + refused.stdout
    assert t.instance("tiny:a")["weight"] == 3


def test_prune_removes_what_ten_wrote_before(tiny):
    t = tiny()
    t.write("tiny-mine.toml", t.tenant("tiny"))
    put(t, "a", "b")
    apply(t)
    (t.new / "tiny-b.toml").unlink()
    apply(t)
    assert t.get("tiny:b").status == 200
    apply(t, "--prune")
    t.wait_status("tiny:b", 404)
    assert t.get("tiny:a").status == 200 and t.get("tiny:mine").status == 200
    assert sorted(os.listdir(t.conf_dir)) == ["tiny-a.toml", "tiny-mine.toml", "tiny.toml"]


def test_prune_of_many_is_held(tiny):
    t = tiny()
    names = [f"t{i}" for i in range(12)]
    put(t, *names, state="running")
    apply(t)
    before = pids(t)
    assert len(before) == 12
    for name in names[1:]:
        (t.new / f"tiny-{name}.toml").unlink()
    held = apply(t, "--prune", status=HELD)
    assert "ten apply --confirm" in held.stdout + held.stderr
    assert pids(t) == before
    t.ten("apply", "--confirm")
    wait_gone(*[pid for key, pid in before.items() if key != "tiny:t0"])
    assert pids(t) == {"tiny:t0": before["tiny:t0"]}


def test_prune_with_confirm_is_done_at_once(tiny):
    t = tiny()
    put(t, *[f"t{i}" for i in range(12)])
    apply(t)
    for i in range(1, 12):
        (t.new / f"tiny-t{i}.toml").unlink()
    apply(t, "--prune", "--confirm")
    assert sorted(t.instances()) == ["tiny:t0"]


def test_who_does_not_come_up_is_told(tiny):
    t = tiny(max_restarts=0)
    (t.new / "bad.toml").write_text(t.service("bad", "dies"))
    (t.new / "bad-a.toml").write_text(t.tenant("bad", state="running"))
    told = apply(t, status=FAILED)
    assert "bad:a" in told.stdout + told.stderr and "exit status 3" in told.stdout + told.stderr


def test_a_file_and_standard_input(tiny):
    t = tiny()
    put(t, "a")
    t.ten("apply", str(t.new / "tiny-a.toml"))
    t.ten("apply", "-", "--name", "tiny-b.toml", text=t.tenant("tiny"))
    assert t.get("tiny:a").status == t.get("tiny:b").status == 200
    assert t.ten("apply", "-", "--name", "../x.toml", text=t.tenant("tiny"), status=None).returncode != 0
    assert t.ten("apply", "-", "--name", "x", text=t.tenant("tiny"), status=None).returncode != 0
    assert not (t.root / "x.toml").exists()


def test_check_needs_no_daemon(tiny):
    t = tiny()
    t.stop()
    assert t.ten("check").returncode == DONE
    (t.conf_dir / "tiny-a.toml").write_text('[tenant]\nservice = "tinny"\n')
    (t.conf_dir / "tiny-b.toml").write_text('[tenant]\nwieght = 1\n')
    told = t.ten("check", status=FAILED)
    for word in ("tiny-a.toml:2:", "tiny-b.toml:2:", 'did you mean "tiny"'):
        assert word in told.stdout + told.stderr


def test_history_and_undo(tiny):
    t = tiny()
    put(t, "a", weight=1)
    apply(t)
    put(t, "a", weight=2)
    put(t, "b")
    apply(t)
    history = t.ten_json("history")["history"]
    assert history[0]["generation"] == status(t)["generation"] > history[1]["generation"]
    assert "apply" in history[0]["by"]
    assert {(one["name"], one["change"]) for one in history[0]["files"]} == {
        ("tiny-a.toml", "changed"), ("tiny-b.toml", "added")}
    assert t.get("tiny:b").status == 200
    t.ten("undo")
    wait_until(lambda: t.instance("tiny:a")["weight"] == 1)
    t.wait_status("tiny:b", 404)
    assert not (t.conf_dir / "tiny-b.toml").exists()
    assert "undo" in t.ten_json("history")["history"][0]["by"]
    t.ten("undo")  # of the undo
    wait_until(lambda: t.instance("tiny:a")["weight"] == 2)
    t.wait_ok("tiny:b")


def test_undo_of_a_removal_by_hand(tiny):
    t = tiny()
    t.write("tiny-a.toml", t.tenant("tiny", weight=5))
    t.wait_ok("tiny:a")
    t.remove("tiny-a.toml")
    t.wait_status("tiny:a", 404)
    t.ten("undo")
    t.wait_ok("tiny:a")
    assert t.instance("tiny:a")["weight"] == 5


def test_spawn_and_rm(tiny):
    t = tiny()
    said = t.ten_json("spawn", "tiny:carol")
    assert said["file"] == "tiny-carol.toml" and said["state"] == "ready"
    assert t.get("tiny:carol").text.strip() == "carol"
    assert t.ten("spawn", "tiny:carol", status=CONFLICT).returncode == CONFLICT
    t.ten("spawn", "tiny", "--id", "dave")
    assert t.get("tiny:dave").status == 200
    removed = t.ten("rm", "tiny:carol")
    assert str(t.data_dir / "tiny" / "carol") in removed.stdout
    assert t.get("tiny:carol").status == 404
    assert not (t.conf_dir / "tiny-carol.toml").exists()
    assert (t.data_dir / "tiny" / "carol").is_dir()
    assert t.ten("spawn", "tinny:x", status=None).returncode != DONE
    assert t.ten("spawn", "tiny:-x", status=None).returncode != DONE
    t.write("tiny-mine.toml", t.tenant("tiny"))
    t.wait_ok("tiny:mine")
    refused = t.ten("rm", "tiny:mine", status=CONFLICT)
    assert "tiny-mine.toml" in refused.stderr
    assert t.get("tiny:mine").status == 200


def test_rm_of_many_one_by_one_is_meant(tiny):
    """Each was asked for by name: the guard is for accidents."""
    t = tiny()
    for i in range(8):
        t.ten("spawn", f"tiny:t{i}")
    for i in range(8):
        t.ten("rm", f"tiny:t{i}")
    assert t.instances() == {} and status(t)["held"] is None


def test_two_at_once(tiny):
    t = tiny()
    folders = []
    for name in ("left", "right"):
        folder = t.root / name
        folder.mkdir()
        for i in range(20):
            (folder / f"tiny-{name}{i}.toml").write_text(t.tenant("tiny"))
        (folder / "tiny-both.toml").write_text(t.tenant("tiny", weight=len(name)))
        folders.append(folder)
    done = in_threads(2, lambda i: t.ten("apply", str(folders[i]), status=None))
    assert [one.returncode for one in done] == [DONE, DONE], done
    assert len(t.instances()) == 41
    assert t.instance("tiny:both")["weight"] in (4, 5)
    assert not [name for name in os.listdir(t.conf_dir) if name.startswith((".", "#"))]


@pytest.mark.parametrize("moment", [0.0, 0.003, 0.01, 0.03, 0.06])
def test_killed_in_the_middle_of_200_files(tiny, moment):
    t = tiny(max_delete_percent=100)
    names = [f"t{i}" for i in range(200)]
    put(t, *names, weight=1)
    apply(t)
    put(t, *names, weight=2)
    daemon = t.pid_of("tenementd")
    body = {"files": [{"name": path.name, "text": path.read_text()} for path in t.new.iterdir()],
            "timeout": 30}
    begun = threading.Event()

    def ask():
        begun.set()
        try:
            t.control("POST", "/api/config/apply", body)
        except (OSError, ValueError, http.client.HTTPException):
            pass
    asker = threading.Thread(target=ask)
    asker.start()
    begun.wait()
    killer = threading.Timer(moment, lambda: kill(daemon))
    killer.start()
    killer.join()
    asker.join(30)
    wait_daemon(t, daemon)
    wait_until(lambda: status(t)["converged"])
    weights = {re.search(r"weight = (\d)", (t.conf_dir / f"tiny-{name}.toml").read_text()).group(1)
               for name in names}
    assert len(weights) == 1, "all or none"
    assert {str(one["weight"]) for one in t.instances().values()} == weights
    assert len(t.instances()) == 200
    assert not [name for name in os.listdir(t.conf_dir) if name.startswith((".", "#"))]
    apply(t)
    assert {one["weight"] for one in t.instances().values()} == {2}


def test_env_is_masked_but_for_root(tiny):
    t = tiny()
    t.write("tiny-a.toml", t.tenant("tiny", env={"PASSWORD": "hunter2"}))
    t.wait_ok("tiny:a")
    assert "hunter2" not in t.control("GET", "/api/instances/tiny:a").text
    for command in (("status",), ("status", "tiny:a"), ("ps", "-a"), ("history",), ("diff",)):
        assert "hunter2" not in t.ten(*command).stdout
        assert "hunter2" not in t.ten(*command, "-o", "json").stdout
    shown = json.loads(t.control("GET", "/api/instances/tiny:a?secrets=1").text)["env"]["PASSWORD"]
    assert shown == "hunter2", "for root and the daemon's own user"


def test_files_are_not_for_everybody_to_read(tiny):
    t = tiny()
    put(t, "a")
    apply(t)
    assert (t.conf_dir / "tiny-a.toml").stat().st_mode & 0o007 == 0
    accepted = t.data_dir / ".tenement" / "accepted"
    assert accepted.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in accepted.iterdir())


@pytest.mark.skipif(not ROOT, reason="mounting needs root")
def test_a_full_disk(tenement):
    """data_dir on a file system of 4 MiB, seen by this tenement alone."""
    t = tenement(start=False)
    t.write("tiny.toml", t.service("tiny", "tiny"))
    for name in ("a", "b"):
        t.write(f"tiny-{name}.toml", t.tenant("tiny"))
    t.write_main()
    t.data_dir.mkdir()
    script = ('mount -t tmpfs -o size=4m,mode=755 none "$1" || exit 77; shift; exec "$@"')
    with open(t.log, "ab") as log:
        t.serve = subprocess.Popen(
            ["unshare", "-m", "--propagation", "private", "/bin/sh", "-c", script, "sh",
             str(t.data_dir), str(build_program("ten")), "serve"],
            cwd=t.root, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            env={**os.environ, "TENEMENT_TEST": str(t.root)})
    try:
        t.wait_healthy()
    except RuntimeError as error:
        t.serve = None
        if "77" in str(error):
            pytest.skip("no mount namespace here")
        raise
    inside = f"/proc/{t.keeper_pid()}/root{t.data_dir}"
    api = t.runtime_dir / "control.sock"
    (t.data_dir / ".tenement").mkdir()
    (t.data_dir / ".tenement" / "run").symlink_to(t.runtime_dir)  # for `ten` out here
    assert api.exists()
    t.wait_ok("tiny:a")
    pid = pids(t)["tiny:a"]
    with open(f"{inside}/filler", "wb", buffering=0) as filler:
        try:
            while True:
                filler.write(b"x" * 4096)
        except OSError as error:
            assert error.errno == 28
    for _ in range(20):
        assert t.get("tiny:a").status == 200
    t.write("tiny-c.toml", t.tenant("tiny"))  # accepted in memory at least, and said so
    wait_until(lambda: "No space left" in t.said(), what="a word about the full disk")
    kill(t.pid_of("tenementd"))
    wait_until(lambda: t.get("tiny:a").status == 200 and pids(t).get("tiny:a") == pid)
    assert status(t)["tenants"]["declared"] >= 2
    os.unlink(f"{inside}/filler")
    t.write("tiny-d.toml", t.tenant("tiny"))
    t.wait_ok("tiny:d")
    t.wait_ok("tiny:c")
    t.wait_ok("tiny:b")
    assert pids(t)["tiny:a"] == pid
    assert t.stop(signal.SIGTERM) == 0
