"""Changed specs: what restarts a tenant, how, and what does not."""

import re
import threading

import pytest

from daemon_rig import Load, in_threads, pids, status, wait_gone, wait_no_problem
from harness import children_of, processes_of, wait_until


@pytest.fixture
def alice(tenement):
    """alice(...) runs echo:alice; keys are the tenant's."""
    def make(mode="echo", settings=None, service=None, **keys):
        t = tenement(start=False, settings={"backoff_base_ms": 100, **(settings or {})})
        t.write("echo.toml", t.service("echo", mode, **(service or {})))
        t.write("echo-alice.toml", t.tenant("echo", **keys))
        t.start()
        t.wait_ok("echo:alice")
        return t
    return make


def test_a_changed_env_restarts(alice):
    t = alice()
    pid = pids(t)["echo:alice"]
    t.write("echo-alice.toml", t.tenant("echo", env={"PLAN": "pro"}))
    wait_until(lambda: t.get("echo:alice").json()["env"].get("PLAN") == "pro")
    wait_gone(pid)
    assert t.instance("echo:alice")["reason"] == ""


def test_what_is_in_flight_ends_on_the_old_process(alice):
    t = alice()
    old = pids(t)["echo:alice"]
    slow, quick = [], []
    slow_asker = threading.Thread(target=lambda: slow.append(t.get("echo:alice", "/?delay=2")))
    slow_asker.start()
    wait_until(lambda: t.instance("echo:alice")["in_flight"] == 1)
    t.write("echo-alice.toml", t.tenant("echo", env={"PLAN": "pro"}))
    t.wait_state("echo:alice", "draining")
    quick_asker = threading.Thread(target=lambda: quick.append(t.get("echo:alice")))
    quick_asker.start()
    slow_asker.join(30)
    quick_asker.join(30)
    assert slow[0].status == 200 and slow[0].json()["pid"] == old
    assert quick[0].status == 200 and quick[0].json()["pid"] != old
    assert quick[0].json()["env"]["PLAN"] == "pro"


def test_drain_timeout_ends_the_patience(alice):
    t = alice(service={"drain_timeout": 1})
    old = pids(t)["echo:alice"]
    cut = []
    asker = threading.Thread(target=lambda: cut.append(t.post("echo:alice", "/?delay=20", b"x")))
    asker.start()
    wait_until(lambda: t.instance("echo:alice")["in_flight"] == 1)
    t.write("echo-alice.toml", t.tenant("echo", env={"PLAN": "pro"}))
    wait_gone(old)
    t.wait_ok("echo:alice")
    asker.join(30)
    assert cut[0].status == 502, "what may have had an effect is not repeated"


def test_changes_under_load_cost_no_request(alice):
    t = alice()
    with Load(t, ["echo:alice"], threads=4) as load:
        for i in range(4):
            t.write("echo-alice.toml", t.tenant("echo", env={"PLAN": f"p{i}"}))
            wait_until(lambda i=i: t.get("echo:alice").json()["env"].get("PLAN") == f"p{i}")
    assert load.failures == []


def test_live_keys_do_not_restart(alice):
    t = alice()
    pid = pids(t)["echo:alice"]
    t.write("echo-alice.toml", t.tenant(
        "echo", idle_timeout=1000, weight=7, domains=["shop.test"], max_body_mb=1, stop_timeout=3,
        request_timeout=1, restart="never"))
    t.wait_ok("shop.test")
    wait_until(lambda: t.instance("echo:alice")["weight"] == 7)
    assert t.post("echo:alice", "/upload", b"x" * (1 << 20)).status == 200
    assert t.post("echo:alice", "/upload", b"x" * ((1 << 20) + 1)).status == 413
    assert t.get("echo:alice", "/?delay=3").status == 504
    t.write("echo-alice.toml", t.tenant("echo", domains=["other.test"], idle_timeout=1000))
    t.wait_ok("other.test")
    t.wait_status("shop.test", 404)
    assert pids(t)["echo:alice"] == pid
    t.write("echo-alice.toml", t.tenant("echo", idle_timeout=1))
    wait_gone(pid)  # it falls asleep by the new value
    t.wait_state("echo:alice", "asleep")


def test_a_domain_moves_from_one_tenant_to_another(alice):
    t = alice(domains=["shop.test"])
    t.write("echo-bob.toml", t.tenant("echo"))
    t.wait_ok("echo:bob")
    before = pids(t)
    t.write("echo-alice.toml", t.tenant("echo"))
    t.write("echo-bob.toml", t.tenant("echo", domains=["shop.test"]))
    wait_until(lambda: t.get("shop.test").json().get("env", {}).get("TENANT_ID") == "bob")
    wait_no_problem(t)
    assert pids(t) == before


def test_a_comment_restarts_nobody(alice):
    t = alice()
    pid, generation = pids(t)["echo:alice"], status(t)["generation"]
    t.write("echo-alice.toml", "# a comment\n" + t.tenant("echo"))
    wait_until(lambda: status(t)["generation"] > generation)
    assert pids(t)["echo:alice"] == pid


def test_a_change_while_it_starts(alice):
    t = alice("echo --start-delay 1")
    t.ten("stop", "echo:alice")
    answers = []
    asker = threading.Thread(target=lambda: answers.append(t.get("echo:alice")))
    asker.start()
    t.wait_state("echo:alice", "starting")
    t.write("echo-alice.toml", t.tenant("echo", env={"PLAN": "pro"}))
    asker.join(30)
    assert answers[0].status == 200 and answers[0].json()["env"]["PLAN"] == "pro"
    assert len([c for c in processes_of(str(t.root)).values() if "app.py" in c]) == 1


def test_removed_while_it_starts(alice):
    t = alice("echo --start-delay 2")
    t.ten("stop", "echo:alice")
    answers = []
    asker = threading.Thread(target=lambda: answers.append(t.get("echo:alice")))
    asker.start()
    t.wait_state("echo:alice", "starting")
    t.remove("echo-alice.toml")
    asker.join(30)
    assert answers[0].status in (404, 503)
    wait_until(lambda: not [c for c in processes_of(str(t.root)).values() if "app.py" in c])


def test_removed_and_declared_again_while_it_stops(alice):
    t = alice("stubborn", service={"stop_timeout": 2})
    old = pids(t)["echo:alice"]
    text = (t.conf_dir / "echo-alice.toml").read_text()
    t.remove("echo-alice.toml")
    wait_until(lambda: "echo:alice: draining -> stopping" in t.said())
    t.write("echo-alice.toml", text)
    answer = t.wait_ok("echo:alice")
    assert answer.json()["pid"] != old
    wait_gone(old)


def test_proxy_settings_change_while_it_runs(alice):
    t = alice()
    pid = pids(t)["echo:alice"]
    workers = [p for p, name in children_of(t.keeper_pid()).items() if name == "tenement-proxy"]
    big = {"X-Big": "y" * 3000}
    assert t.get("echo:alice", headers=big).status == 200
    t.settings["max_header_kb"] = 1
    t.write_main()
    wait_until(lambda: t.get("echo:alice", headers=big).status == 431)
    t.settings["max_header_kb"] = 16
    t.write_main()
    wait_until(lambda: t.get("echo:alice", headers=big).status == 200)
    assert pids(t)["echo:alice"] == pid
    assert [p for p, name in children_of(t.keeper_pid()).items()
            if name == "tenement-proxy"] == workers


def test_what_takes_effect_at_the_next_start_is_said(alice):
    t = alice()
    t.settings["workers"] = 1
    t.write_main()
    wait_until(lambda: status(t)["restart_needed"], what="a word about it")
    assert "workers" in status(t)["restart_needed"][0]
    assert "workers" in t.ten("status").stdout
    said = t.ten("diff").stdout
    assert "Takes effect at the next start: workers: " in said and "Nothing is to be done" not in said
    t.stop()
    t.start()
    assert len(status(t)["workers"]) == 1 and not status(t)["restart_needed"]
    assert "Nothing is to be done" in t.ten("diff").stdout


def test_a_wrong_main_file_changes_nothing(alice):
    t = alice()
    pid = pids(t)["echo:alice"]
    (t.root / "tenement.toml").write_text("[settings]\nworkres = 1\n")
    wait_until(lambda: any("workers" in problem for problem in status(t)["problems"]))
    assert t.get("echo:alice").json()["pid"] == pid
    t.write_main()
    wait_no_problem(t)


def test_instances_of_the_main_file_are_kept_running(tenement):
    t = tenement(start=False, main='[instances]\necho = ["prod", "staging"]\n')
    t.write("echo.toml", t.service("echo"))
    t.start()
    t.wait_state("echo:prod", "ready")
    t.wait_state("echo:staging", "ready")
    t.main = '[instances]\necho = ["prod"]\n'
    t.write_main()
    wait_until(lambda: t.instance("echo:staging") is None)
    assert t.state("echo:prod") == "ready"


def test_two_at_once_wait_for_one_restart(alice):
    t = alice()
    answers = in_threads(3, lambda _: t.ten("restart", "echo:alice").returncode)
    assert answers == [0, 0, 0]
    assert t.state("echo:alice") == "ready"
