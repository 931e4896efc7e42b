"""Everything at once for a while: tenants come and go, sleep and are killed, under load of every kind.
Whatever arrives is from the right tenant and is the answer to what was asked; who is left in peace
never sees an error; and at the end nothing is left over.

SOAK_SECONDS=N, by default 40 with sanitizers and 12 without."""

import collections
import contextlib
import http.client
import os
import pathlib
import random
import signal
import socket
import struct
import threading
import time

from daemon_rig import descriptors, ours
from harness import SLOWNESS, wait_until

SECONDS = float(os.environ.get("SOAK_SECONDS", 40 if SLOWNESS > 1 else 12))
SEED = int(os.environ.get("SOAK_SEED", 1))
CALM = [f"calm{i}" for i in range(3)]       # nobody touches them, but they fall asleep
RESTLESS = [f"restless{i}" for i in range(5)]  # killed, stopped, suspended, removed
PASSING = (404, 502, 503, 504)  # what one may hear of a tenant to which something is done


class Visitor(threading.Thread):
    """Asks one kind of thing until the end, and notes what was wrong."""

    def __init__(self, soak, number, kind):
        super().__init__(daemon=True)
        self.soak = soak
        self.dice = random.Random(SEED * 1000 + number)
        self.kind = kind
        self.number = number
        self.count = 0
        self.statuses = collections.Counter()
        self.wrong = []

    def run(self):
        while not self.soak.over.is_set():
            tenant = self.dice.choice(CALM + RESTLESS)
            try:
                self.kind(self, tenant)
            except (OSError, http.client.HTTPException, EOFError) as error:
                self.statuses[type(error).__name__] += 1
                if tenant in CALM:
                    self.wrong.append(f"{tenant}: {error!r}")

    def connection(self, tenant):
        connection = self.soak.tenement.connection(timeout=60)
        connection.headers = {"Host": self.soak.tenement.host(f"echo:{tenant}")}
        return connection

    def ask(self, connection, tenant, path="/", method="GET", body=None, headers=None):
        """One request; returns the answer if it is one, and checks whose."""
        self.count += 1
        nonce = f"{self.number}-{self.count}"
        connection.request(method, f"{path}?nonce={nonce}", body, {**connection.headers, **(headers or {})},
                           encode_chunked=hasattr(body, "__next__"))
        response = connection.getresponse()
        data = response.read()
        self.statuses[response.status] += 1
        if response.getheader("X-Tenant") is None:  # ours
            if tenant in CALM or response.status not in PASSING:
                self.wrong.append(f"{tenant}: {response.status} {data[:100]!r}")
            time.sleep(0.05)
            return None
        if response.getheader("X-Tenant") != tenant or response.status != 200:
            self.wrong.append(f"{tenant}: {response.status} of {response.getheader('X-Tenant')}")
        if path == "/" and f'"/?nonce={nonce}"'.encode() not in data:
            self.wrong.append(f"{tenant}: another's answer: {data[:100]!r}")
        return data

    # The kinds

    def keeps_alive(self, tenant):
        connection = self.connection(tenant)
        try:
            for _ in range(self.dice.randrange(1, 40)):
                if self.soak.over.is_set():
                    break
                self.ask(connection, tenant)
                time.sleep(self.dice.random() * 0.01)
        finally:
            connection.close()

    def connects_anew(self, tenant):
        connection = self.connection(tenant)
        try:
            self.ask(connection, tenant, headers={"Connection": "close"})
        finally:
            connection.close()

    def uploads(self, tenant):
        connection = self.connection(tenant)
        size = self.dice.choice([0, 1, 1000, 70000, 1 << 20])
        body = os.urandom(size)
        try:
            if self.dice.random() < 0.1:
                self.leaves_in_the_middle(tenant, size)
            chunked = self.dice.random() < 0.5
            pieces = (body[at:at + 9000] for at in range(0, size, 9000))
            data = self.ask(connection, tenant, "/upload", "POST", pieces if chunked else body,
                            {"Transfer-Encoding": "chunked"} if chunked else {})
            if data is not None and f'"bytes": {size},'.encode() not in data:
                self.wrong.append(f"{tenant}: {size} bytes became {data[:100]!r}")
        finally:
            connection.close()

    def leaves_in_the_middle(self, tenant, size):
        with socket.create_connection(("127.0.0.1", self.soak.tenement.port), timeout=60) as sock:
            host = self.soak.tenement.host(f"echo:{tenant}")
            sock.sendall(f"POST /upload HTTP/1.1\r\nHost: {host}\r\nContent-Length: {size + 1}\r\n\r\n".encode()
                         + b"x" * (size // 2))
            if self.dice.random() < 0.5:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def downloads(self, tenant):
        connection = self.connection(tenant)
        size = self.dice.choice([1, 1000, 300000, 2 << 20])
        try:
            self.count += 1
            connection.request("GET", f"/download?bytes={size}{self.dice.choice(['', '&chunked=1'])}", headers=connection.headers)
            response = connection.getresponse()
            self.statuses[response.status] += 1
            data = response.read()
            if response.getheader("X-Tenant") is None:
                if tenant in CALM or response.status not in PASSING:
                    self.wrong.append(f"{tenant}: {response.status}")
            elif response.getheader("X-Tenant") != tenant or len(data) != size or data[:300] != bytes(range(256))[:size] + bytes(range(44))[:max(0, size - 256)]:
                self.wrong.append(f"{tenant}: a download of {size} became {len(data)} of {response.getheader('X-Tenant')}")
        finally:
            connection.close()

    def pipelines(self, tenant):
        host = self.soak.tenement.host(f"echo:{tenant}")
        with socket.create_connection(("127.0.0.1", self.soak.tenement.port), timeout=60) as sock:
            nonces = [f"{self.number}-{self.count}-{i}" for i in range(self.dice.randrange(2, 10))]
            self.count += 1
            sock.sendall("".join(f"GET /?nonce={nonce} HTTP/1.1\r\nHost: {host}\r\n"
                                 + ("Connection: close\r\n" if nonce == nonces[-1] else "") + "\r\n"
                                 for nonce in nonces).encode())
            data = b""
            while piece := sock.recv(65536):
                data += piece
        at = 0
        for nonce in nonces:
            found = data.find(f'"/?nonce={nonce}"'.encode(), at)
            if found < 0 and (tenant in CALM):
                self.wrong.append(f"{tenant}: no answer to {nonce} in its place")
            at = max(at, found)
        if {line for line in data.split(b"\r\n") if line.startswith(b"X-Tenant: ")} - {f"X-Tenant: {tenant}".encode()}:
            self.wrong.append(f"{tenant}: another's answer in a pipeline")

    def talks(self, tenant):
        """A WebSocket, for a while."""
        host = self.soak.tenement.host(f"echo:{tenant}")
        with socket.create_connection(("127.0.0.1", self.soak.tenement.port), timeout=60) as sock:
            file = sock.makefile("rb")
            sock.sendall(f"GET /ws HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                         "Sec-WebSocket-Key: eHg=\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
            status = int(file.readline().split(b" ")[1])
            fields = {}
            while line := file.readline().strip():
                name, _, value = line.partition(b": ")
                fields[name.lower()] = value.decode()
            self.statuses[status] += 1
            if status != 101:
                if tenant in CALM or status not in PASSING:
                    self.wrong.append(f"{tenant}: {status} to an upgrade")
                return
            if fields.get(b"x-tenant") != tenant:
                self.wrong.append(f"{tenant}: upgraded by {fields}")
            for i in range(self.dice.randrange(1, 30)):
                said = f"{tenant} {self.number} {i} ".encode() * self.dice.choice([1, 4])
                sock.sendall(bytes([0x81, 0x80 | len(said)]) + bytes(4) + said)
                head = file.read(2)
                heard = file.read(head[1]) if len(head) == 2 else b""
                if not heard:
                    raise EOFError("the tunnel ended")
                if heard != said:
                    self.wrong.append(f"{tenant}: said {said!r}, heard {heard!r}")
                time.sleep(self.dice.random() * 0.05)
            if self.dice.random() < 0.5:
                sock.shutdown(socket.SHUT_WR)
                file.read()

    def listens(self, tenant):
        """Server-sent events."""
        connection = self.connection(tenant)
        try:
            connection.request("GET", "/events?count=10&interval=0.05", headers=connection.headers)
            response = connection.getresponse()
            data = response.read()
            self.statuses[response.status] += 1
            if response.getheader("X-Tenant") is None and tenant in CALM:
                self.wrong.append(f"{tenant}: {response.status} to a stream")
            if response.getheader("X-Tenant") not in (None, tenant):
                self.wrong.append(f"{tenant}: events of another")
            if response.getheader("X-Tenant") == tenant and data.count(b"data: ") != 10 and tenant in CALM:
                self.wrong.append(f"{tenant}: {data.count(b'data: ')} events")
        finally:
            connection.close()


CROWD = [Visitor.keeps_alive] * 5 + [Visitor.connects_anew] * 2 + [Visitor.uploads] * 2 + [
    Visitor.downloads, Visitor.pipelines, Visitor.talks, Visitor.talks, Visitor.listens]


class Soak:
    def __init__(self, tenement):
        self.tenement = tenement
        self.over = threading.Event()
        self.troubles = []
        self.done = collections.Counter()

    def write(self, tenant):
        self.tenement.write(f"echo-{tenant}.toml", self.tenement.tenant("echo"))

    def control(self, path):
        """What fails because of another event is no failure of this one."""
        return self.tenement.control("POST", f"/api/instances/echo:{path}").status

    def operate(self, tenant):
        """One thing after the other happens to one of the restless."""
        dice = random.Random(f"{SEED} {tenant}")
        try:
            while not self.over.wait(dice.random() * 0.5):
                what = dice.choice([self.remove_and_add, self.kill, self.kill, self.stop, self.suspend, self.change])
                what(tenant, dice)
                self.done[what.__name__] += 1
        except Exception as error:  # pylint: disable=broad-except
            self.troubles.append(f"{tenant}: {error!r}")

    def remove_and_add(self, tenant, dice):
        self.tenement.remove(f"echo-{tenant}.toml")
        if dice.random() < 0.7:  # at once, or when the removal has been acted on
            time.sleep(dice.choice([0, 0.01, 1.5]))
        else:
            wait_until(lambda: self.tenement.instance(f"echo:{tenant}") is None, what=f"the end of {tenant}")
        self.write(tenant)

    def kill(self, tenant, _):
        one = self.tenement.instance(f"echo:{tenant}")
        if one and one["pid"]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one["pid"], signal.SIGKILL)

    def stop(self, tenant, _):
        self.control(f"{tenant}/stop")

    def suspend(self, tenant, _):
        self.control(f"{tenant}/suspend")
        time.sleep(0.05)
        self.control(f"{tenant}/resume")

    def change(self, tenant, dice):
        self.tenement.write(f"echo-{tenant}.toml",
                            self.tenement.tenant("echo", env={"TURN": str(dice.random())}))


def resident(pid):
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def all_asleep(t):
    return all(one["state"] == "asleep" for one in t.instances().values())


def test_soak(tenement):
    t = tenement(settings={"max_delete_percent": 100, "max_restarts": 1000, "backoff_base_ms": 100,
                           "backoff_max_ms": 500})
    soak = Soak(t)
    t.write("echo.toml", t.service("echo", idle_timeout=1, startup_timeout=60, drain_timeout=5, stop_timeout=5))
    for tenant in CALM + RESTLESS:
        soak.write(tenant)
    for tenant in CALM + RESTLESS:
        t.wait_ok(f"echo:{tenant}")
    wait_until(lambda: all_asleep(t), 60, what="sleep before")
    t.ten("stop", f"echo:{CALM[0]}")  # from the first change by hand on, the audit log is open
    before = {name: descriptors(pid) for name, pid in ours(t).items()}

    visitors = [Visitor(soak, number, kind) for number, kind in enumerate(CROWD)]
    end = time.monotonic() + SECONDS
    for visitor in visitors:
        visitor.start()
    operators = [threading.Thread(target=soak.operate, args=(tenant,), daemon=True) for tenant in RESTLESS]
    for operator in operators:
        operator.start()
    time.sleep(SECONDS / 2)
    memory = {name: resident(pid) for name, pid in ours(t).items()}
    time.sleep(max(0, end - time.monotonic()))
    soak.over.set()
    for thread in operators + visitors:
        thread.join(120)
        assert not thread.is_alive(), f"{getattr(thread, 'kind', soak.operate).__name__} hangs"
    assert soak.troubles == []
    assert len(soak.done) == 5 and sum(soak.done.values()) > SECONDS

    statuses = sum((visitor.statuses for visitor in visitors), collections.Counter())
    print(f"seed {SEED}: {dict(statuses)}; {dict(soak.done)}")
    assert [wrong for visitor in visitors for wrong in visitor.wrong] == []
    assert all(visitor.statuses[200] + visitor.statuses[101] or visitor.kind is Visitor.pipelines for visitor in visitors)

    # Nothing is left over: no connection, no descriptor, no request in flight, and no growth.
    def quiet():
        workers = t.control("GET", "/api/status").json()["workers"]
        return workers and not any(worker["clients"] for worker in workers)
    wait_until(quiet, 30, what="no client connection")
    for tenant in RESTLESS:
        soak.write(tenant)
    wait_until(lambda: all_asleep(t), 60, what="sleep after")
    assert all(one["in_flight"] == 0 for one in t.instances().values())
    after = {}

    def as_before():
        after.update({name: descriptors(pid) for name, pid in ours(t).items()})
        return len(after) == len(before) and all(after[name] <= before[name] for name in before)
    try:
        wait_until(as_before, 15, what="no more descriptors than before")
    except AssertionError as error:
        raise AssertionError(f"descriptors before: {before}, after: {after}") from error
    # A sanitizer keeps what was freed for a while, up to 256 MiB.
    grown = {name: resident(pid) - memory[name] for name, pid in ours(t).items() if name in memory}
    assert len(grown) == len(before) and max(grown.values()) < (8 << 20 if SLOWNESS <= 1 else 300 << 20), grown
