"""Asking the management API at the root domain, as a client of the proxy does."""

import contextlib
import http.client
import itertools
import re
import socket

from harness import SLOWNESS, SOURCE, Answer

ROW = re.compile(r'\{ HTTP_METHOD_(\w+),\s*"(/[^"]*)",\s*RIGHT_(\w+),')


def endpoints():
    """(method, path, right) of all that the API answers."""
    rows = ROW.findall((SOURCE / "tenement" / "daemon" / "endpoints.c").read_text())
    assert len(rows) > 30
    return rows


class Api:
    """api = Api(t); api.token(tenant="alice"); api.ask("GET", "/api/status", token).

    Each instance asks from an address of 127.0.0.0/8 of its own, for wrong tokens are counted by address."""

    addresses = itertools.count(2)

    def __init__(self, t, host=None):
        self.t = t
        number = next(self.addresses)
        self.address = f"127.0.{number // 250 + 1}.{number % 250 + 1}"
        self.host = host or f"{t.domain}:{t.port}"

    def token(self, **keys):
        """A new one; read_only=True, tenant="alice", instance="notes:alice", expires=SECONDS."""
        answer = self.t.control("POST", "/api/tokens", keys)
        assert answer.status == 201, answer
        return answer.json()["token"]

    def ask(self, method, path, token=None, body=None, headers=None, timeout=30):
        connection = http.client.HTTPConnection("127.0.0.1", self.t.port, timeout=timeout * SLOWNESS,
                                                source_address=(self.address, 0))
        sent = {"Host": self.host, **({"Authorization": f"Bearer {token}"} if token else {}), **(headers or {})}
        with contextlib.closing(connection):
            connection.request(method, path, body, sent)
            return Answer(connection.getresponse())

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.t.port), 30 * SLOWNESS, (self.address, 0))

    def raw(self, data, end=False):
        """All that comes for DATA until the connection ends; END: ours is told of first."""
        with self.connect() as connection:
            with contextlib.suppress(OSError):
                connection.sendall(data)
                if end:
                    connection.shutdown(socket.SHUT_WR)
            came = b""
            with contextlib.suppress(ConnectionResetError):
                while piece := connection.recv(65536):
                    came += piece
            return came

    def statuses(self, data, end=False):
        """Of all answers to DATA, a number of requests."""
        return [int(status) for status in re.findall(rb"^HTTP/1\.[01] (\d{3}) ", self.raw(data, end), re.M)]

    def head(self, method, path, token=None, *lines, version="1.1", host=True):
        """A request's head as bytes."""
        fields = [f"{method} {path} HTTP/{version}".encode()]
        if host:
            fields.append(f"Host: {self.host}".encode())
        if token:
            fields.append(f"Authorization: Bearer {token}".encode())
        fields += [line if isinstance(line, bytes) else line.encode() for line in lines]
        return b"\r\n".join(fields) + b"\r\n\r\n"
