"""What the tests of tenants' networks share: other users, another machine, and what is left behind.

All of it is in the network namespace that conftest.py has made for the tests."""

import contextlib
import ctypes
import json
import os
import shutil
import socket
import subprocess
import threading

import pytest

from harness import wait_until

NEIGHBOUR = 54321  # the uid of a local user who is none of ours

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs a daemon that is root")
needs_tools = pytest.mark.skipif(not (shutil.which("nft") and shutil.which("ip")),
                                 reason="needs nft and ip (nftables, iproute2) to look at what is there")


def run(*words, **options):
    return subprocess.run(words, check=True, capture_output=True, text=True, **options).stdout


def tables():
    """Names of the tables of nftables that are ours."""
    listed = json.loads(run("nft", "-j", "list", "tables"))["nftables"]
    names = [one["table"]["name"] for one in listed if "table" in one]
    return [name for name in names if name.startswith("tenement_")]


def guarded_ports():
    found = set()
    for table in tables():
        if table.endswith("_private"):
            continue
        listed = json.loads(run("nft", "-j", "list", "set", "inet", table, "ports"))["nftables"]
        for one in listed:
            found.update(one.get("set", {}).get("elem", []))
    return found


def links():
    """Names of the interfaces of tenants, as the machine sees them."""
    return [name for _, name in socket.if_nameindex() if name.startswith("tn")]


def wait_nothing_left():
    wait_until(lambda: not links() and not tables(), 10, what="nothing of tenants' networks")


def connect(host, port, uid=None, timeout=3):
    """What comes of a connection as user UID: "ok" or the errno's name."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        said = "ok"
        try:
            if uid is not None:
                os.setgroups([])
                os.setgid(uid)
                os.setuid(uid)
            socket.create_connection((host, port), timeout).close()
        except TimeoutError:
            said = "ETIMEDOUT"
        except OSError as error:
            import errno  # pylint: disable=import-outside-toplevel
            said = errno.errorcode[error.errno]
        os.write(write, said.encode())
        os._exit(0)
    os.close(write)
    with open(read, encoding="ascii") as stream:
        said = stream.read()
    os.waitpid(pid, 0)
    return said


class Greeter:
    """A TCP and UDP server that tells everybody the address it is seen by."""

    def __init__(self, host="0.0.0.0", port=0, listener=None):
        self.tcp = listener or socket.create_server((host, port))
        self.port = self.tcp.getsockname()[1]
        threading.Thread(target=self.greet, daemon=True).start()

    def greet(self):
        with contextlib.suppress(OSError):
            while True:
                client, address = self.tcp.accept()
                with client:
                    client.sendall(address[0].encode())

    def close(self):
        # (close alone does not wake the thread)
        with contextlib.suppress(OSError):
            self.tcp.shutdown(socket.SHUT_RDWR)
        self.tcp.close()


class Machine:
    """Another machine, 192.0.2.2, on the same wire as ours, 192.0.2.1."""

    def __init__(self):
        self.process = subprocess.Popen(["unshare", "-n", "sleep", "600"])
        own = os.readlink("/proc/self/ns/net")
        wait_until(lambda: os.readlink(f"/proc/{self.process.pid}/ns/net") != own and
                   os.readlink(f"/proc/{self.process.pid}/exe").endswith("sleep"),
                   what="another machine")
        pid = str(self.process.pid)
        run("ip", "link", "add", "wire0", "type", "veth", "peer", "name", "wire1", "netns", pid)
        run("ip", "addr", "add", "192.0.2.1/24", "dev", "wire0")
        run("ip", "link", "set", "wire0", "up")
        for words in (("addr", "add", "192.0.2.2/24", "dev", "wire1"), ("link", "set", "wire1", "up"),
                      ("link", "set", "lo", "up"), ("addr", "add", "192.0.2.3/24", "dev", "wire1"),
                      ("addr", "add", "169.254.169.254/32", "dev", "wire1")):
            run("nsenter", "-t", pid, "-n", "ip", *words)
        self.greeters = []

    def within(self, work):
        """work() in a thread that is on that machine; what it returns."""
        result = []

        def there():
            fd = os.open(f"/proc/{self.process.pid}/ns/net", os.O_RDONLY)
            try:
                assert ctypes.CDLL(None, use_errno=True).setns(fd, 0x40000000) == 0
            finally:
                os.close(fd)
            result.append(work())
        thread = threading.Thread(target=there)
        thread.start()
        thread.join()
        return result[0]

    def greeter(self, host="192.0.2.2"):
        listener = self.within(lambda: socket.create_server((host, 0)))
        self.greeters.append(Greeter(listener=listener))
        return self.greeters[-1].port

    def connect(self, host, port, timeout=3):
        def attempt():
            try:
                socket.create_connection((host, port), timeout).close()
                return "ok"
            except TimeoutError:
                return "ETIMEDOUT"
            except OSError as error:
                import errno  # pylint: disable=import-outside-toplevel
                return errno.errorcode[error.errno]
        return self.within(attempt)

    def close(self):
        for greeter in self.greeters:
            greeter.close()
        with contextlib.suppress(subprocess.CalledProcessError):
            run("ip", "link", "del", "wire0")
        self.process.kill()
        self.process.wait()


@pytest.fixture
def machine():
    made = Machine()
    yield made
    made.close()


def reach(t, key, **query):
    """What TENANT says of a connection it tries."""
    words = "&".join(f"{name}={value}" for name, value in query.items())
    return t.get(key, f"/connect?{words}").text


def declare(t, keys, listen="any", **settings):
    """Tenants that run reach.py."""
    service = keys[0].partition(":")[0]
    text = t.service(service, **{"command": f"/usr/bin/python3 reach.py {listen}", **settings})
    t.write(f"{service}.toml", text)
    for key in keys:
        t.write(f"{key.replace(':', '-')}.toml", t.tenant(service))
    wait_until(lambda: set(keys) <= set(t.instances()), what=f"{keys} to be declared")
