"""`ten upgrade`: the programs are replaced under whoever is connected, and nobody notices."""

import base64
import contextlib
import os
import random
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest

from daemon_rig import Load, in_threads, kill, pids, status, wait_daemon, wait_gone
from harness import PROGRAMS, SLOWNESS, build_program, children_of, free_port, process_alive, wait_until

KEYS = [f"echo:t{i}" for i in range(3)]


@pytest.fixture
def three(tenement):
    def make(own_programs=False, settings=None, start=True, **options):
        t = tenement(start=False, settings={"upgrade_drain_timeout": 60, **(settings or {})}, **options)
        if own_programs:
            t.own_programs()
        t.declare(KEYS)
        if start:
            t.start_ok(KEYS)
        return t
    return make


def workers(t):
    """The pids of the workers that accept, by lane."""
    return [one["pid"] for one in status(t)["workers"]]


def all_workers(t):
    return sorted(pid for pid, name in children_of(t.keeper_pid()).items() if name == "tenement-proxy")


def upgrade(t):
    """Upgrade and check what it says; returns (old pids, new pids) of the workers."""
    old = wait_until(lambda: 0 not in workers(t) and workers(t), what="all workers")
    said = t.ten_json("upgrade")
    assert [one["old"] for one in said["workers"]] == old
    new = [one["new"] for one in said["workers"]]
    assert not set(old) & set(new) and workers(t) == new
    assert said["daemon"]["old"] != said["daemon"]["new"] == status(t)["pid"]
    return old, new


class Raw:
    """A connection whose bytes the test writes and reads itself."""

    def __init__(self, t, key, port=None):
        self.host = t.host(key)
        self.socket = socket.create_connection(("127.0.0.1", port or t.port), timeout=30 * SLOWNESS)
        self.file = self.socket.makefile("rb")

    def send(self, text):
        self.socket.sendall(text if isinstance(text, bytes) else text.encode())

    def ask(self, target="/", method="GET", *fields):
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self.host}", *fields, "", ""]
        self.send("\r\n".join(lines))

    def head(self):
        """(status, {field: value}) of the next answer."""
        line = self.file.readline()
        assert line.startswith(b"HTTP/1.1 "), line
        fields = {}
        while (field := self.file.readline().strip()):
            name, value = field.decode().split(": ", 1)
            fields[name.lower()] = value
        return int(line.split()[1]), fields

    def answer(self):
        code, fields = self.head()
        body = self.file.read(int(fields["content-length"]))
        assert len(body) == int(fields["content-length"])
        assert fields.get("connection") != "close"
        return code, body

    def ok(self, target="/"):
        self.ask(target)
        assert self.answer()[0] == 200

    def is_open(self):
        """Whether the other side has neither closed nor said anything that is not read yet."""
        poll = select.poll()  # there may be more than select() can count
        poll.register(self.socket, select.POLLIN)
        return not poll.poll(0)

    def close(self):
        self.file.close()
        self.socket.close()


class WebSocket(Raw):
    def __init__(self, t, key, port=None):
        super().__init__(t, key, port)
        self.ask("/ws", "GET", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                 "Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)).decode())
        assert self.head()[0] == 101

    def echo(self, text=b"hello"):
        self.send(struct.pack("!BB4x", 0x81, 0x80 | len(text)) + text)
        assert self.file.read(2 + len(text)) == bytes([0x81, len(text)]) + text


class Clients:
    """Clients of many kinds in threads of their own; what goes wrong with any is in .failures."""

    def __init__(self, t):
        self.t, self.failures, self.turns = t, [], {}
        self.over = threading.Event()
        works = {"pipeline": self.pipeline, "upload": self.upload, "events": self.events,
                 "websocket": self.websocket, "seldom": self.seldom, "half": self.half_a_head}
        self.threads = [threading.Thread(target=self.run, args=(name, work), daemon=True)
                        for name, work in works.items() for _ in range(2)]

    def run(self, name, work):
        try:
            raw = (WebSocket if name == "websocket" else Raw)(self.t, KEYS[0])
            with contextlib.closing(raw):
                while not self.over.is_set():
                    work(raw)
                    self.turns[name] = self.turns.get(name, 0) + 1
        except Exception as error:  # pylint: disable=broad-except
            self.failures.append((name, repr(error)))

    def pipeline(self, raw):
        raw.send(b"".join(f"GET /{i} HTTP/1.1\r\nHost: {raw.host}\r\n\r\n".encode() for i in range(8)))
        for i in range(8):
            code, body = raw.answer()
            assert code == 200 and f'"target": "/{i}"'.encode() in body

    def upload(self, raw):
        raw.ask("/upload", "POST", "Content-Length: 50000")
        for _ in range(5):
            raw.send(b"x" * 10000)
            time.sleep(0.02)  # the slowness is what it is about
        code, body = raw.answer()
        assert code == 200 and b'"bytes": 50000' in body

    def events(self, _):
        with contextlib.closing(Raw(self.t, KEYS[1])) as raw:
            raw.ask("/events?count=20&interval=0.02", "GET", "Connection: close")
            code, _ = raw.head()
            text = raw.file.read()
        assert code == 200 and all(f"data: {i}\n\n".encode() in text for i in range(20)), text

    def websocket(self, raw):
        raw.echo(b"x" * 100)

    def seldom(self, raw):
        raw.ok("/?seldom")
        self.over.wait(0.1)

    def half_a_head(self, raw):
        raw.send(b"GET /half HTTP/1.1\r\nHo")
        self.over.wait(0.05)
        raw.send(f"st: {raw.host}\r\n\r\n")
        assert raw.answer()[0] == 200

    def wait_turns(self):
        """Until every kind has got somewhere from now on."""
        seen = dict(self.turns)
        wait_until(lambda: self.failures or (len(self.turns) == 6 and all(
            count > seen.get(name, 0) + 1 for name, count in self.turns.items())),
            what="a turn of each client", timeout=30)
        assert self.failures == []

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        self.wait_turns()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join(30 * SLOWNESS)


def test_upgrades_in_a_row_under_load_lose_nothing(three):
    t = three()
    running = pids(t)
    with Clients(t) as clients, Load(t, KEYS, threads=6) as kept, Load(t, KEYS, threads=3, fresh=True) as fresh:
        for _ in range(5):
            upgrade(t)
            kept.wait_for(100)
            fresh.wait_for(50)
            clients.wait_turns()
    assert clients.failures == [] and kept.failures == [] and fresh.failures == []
    assert pids(t) == running
    # Who had only WebSockets left has gone with them.
    wait_until(lambda: all_workers(t) == sorted(workers(t)), what="the end of the old workers")


def test_idle_connections_go_over_and_the_old_workers_end(three):
    t = three()
    raws = [Raw(t, KEYS[i % 3]) for i in range(600)]
    for raw in raws[:300]:
        raw.ok()  # the others have not said anything yet
    wait_until(lambda: sum(one["clients"] for one in status(t)["workers"]) == 600)
    old, _ = upgrade(t)
    wait_gone(*old)
    wait_until(lambda: sum(one["clients"] for one in status(t)["workers"]) == 600)
    assert all(raw.is_open() for raw in raws)
    for raw in raws:
        raw.ask("/after")
    for raw in raws:
        code, body = raw.answer()
        assert code == 200 and b'["X-Forwarded-For", "127.0.0.1"]' in body
    for raw in raws:
        raw.close()


def test_keepalive_timeout_goes_on_counting(three):
    """Idle time is not begun anew by a hand-over: upgrades do not keep a silent client for ever."""
    t = three(settings={"keepalive_timeout": 2})
    with contextlib.closing(Raw(t, KEYS[0])) as raw:
        raw.ok()
        begun = time.monotonic()
        while raw.is_open():
            assert time.monotonic() - begun < 10 * SLOWNESS, "each upgrade gave it more time"
            upgrade(t)


def test_limits_go_over_with_the_connections(three):
    """Who goes over is neither counted twice nor forgotten."""
    t = three(settings={"max_connections_per_ip": 6})
    t.write("echo-t0.toml", t.tenant("echo", max_connections=4))
    wait_until(lambda: t.instance(KEYS[0]))
    raws = []

    def ask(raw, key):
        raw.host = t.host(key)
        raw.ask()
        return raw.head()[0]

    def new(key):
        with contextlib.closing(Raw(t, key)) as raw:
            return ask(raw, key)

    def only_five():
        wait_until(lambda: sum(one["clients"] for one in status(t)["workers"]) == 5, what="5 clients")
    for i in range(5):
        raws.append(Raw(t, KEYS[0]))
        wait_until(lambda: ask(raws[i], KEYS[0 if i < 4 else 1]) == 200)
        raws[i].file.read1(1 << 20)
    wait_until(lambda: new(KEYS[0]) == 503, what="the tenant's bound")
    for _ in range(3):
        old, _ = upgrade(t)
        wait_gone(*old)
        only_five()
        assert new(KEYS[0]) == 503
        only_five()
        with contextlib.closing(Raw(t, KEYS[1])) as sixth:
            sixth.ok()
            wait_until(lambda: new(KEYS[1]) == 429, what="the address's bound")
        only_five()
        for raw in raws[:4]:
            raw.host = t.host(KEYS[0])
            raw.ok()
    raws[0].close()
    wait_until(lambda: new(KEYS[0]) == 200, what="room again")
    for raw in raws[1:]:
        raw.close()
    wait_until(lambda: t.instance(KEYS[0])["connections"] == 0)


def test_who_introduced_himself_is_known_on_the_other_side(three):
    """PROXY headers: one that was sent goes over, one that was not may still be."""
    t = three(start=False)
    port = free_port()
    t.settings["listen"] = []
    t.main = "".join(f"[[settings.listener]]\naddress = {address!r}\nproxy_protocol = {proxied}\n" for address, proxied in [
        (f"127.0.0.1:{t.port}", "false"), (f"127.0.0.1:{port}", "true")])
    t.start()
    t.wait_ok(KEYS[0])
    before, after = Raw(t, KEYS[0], port), Raw(t, KEYS[0], port)
    before.send("PROXY TCP4 192.0.2.7 192.0.2.1 1234 80\r\n")
    before.ok()
    wait_until(lambda: sum(one["clients"] for one in status(t)["workers"]) == 2)
    old, _ = upgrade(t)
    wait_gone(*old)
    after.send("PROXY TCP4 192.0.2.8 192.0.2.1 1234 80\r\n")
    for raw, address in [(before, "192.0.2.7"), (after, "192.0.2.8")]:
        raw.ask()
        code, body = raw.answer()
        assert code == 200 and f'["X-Forwarded-For", "{address}"]'.encode() in body
        raw.close()


def test_requests_in_flight_are_finished_and_their_connections_live_on(three):
    t = three()
    raws = [Raw(t, KEYS[0]) for _ in range(8)]
    for raw in raws:
        # What is pipelined behind is served by the same worker.
        raw.ask("/?delay=1")
        raw.ask("/behind")
    wait_until(lambda: t.instance(KEYS[0])["in_flight"] == 8)
    old, _ = upgrade(t)
    assert {one["pid"] for one in status(t)["draining_workers"]} <= set(old)
    for raw in raws:
        assert raw.answer()[0] == 200
        code, body = raw.answer()
        assert code == 200 and b'"/behind"' in body
    wait_gone(*old)
    for raw in raws:
        raw.ok("/later")
        raw.close()


def test_a_request_that_waits_for_a_wake(three):
    t = three(start=False)
    t.write("echo.toml", t.service("echo", "echo --start-delay 1.5"))
    t.start()
    results = []
    asker = threading.Thread(target=lambda: results.append(t.get(KEYS[0]).status))
    asker.start()
    t.wait_state(KEYS[0], "starting")
    old, _ = upgrade(t)
    asker.join(30 * SLOWNESS)
    assert results == [200]
    wait_gone(*old)


def test_a_websocket_lives_until_the_drain_timeout(three):
    t = three(settings={"upgrade_drain_timeout": 2})
    with contextlib.closing(WebSocket(t, KEYS[0])) as ws:
        old, _ = upgrade(t)
        ws.echo()
        [draining] = status(t)["draining_workers"]
        assert draining["pid"] in old and draining["clients"] == 1
        assert t.instance(KEYS[0])["upgraded"] == 1
        wait_gone(*set(old) - {draining["pid"]})
        ws.echo(b"still there")
        assert ws.file.read() == b""  # closed from the other side, by and by
        wait_gone(draining["pid"])
        wait_until(lambda: t.instance(KEYS[0])["upgraded"] == 0)
    assert t.get(KEYS[0]).status == 200


def test_a_draining_worker_learns_of_changes(three):
    """Commands that wait until all workers know of a change wait for those that drain, and get it."""
    t = three()
    with contextlib.closing(WebSocket(t, KEYS[0])) as ws:
        upgrade(t)
        t.write("echo-new.toml", t.tenant("echo"))
        t.wait_ok("echo:new")
        t.ten("stop", KEYS[1])
        t.ten("rm", "echo:new", status=4)
        t.remove("echo-new.toml")
        t.wait_status("echo:new", 404)
        ws.echo()
        # The next daemon knows it too.
        old = t.pid_of("tenementd")
        kill(old)
        wait_daemon(t, old)
        assert len(status(t)["draining_workers"]) == 1
        assert t.instance(KEYS[0])["upgraded"] == 1
        ws.echo()
        t.ten("suspend", KEYS[2])
        assert t.get(KEYS[2]).status == 503
        # Killed while it drains it is not run again.
        [draining] = status(t)["draining_workers"]
        kill(draining["pid"])
        wait_until(lambda: not status(t)["draining_workers"])
        assert t.instance(KEYS[0])["upgraded"] == 0
        assert all_workers(t) == sorted(workers(t))
        assert ws.file.read() == b""


def test_totals_are_not_lost(three):
    t = three()
    for _ in range(10):
        assert t.get(KEYS[0]).status == 200
    before = t.instance(KEYS[0])["requests"]
    old, _ = upgrade(t)
    wait_gone(*old)
    wait_until(lambda: not status(t)["draining_workers"])
    assert t.get(KEYS[0]).status == 200
    assert before >= 10 and t.instance(KEYS[0])["requests"] == before + 1
    kill(workers(t)[0])
    wait_until(lambda: t.get(KEYS[0]).status == 200)
    assert t.instance(KEYS[0])["requests"] >= before + 2


def test_planned_ends_are_no_warnings(three):
    """That the log writer ends is said plainly, or not at all when it was quicker than the word to start anew."""
    t = three()
    before = t.pid_of("tenement-logger")
    upgrade(t)
    wait_gone(before)
    assert wait_until(lambda: t.pid_of("tenement-logger")) != before
    assert "starting it again" not in t.said()


def test_requests_are_counted_through_sleep_and_new_workers(three):
    t = three()

    def shown():
        metrics = t.control("GET", "/metrics").text
        total = int(re.search(r"^tenement_proxy_requests_total (\d+)", metrics, re.M)[1])
        said = int(re.search(r"proxy +\d+ workers?, .* (\d+) requests?", t.ten("status").stdout)[1])
        return total, said

    for _ in range(20):
        assert t.get(KEYS[0]).status == 200
    before = shown()
    assert before[0] == before[1] >= 20
    assert f"(keeper: {t.keeper_pid()})" in t.ten("status").stdout
    upgrade(t)
    after = wait_until(lambda: shown() if len(all_workers(t)) == len(workers(t)) else None)
    assert after[0] == after[1] >= before[1]
    requests = t.instance(KEYS[0])["requests"]
    assert requests >= 20
    t.ten("stop", KEYS[0])
    t.wait_state(KEYS[0], "asleep", "stopped")
    assert t.instance(KEYS[0])["requests"] == requests


# ---- what goes wrong

def script(path, text):
    path.with_suffix(".new").write_text(f"#!/bin/sh\n{text}\n")
    path.with_suffix(".new").chmod(0o755)
    path.with_suffix(".new").rename(path)


def remove(path):
    path.unlink()


BROKEN = {
    "not there": ("tenement-proxy", remove, "{programs}/tenement-proxy: No such file or directory"),
    "not executable": ("tenement-proxy", lambda path: path.chmod(0o644), "{programs}/tenement-proxy: Permission denied"),
    "no program": ("tenement-proxy", lambda path: script(path, "exec false"),
                   "{programs}/tenement-proxy did not start: exit status 1$"),
    "says nothing": ("tenement-proxy", lambda path: script(path, "exec true"), "tenement-proxy: it says nothing"),
    "ends with a status": ("tenementd", lambda path: script(path, "echo worn out >&2; exit 3"),
                           "{programs}/tenementd did not start: exit status 3: worn out"),
    "crashes": ("tenement-proxy", lambda path: script(path, "kill -SEGV $$"), r"tenement-proxy did not start: ended by signal 11 \(Segmentation fault\)"),
    "refuses what is shared": (
        "tenement-proxy", lambda path: script(path, "echo board: version 1, want 9 >&2; exit 1"),
        "board: version 1, want 9"),
    "dies when it starts": (
        "tenement-proxy", lambda path: script(path, '[ "$1" = --check ] && exec echo 0.1.0\nexit 7'),
        r"the new worker \d ended at once \(status 7\)"),
    "another version": ("tenementd", lambda path: script(path, "echo tenementd 9.9"),
                        "is version 0.1.0, and tenementd is 9.9"),
    "another keeper": ("tenement-keeper", lambda path: script(path, "echo tenement-keeper 9.9"),
                       "is version 0.1.0, and tenement-keeper is 9.9"),
    "no log writer": ("tenement-logger", remove, "{programs}/tenement-logger: No such file or directory"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_program_changes_nothing(three, how):
    program, break_it, word = BROKEN[how]
    t = three(own_programs=True)
    old, daemon = workers(t), t.pid_of("tenementd")
    good = (t.programs / program).read_bytes()
    with Load(t, KEYS) as load, Clients(t) as clients:
        break_it(t.programs / program)
        done = t.ten("upgrade", status=1)
        clients.wait_turns()
        load.wait_for(50)
    assert re.search(word.replace("{programs}", str(t.programs)), done.stderr, re.M), done.stderr
    assert load.failures == [] and clients.failures == []
    assert t.pid_of("tenementd") == daemon
    wait_until(lambda: all_workers(t) == sorted(old), what="the old workers alone")
    assert workers(t) == old
    with contextlib.suppress(FileNotFoundError):
        (t.programs / program).unlink()
    (t.programs / program).write_bytes(good)
    (t.programs / program).chmod(0o755)
    upgrade(t)


def gated(t, start=False):
    """The proxy's new program waits at a gate, when it is checked or when it starts; returns what opens it."""
    real = t.programs / "real-proxy"
    gate = t.programs / "gate"
    if not real.exists():
        (t.programs / "tenement-proxy").rename(real)
        os.mkfifo(gate)
        os.chmod(gate, 0o666)
    when = "!=" if start else "="
    script(t.programs / "tenement-proxy",
           f'[ "$1" {when} --check ] && read line <{gate}\nexec {real} "$@"')

    def open_gate():
        script(t.programs / "tenement-proxy", f'exec {real} "$@"')
        with contextlib.suppress(OSError):
            os.close(os.open(gate, os.O_WRONLY | os.O_NONBLOCK))
    return open_gate


def trials(t):
    """Those that have been started by an upgrade and wait at the gate."""
    return [pid for pid, name in children_of(t.keeper_pid()).items() if name == "tenement-proxy"
            and pid not in workers(t)]


def wait_said(t, word, count=1):
    wait_until(lambda: t.said().count(word) >= count, what=f"{word!r} in the log")


def test_two_at_once(three):
    t = three(own_programs=True)
    open_gate = gated(t)
    first = subprocess.Popen([t.program("ten"), "upgrade"], cwd=t.root, stdout=subprocess.PIPE, text=True)
    wait_said(t, "upgrading to what is on disk")
    second = t.ten("upgrade", status=4)
    assert "an upgrade is under way already" in second.stderr
    open_gate()
    assert "Upgraded from" in first.communicate(timeout=30 * SLOWNESS)[0]
    assert first.returncode == 0


def test_the_daemon_dies_before_the_new_workers_serve(three):
    t = three(own_programs=True)
    old = workers(t)
    open_gate = gated(t, start=True)
    with Clients(t) as clients:
        first = subprocess.Popen([t.program("ten"), "upgrade"], cwd=t.root, stderr=subprocess.PIPE, text=True)
        waiting = wait_until(lambda: len(trials(t)) == 2 and trials(t), what="two on trial")
        daemon = t.pid_of("tenementd")
        kill(daemon)
        first.communicate(timeout=30 * SLOWNESS)
        assert first.returncode != 0
        wait_daemon(t, daemon)
        wait_gone(*waiting)
        assert workers(t) == old == all_workers(t)
        open_gate()
        upgrade(t)
        clients.wait_turns()
    assert clients.failures == []


def test_a_stop_in_the_middle(three):
    t = three(own_programs=True)
    gated(t, start=True)
    first = subprocess.Popen([t.program("ten"), "upgrade"], cwd=t.root, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: len(trials(t)) == 2, what="two on trial")
    assert t.stop() == 0
    assert "stopping" in first.communicate(timeout=30 * SLOWNESS)[1]
    assert first.returncode != 0


def test_a_killed_keeper_in_the_middle(three):
    t = three(own_programs=True)
    open_gate = gated(t, start=True)
    first = subprocess.Popen([t.program("ten"), "upgrade"], cwd=t.root, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: len(trials(t)) == 2, what="two on trial")
    everything = [*children_of(t.keeper_pid()), *pids(t).values()]
    kill(t.keeper_pid())
    t.serve.wait(20)
    t.serve = None
    first.communicate(timeout=30 * SLOWNESS)
    assert first.returncode != 0
    wait_gone(*everything)
    open_gate()
    t.start()
    t.wait_ok(KEYS[0])
    upgrade(t)


@pytest.mark.parametrize("seed", range(3))
def test_the_daemon_dies_at_any_moment(three, seed):
    """Wherever it had got to: nobody loses a request, and in the end there is one worker per lane."""
    chance = random.Random(seed)
    t = three()
    with Clients(t) as clients, Load(t, KEYS, threads=3) as load:
        for _ in range(6):
            daemon = t.pid_of("tenementd")
            os.kill(t.keeper_pid(), signal.SIGUSR2)
            time.sleep(chance.uniform(0, 0.03))
            kill(daemon)
            wait_daemon(t, daemon)
            load.wait_for(20)
        clients.wait_turns()
        wait_until(lambda: len(workers(t)) == 2 and all(
            process_alive(pid) for pid in workers(t)), what="two workers")
        upgrade(t)
        clients.wait_turns()
    assert clients.failures == [] and load.failures == []
    wait_until(lambda: all_workers(t) == sorted(workers(t)), what="the end of the old workers")


def test_a_worker_that_dies_while_there_is_no_daemon(three):
    """What it held on the board does not outlive it, or its tenant would never sleep again."""
    t = three()
    with contextlib.closing(Raw(t, KEYS[0])) as raw:
        raw.ask("/?delay=30")
        wait_until(lambda: t.instance(KEYS[0])["in_flight"] == 1)
        old, _ = upgrade(t)
        daemon, left = t.pid_of("tenementd"), [pid for pid in old if process_alive(pid)]
        os.kill(t.keeper_pid(), signal.SIGSTOP)
        kill(daemon)
        for pid in left:
            kill(pid)
        wait_gone(daemon, *left)
        os.kill(t.keeper_pid(), signal.SIGCONT)
        wait_daemon(t, daemon)
    wait_until(lambda: t.instance(KEYS[0])["in_flight"] == 0, what="nothing in flight")


def die_in_the_switch(t, load):
    """One of two new workers is killed when the keeper has been asked to change over and has not heard of
    it yet. What ten upgrade says to that; the two, of whom the first was killed."""
    open_gate = gated(t, start=True)
    first = subprocess.Popen([t.program("ten"), "upgrade"], cwd=t.root, stderr=subprocess.PIPE, text=True)
    waiting = wait_until(lambda: len(trials(t)) == 2 and trials(t), what="two on trial")
    os.kill(t.keeper_pid(), signal.SIGSTOP)
    open_gate()
    time.sleep(0.5 * SLOWNESS)  # nothing outside tells of the moment
    kill(waiting[0])
    wait_gone(waiting[0])
    os.kill(t.keeper_pid(), signal.SIGCONT)
    said = first.communicate(timeout=30 * SLOWNESS)[1]
    load.wait_for(50)
    wait_until(lambda: not status(t)["draining_workers"], what="the end of those that were replaced")
    return said, waiting


def test_one_of_the_new_workers_dies_while_they_take_over(three):
    """Whether the others have taken their places is the keeper's to know: none of them is taken back."""
    t = three(own_programs=True, settings={"workers": 2})
    met = 0
    with Load(t, KEYS) as load:
        for _ in range(5):
            said, waiting = die_in_the_switch(t, load)
            assert len(workers(t)) == 2 and all(process_alive(pid) for pid in workers(t))
            for _ in range(40):
                with contextlib.closing(Raw(t, KEYS[0])) as raw:
                    raw.ok()
            met = met + 1 if "ended at once (signal 9)" in said and waiting[1] in workers(t) else met
            if met == 2:
                break
        assert met, said
        upgrade(t)


def test_what_a_daemon_said_before_it_died_is_heard(three):
    """The keeper, too slow to hear it at once, has the end of the tenant's output all the same."""
    t = three()
    t.ten("stop", KEYS[1])
    daemon, keeper = t.pid_of("tenementd"), t.keeper_pid()
    os.kill(keeper, signal.SIGSTOP)
    t.wait_ok(KEYS[1])
    kill(daemon)
    wait_gone(daemon)
    os.kill(keeper, signal.SIGCONT)
    wait_daemon(t, daemon)
    first = pids(t)[KEYS[1]]
    # In namespaces that is tenement-init, and the app is its child.
    output = os.readlink(f"/proc/{next(iter(children_of(first)), first)}/fd/1")
    held = [os.readlink(f"/proc/{keeper}/fd/{fd}") for fd in os.listdir(f"/proc/{keeper}/fd")]
    assert output.startswith("pipe:") and output in held


def test_what_is_on_its_way_outlives_the_new_worker(three):
    """The old workers hand over to ones that do not read, and end; then those are killed: what they
    had not taken yet is taken by the next."""
    t = three()
    raws = [Raw(t, KEYS[0]) for _ in range(40)]
    for raw in raws:
        raw.ask(f"/?delay={SLOWNESS}")  # until then the new ones must stand still
    wait_until(lambda: t.instance(KEYS[0])["in_flight"] == 40)
    old, new = upgrade(t)
    for pid in new:
        os.kill(pid, signal.SIGSTOP)
    wait_gone(*old)
    for pid in new:
        kill(pid)
    for raw in raws:
        assert raw.answer()[0] == 200
        raw.ok("/after")
        raw.close()


def test_a_successor_that_takes_nothing(three):
    """What is on its way is bounded: beyond that the old worker goes on serving, until there is room."""
    t = three(settings={"workers": 1})
    raws = [Raw(t, KEYS[i % 2]) for i in range(500)]
    for raw in raws:
        raw.ask("/?delay=2")
    wait_until(lambda: sum(t.instance(key)["in_flight"] for key in KEYS) == 500)
    [old], [new] = upgrade(t)
    os.kill(new, signal.SIGSTOP)
    for raw in raws:
        assert raw.answer()[0] == 200
        raw.ask("/after")
    wait_until(lambda: not all(raw.is_open() for raw in raws), what="an answer of the old worker")
    assert process_alive(old)
    os.kill(new, signal.SIGCONT)
    for raw in raws:
        assert raw.answer()[0] == 200
    wait_gone(old)
    for raw in raws:
        raw.ok("/later")
        raw.close()


def test_no_seats_left(three):
    """WebSockets of many upgrades keep their workers; the upgrade that finds no place says so."""
    t = three(settings={"workers": 16, "upgrade_drain_timeout": 600})
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            # Until every worker has one.
            while any(not one["clients"] for one in status(t)["workers"]):
                ws = stack.enter_context(contextlib.closing(WebSocket(t, KEYS[0])))
                ws.echo()
            upgrade(t)
        assert len(status(t)["draining_workers"]) == 48
        refused = t.ten("upgrade", status=4)
        assert "48 workers of earlier upgrades still drain" in refused.stderr
        assert t.get(KEYS[0]).status == 200
    wait_until(lambda: not status(t)["draining_workers"])
    upgrade(t)


@pytest.mark.parametrize("whom", ["keeper", "daemon"])
def test_by_signal(three, whom):
    t = three()
    old, daemon = workers(t), t.pid_of("tenementd")
    with Clients(t) as clients:
        os.kill(t.keeper_pid() if whom == "keeper" else daemon, signal.SIGUSR2)
        wait_daemon(t, daemon)
        clients.wait_turns()
    assert clients.failures == []
    wait_gone(*old)
    assert not set(workers(t)) & set(old)


def test_output_is_not_lost(three):
    t = three(start=False)
    t.write("echo.toml", t.service("echo", "flood"))
    t.start()
    t.wait_ok(KEYS[0])
    logger = t.pid_of("tenement-logger")
    upgrade(t)
    wait_gone(logger)
    assert t.pid_of("tenement-logger") != logger
    line = "a line of noise that goes on and on"
    wait_until(lambda: t.ten("logs", KEYS[0], "-n", "50").stdout.splitlines().count(line) == 50)


def test_the_keeper_becomes_the_new_program(three):
    """By exec: with its pid and its children, of whom it goes on to learn the end."""
    t = three(own_programs=True)
    keeper = t.keeper_pid()
    for name in PROGRAMS:
        shutil.copy(t.programs / name, t.programs / "new")
        (t.programs / "new").rename(t.programs / name)

    def outdated():
        ours = [pid for pid, name in children_of(keeper).items() if name != "tenement-init"]
        return [pid for pid in [keeper, *ours] if os.readlink(f"/proc/{pid}/exe").endswith("(deleted)")]
    # (The tenants are no programs of ours, and in namespaces each keeps the first process that it began with.)
    assert len(outdated()) == 5
    with Clients(t) as clients:
        upgrade(t)
        clients.wait_turns()
        victim = pids(t)[KEYS[2]]
        kill(victim)
        wait_until(lambda: pids(t).get(KEYS[2]) != victim, what="news of its end")
        t.wait_ok(KEYS[2])
        [logger] = [pid for pid, name in children_of(keeper).items() if name == "tenement-logger"[:15]]
        kill(logger)
        wait_until(lambda: t.pid_of("tenement-logger") != logger)
    assert clients.failures == []
    wait_until(lambda: not outdated(), what="none of the old programs")
    assert t.serve.poll() is None


# ---- what is not an upgrade, and harms nobody either

def test_queued_connections_outlive_a_crash(three):
    """Connections that no worker has accepted belong to the listening sockets, and those to the keeper."""
    t = three()
    old = workers(t)
    for pid in old:
        os.kill(pid, signal.SIGSTOP)
    raws = [Raw(t, KEYS[i % 3]) for i in range(30)]
    for raw in raws:
        raw.ask("/queued")
    for pid in old:
        kill(pid)
    for raw in raws:
        assert raw.answer()[0] == 200
        raw.close()
    assert not set(workers(t)) & set(old)


def test_changes_of_others_touch_nobody(three):
    t = three()
    t.write("other.toml", t.service("other"))
    with Clients(t) as clients, Load(t, [KEYS[0]]) as load:
        daemon, old = t.pid_of("tenementd"), workers(t)
        t.write("other-b.toml", t.tenant("other"))
        t.wait_ok("other:b")
        t.write("other-b.toml", t.tenant("other", env={"NEW": "1"}, domains=["b.example"]))
        wait_until(lambda: t.get("other:b").json()["env"].get("NEW") == "1")
        t.write("other-c.toml", t.tenant("other"))
        t.write("other.route.toml", '[route.other]\nsplit = { b = 1, c = 1 }\n')
        t.wait_ok("other:")
        t.ten("route", "other", "--from", "b", "--to", "c")
        t.ten("weight", "other:c", "7")
        clients.wait_turns()
        t.ten("restart", "other:c")
        t.ten("suspend", "other:c")
        t.remove("other.route.toml")
        t.remove("other-b.toml")
        t.wait_status("other:b", 404)
        t.settings["keepalive_timeout"] = 60
        t.settings["max_header_kb"] = 8
        t.settings["trusted_proxies"] = ["10.0.0.0/8"]
        t.write_main()
        wait_until(lambda: t.get(KEYS[0], headers={"X-Much": "x" * 9000}).status == 431)
        clients.wait_turns()
        load.wait_for(50)
        assert workers(t) == old and t.pid_of("tenementd") == daemon
    assert clients.failures == [] and load.failures == []


def test_listeners_come_and_go(three):
    """Who is connected on any of them stays so, on one that is no more as well."""
    t = three()
    port, path = free_port(), t.root / "front.sock"
    with Clients(t) as clients, Load(t, KEYS, threads=3) as load, Load(t, KEYS, threads=2, fresh=True) as fresh:
        daemon = t.pid_of("tenementd")
        t.settings["listen"] = [f"127.0.0.1:{t.port}", f"127.0.0.1:{port}", f"unix:{path}"]
        t.write_main()
        wait_until(lambda: status(t)["listen"] == t.settings["listen"])
        # From that moment on connections wait there at worst.
        raw, ws = Raw(t, KEYS[1], port), WebSocket(t, KEYS[2], port)
        raw.ok()
        ws.echo()
        assert path.exists()
        clients.wait_turns()
        t.settings["listen"] = [f"127.0.0.1:{t.port}"]
        t.write_main()
        wait_until(lambda: status(t)["listen"] == t.settings["listen"])

        def refused():
            try:
                Raw(t, KEYS[0], port).close()
            except ConnectionRefusedError:
                return True
            return False
        wait_until(refused, what="the end of the listener")
        assert not path.exists()
        for _ in range(3):
            raw.ok()
            ws.echo()
        clients.wait_turns()
        load.wait_for(30)
        fresh.wait_for(30)
        assert t.pid_of("tenementd") == daemon
        kill(daemon)
        wait_daemon(t, daemon)
        assert status(t)["listen"] == t.settings["listen"]
        raw.ok()
        ws.echo()
        upgrade(t)
        raw.ok()
        ws.echo()
        raw.close()
        ws.close()
    assert clients.failures == [] and load.failures == [] and fresh.failures == []


def test_a_listener_that_cannot_be(three):
    """Another's port: the others are opened, none is closed, and status says so until it is mended."""
    t = three()
    good, path = free_port(), t.root / "nowhere" / "front.sock"
    with socket.socket() as foreign:
        foreign.bind(("127.0.0.1", 0))
        foreign.listen()
        port = foreign.getsockname()[1]
        t.settings["listen"] = [f"127.0.0.1:{port}", f"unix:{path}", f"127.0.0.1:{good}"]
        t.write_main()
        wait_until(lambda: status(t)["listen"] == [f"127.0.0.1:{t.port}", f"127.0.0.1:{good}"])
        problems = [f"listen on 127.0.0.1:{port}: Address already in use (another program has it)",
                    f"listen on unix:{path}: No such file or directory (its folder does not exist)"]
        assert status(t)["listen_problems"] == problems
        said = t.ten("status", "--check", status=1).stdout
        assert "Nothing is wrong" not in said and "another program has it" in said
        assert t.get(KEYS[0]).status == 200
        with contextlib.closing(Raw(t, KEYS[0], good)) as raw:
            raw.ok()
        (t.root / "nowhere").mkdir()
        # Tried again by itself.
        wait_until(lambda: status(t)["listen_problems"] == problems[:1])
        assert t.get(KEYS[0]).status == 200
        assert [t.said().count(one) for one in problems] == [1, 1]
    wait_until(lambda: not status(t)["listen_problems"])
    assert sorted(status(t)["listen"]) == sorted(t.settings["listen"])
    for one in (port, good):
        with contextlib.closing(Raw(t, KEYS[0], one)) as raw:
            raw.ok()
    t.ten("status", "--check")


@pytest.mark.parametrize("when", ["check", "start"])
def test_listeners_change_during_an_upgrade(three, when):
    t = three(own_programs=True)
    open_gate = gated(t, start=when == "start")
    port = free_port()
    with Clients(t) as clients:
        first = subprocess.Popen([t.program("ten"), "upgrade"], cwd=t.root, stdout=subprocess.PIPE, text=True)
        wait_said(t, "upgrading to what is on disk")
        t.settings["listen"] = [f"127.0.0.1:{t.port}", f"127.0.0.1:{port}"]
        t.write_main()
        wait_until(lambda: status(t)["listen"] == t.settings["listen"])
        open_gate()
        assert "Upgraded from" in first.communicate(timeout=30 * SLOWNESS)[0]
        assert first.returncode == 0
        with contextlib.closing(Raw(t, KEYS[0], port)) as raw:
            raw.ok()
        clients.wait_turns()
    assert clients.failures == []


def test_the_daemon_dies_before_the_workers_have_new_listeners(three):
    t = three(own_programs=True)
    open_gate = gated(t, start=True)
    port = free_port()
    t.settings["listen"] = [f"127.0.0.1:{t.port}", f"127.0.0.1:{port}"]
    t.write_main()
    wait_until(lambda: len(trials(t)) == 2, what="two on trial")
    daemon = t.pid_of("tenementd")
    kill(daemon)
    open_gate()
    wait_daemon(t, daemon)
    with contextlib.closing(Raw(t, KEYS[0], port)) as raw:
        raw.ok()


def refuses(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=10).close()
    except ConnectionRefusedError:
        return True
    return False


def test_the_daemon_dies_in_the_middle_of_a_change_of_listeners(three):
    """More messages than the socket to the keeper holds, who does not read: some arrive, others never do."""
    t = three(settings={"workers": 8})
    ports = {free_port() for _ in range(59)} - {t.port}  # none twice
    many = [f"127.0.0.1:{port}" for port in (t.port, *ports)]

    def change(addresses):
        daemon, keeper = t.pid_of("tenementd"), t.keeper_pid()
        os.kill(keeper, signal.SIGSTOP)
        t.settings["listen"] = addresses
        t.write_main()
        time.sleep(1 * SLOWNESS)
        kill(daemon)
        wait_gone(daemon)
        os.kill(keeper, signal.SIGCONT)
        wait_daemon(t, daemon)
        wait_until(lambda: sorted(status(t)["listen"]) == sorted(addresses), what="the addresses")
        for address in addresses:
            with contextlib.closing(Raw(t, KEYS[0], int(address.split(":")[1]))) as raw:
                raw.ok()
    change(many)
    change(many[:1])
    for address in many[1:]:
        wait_until(lambda a=address: refuses(int(a.split(":")[1])), what=f"the end of {address}")


# ---- the program by itself

def test_check_refuses_what_is_not_ours():
    table, board = os.memfd_create("table"), os.memfd_create("board")
    os.ftruncate(table, 1 << 20)
    done = subprocess.run(
        [build_program("tenement-proxy"), "--check"], capture_output=True, text=True, check=False, timeout=20,
        preexec_fn=lambda: (os.dup2(table, 30), os.dup2(board, 31), os.dup2(30, 3), os.dup2(31, 4)),
        close_fds=False, env={**os.environ, "TENEMENT_FDS": "table,board"})
    assert done.returncode == 1 and "table" in done.stderr and not done.stdout
