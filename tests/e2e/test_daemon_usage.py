"""What tenants use, as `ten usage` and `ten top` say it: to the byte, once, whatever is killed when."""

import contextlib
import csv
import io
import os
import pathlib
import pty
import re
import select
import signal
import socket
import sqlite3
import subprocess
import time

import pytest

from daemon_rig import Load, kill, kill_daemon, pids, status, wait_gone, wait_no_problem, wait_problem
from fault_rig import Filler, mount, unmount
from harness import SLOWNESS, children_of, processes_of, wait_until
from wall_clock import Clock, unix

# Counts the bytes of its connections, and answers /count with them, /cpu with what it has burnt.
METER = '''#!/usr/bin/python3
import json, os, resource, socket, threading, time
listener = socket.socket(socket.AF_UNIX)
listener.bind(os.environ["SOCKET_PATH"])
listener.listen(64)
lock, received = threading.Lock(), [0]

def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        sum(range(1000))

def serve(connection):
    left = b""
    def more():
        data = connection.recv(65536)
        with lock:
            received[0] += len(data)
        return data
    while True:
        while b"\\r\\n\\r\\n" not in left:
            data = more()
            if not data:
                return
            left += data
        head, left = left.split(b"\\r\\n\\r\\n", 1)
        lines = head.lower().split(b"\\r\\n")
        fields = dict(line.split(b": ", 1) for line in lines[1:])
        if b"upgrade" in fields:
            connection.sendall(b"HTTP/1.1 101 Go\\r\\nConnection: upgrade\\r\\nUpgrade: x\\r\\n\\r\\n" + left)
            while True:
                data = more()
                if not data:
                    return
                connection.sendall(data * 3)
        if fields.get(b"transfer-encoding") == b"chunked":
            while not left.endswith(b"0\\r\\n\\r\\n"):
                left += more()
            left = b""
        need = int(fields.get(b"content-length", 0)) - len(left)
        left = b""
        while need > 0:
            need -= len(more())
        path = head.split()[1].decode()
        if path.startswith("/burn"):
            burn(float(path.split("=")[1]))
        if path.startswith("/fork"):
            pid = os.fork()
            if not pid:
                burn(float(path.split("=")[1]))
                os._exit(0)
            os.waitpid(pid, 0)
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        body = json.dumps({"received": received[0],
                           "cpu": sum(one.ru_utime + one.ru_stime for one in used)}).encode()
        if path.startswith("/bytes"):
            body = b"x" * int(path.split("=")[1])
        connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body)

while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
'''


@pytest.fixture
def metered(tenement):
    """metered("app:a", ...): a tenement whose tenants count for themselves; options as of its service."""
    def make(*keys, start=True, settings=None, **options):
        t = tenement(start=False, settings=settings)
        (t.apps / "meter.py").write_text(METER)
        text = t.service("app", "meter", **options)
        t.write("app.toml", text.replace("app.py meter", "meter.py"))
        for key in keys:
            t.write(f"{key.replace(':', '-')}.toml", t.tenant("app"))
        return t.start() if start else t
    return make


def rows(t, *arguments):
    return t.ten_json("usage", *arguments)["rows"]


def usage(t, key="app:a", *arguments):
    """The one row of KEY."""
    found = rows(t, key, *arguments)
    assert len(found) == 1, found
    return found[0]


def settled(t, key="app:a"):
    """The same once all is counted: an answer is there a moment before the worker has counted its bytes."""
    wait_until(lambda: t.instance(key)["in_flight"] == 0, what="nothing in flight")
    return usage(t, key)


def database(t):
    return t.data_dir / ".tenement" / "usage.db"


def keeper_of_usage(t):
    """The pid of the process that keeps usage.db."""
    found = [pid for pid, name in children_of(t.pid_of("tenementd")).items() if name == "tenement-usage"]
    return found[0] if found else None


class Client:
    """A connection of which every byte is counted."""

    def __init__(self, t, key):
        self.socket = socket.create_connection(("127.0.0.1", t.port), timeout=30 * SLOWNESS)
        self.host, self.received = t.host(key), 0

    def take(self, enough):
        data = b""
        while not enough(data):
            got = self.socket.recv(65536)
            assert got, data[:200]
            data += got
        self.received += len(data)
        return data

    def ask(self, head, body=b""):
        self.socket.sendall(head.encode() + f" HTTP/1.1\r\nHost: {self.host}\r\n".encode() + body)

        def whole(data):
            head, _, rest = data.partition(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head.lower())
            return rest and length and len(rest) >= int(length.group(1))
        return self.take(whole)


def test_to_the_byte(metered):
    """Heads and bodies of all kinds and a tunnel: what the tenant got is what was sent to it, what the
    client got is what came of it."""
    t = metered("app:a", "app:b")
    client = Client(t, "app:a")
    client.ask("GET /bytes=10", b"\r\n")
    client.ask("GET /bytes=3000000", b"\r\n")
    client.ask("POST /bytes=1", b"Content-Length: 5\r\n\r\nhello")
    client.ask("POST /bytes=1", b"Content-Length: 700000\r\n\r\n" + b"y" * 700000)
    client.ask("POST /bytes=1", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n")
    tunnel = Client(t, "app:a")
    tunnel.socket.sendall(f"GET / HTTP/1.1\r\nHost: {tunnel.host}\r\nConnection: upgrade\r\n"
                          "Upgrade: x\r\n\r\n".encode())
    tunnel.take(lambda data: data.endswith(b"\r\n\r\n"))
    tunnel.socket.sendall(b"z" * 100000)
    tunnel.take(lambda data: len(data) == 300000)
    # Answers of the proxy's own are nobody's, and bytes on an open tunnel are there at once.
    assert t.get("app:nobody").status == 404
    assert t.request("app:a", "/", headers={"Content-Length": "x"}).status == 400
    received = t.get("app:a", "/count")
    used = settled(t)
    answer_head = len(Client(t, "app:a").ask("GET /bytes=1", b"\r\n")) - 1
    last = settled(t)
    own = t.get("app:a", "/count").json()["received"]
    # (the last /count asked for its own number, so the tenant counted that request, too)
    third = settled(t)
    assert third["bytes_in"] == own
    assert used["bytes_in"] == received.json()["received"]
    assert last["bytes_out"] - used["bytes_out"] == answer_head + 1
    assert used["bytes_out"] == client.received + tunnel.received + answer_head - 1 + len(str(len(received.body))) \
        + len(received.body)
    assert (used["requests"], last["requests"], third["requests"]) == (6, 7, 8)
    tunnel.socket.close()
    assert [row["tenant"] for row in rows(t)] == ["a"], "who was never asked for has no row"


def test_kills(metered):
    """Requests of known number and size, and each of our processes killed between them."""
    t = metered("app:a")
    sent = 0

    def some():
        nonlocal sent
        for _ in range(5):
            assert t.get("app:a", "/bytes=1000").status == 200
            sent += 1
    some()
    assert usage(t)["requests"] == sent
    some()
    settled(t)
    worker = t.pid_of("tenement-proxy")
    kill(worker)
    wait_gone(worker)
    wait_until(lambda: t.get("app:a", "/bytes=1000").status == 200)
    sent += 1
    some()
    kill(keeper_of_usage(t))
    some()
    wait_until(lambda: t.control("GET", "/api/usage").status == 200)
    assert usage(t)["requests"] == sent
    some()
    kill_daemon(t)
    some()
    assert usage(t)["requests"] == sent
    for _ in range(3):
        kill_daemon(t)
    some()
    one = settled(t)
    assert one["requests"] == sent and one["starts"] == 1
    per_request = one["bytes_out"] / sent
    assert per_request == int(per_request) and 1000 < per_request < 1400
    # And the tenant's end, told while no daemon was there.
    pid = pids(t)["app:a"]
    daemon = t.pid_of("tenementd")
    os.kill(daemon, signal.SIGSTOP)
    kill(pid)
    wait_gone(pid)
    kill(daemon)
    wait_until(lambda: t.control("GET", "/api/status").status == 200)
    some()
    one = usage(t)
    assert one["requests"] == sent and one["starts"] == 2
    t.stop()
    t.start()
    assert usage(t)["requests"] == sent
    some()
    one = settled(t)
    assert (one["requests"], one["starts"], one["bytes_out"]) == (sent, 3, sent * per_request)


def test_killed_daemons_under_load(metered):
    """The daemon and the keeper of usage.db are killed again and again while requests go on."""
    t = metered("app:a", "app:b")
    t.wait_ok("app:a")
    t.wait_ok("app:b")
    with Load(t, ["app:a", "app:b"], path="/bytes=100") as load:
        for turn in range(6):
            load.wait_for(50)
            if turn % 2:
                t.control("GET", "/api/usage")
                keeper = keeper_of_usage(t)
                if keeper:
                    kill(keeper)
            else:
                kill_daemon(t)
        load.wait_for(50)
    assert load.failures == []
    wait_until(lambda: t.control("GET", "/api/usage").status == 200)
    assert sum(row["requests"] for row in rows(t)) == load.count + 2


def test_cpu_is_what_the_tenant_measured(metered):
    t = metered("app:a", "app:b")
    t.wait_ok("app:b", "/count")
    t.get("app:a", "/burn=0.5", timeout=60)
    t.get("app:a", "/fork=0.3", timeout=60)
    own = t.get("app:a", "/count").json()["cpu"]
    assert own >= 0.8
    used = usage(t)["cpu_usec"] / 1e6
    assert own * 0.9 <= used <= own * 1.1 + 0.2
    if t.instance("app:a")["usage"].get("memory_peak_bytes"):
        kill_daemon(t)
        t.get("app:a", "/burn=0.2", timeout=60)
        # What it took between the last reading and its end is read from what it leaves.
        t.ten("restart", "app:a")
        last = usage(t)["cpu_usec"] / 1e6
        assert used + 0.2 <= last <= used + 0.2 + 0.5 * SLOWNESS
    assert usage(t, "app:b")["cpu_usec"] < 0.5e6 * SLOWNESS


def test_hours(metered):
    """What is used in an hour is that hour's, also when the clock is set."""
    t = metered("app:a", start=False)
    clock = Clock(t, "2026-03-01 10:59:00")
    clock.start()

    def ask(count):
        for _ in range(count):
            assert t.get("app:a", "/bytes=10").status == 200
    ask(3)
    clock.set("2026-03-01 11:00:30")
    usage(t, "app:a", "--since", "2026-01-01")
    ask(2)
    clock.set("2026-03-02 00:00:01")
    usage(t, "app:a", "--since", "2026-01-01")
    ask(1)
    since = ("--since", "2026-01-01")
    by_hour = rows(t, "app:a", *since, "--by", "hour")
    assert [(row["from"], row["requests"], row["starts"]) for row in by_hour] == [
        (unix("2026-03-01 10:00:00"), 3, 1), (unix("2026-03-01 11:00:00"), 2, 0),
        (unix("2026-03-02 00:00:00"), 1, 0)]
    by_day = rows(t, *since, "--by", "day")
    assert [(row["from"], row["requests"]) for row in by_day] == [
        (unix("2026-03-01 00:00:00"), 5), (unix("2026-03-02 00:00:00"), 1)]
    assert usage(t, "app:a", *since)["requests"] == 6
    assert usage(t, "app", *since, "--until", "2026-03-02")["requests"] == 5
    assert usage(t, "app:a", "--since", "2026-03-01T11:20", "--until", "2026-03-01T11:40")["requests"] == 2
    assert rows(t, *since, "--until", "2026-02-01") == []
    assert [one["uptime_ms"] > 0 for one in by_hour] == [True] * 3
    # The end of an hour is not missed: nobody asks here.
    clock.set("2026-03-02 00:59:57")
    usage(t, "app:a", *since)
    ask(4)
    wait_until(lambda: clock.now() > unix("2026-03-02 01:00:02"), what="the next hour")
    ask(1)
    assert [row["requests"] for row in rows(t, *since, "--by", "hour")][2:] == [5, 1]


def test_usage_days(metered):
    """Hours are forgotten when usage_days says so, also when it is changed."""
    t = metered("app:a", start=False)
    clock = Clock(t, "2026-03-01 10:30:00")
    clock.start()
    since = ("--since", "2026-01-01")
    for day in (1, 5, 9):
        clock.set(f"2026-03-{day:02} 10:30:00")
        usage(t, "app:a", *since) if day > 1 else None
        assert t.get("app:a", "/bytes=10").status == 200
        assert usage(t, "app:a", *since)
    assert len(rows(t, *since, "--by", "day")) == 3
    t.settings["usage_days"] = 6
    t.write_main()
    wait_until(lambda: len(rows(t, *since, "--by", "day")) == 2)
    assert usage(t, "app:a", *since)["requests"] == 2
    t.settings["usage_days"] = 0
    t.write_main()
    wait_problem(t, "usage_days")


def test_damaged(metered):
    """A database that is none any more is kept aside and said, and counting goes on from there."""
    t = metered("app:a")
    for _ in range(3):
        t.get("app:a", "/bytes=10")
    assert usage(t)["requests"] == 3
    kill(keeper_of_usage(t))
    for ending in ("-wal", "-shm"):
        pathlib.Path(f"{database(t)}{ending}").unlink(missing_ok=True)
    garbage = b"this is no database " * 500
    database(t).write_bytes(garbage)
    wait_until(lambda: t.control("GET", "/api/usage").status == 200)
    problem = wait_problem(t, "usage.db was damaged")
    aside = re.search(r"\.tenement/(usage\.db\.damaged\.\d+)", problem).group(1)
    assert (database(t).parent / aside).read_bytes() == garbage
    for _ in range(2):
        t.get("app:a", "/bytes=10")
    # What the old one had counted is not counted again.
    assert usage(t)["requests"] == 2
    assert usage(t)["starts"] == 0
    (database(t).parent / aside).unlink()
    wait_no_problem(t)
    kill_daemon(t)
    t.get("app:a", "/bytes=10")
    assert usage(t)["requests"] == 3
    assert database(t).stat().st_mode & 0o777 == 0o600


def test_locked(metered):
    """Somebody else holds the database: it is said, nothing waits for it, and nothing is lost."""
    t = metered("app:a")
    t.get("app:a", "/bytes=10")
    usage(t)
    other = sqlite3.connect(database(t), isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    t.get("app:a", "/bytes=10")
    t.ten("stop", "app:a")
    t.control("GET", "/api/usage")
    wait_problem(t, "cannot be stored", "locked")
    begun = time.monotonic()
    assert t.get("app:a", "/bytes=10").status == 200
    assert time.monotonic() - begun < 2 * SLOWNESS
    other.execute("ROLLBACK")
    other.close()
    wait_until(lambda: t.control("GET", "/api/usage").status == 200 and usage(t)["starts"] == 2)
    assert usage(t)["requests"] == 3
    wait_no_problem(t)


def test_a_full_disk(metered):
    t = metered("app:a", start=False)
    t.data_dir.mkdir()
    mount(t.data_dir, "size=8m,nr_inodes=300,mode=755")
    try:
        t.start()
        t.get("app:a", "/bytes=10")
        assert usage(t)["requests"] == 1
        # What is to be written has places in the database already, up to a point.
        filler = Filler(t.data_dir)
        filler.fill()

        def told():
            t.get("app:a", "/bytes=10")
            t.control("GET", "/api/usage")
            return any("cannot be stored" in one for one in status(t)["problems"])
        wait_until(told, what="a word on the full disk")
        pid = pids(t)["app:a"]
        kill(pid)
        wait_gone(pid)
        filler.empty()
        wait_until(lambda: not any("cannot be stored" in one for one in status(t)["problems"]), 30)
        t.wait_ok("app:a", "/bytes=10")
        counted = r'tenement_instance_requests_total\{[^}]*id="a",code="2xx"\} (\d+)'
        wait_until(lambda: re.findall(counted, t.control("GET", "/metrics").text) == [str(usage(t)["requests"])])
        assert usage(t)["starts"] == 2
    finally:
        t.close()
        unmount(t.data_dir)


def test_short_lives(metered):
    """Who runs for less than it takes to look is counted whole, and sleeps on without a look."""
    t = metered("app:a", idle_timeout=1)
    for turn in range(3):
        t.wait_ok("app:a", "/burn=0.05")
        t.wait_state("app:a", "asleep")
        one = usage(t)
        assert one["starts"] == turn + 1
        assert one["cpu_usec"] >= 0.05e6 * (turn + 1)
        assert 900 * (turn + 1) <= one["uptime_ms"] <= 20000 * SLOWNESS
        assert one["memory_max_bytes"] > 1 << 20
        assert one["memory_kib_secs"] > 0
    assert t.control("GET", "/api/top").json()["instances"] == []
    t.remove("app-a.toml")
    wait_until(lambda: "app:a" not in t.instances())
    assert usage(t)["requests"] == 3


def test_a_slot_of_another(metered):
    """A tenant that gets the place of one before is not told to pay for him."""
    t = metered("app:a")
    for _ in range(4):
        t.get("app:a", "/bytes=100000")
    t.remove("app-a.toml")
    wait_until(lambda: "app:a" not in t.instances())
    usage(t, "app:a")
    t.write("app-z.toml", t.tenant("app"))
    t.wait_ok("app:z", "/bytes=1")
    kill_daemon(t)
    assert usage(t, "app:z")["requests"] == 1
    assert usage(t, "app:z")["bytes_out"] < 1000
    assert usage(t, "app:a")["requests"] == 4
    assert 400000 < usage(t, "app:a")["bytes_out"] < 402000


def test_memory(metered):
    t = metered("app:a")
    t.wait_ok("app:a", "/count")
    usage(t)
    time.sleep(2)
    one = usage(t)
    mean = one["memory_kib_secs"] / (one["uptime_ms"] / 1000) * 1024
    now = t.instance("app:a")["memory_bytes"]
    assert now * 0.5 < mean < now * 1.5
    assert now * 0.8 < one["memory_max_bytes"] < now * 1.5
    # One that was taken over goes on, and the time without a daemon is not counted for memory.
    kill_daemon(t)
    again = usage(t)
    assert again["memory_kib_secs"] >= one["memory_kib_secs"]
    assert again["uptime_ms"] > one["uptime_ms"]
    text = t.ten("status", "app:a").stdout
    assert re.search(r"cpu +\d+\.\d\d s", text) and re.search(r"memory +\d+\.\d MiB", text)


def test_nobody_runs(metered):
    """Without a tenant that was used there is nothing: no row, no database, no process."""
    t = metered(*(f"app:t{i}" for i in range(20)))
    assert keeper_of_usage(t) is None
    assert not database(t).exists()
    assert t.ten("top", "--once").stdout == "No tenants run.\n"
    assert t.ten("usage").stdout == "Nothing was used in that time.\n"
    assert rows(t) == []


def test_the_end_is_stored(metered):
    """What was used is in the database when tenement has ended, whoever is told to end."""
    t = metered("app:a")
    t.wait_ok("app:a", "/burn=0.1")
    os.killpg(os.getpgid(t.keeper_pid()), signal.SIGINT)  # as a terminal does
    assert t.serve.wait(40 * SLOWNESS) == 0
    t.stop()
    assert [path.name for path in database(t).parent.glob("usage.db*")] == ["usage.db"]
    with contextlib.closing(sqlite3.connect(database(t))) as db:
        assert db.execute("SELECT sum(requests), sum(starts) FROM usage").fetchone() == (1, 1)
        assert db.execute("SELECT ended FROM run").fetchall() == [(1,)]


def test_everything_is_killed(metered):
    """What ended together with all of ours is read from what it left, once."""
    t = metered("app:a")
    t.wait_ok("app:a", "/count")
    time.sleep(1)
    before = usage(t)
    for _ in range(2):
        t.wait_ok("app:a", "/burn=0.2")
    if not t.instance("app:a")["usage"].get("memory_peak_bytes"):
        pytest.skip("no control groups that count here")
    tenants = pids(t).values()
    t.serve.send_signal(signal.SIGSTOP)
    for pid in {*processes_of(str(t.root)), *tenants}:
        kill(pid)
    t.serve.wait(20 * SLOWNESS)
    t.serve = None
    t.start()
    wait_until(lambda: usage(t)["cpu_usec"] >= before["cpu_usec"] + 0.4e6, what="what it had burnt")
    after = usage(t)
    assert after["cpu_usec"] < before["cpu_usec"] + 0.4e6 + 0.3e6 * SLOWNESS
    assert after["starts"] == 1 and after["requests"] == before["requests"]
    assert after["uptime_ms"] == before["uptime_ms"]
    assert after["memory_kib_secs"] == before["memory_kib_secs"]


# ---- what is said

def test_csv(metered):
    t = metered("app:a", "app:b")
    t.get("app:b", "/bytes=10")
    t.get("app:a", "/burn=0.1")
    done = subprocess.run([t.program("ten"), "usage", "-o", "csv", "--by", "hour"], cwd=t.root,
                          capture_output=True, check=True, timeout=60)
    text = done.stdout.decode()
    assert text.endswith("\r\n") and text.count("\n") == text.count("\r\n") == 3
    found = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [(row["service"], row["tenant"], row["requests"]) for row in found] in (
        [("app", "a", "1"), ("app", "b", "1")], [("app", "b", "1"), ("app", "a", "1")])
    one = next(row for row in found if row["tenant"] == "a")
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:00:00Z", one["from"])
    assert float(one["cpu_seconds"]) >= 0.1
    assert one["stored_bytes"] == "" or int(one["stored_bytes"]) >= 0
    table = t.ten("usage").stdout.splitlines()
    assert table[0].split()[:4] == ["TENANT", "REQS", "IN", "OUT"] and len(table) == 3
    assert sorted(t.ten("usage", "-q").stdout.split()) == ["app:a", "app:b"]
    assert t.ten("usage", "app:a", "-o", "table").stdout.count("\n") == 2


@pytest.mark.parametrize("arguments, words", [
    (["usage", "--since", "soon"], "--since soon: not a time such as 90m"),
    (["usage", "--since", "2026-02-30"], "--since 2026-02-30: not"),
    (["usage", "--by", "year"], "--by year: it is tenant, day or hour"),
    (["usage", "--since", "1h", "--until", "2h"], "--until is not after --since"),
    (["usage", "notes:"], "notes:"),
    (["top", "--sort", "size"], "--sort size: it is cpu"),
    (["top", "-n", "0"], "-n 0: not a number"),
    (["ps", "-o", "csv"], "-o csv: only of usage"),
])
def test_wrong_words(metered, arguments, words):
    t = metered(start=False)
    done = t.ten(*arguments, status=2)
    assert words in done.stderr


@pytest.mark.parametrize("query", ["by=week", "since=x", "since=-1", "until=99999999999999999999",
                                   "tenant=a:", "tenant=:b", "tenant=" + "a" * 100, "after=1e3"])
def test_wrong_questions(metered, query):
    t = metered("app:a")
    answer = t.control("GET", f"/api/usage?{query}")
    assert answer.status == 422 and answer.json()["error"]
    assert t.control("POST", "/api/usage").status == 405


def test_many_rows_come_in_pieces(metered):
    t = metered("app:a")
    t.get("app:a", "/bytes=10")
    usage(t)
    kill(keeper_of_usage(t))
    with contextlib.closing(sqlite3.connect(database(t), isolation_level=None)) as db:
        hour = db.execute("SELECT hour FROM usage").fetchone()[0]
        for tenant in range(100, 400):
            db.execute("INSERT INTO tenant VALUES (?, 'app', ?)", (tenant, f"t{tenant}"))
            db.executemany("INSERT INTO usage (hour, tenant, requests) VALUES (?, ?, 1)",
                           [(hour - 1 - i, tenant) for i in range(5)])
    wait_until(lambda: t.control("GET", "/api/usage").status == 200)
    found = rows(t, "--by", "hour")
    assert len(found) == 1501
    assert len({(row["from"], row["tenant"]) for row in found}) == 1501
    assert len(rows(t)) == 301
    assert t.ten("usage", "-o", "csv").stdout.count("\n") == 302


def test_top(metered):
    t = metered("app:a", "app:b", "app:c")
    for key in ("app:b", "app:c"):
        t.wait_ok(key, "/count")
    with Load(t, ["app:a"], threads=2, path="/burn=0.05"):
        one = t.ten_json("top")["instances"]
        assert [row["id"] for row in one][0] == "app:a"
        assert one[0]["cpu_percent"] > 20 > one[1]["cpu_percent"]
        assert one[0]["requests_per_sec"] > 1 and one[1]["requests_per_sec"] == 0
        assert one[0]["bytes_out_per_sec"] > 100
        text = t.ten("top", "--sort", "tenant").stdout.splitlines()
        assert text[0].split()[0] == "TENANT" and [line.split()[0] for line in text[1:]] == [
            "app:a", "app:b", "app:c"]
        assert t.ten("top", "-q", "-n", "1").stdout == "app:a\n"
        assert t.ten("top", "-q", "app:b").stdout == "app:b\n"
    own = t.control("GET", "/metrics").text
    cpu = re.search(r'tenement_instance_cpu_seconds_total\{service="app",id="a"\} ([\d.]+)', own)
    assert float(cpu.group(1)) > 0.1
    memory = re.search(r'tenement_instance_memory_bytes\{service="app",id="a"\} (\d+)', own)
    assert int(memory.group(1)) > 1 << 20


def test_top_on_a_terminal(metered):
    """It goes on by itself, sorts by keys, and leaves the terminal as it was."""
    t = metered("app:a", "app:b")
    t.wait_ok("app:a", "/count")
    t.wait_ok("app:b", "/count")
    ours, theirs = pty.openpty()
    top = subprocess.Popen([t.program("ten"), "top"], cwd=t.root, stdin=theirs, stdout=theirs,
                           env={**os.environ, "TERM": "xterm"})
    os.close(theirs)
    seen = b""

    def read_until(*words):
        nonlocal seen
        deadline = time.monotonic() + 20 * SLOWNESS
        while not all(word in seen for word in words):
            assert time.monotonic() < deadline, seen
            if select.select([ours], [], [], 0.1)[0]:
                seen += os.read(ours, 65536)
    read_until(b"2 running, by cpu", b"app:a", b"app:b")
    seen = b""
    read_until(b"2 running, by cpu")  # the next one
    os.write(ours, b"t")
    read_until(b"2 running, by tenant")
    os.write(ours, b"x")
    read_until(b"\x1b[?1049l")
    assert top.wait(20 * SLOWNESS) == 0
    os.close(ours)
