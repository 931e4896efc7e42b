#!/usr/bin/python3
"""Notes: a web app for one customer. It knows nothing of tenants, and that is the point.

    GET /            a page with the notes and a form
    GET /notes       the notes, as text or, with Accept: application/json, as JSON
    POST /notes      text=...  adds one
    DELETE /notes/N  removes one
    GET /health      200 when the database answers

It listens on the unix socket SOCKET_PATH if that is set, else on 127.0.0.1:PORT, and keeps everything
in the SQLite file DATABASE_PATH. To run it by hand: PORT=8000 DATABASE_PATH=notes.db python3 app.py
"""

import html
import json
import os
import socket
import sqlite3
import sys
import threading
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from urllib.parse import parse_qs

BODY_MAX = 64 * 1024

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Notes of {owner}</title>
<style>
body {{ font: 1.1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 3rem auto; padding: 0 1rem;
	color: #223; background: #fbfaf7 }}
h1 {{ font-size: 1.6rem }}
li {{ margin: .4rem 0; overflow-wrap: anywhere }}
time, footer {{ color: #778; font-size: .8rem }}
form {{ display: flex; gap: .5rem }}
input {{ flex: 1; font: inherit; padding: .4rem .6rem }}
button {{ font: inherit; padding: .4rem 1rem }}
</style>
<h1>Notes of {owner}</h1>
<form method="post" action="/notes"><input name="text" required autofocus
placeholder="What is there to remember?"><button>Add</button></form>
<ul>{items}</ul>
<footer>process {pid}, a database of its own</footer>
</html>
"""


class Notes:
    """The notes in their database. Safe to use from several threads."""

    def __init__(self, path):
        self.lock = threading.Lock()
        self.database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.database.execute("PRAGMA journal_mode = WAL")
        self.database.execute("PRAGMA synchronous = NORMAL")
        self.database.execute(
            "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL,"
            " made TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ')))")

    def _run(self, statement, *values):
        with self.lock:
            cursor = self.database.execute(statement, values)
            return cursor, cursor.fetchall()

    def add(self, text):
        cursor, _ = self._run("INSERT INTO notes (text) VALUES (?)", text)
        return cursor.lastrowid

    def remove(self, number):
        cursor, _ = self._run("DELETE FROM notes WHERE id = ?", number)
        return cursor.rowcount > 0

    def all(self):
        _, rows = self._run("SELECT id, text, made FROM notes ORDER BY id")
        return [{"id": number, "text": text, "made": made} for number, text, made in rows]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keep-alive
    server_version = "notes/1"
    timeout = 120

    def do_GET(self):
        path = self.path.partition("?")[0]
        if path == "/":
            self.answer_page()
        elif path == "/notes":
            self.answer_list()
        elif path == "/health":
            self.server.notes.all()
            self.answer(200, "ok\n")
        else:
            self.answer(404, "There is no such page.\n")

    do_HEAD = do_GET

    def do_POST(self):
        if self.path != "/notes":
            return self.refuse(404, "There is no such page.\n")
        body = self.read_body()
        if body is None:
            return None
        text = parse_qs(body.decode("utf-8", "replace")).get("text", [""])[0].strip()
        if not text:
            return self.answer(400, "A note needs a text: curl -d text=hello .../notes\n")
        number = self.server.notes.add(text)
        print(f"note {number} added", flush=True)
        if self.wants("text/html"):
            return self.answer(303, "", location="/")
        return self.answer(201, f"{number}: {text}\n", location=f"/notes/{number}")

    def do_DELETE(self):
        number = self.path.removeprefix("/notes/")
        if number.isascii() and number.isdigit() and len(number) < 18 and \
                self.server.notes.remove(int(number)):
            return self.answer(204)
        return self.refuse(404, "There is no such note.\n")

    def answer_page(self):
        owner = html.escape(os.environ.get("TENANT_ID", "nobody in particular"))
        items = "\n".join(f"<li>{html.escape(note['text'])} <time>{note['made']}</time>"
                          for note in self.server.notes.all())
        page = PAGE.format(owner=owner, items=items, pid=os.getpid())
        self.answer(200, page, "text/html; charset=utf-8")

    def answer_list(self):
        notes = self.server.notes.all()
        if self.wants("application/json"):
            self.answer(200, json.dumps(notes) + "\n", "application/json")
        else:
            self.answer(200, "".join(f"{note['id']}: {note['text']}\n" for note in notes))

    def wants(self, kind):
        return kind in self.headers.get("Accept", "")

    def read_body(self):
        """The request's body; None when it was refused."""
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            return self.refuse(411, "The request needs a Content-Length.\n")
        if len(length) > 9 or int(length) > BODY_MAX:
            return self.refuse(413, "That is too long for a note.\n")
        return self.rfile.read(int(length))

    def refuse(self, status, text):
        """Answer without having read the body, which ends the connection."""
        self.close_connection = True
        self.answer(status, text)

    def answer(self, status, text="", kind="text/plain; charset=utf-8", location=None):
        body = text.encode()
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        if status != 204:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def address_string(self):
        return self.headers.get("X-Real-IP", "-") if hasattr(self, "headers") else "-"

    def log_request(self, code="-", size="-"):
        pass  # what happened to the notes is worth a line, being looked at is not


class Server(ThreadingMixIn, TCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address, notes):
        self.notes = notes
        if isinstance(address, str):
            self.address_family = socket.AF_UNIX
            if os.path.lexists(address):
                os.unlink(address)
        super().__init__(address, Handler)

    def get_request(self):
        connection, _ = super().get_request()
        return connection, ("-", 0)  # a unix socket's peer has no address

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


def main():
    path = os.environ.get("SOCKET_PATH")
    address = path or ("127.0.0.1", int(os.environ.get("PORT", "8000")))
    server = Server(address, Notes(os.environ.get("DATABASE_PATH", "notes.db")))
    print(f"listening on {path or 'port %d' % server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
