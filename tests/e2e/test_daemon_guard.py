"""The blast radius: removals by mistake stop nobody, or few."""

import os
import shutil
import time

import pytest

from daemon_rig import ROOT, kill_daemon, pids, status, wait_gone, wait_problem
from harness import process_alive, wait_until

COUNT = 30


@pytest.fixture
def thirty(tenement):
    """30 tenants that run."""
    def make(files=COUNT, **settings):
        t = tenement(start=False, settings=settings)
        t.write("tiny.toml", t.service("tiny", "tiny"))
        for i in range(files):
            t.write(f"tiny-t{i:02}.toml", t.tenant("tiny", state="running"))
        t.start()
        wait_until(lambda: status(t)["tenants"]["ready"] == files, what="all of them running")
        return t
    return make


def wait_held(t):
    return wait_until(lambda: status(t)["held"], what="held removals")


def wait_quiet(t):
    """Longer than the second of quiet that removals wait for; what would be wrong has happened by then."""
    end = time.monotonic() + 2
    wait_until(lambda: time.monotonic() > end and status(t)["converged"])


def test_a_stray_rm_stops_nobody(thirty):
    t = thirty()
    before = pids(t)
    for name in sorted(os.listdir(t.conf_dir)):
        t.remove(name)
    held = wait_held(t)
    assert "max_delete_percent" in held["why"] and "30" in held["why"]
    assert len(held["instances"]) == COUNT
    wait_quiet(t)
    assert pids(t) == before
    assert t.get("tiny:t00").status == 200
    said = t.ten("status").stdout
    assert "ten apply --confirm" in said and "30" in said
    assert t.ten("status", "--check", status=None).returncode == 1
    assert "ten apply --confirm" in t.said()


def test_the_service_goes_on_while_its_file_is_held(thirty):
    """The service's file went, too: a change of a tenant is still possible afterwards."""
    t = thirty()
    texts = {name: (t.conf_dir / name).read_text() for name in os.listdir(t.conf_dir)}
    for name in texts:
        t.remove(name)
    wait_held(t)
    t.write("tiny-t00.toml", texts["tiny-t00.toml"].replace('"running"', '"stopped"'))
    t.wait_state("tiny:t00", "stopped")
    assert status(t)["tenants"]["ready"] == COUNT - 1
    assert status(t)["held"]


def test_files_that_come_back_release_what_was_held(thirty):
    t = thirty()
    before = pids(t)
    texts = {name: (t.conf_dir / name).read_text() for name in os.listdir(t.conf_dir)}
    for name in texts:
        t.remove(name)
    wait_held(t)
    for name, text in texts.items():
        t.write(name, text)
    wait_until(lambda: not status(t)["held"], what="nothing held any more")
    wait_quiet(t)
    assert pids(t) == before
    assert t.ten("status", "--check", status=None).returncode == 0


def test_one_by_one_stops_at_most_five(thirty):
    t = thirty()
    before = pids(t)
    for i in range(8):
        t.remove(f"tiny-t{i:02}.toml")
        end = time.monotonic() + 2
        wait_until(lambda end=end: time.monotonic() > end, every=0.05)
    wait_held(t)
    wait_quiet(t)
    alive = [key for key, pid in before.items() if process_alive(pid)]
    assert len(alive) >= COUNT - 5
    assert len(alive) < COUNT, "a few may go"
    assert status(t)["held"]["instances"]


def test_confirm_carries_it_out(thirty):
    t = thirty()
    before = pids(t)
    for i in range(10, COUNT):
        t.remove(f"tiny-t{i}.toml")
    wait_held(t)
    t.ten("apply", "--confirm")
    wait_gone(*[before[f"tiny:t{i}"] for i in range(10, COUNT)])
    assert pids(t) == {key: pid for key, pid in before.items() if key < "tiny:t10"}
    assert not status(t)["held"]
    assert t.get("tiny:t15").status == 404
    assert (t.data_dir / "tiny" / "t15").is_dir()


def test_few_removals_are_not_held(thirty):
    t = thirty()
    before = pids(t)
    for i in range(5):
        t.remove(f"tiny-t{i:02}.toml")
    wait_gone(*[before[f"tiny:t{i:02}"] for i in range(5)])
    assert status(t)["held"] is None
    assert len(pids(t)) == COUNT - 5


def test_hundred_percent_turns_it_off(thirty):
    t = thirty(max_delete_percent=100)
    before = pids(t)
    for i in range(COUNT):
        t.remove(f"tiny-t{i:02}.toml")
    wait_gone(*before.values())
    assert status(t)["held"] is None


def test_entries_of_one_file_count_each(tenement):
    """30 tenants in one file: emptying it of its entries removes 30."""
    t = tenement(start=False)
    service = t.service("tiny", "tiny")
    entries = "".join(f'[[tenant]]\nservice = "tiny"\nid = "t{i}"\nstate = "running"\n'
                      for i in range(COUNT))
    t.write("tiny.toml", service)
    t.write("many.toml", entries)
    t.start()
    wait_until(lambda: status(t)["tenants"]["ready"] == COUNT)
    before = pids(t)
    t.write("many.toml", '[[tenant]]\nservice = "tiny"\nid = "t0"\nstate = "running"\n')
    held = wait_held(t)
    assert len(held["instances"]) == COUNT - 1
    wait_quiet(t)
    assert pids(t) == before
    t.write("many.toml", entries)
    wait_until(lambda: not status(t)["held"])
    assert pids(t) == before


def test_what_is_held_stays_held_over_a_daemon_that_dies(thirty):
    t = thirty()
    before = pids(t)
    for i in range(COUNT):
        t.remove(f"tiny-t{i:02}.toml")
    wait_held(t)
    kill_daemon(t)
    wait_held(t)
    wait_quiet(t)
    assert pids(t) == before


def test_files_removed_while_nobody_looked_are_held_too(thirty):
    t = thirty()
    before = pids(t)
    old = t.pid_of("tenementd")
    os.kill(old, 19)
    for i in range(COUNT):
        t.remove(f"tiny-t{i:02}.toml")
    os.kill(old, 9)
    wait_held(t)
    wait_quiet(t)
    assert pids(t) == before


@pytest.mark.parametrize("way", ["moved", "removed", "unreadable", "emptied by rename"])
def test_a_folder_that_vanished_removes_nobody(thirty, way):
    t = thirty(files=8)
    before = pids(t)
    aside = t.root / "aside"
    if way == "moved":
        t.conf_dir.rename(aside)
    elif way == "removed":
        shutil.copytree(t.conf_dir, aside)
        shutil.rmtree(t.conf_dir)
    elif way == "unreadable":
        if ROOT:
            pytest.skip("root reads everything")
        t.conf_dir.chmod(0)
        t.serve.send_signal(1)
    else:
        t.conf_dir.rename(aside)
        t.conf_dir.mkdir()
    if way in ("moved", "unreadable"):
        problem = wait_problem(t, "conf.d")
        assert "goes on" in problem
        assert "conf.d" in t.ten("status").stdout
    else:
        wait_until(lambda: status(t)["held"] or status(t)["problems"], what="a word about it")
    wait_quiet(t)
    assert pids(t) == before
    assert t.get("tiny:t00").status == 200
    if way == "unreadable":
        t.conf_dir.chmod(0o755)
    else:
        if t.conf_dir.exists():
            t.conf_dir.rmdir()
        aside.rename(t.conf_dir)
    wait_until(lambda: not status(t)["held"] and not status(t)["problems"], 40, what="all well")
    assert pids(t) == before
    t.write("tiny-new.toml", t.tenant("tiny"))
    t.wait_ok("tiny:new")


def test_an_empty_file_is_an_error_and_no_removal(thirty):
    t = thirty(files=2)
    before = pids(t)
    (t.conf_dir / "tiny-t00.toml").write_text("")
    wait_problem(t, "tiny-t00.toml")
    wait_quiet(t)
    assert pids(t) == before
    assert t.instance("tiny:t00")["last_good"]


def test_a_renamed_file_is_the_same_tenant(thirty):
    t = thirty(files=1)
    t.write("tiny-bob.toml", t.tenant("tiny", id="bob", state="running"))
    t.wait_state("tiny:bob", "ready")
    before = pids(t)
    (t.conf_dir / "tiny-bob.toml").rename(t.conf_dir / "robert.toml")
    wait_until(lambda: t.instance("tiny:bob")["file"] == "robert.toml", what="the new name")
    wait_quiet(t)
    assert pids(t) == before


def test_a_renamed_service_file_restarts_nobody(thirty):
    t = thirty(files=3)
    before = pids(t)
    (t.conf_dir / "tiny.toml").rename(t.conf_dir / "service.toml")
    wait_quiet(t)
    assert status(t)["problems"] == []
    assert pids(t) == before


def test_other_domain_waits_for_confirmation(thirty):
    t = thirty(files=1)
    t.settings["domain"] = "example.test"
    t.write_main()
    wait_until(lambda: status(t)["confirm"], what="a setting that waits")
    assert "domain" in status(t)["confirm"][0] and "example.test" in status(t)["confirm"][0]
    assert t.get("tiny:t00").status == 200
    assert "ten apply --confirm" in t.ten("status").stdout
