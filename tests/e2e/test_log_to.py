"""log_to: tenants' lines in the store, at journald, at a syslog daemon and in plain files."""

import contextlib
import os
import socket

from daemon_rig import kill
from harness import SLOWNESS, wait_until
from test_api_logs import say, talker, wait_found, words  # pylint: disable=unused-import


@contextlib.contextmanager
def listening(path):
    """A log daemon at PATH."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(path))
        os.chmod(path, 0o666)
        server.settimeout(20 * SLOWNESS)
        yield server
    os.unlink(path)


def fields(server):
    """Those of the next datagram, as journald reads it."""
    return dict(line.split("=", 1) for line in server.recv(65536).decode().splitlines())


def file_of(t, service="x"):
    path = t.data_dir / ".tenement" / "logs" / service / "a.log"
    return path.read_text() if path.exists() else ""


def test_log_to(talker):
    t = talker(["x:a"])
    places = {name: t.root / f"{name}.sock" for name in ("journald", "syslog")}
    t.settings |= {f"{name}_socket": str(path) for name, path in places.items()}

    def declare(*places, form="text"):
        t.write("x.toml", t.service("x", command="/usr/bin/python3 talker.py", log_to=list(places), log_format=form))

    declare("store", "journald", "syslog", "files")
    with listening(places["journald"]) as journald:
        with listening(places["syslog"]) as syslog:
            t.start()
            say(t, "to all of them", err=True)
            assert fields(journald) == {
                "MESSAGE": "to all of them", "PRIORITY": "3", "SYSLOG_FACILITY": "3", "SYSLOG_IDENTIFIER": "x:a",
                "TENEMENT_SERVICE": "x", "TENEMENT_ID": "a", "TENEMENT_STREAM": "stderr"}
            line = syslog.recv(65536).decode()
            assert line.startswith("<27>") and line.endswith(" x/a: to all of them")
            wait_until(lambda: "stderr to all of them\n" in file_of(t))
            wait_found(t, "to all of them")

            # what they are, and whereto, is changed while it runs
            declare("syslog", form="json")
            error = '{"level":"fatal","msg":"x"}'

            def is_json():
                say(t, error)
                return syslog.recv(65536).decode().startswith("<26>")
            wait_until(is_json)
            journald.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    journald.recv(65536)
            before, kept = file_of(t), len(words(t))
            kill(t.pid_of("tenement-logger"))
            say(t, "to syslog alone")
            assert syslog.recv(65536).decode().endswith("x/a: to syslog alone")
            with contextlib.suppress(BlockingIOError):
                assert not journald.recv(65536)

        # one that is away costs lines, which is told, and is found again
        say(t, "to nobody")
        wait_until(lambda: "1 lines of tenants were not taken by syslog" in t.said())
        assert any("does not get to syslog" in text for text in t.control("GET", "/api/status").json()["warnings"])
        assert 'tenement_log_lost_lines_total{reason="forward"} 1\n' in t.control("GET", "/metrics").text
        with listening(places["syslog"]) as syslog:
            syslog.settimeout(0.1)

            def is_back():
                say(t, "to the next")
                return syslog.recv(65536).decode().endswith("x/a: to the next")
            wait_until(is_back)
        # nothing of it went elsewhere meanwhile
        assert (file_of(t), len(words(t))) == (before, kept)
        declare("store")

        def is_stored():
            say(t, "to the store again")
            return "to the store again" in words(t)
        wait_until(is_stored)


def test_a_journald_that_is_not_there_is_refused(talker):
    t = talker(["x:a"])
    t.settings["journald_socket"] = str(t.root / "nowhere")
    t.write("y.toml", t.service("y", command="/usr/bin/python3 talker.py"))
    t.write("y-a.toml", t.tenant("y", log_to=["store", "journald"]))
    t.start()
    assert t.get("x:a").status == 200
    problem, = t.ten_json("status")["problems"]
    assert "y-a.toml:3" in problem and 'journald"] cannot be given: there is no journald here' in problem
    t.write("y-a.toml", t.tenant("y", log_to=["journal"]))
    wait_until(lambda: "is not one of store, journald, syslog and files" in t.ten("status", status=None).stdout)
    t.write("y-a.toml", t.tenant("y", log_to=["files"]))
    t.wait_ok("y:a")
    say(t, "to a file", "y:a")
    wait_until(lambda: "to a file" in file_of(t, "y"))
    shown = t.ten("logs", "y:a")
    assert shown.stdout == "" and shown.stderr == "ten: what y:a writes is not stored: log_to does not name the store\n"
