"""The proxy between raw sockets and small tenants, driven by tests/fixtures/proxy_rig.c."""

import json
import os
import select
import socket
import subprocess
import threading
import time

import pytest

BUILD = os.environ.get("TENEMENT_BUILD", ".")
DEADLINE = 15


def wait_until(condition, deadline=DEADLINE):
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, "what was waited for did not happen"
        time.sleep(0.005)


class Rig:
    """Table, board and workers. Every method returns when all workers have acknowledged it."""

    def __init__(self, workers=1, env=None):
        self.process = subprocess.Popen(
            [os.path.join(BUILD, "tests", "proxy_rig"), os.path.join(BUILD, "tenement-proxy"), str(workers)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **(env or {})})
        self.stderr = []
        self.reader = threading.Thread(target=self._read_stderr, daemon=True)
        self.reader.start()
        ports = json.loads(self._line())
        self.port = ports["port"]
        self.introduced_port = ports["introduced"]  # wants a PROXY header on each connection

    def _read_stderr(self):
        for line in self.process.stderr:
            self.stderr.append(line)

    def _line(self):
        poll = select.poll()
        poll.register(self.process.stdout, select.POLLIN)
        line = self.process.stdout.readline() if poll.poll(DEADLINE * 2000) else ""
        assert line, "the rig ended: " + "".join(self.stderr)
        return line

    def do(self, *words, **options):
        words = [str(word) for word in words] + [f"{key}={value}" for key, value in options.items()]
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()
        return json.loads(self._line())

    def tenant(self, tenant, name="t", host=None, state="ready", **options):
        """Publish TENANT as the instance NAME under HOST."""
        self.do("instance", name, **tenant.address(), **options)
        self.do("host", host or f"{name}.localhost", name)
        self.do("state", name, state)

    def wanted(self, ms=DEADLINE * 1000):
        return self.do("wants", ms)["wanted"]

    def use(self, name="t"):
        return self.do("use", name)

    def worker(self, index=0):
        return self.do("workers")["workers"][index]

    def close(self):
        self.process.stdin.close()
        status = self.process.wait(DEADLINE)
        self.reader.join(DEADLINE)
        text = "".join(self.stderr)
        assert "ERROR: " not in text and "runtime error" not in text, text
        assert status == 0, text


@pytest.fixture
def rig():
    rig = Rig()
    rig.do("settings")
    yield rig
    rig.close()


class Request:
    def __init__(self, head):
        lines = head.decode("latin-1").split("\r\n")
        self.line = lines[0]
        self.method, self.target, self.version = lines[0].split(" ")
        self.fields = [tuple(line.split(": ", 1)) for line in lines[1:] if line]
        self.body = b""

    def all(self, name):
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def get(self, name):
        values = self.all(name)
        assert len(values) <= 1, (name, values)
        return values[0] if values else None


class Stream:
    """Reads from a socket what HTTP wants read: heads, bytes, chunks."""

    def __init__(self, sock):
        self.sock = sock
        self.sock.settimeout(DEADLINE)
        self.buffer = b""

    def more(self):
        data = self.sock.recv(65536)
        self.buffer += data
        return data

    def head(self):
        while b"\r\n\r\n" not in self.buffer:
            if not self.more():
                return None
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        return head

    def bytes(self, count):
        while len(self.buffer) < count:
            if not self.more():
                raise EOFError(f"{len(self.buffer)} of {count} bytes")
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def line(self):
        while b"\r\n" not in self.buffer:
            if not self.more():
                raise EOFError("in a line")
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line

    def chunks(self):
        body = b""
        while True:
            size = int(self.line(), 16)
            body += self.bytes(size)
            assert self.bytes(2) == b"\r\n"
            if not size:
                return body

    def rest(self):
        while self.more():
            pass
        data, self.buffer = self.buffer, b""
        return data

    def at_end(self):
        """The other side has closed, and said nothing more before."""
        try:
            return not self.buffer and not self.sock.recv(1)
        except ConnectionResetError:
            return True


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def answer(body, *fields, status="200 OK"):
    if isinstance(body, str):
        body = body.encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


class Tenant:
    """A server whose handler(stream, request) sends the answer itself (or returns it). A connection
    is kept until the handler returns False."""

    def __init__(self, handler=None, path=None, read_body=True):
        self.handler = handler or (lambda stream, request: OK)
        self.read_body = read_body
        self.requests = []
        self.connections = 0
        self.open = set()
        if path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(path))
        else:
            self.listener = socket.socket()
            self.listener.bind(("127.0.0.1", 0))
        self.path = path
        self.listener.listen(512)
        self.port = None if path else self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def address(self):
        return {"socket": self.path} if self.path else {"port": self.port}

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            self.open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        stream = Stream(connection)
        stream.sock.settimeout(DEADLINE * 4)
        try:
            while True:
                head = stream.head()
                if head is None:
                    break
                request = Request(head)
                if self.read_body:
                    if request.get("transfer-encoding"):
                        request.body = stream.chunks()
                    else:
                        request.body = stream.bytes(int(request.get("content-length") or 0))
                self.requests.append(request)
                result = self.handler(stream, request)
                if isinstance(result, bytes):
                    connection.sendall(result)
                elif result is False:
                    break
        except (OSError, EOFError):
            pass
        finally:
            self.open.discard(connection)
            connection.close()

    def break_all(self):
        for connection in list(self.open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.close()
        self.break_all()


@pytest.fixture
def tenant_of():
    """Makes tenants that are closed after the test."""
    made = []

    def make(*args, **options):
        made.append(Tenant(*args, **options))
        return made[-1]

    yield make
    for tenant in made:
        tenant.close()


class Response:
    def __init__(self, head):
        lines = head.decode("latin-1").split("\r\n")
        self.line = lines[0]
        self.status = int(lines[0].split(" ")[1])
        self.fields = [tuple(line.split(": ", 1)) for line in lines[1:]]
        self.body = b""

    get = Request.get
    all = Request.all

    def json(self):
        return json.loads(self.body)


class Client(Stream):
    def __init__(self, rig, host="t.localhost", port=None):
        super().__init__(socket.create_connection(("127.0.0.1", port or rig.port)))
        self.host = host

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode())

    def ask(self, line="GET / HTTP/1.1", *fields, body=b""):
        lines = [line, f"Host: {self.host}", *fields]
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode() + body)

    def response(self, method="GET"):
        head = self.head()
        assert head is not None, "closed without an answer"
        response = Response(head)
        if method == "HEAD" or response.status < 200 or response.status in (204, 304):
            return response
        if response.get("transfer-encoding"):
            response.body = self.chunks()
        elif response.get("content-length") is not None:
            response.body = self.bytes(int(response.get("content-length")))
        else:
            response.body = self.rest()
        return response

    def get(self, line="GET / HTTP/1.1", *fields, body=b""):
        self.ask(line, *fields, body=body)
        return self.response(line.split(" ")[0])


def fetch(rig, line="GET / HTTP/1.1", *fields, host="t.localhost", body=b""):
    with Client(rig, host) as client:
        return client.get(line, *fields, body=body)


def raw(rig, data):
    """Send DATA and return the first answer to it."""
    with Client(rig) as client:
        client.send(data)
        return client.response()
