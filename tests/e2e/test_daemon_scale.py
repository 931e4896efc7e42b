"""Many tenants of which few run, and many requests of which one wakes."""

import collections
import threading

from daemon_rig import in_threads, pids, status, wait_gone
from harness import processes_of, wait_until


def test_a_thousand_declared_twenty_run(tenement):
    t = tenement(start=False, files={})
    t.write("tiny.toml", t.service("tiny", "tiny"))
    for i in range(1000):
        (t.conf_dir / f"tiny-t{i:03}.toml").write_text(t.tenant("tiny"))
    t.start()
    wait_until(lambda: status(t)["tenants"]["declared"] == 1000, what="1000 declared")
    asked = [f"tiny:t{i:03}" for i in range(0, 1000, 50)]
    for key in asked:
        answer = t.get(key)
        assert (answer.status, answer.text.strip()) == (200, key.split(":")[1])
    running = [pid for pid, command in processes_of(str(t.root)).items() if "./tiny" in command]
    assert len(running) == 20
    assert sorted(t.ten("ps", "--quiet").stdout.split()) == asked
    listed = t.ten("ps", "-a").stdout.splitlines()
    assert len([line for line in listed if "tiny:t" in line]) == 1000
    assert len(t.ten("ps", "-a", "--quiet").stdout.split()) == 1000
    assert status(t)["tenants"]["ready"] == 20


def test_two_hundred_first_requests_start_one_process(tenement):
    t = tenement(start=False)
    t.write("echo.toml", t.service("echo", "echo --start-delay 1"))
    t.write("echo-alice.toml", t.tenant("echo"))
    t.start()
    assert t.state("echo:alice") == "asleep"
    answers = in_threads(200, lambda i: t.get("echo:alice", f"/{i}"))
    assert [getattr(answer, "status", answer) for answer in answers] == [200] * 200
    assert len({answer.json()["pid"] for answer in answers}) == 1
    assert sorted(answer.json()["target"] for answer in answers) == sorted(
        f"/{i}" for i in range(200))
    apps = [c for c in processes_of(str(t.root)).values() if "app.py" in c]
    assert len(apps) == 1
    assert t.instance("echo:alice")["restarts"] == 0


def test_more_than_the_wake_queue_are_refused_at_once(tenement):
    t = tenement(start=False, settings={"wake_queue": 20, "workers": 1})
    t.write("echo.toml", t.service("echo", "echo --start-delay 3"))
    t.write("echo-alice.toml", t.tenant("echo"))
    t.start()
    order = []

    def ask(_):
        answer = t.get("echo:alice")
        order.append(answer.status)
        return answer
    answers = in_threads(60, ask)
    assert collections.Counter(answer.status for answer in answers) == {200: 20, 503: 40}
    for answer in answers:
        if answer.status == 503:
            assert int(answer.headers["Retry-After"]) >= 1
    assert order == [503] * 40 + [200] * 20, "who is refused does not wait for the start"


def test_starts_are_bounded_and_all_get_their_turn(tenement):
    t = tenement(start=False, settings={"max_concurrent_starts": 2})
    keys = [f"echo:t{i}" for i in range(8)]
    t.declare(keys, "echo --start-delay 0.3")
    t.start()
    most = [0]
    over = threading.Event()

    def watch():
        while not over.is_set():
            found = [c for c in processes_of(str(t.root)).values() if "app.py" in c]
            ready = status(t)["tenants"]["ready"]
            most[0] = max(most[0], len(found) - ready)
    watcher = threading.Thread(target=watch)
    watcher.start()
    answers = in_threads(8, lambda i: t.get(keys[i]))
    over.set()
    watcher.join()
    assert [getattr(answer, "status", answer) for answer in answers] == [200] * 8
    # (processes were counted before those that are ready: one may have become ready between)
    assert most[0] <= 2
    assert set(pids(t)) == set(keys)


def test_the_idle_sleep_and_the_busy_do_not(tenement):
    t = tenement(start=False)
    t.write("tiny.toml", t.service("tiny", "echo", idle_timeout=1))
    for name in ("idle", "busy", "stream"):
        t.write(f"tiny-{name}.toml", t.tenant("tiny"))
    t.start()
    for name in ("idle", "busy", "stream"):
        t.wait_ok(f"tiny:{name}")
    before = pids(t)
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(t.get("tiny:busy", "/?delay=3").status)),
        threading.Thread(target=lambda: results.append(
            t.get("tiny:stream", "/events?count=15&interval=0.2").text.count("data:"))),
    ]
    for thread in threads:
        thread.start()
    wait_gone(before["tiny:idle"])
    now = t.instances()
    assert now["tiny:busy"]["state"] == now["tiny:stream"]["state"] == "ready"
    assert (now["tiny:busy"]["in_flight"], now["tiny:stream"]["in_flight"]) == (1, 1)
    for thread in threads:
        thread.join(30)
    assert sorted(results) == [15, 200]
    assert (before["tiny:busy"], before["tiny:stream"]) == (
        pids(t).get("tiny:busy", before["tiny:busy"]), pids(t).get("tiny:stream", before["tiny:stream"]))
    wait_gone(before["tiny:busy"], before["tiny:stream"])
    t.wait_state("tiny:busy", "asleep")
