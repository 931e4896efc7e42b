"""Work and memory that do not grow with the number of tenants, counted and not timed."""

import os
import pathlib
import signal

from daemon_rig import status
from harness import wait_until

QUIET = ("pid", "idle_secs", "health", "requests", "reason", "overridden")  # left out where they are nothing


def declare(t, count, prefix="t"):
    t.write("tiny.toml", t.service("tiny", "tiny"))
    for i in range(count):
        (t.conf_dir / f"tiny-{prefix}{i}.toml").write_text(t.tenant("tiny"))


def wait_declared(t, count):
    wait_until(lambda: status(t)["tenants"]["declared"] == count, what=f"{count} declared")


def accepted(t):
    """{name in conf.d: text} of the last good texts that are stored."""
    folder = t.data_dir / ".tenement" / "accepted"
    return {path.name.removeprefix("conf.d@"): path.read_text() for path in folder.glob("conf.d@*")}


def in_conf(t):
    return {path.name: path.read_text() for path in t.conf_dir.glob("*.toml")}


def wait_stored(t):
    wait_until(lambda: accepted(t) == in_conf(t), what="all last good texts stored")


def work_of(t):
    """What the daemon read and opened so far, as the kernel counts it."""
    lines = pathlib.Path(f"/proc/{t.pid_of('tenementd')}/io").read_text().splitlines()
    return {name: int(number) for name, number in (line.split(": ") for line in lines)}


def test_a_change_reads_as_much_whatever_the_number_of_files(tenement):
    took = {}
    for count in (20, 600):
        t = tenement(start=False)
        declare(t, count)
        t.start()
        wait_declared(t, count)
        wait_stored(t)
        rounds = []
        for turn in range(5):
            before = work_of(t)
            t.write("tiny-t1.toml", t.tenant("tiny", domains=[f"d{turn}.example"]))
            # Looked at by a file alone, so that nothing but the change is counted.
            wait_until(lambda text=f"d{turn}.example": text in accepted(t)["tiny-t1.toml"], what="the change kept")
            after = work_of(t)
            rounds.append(after["syscr"] - before["syscr"] + after["syscw"] - before["syscw"])
        # (a round in which all was looked through, as every half minute, is not the change's)
        took[count] = min(rounds)
        wait_until(lambda: t.request("d4.example").status == 200, what="the change served")
    assert took[600] <= took[20] + 10, took


def test_tenants_that_sleep_have_no_page_of_the_board(tenement):
    t = tenement()
    t.write("tiny.toml", t.service("tiny", "tiny"))
    folder = pathlib.Path(f"/proc/{t.pid_of('tenementd')}/fd")
    board = wait_until(lambda: [fd for fd in folder.iterdir() if "tenement-board" in os.readlink(fd)], what="the board")[0]
    before = os.stat(board).st_blocks * 512
    declare(t, 2000)
    wait_declared(t, 2000)
    assert len(t.ten("ps", "-a", "--quiet").stdout.split()) == 2000
    assert t.control("GET", "/metrics").status == 200
    grown = os.stat(board).st_blocks * 512 - before
    # Of each there would be 192 bytes that all workers share, 64 of each worker and 40 of its wakes.
    assert grown < 100_000
    t.wait_ok("tiny:t77")
    assert t.instances()["tiny:t77"]["requests"] == 1


def test_the_brief_list_says_what_the_long_one_does(tenement):
    t = tenement(start=False)
    declare(t, 3)
    t.write("tiny-gone.toml", t.tenant("tiny", state="suspended"))
    t.write("no.toml", t.service("no", command="/no/such/program"))
    t.write("no-a.toml", t.tenant("no"))
    t.start()
    t.wait_ok("tiny:t0")
    t.get("no:a")
    t.wait_state("no:a", "failed")
    t.ten("stop", "tiny:t1", "--hold", status=None)
    long = t.instances()
    brief = {one["id"]: one for one in t.control("GET", "/api/instances?all=1&brief=1").json()}
    assert list(brief) == list(long) and len(brief) == 5
    assert {one["state"] for one in brief.values()} >= {"ready", "asleep", "suspended", "failed"}
    for key, one in brief.items():
        for name in one:
            if not name.endswith("_secs"):
                assert one[name] == long[key][name]
        for name in set(QUIET) - set(one):
            assert not long[key][name] or (name == "health" and not long[key]["pid"])
        assert set(one) - set(QUIET) == {"id", "state", "state_secs", "url"}
    up = t.control("GET", "/api/instances?brief=1").json()
    assert [one["id"] for one in up] == ["tiny:t0"]
    shown = t.ten("ps", "-a").stdout
    assert str(long["tiny:t0"]["pid"]) in shown and long["no:a"]["reason"][:10] in shown


def test_a_daemon_killed_before_it_stored_all_forgets_nothing(tenement):
    t = tenement(start=False)
    declare(t, 1500)
    t.start()
    daemon = t.pid_of("tenementd")
    os.kill(daemon, signal.SIGKILL)
    wait_until(lambda: t.pid_of("tenementd") != daemon, what="the next daemon")
    wait_declared(t, 1500)
    wait_stored(t)
    t.wait_ok("tiny:t1499")
    # What is stored is what is kept when a file becomes wrong over the daemon's next death.
    daemon = t.pid_of("tenementd")
    os.kill(daemon, signal.SIGSTOP)
    t.write("tiny-t3.toml", "[tenant\n")
    os.kill(daemon, signal.SIGKILL)
    wait_until(lambda: t.pid_of("tenementd") != daemon, what="the next daemon")
    wait_declared(t, 1500)
    t.wait_ok("tiny:t3")


def test_a_change_before_all_was_stored_is_in_the_history_as_one(tenement):
    t = tenement(start=False)
    declare(t, 3000)
    t.start()
    first = t.tenant("tiny")
    t.write("tiny-t2999.toml", t.tenant("tiny", domains=["soon.example"]))
    t.wait_ok("soon.example")
    t.remove("tiny-t2998.toml")
    wait_declared(t, 2999)
    wait_stored(t)
    made = {}
    for one in t.control("GET", "/api/history").json()["history"]:
        for file in one["files"]:
            made.setdefault(file["name"], []).append(file["change"])
    assert made["tiny-t2999.toml"] == ["changed", "added"]
    assert made["tiny-t2998.toml"] == ["removed", "added"]
    t.ten("undo")
    wait_declared(t, 3000)
    wait_stored(t)
    assert (t.conf_dir / "tiny-t2998.toml").read_text() == first


def test_one_that_ends_as_told_has_stored_all(tenement):
    t = tenement(start=False)
    declare(t, 400)
    t.start()
    t.stop()
    assert accepted(t) == in_conf(t)
