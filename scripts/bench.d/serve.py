"""What the measurements of the whole program share: a `ten serve` in a folder of its own, and its tenants."""

import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("TENEMENT_BUILD", TOP / "build")).resolve()
PROGRAMS = ("ten", "tenement-keeper", "tenementd", "tenement-proxy", "tenement-logger", "tenement-init", "tenement-sandbox",
            "tests/tiny", "tests/bench_waker")
DEADLINE = 60
# What a tenant gets, or it would be compared with one that has more to read at its start.
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/tmp",
               "TENANT_ID": "t", "PORT": "0"}

# The shortest HTTP server that Python has, on a unix socket.
PYTHON = """
import http.server, os, socketserver
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def address_string(self):
        return ""
    def log_message(self, *words):
        pass
socketserver.UnixStreamServer(os.environ["SOCKET_PATH"], Handler).serve_forever()
"""


def wait_for(condition, what):
    end = time.monotonic() + DEADLINE
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if condition():
                return
        if time.monotonic() > end:
            sys.exit(f"bench: {what}")
        time.sleep(0.002)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def prepare():
    """Everything built and installed."""
    subprocess.run([TOP / "scripts" / "setup", "bench"], check=True)
    if not all((BUILD / program).exists() for program in PROGRAMS):
        subprocess.run([TOP / "scripts" / "build", BUILD], check=True)


def heading(title, *columns):
    print(f"\n{title}\n\n| | " + " | ".join(columns) + " |\n|---|" + "---:|" * len(columns), flush=True)


def row(name, *cells):
    print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=DEADLINE)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(DEADLINE)
        self.sock.connect(self.path)


class Server:
    """`ten serve` with the files in CONF, {name: text}; programs are copied to where every uid may read them."""

    def __init__(self, settings=""):
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="tenement-bench-"))
        self.work.chmod(0o755)
        (self.work / "conf.d").mkdir()
        # On tmpfs, as it is by default where there is one at /run.
        self.runtime = pathlib.Path(tempfile.mkdtemp(prefix="tenement-bench-", dir="/dev/shm"))
        self.runtime.chmod(0o755)
        self.port = free_port()
        (self.work / "tenement.toml").write_text(
            f'[settings]\nlisten = ["127.0.0.1:{self.port}"]\nruntime_dir = "{self.runtime}/run"\n{settings}\n')
        for program in PROGRAMS:
            shutil.copy(BUILD / program, self.work)
        self.process = None

    def write(self, name, text):
        (self.work / "conf.d" / name).write_text(text)

    def start(self):
        with open(self.work / "serve.log", "wb") as log:
            self.process = subprocess.Popen([self.work / "ten", "serve"], cwd=self.work, stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL)
        wait_for(self.healthy, "ten serve does not answer")

    def healthy(self):
        if self.process.poll() is not None:
            sys.exit("bench: ten serve ended: " + (self.work / "serve.log").read_text())
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        connection.request("GET", "/health", headers={"Host": "127.0.0.1"})
        return connection.getresponse().status == 200

    def control(self, method, path, body=None):
        connection = Unix(self.work / "tenement-data" / ".tenement" / "run" / "control.sock")
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if answer.status >= 300:
            sys.exit(f"bench: {method} {path}: {answer.status} {text}")
        return json.loads(text)

    def stop_tenant(self, key):
        self.control("POST", f"/api/instances/{key}/stop", "{}")
        wait_for(lambda: self.control("GET", f"/api/instances/{key}")["state"] == "asleep", f"{key} does not sleep")

    def timed(self, *words):
        """Milliseconds by bench_waker."""
        done = subprocess.run([self.work / "bench_waker", *map(str, words)], capture_output=True, text=True, check=False,
                              cwd=self.work, env=ENVIRONMENT)
        if done.returncode or not re.fullmatch(r"\d+\n", done.stdout):
            sys.exit(f"bench: {' '.join(map(str, words))}: {done.stderr}{(self.work / 'serve.log').read_text()[-2000:]}")
        return int(done.stdout) / 1e6

    def close(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
        shutil.rmtree(self.runtime, ignore_errors=True)
        shutil.rmtree(self.work, ignore_errors=True)
