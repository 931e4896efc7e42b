"""Reading a stream of Server-Sent Events as a client does."""

import contextlib
import http.client
import json
import socket
import time

from harness import SLOWNESS


class Stream:
    """with Stream(t, "/api/events") as stream: stream.until(lambda event: event["to"] == "ready")"""

    def __init__(self, t, path, headers=None, receive_bytes=None, token=None):
        """At the control socket, or with TOKEN at the root domain."""
        self.connection = http.client.HTTPConnection("localhost")
        if token:
            self.socket = self.connection.sock = socket.create_connection(("127.0.0.1", t.port), 30 * SLOWNESS)
            headers = {"Host": f"{t.domain}:{t.port}", "Authorization": f"Bearer {token}", **(headers or {})}
            self.begin(path, headers)
            return
        self.socket = self.connection.sock = socket.socket(socket.AF_UNIX)
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(30 * SLOWNESS)
        self.socket.connect(str(t.data_dir / ".tenement" / "run" / "control.sock"))
        self.begin(path, headers)

    def begin(self, path, headers):
        self.connection.request("GET", path, headers={"Accept": "text/event-stream", **(headers or {})})
        self.response = self.connection.getresponse()
        self.status = self.response.status
        self.comments = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        with contextlib.suppress(OSError):
            self.response.close()
        self.connection.close()

    def next(self):
        """The next event, its data read as JSON, with its name and id as "event" and "id"; None: the end."""
        fields = {}
        while True:
            line = self.response.readline()
            if not line:
                return None
            text = line.decode().rstrip("\n")
            if text.startswith(":"):
                self.comments += 1
            elif text:
                name, _, value = text.partition(": ")
                fields[name] = value
            elif "data" in fields:
                return {**json.loads(fields["data"]), "event": fields.get("event"), "id": fields.get("id")}

    def until(self, wanted):
        """The first event that is WANTED, and all that came before it."""
        seen = []
        while True:
            event = self.next()
            assert event, f"the stream ended after {seen}"
            seen.append(event)
            if wanted(event):
                return event, seen[:-1]

    def wait_comment(self, timeout=20):
        """Read on until there is a comment."""
        deadline = time.monotonic() + timeout * SLOWNESS
        while not self.comments:
            assert time.monotonic() < deadline
            self.socket.settimeout(max(0.1, deadline - time.monotonic()))
            line = self.response.readline()
            assert line, "the stream ended"
            self.comments += line.startswith(b":")
