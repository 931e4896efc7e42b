"""Everything at once: no answer ever goes to the wrong request, and nothing is left behind."""

import random
import socket
import threading
import time

from proxy_rig import *  # noqa: F401,F403
from proxy_rig import Client, Rig, answer, wait_until

CLIENTS = 12
SECONDS = 4


def moody(seed):
    """A tenant that echoes what it was asked, in every framing there is, and sometimes breaks."""
    dice = random.Random(seed)

    def handler(stream, request):
        mood = dice.random()
        if request.get("upgrade"):
            stream.sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
            while True:
                data = stream.buffer or stream.sock.recv(65536)
                stream.buffer = b""
                if not data:
                    return False
                stream.sock.sendall(data)
        if mood < 0.05:
            return False
        body = request.target.encode() + b" " + request.body
        if mood < 0.4:
            return answer(body)
        if mood < 0.7:
            half = len(body) // 2
            pieces = [piece for piece in (body[:half], body[half:]) if piece]
            stream.sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for piece in pieces:
                stream.sock.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
            stream.sock.sendall(b"0\r\n\r\n")
        elif mood < 0.8:
            stream.sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + body)
            return False
        elif mood < 0.85:
            stream.sock.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n")
            return answer(body)
        elif mood < 0.9:
            stream.sock.sendall(answer(body) + b"junk")
        elif mood < 0.95:
            stream.sock.sendall(answer(body)[:-1])
            return False
        else:
            return answer(body, "Connection: close")
    return handler


class Visitor(threading.Thread):
    def __init__(self, rig, number):
        super().__init__()
        self.rig = rig
        self.number = number
        self.dice = random.Random(number)
        self.count = 0
        self.good = 0
        self.wrong = []
        self.end = time.monotonic() + SECONDS

    def run(self):
        while time.monotonic() < self.end:
            try:
                with Client(self.rig, f"{self.dice.choice('abcx')}.localhost") as client:
                    while time.monotonic() < self.end and self.dice.random() > 0.1:
                        self.dice.choice([self.ask_one, self.ask_many, self.leave, self.upgrade])(client)
            except (OSError, EOFError, ValueError, AssertionError):
                pass  # a connection may break; what arrives whole must be right

    def request(self):
        self.count += 1
        target = f"/{self.number}/{self.count}"
        body = b"b" * self.dice.choice([0, 1, 100, 70000])
        if self.dice.random() < 0.5:
            return target, body, (f"Content-Length: {len(body)}",), body
        chunked = b"%x;e\r\n%s\r\n" % (len(body), body) if body else b""
        return target, body, ("Transfer-Encoding: chunked",), chunked + b"0\r\nA: b\r\n\r\n"

    def check(self, response, target, body):
        if response.status == 200:
            self.good += 1
            if response.body != target.encode() + b" " + body:
                self.wrong.append((target, response.body[:100]))
        elif response.status not in (404, 502, 503, 504):
            self.wrong.append((target, response.line))

    def final(self, client):
        response = client.response()
        return client.response() if response.status == 103 else response

    def ask_one(self, client):
        target, body, fields, sent = self.request()
        client.ask(f"{self.dice.choice(['POST', 'PUT'])} {target} HTTP/1.1", *fields, body=sent)
        self.check(self.final(client), target, body)

    def ask_many(self, client):
        targets = []
        data = ""
        for _ in range(self.dice.randrange(1, 20)):
            targets.append(self.request()[0])
            data += f"GET {targets[-1]} HTTP/1.1\r\nHost: {client.host}\r\n\r\n"
        client.send(data)
        for target in targets:
            self.check(self.final(client), target, b"")

    def leave(self, client):
        target, _, fields, sent = self.request()
        client.ask(f"POST {target} HTTP/1.1", *fields, body=sent[:self.dice.randrange(len(sent) + 1)])
        if self.dice.random() < 0.5:
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        raise EOFError

    def upgrade(self, client):
        if self.dice.random() < 0.7:
            return
        client.ask("GET /ws HTTP/1.1", "Connection: upgrade", "Upgrade: echo")
        if client.response().status == 101:
            data = b"%d" % self.number * self.dice.choice([1, 1000, 50000])
            client.send(data)
            if client.bytes(len(data)) != data:
                self.wrong.append(("tunnel", len(data)))
        raise EOFError


def test_chaos(tenant_of, tmp_path):
    rig = Rig(workers=2)
    rig.do("settings", trusted="127.0.0.0/8")
    options = {"wait_ms": 300, "wake_queue": 6, "request_timeout": 2000, "stream_idle": 1000}
    tenants = {"a": tenant_of(moody(1)), "b": tenant_of(moody(2), path=tmp_path / "b"), "c": tenant_of(moody(3))}
    for name, tenant in tenants.items():
        rig.tenant(tenant, name, **options)
    visitors = [Visitor(rig, number) for number in range(CLIENTS)]
    for visitor in visitors:
        visitor.start()
    dice = random.Random(0)
    while any(visitor.is_alive() for visitor in visitors):
        name = dice.choice("abc")
        event = dice.random()
        if event < 0.5:
            rig.do("state", name, dice.choice(["asleep", "starting", "draining", "frozen", "failed", "suspended"]))
        elif event < 0.6:
            tenants[name].break_all()
        elif event < 0.7:
            rig.do("settings", max_header=dice.choice([2000, 16384, 60000]), trusted="127.0.0.0/8")
        elif event < 0.75:
            rig.do("unhost", f"{name}.localhost")
            rig.do("drop", name)
            rig.tenant(tenants[name], name, **options)
        time.sleep(dice.random() * 0.03)
        for name in tenants:
            rig.do("state", name, "ready")
    for visitor in visitors:
        visitor.join()
    assert [wrong for visitor in visitors for wrong in visitor.wrong] == []
    assert sum(visitor.good for visitor in visitors) > 200
    wait_until(lambda: rig.worker(0)["clients"] + rig.worker(1)["clients"] == 0)
    for name in tenants:
        use = rig.use(name)
        assert (use["in_flight"], use["waiting"], use["upgraded"]) == (0, 0, 0)
    # With nobody left they end at once, and a leak checker finds nothing.
    for worker in range(2):
        ended = rig.do("term", worker)
        assert ended["status"] == 0 and ended["ms"] < 5000
    rig.close()
