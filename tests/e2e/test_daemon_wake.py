"""What a wake took: in a header for who waited, and in GET /metrics."""

import re
import socket

import pytest

from daemon_rig import in_threads, status
from harness import wait_until

PHASES = ("queue", "spawn", "boot", "first-byte")


def timing(answer):
    """{phase: milliseconds} of the Server-Timing header, or None."""
    said = answer.headers.get("Server-Timing")
    return {name: float(value) for name, value in re.findall(r"([a-z-]+);dur=([0-9.]+)", said)} if said else None


def samples(t, service, phase):
    """(count, sum, {bound: cumulative count}) of the histogram."""
    text = t.control("GET", "/metrics").text
    label = f'service="{service}",phase="{phase}"'
    buckets = {bound: int(number) for bound, number in re.findall(
        rf'tenement_wake_seconds_bucket{{{label},le="([^"]+)"}} (\d+)', text)}
    count = re.search(rf"tenement_wake_seconds_count{{{label}}} (\d+)", text)
    total = re.search(rf"tenement_wake_seconds_sum{{{label}}} ([0-9.]+)", text)
    return (int(count.group(1)), float(total.group(1)), buckets) if count else None


@pytest.fixture
def one(tenement):
    def make(mode="echo", settings=None, **keys):
        t = tenement(start=False, settings=settings)
        t.write("x.toml", t.service("x", mode, **keys))
        t.write("x-a.toml", t.tenant("x"))
        return t.start()
    return make


def test_who_waited_is_told_what_it_took(one):
    t = one("echo --start-delay 0.2", server_timing=True)
    took = timing(t.get("x:a"))
    assert tuple(took) == PHASES
    assert 200 <= took["boot"] < 20000
    assert all(0 <= took[phase] < 10000 for phase in PHASES)
    assert timing(t.get("x:a")) is None, "nobody waited for this one"


def test_the_tenants_own_timing_is_kept(one):
    t = one("timing", server_timing=True)
    said = t.get("x:a").headers.get_all("Server-Timing")
    assert "db;dur=53" in said and len(said) == 2
    assert t.get("x:a").headers.get_all("Server-Timing") == ["db;dur=53"]


def test_it_is_off_by_default_and_goes_on_and_off_without_a_restart(one):
    t = one("tiny")
    assert timing(t.get("x:a")) is None
    pid, generation = t.instance("x:a")["pid"], status(t)["generation"]
    t.write("x.toml", t.service("x", "tiny", server_timing=True))

    def woken():
        t.ten("stop", "x:a")
        return timing(t.get("x:a"))
    wait_until(lambda: status(t)["generation"] > generation, what="the change")
    assert t.instance("x:a")["pid"] == pid
    assert tuple(woken()) == PHASES
    t.write("x.toml", t.service("x", "tiny"))
    wait_until(lambda: woken() is None, what="no header any more")


def test_who_comes_during_the_boot_is_told_of_its_part(one):
    t = one("echo --start-delay 0.5", server_timing=True)

    def ask(i):
        if i:
            wait_until(lambda: t.instance("x:a")["pid"], what="a process")
        return timing(t.get("x:a"))
    first, second = in_threads(2, ask)
    assert second["queue"] == 0 and second["spawn"] == 0
    assert 0 < second["boot"] <= first["boot"]


def test_time_in_the_queue_is_told(tenement):
    t = tenement(start=False, settings={"max_concurrent_starts": 1})
    t.write("x.toml", t.service("x", "echo --start-delay 0.3", server_timing=True))
    for one in ("a", "b"):
        t.write(f"x-{one}.toml", t.tenant("x", id=one))
    t.start()
    took = in_threads(2, lambda i: timing(t.get(f"x:{'ab'[i]}")))
    assert max(one["queue"] for one in took) >= 300
    assert min(one["queue"] for one in took) < 300


def test_histograms_by_service(one):
    t = one("echo --start-delay 0.03")
    assert samples(t, "x", "boot") is None
    for woken in (1, 2, 3):
        assert t.get("x:a").status == 200
        for phase in ("queue", "spawn", "boot", "first_byte"):
            count, total, buckets = samples(t, "x", phase)
            assert count == woken == buckets["+Inf"] and total > 0
            assert list(buckets.values()) == sorted(buckets.values())
        count, total, buckets = samples(t, "x", "boot")
        assert buckets["0.025"] == 0 and total >= 0.03 * woken
        t.get("x:a")
        assert samples(t, "x", "first_byte")[0] == woken, "only who was woken for it counts"
        t.ten("stop", "x:a")
    # what an operator started was in no request's way, but it was spawned and booted
    t.ten("start", "x:a")
    assert samples(t, "x", "boot")[0] == 4 and samples(t, "x", "queue")[0] == 3
    t.remove("x-a.toml")
    t.remove("x.toml")
    wait_until(lambda: samples(t, "x", "boot") is None, what="no label of what is not declared")


@pytest.mark.parametrize("way", ["socket", "port"])
def test_late_listeners_are_noticed(one, way):
    """However long it took: and the header says how soon after."""
    t = one(f"echo --listen {way} --start-delay 1.5", server_timing=True)
    took = timing(t.get("x:a"))
    assert 1500 <= took["boot"] < 20000


def test_health_and_bind_without_listen(one):
    """Bound is not yet listening: nobody is let in before."""
    t = one("binds-first", server_timing=True)
    answer = t.get("x:a")
    assert answer.status == 200 and timing(answer)["boot"] >= 300


def test_a_socket_that_never_listens_does_not_keep_the_daemon_busy(one):
    t = one("binds-only", startup_timeout=2, restart="never")
    with socket.create_connection(("127.0.0.1", t.port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: " + t.host("x:a").encode() + b"\r\n\r\n")
        wait_until(lambda: (t.runtime_dir / "sockets" / "x:a" / "s").exists(), what="the bind")
        pid = t.pid_of("tenementd")

        def cpu():
            with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
                words = stat.read().rsplit(")", 1)[1].split()
            return int(words[11]) + int(words[12])
        before = cpu()
        t.wait_state("x:a", "failed")
        assert cpu() - before < 100, "hundredths of a second, of two"
