"""The store of lines that tenement-logger keeps: what is in it, whatever happens to the program or the file."""

import os
import signal
import subprocess
import threading
import time

import pytest

from harness import SLOWNESS, build_program, wait_until
from test_logger import Logger, start  # noqa: F401  (start is a fixture)


def query(folder, **words):
    """[(cursor, time, stream, tenant, message)]"""
    done = subprocess.run([build_program("tests/log_query"), folder, *(f"{k}={v}" for k, v in words.items())],
                          capture_output=True, check=False)
    if done.returncode == 2:
        return []  # there is none yet
    assert done.returncode == 0 and not done.stderr, done.stderr
    return [tuple(line.split("\t", 4)) for line in done.stdout.decode().splitlines()]


def stored(logger, tenant, **words):
    service, name = tenant.split(":")
    return [row[4] for row in query(logger.folder, service=service, id=name, **words)]


def wait_stored(logger, tenant, message, **words):
    wait_until(lambda: message in stored(logger, tenant, **words), what=f"{message!r} in the store")


def test_lines_streams_and_searches(start):
    logger = start()
    out, err = logger.pipe("notes:alice"), logger.pipe("notes:alice", "stderr")
    other = logger.pipe("notes:bob")
    os.write(out, b"first words\n\xff\x00\nwithout an ")
    wait_stored(logger, "notes:alice", "\\xff\\x00")
    os.write(err, b"x" * 9000 + b"\n" + b'{"level":"error","user":{"id":7}}\n')
    os.write(other, b"first words of another\n")
    wait_stored(logger, "notes:alice", '{"level":"error","user":{"id":7}}')
    wait_stored(logger, "notes:bob", "first words of another")
    os.write(out, b"end\n")
    wait_stored(logger, "notes:alice", "without an end")
    rows = query(logger.folder, id="alice")
    assert [(row[2], row[3], len(row[4])) for row in rows] == [
        ("stdout", "notes:alice", 11), ("stdout", "notes:alice", 8), ("stderr+", "notes:alice", 8192),
        ("stderr", "notes:alice", 808), ("stderr", "notes:alice", 33), ("stdout", "notes:alice", 14)]
    assert all(abs(int(row[1]) / 1000 - time.time()) < 60 * SLOWNESS for row in rows)
    assert stored(logger, "notes:alice", search="first AND words") == ["first words"]
    assert stored(logger, "notes:alice", search="user.id:7 level:error", level="stderr") == [rows[4][4]]
    assert stored(logger, "notes:alice", search="another") == []
    assert len(query(logger.folder, search='"first words"')) == 2
    assert query(logger.folder, search="'\"; DROP TABLE block; -- ((((") == []


def test_a_kill_loses_no_more_than_a_quarter_second(start, tmp_path):
    """Lines with the time at which they were written; of those older than that at the kill none may be missing."""
    read, write = os.pipe()
    logger = start(inherited=[("log:notes:alice:stdout:1", read)])
    logger.send("bounds", "notes:alice", "0", "0", "0")
    times, stopping = [], threading.Event()

    def write_on():
        while not stopping.is_set():
            os.write(write, b"".join(b"line %d of a load that never ends\n" % (len(times) * 50 + i) for i in range(50)))
            times.append(time.monotonic())

    thread = threading.Thread(target=write_on)
    thread.start()
    try:
        for turn in range(3):
            count = len(times)
            wait_until(lambda count=count: len(times) > count + 2000, what="a load")
            before = len(times)
            wait_until(lambda: query(logger.folder, limit=1, search=f'"line {(before - 1) * 50 + 49} of"'),  # noqa: B023
                       what="what was written")
            count = len(times)
            wait_until(lambda count=count: len(times) > count + 200, what="more of the load")
            killed = time.monotonic()
            logger.stop(signal.SIGKILL)
            # (the reader is behind by a pipe, 64 KiB, at the most: those lines are still in there)
            last = max(int(row[4].split()[1]) for row in query(logger.folder, search="load", limit=1))
            old = sum(t < killed - 0.25 * SLOWNESS for t in times)
            in_pipe = 65536 // 34
            assert last >= old * 50 - 1 - in_pipe, f"turn {turn}: {last} of {old * 50}"
            logger = start(inherited=[("log:notes:alice:stdout:1", read)])
    finally:
        stopping.set()
        thread.join()
        os.close(read)
    rows = query(logger.folder, limit=100000, search="load")
    cursors = [int(row[0]) for row in rows]
    assert cursors == sorted(set(cursors))
    os.close(write)


def test_a_damaged_store_is_set_aside(start):
    logger = start()
    out = logger.pipe("notes:alice")
    os.write(out, b"early\n")
    wait_stored(logger, "notes:alice", "early")
    assert logger.stop() == 0
    with open(logger.folder / "logs.db", "r+b") as file:
        file.write(b"\xa5" * 65536)
    logger = start()
    out = logger.pipe("notes:alice")
    os.write(out, b"late\n")
    wait_stored(logger, "notes:alice", "late", search="late")
    assert [p for p in logger.folder.iterdir() if p.name.startswith("logs.db.damaged.")]
    assert "was damaged" in logger.stderr.read_text()
    assert logger.alive()


def test_what_is_over_the_rate_is_dropped_and_told_of(start):
    logger = start()
    out, quiet = logger.pipe("notes:loud"), logger.pipe("notes:quiet")
    logger.send("bounds", "notes:loud", "20", "0", "0")
    os.write(quiet, b"the bounds are there before\n")
    wait_stored(logger, "notes:quiet", "the bounds are there before")
    os.write(out, b"noise\n" * 1000)
    wait_until(lambda: stored(logger, "notes:loud", level="tenement"), what="the remark")
    assert os.write(quiet, b"quiet\n" * 1000)
    wait_until(lambda: len(stored(logger, "notes:quiet", search="quiet")) == 1000, what="the neighbour's lines")
    remarks = stored(logger, "notes:loud", level="tenement")
    dropped = sum(int(text.split()[0]) for text in remarks)
    assert all(text.endswith(" lines dropped: more than log_rate = 20 a second") for text in remarks)
    assert dropped + len(stored(logger, "notes:loud", level="stdout")) == 1000
    assert 200 <= 1000 - dropped < 300
    # Remembered across a kill, and lifted at once.
    logger.stop(signal.SIGKILL)
    second = start()
    again = second.pipe("notes:loud")
    os.write(again, b"second\n" * 1000)
    wait_until(lambda: len(stored(second, "notes:loud", level="tenement")) > len(remarks), what="another remark")
    second.send("bounds", "notes:loud", "0", "0", "0")
    wait_until(lambda: os.write(again, b"third\n" * 500) and
               len(stored(second, "notes:loud", search="third")) >= 2000, what="more than the rate of before")
    # What was written without a bound is no debt under the next one.
    second.send("bounds", "notes:loud", "1", "0", "0")
    wait_until(lambda: os.write(again, b"fourth\n" * 5) and
               any(text.endswith("log_rate = 1 a second") for text in stored(second, "notes:loud", level="tenement")),
               what="the new bound")
    wait_until(lambda: os.write(again, b"fifth\n") and stored(second, "notes:loud", search="fifth"),
               what="a line under the new bound")


def test_the_size_bound_holds_while_a_neighbour_keeps_all(start):
    logger = start()
    out, quiet = logger.pipe("notes:loud"), logger.pipe("notes:quiet")
    logger.send("bounds", "notes:loud", "0", "1", "0")
    os.write(quiet, b"kept\n")
    for i in range(600):
        os.write(out, b"".join(b"line %d and a hundred bytes of what nobody reads, for it is about nothing at all\n"
                               % (i * 100 + n) for n in range(100)))
    wait_stored(logger, "notes:loud", "line 59999 and a hundred bytes of what nobody reads, for it is about nothing at all")
    rows = stored(logger, "notes:loud")
    assert 8000 < len(rows) < 16000
    assert [int(row.split()[1]) for row in rows] == list(range(60000 - len(rows), 60000))
    assert stored(logger, "notes:quiet") == ["kept"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")
def test_a_full_disk_is_told_of_when_there_is_room(tmp_path):
    disk = tmp_path / "logs"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], check=False).returncode:
        pytest.skip("may not mount")
    logger = None
    try:
        logger = Logger(disk)
        out, quiet = logger.pipe("notes:alice"), logger.pipe("notes:quiet")
        logger.send("bounds", "notes:alice", "0", "0", "0")
        os.write(quiet, b"before\n")
        wait_stored(logger, "notes:quiet", "before")
        (disk / "ballast").write_bytes(b"\0" * (2 << 20))

        def is_full():
            os.write(out, os.urandom(3000).hex().encode() + b"\n")
            return "cannot store" in logger.stderr.read_text()

        wait_until(is_full, what="a full disk")
        assert logger.alive()
        (disk / "ballast").unlink()
        wait_until(lambda: os.write(out, b"after\n") and
                   any("lines dropped: No space left on device" in text
                       for text in stored(logger, "notes:alice", level="tenement")), what="the remark")
        os.write(out, b"and on\n")
        wait_stored(logger, "notes:alice", "and on")
        assert stored(logger, "notes:quiet") == ["before"]
    finally:
        if logger:
            logger.ours.close()
            logger.stop()
        subprocess.run(["umount", disk], check=True)
