"""Long bodies of every length, through pipes and large windows, from many at once, and cut short."""

import hashlib
import os
import threading

import pytest

from proxy_rig import *  # noqa: F401,F403
from proxy_rig import DEADLINE, Client, answer, fetch, wait_until

LENGTHS = [131071, 131072, 131073, 300000, (1 << 20) + 7, 5000000]
AT_ONCE = 80  # more than a worker has pipes, or large windows


def descriptors(rig):
    return len(os.listdir(f"/proc/{rig.worker()['pid']}/fd"))


def digest(body):
    return hashlib.sha256(body).hexdigest()


def all_of(jobs):
    """Run JOBS at once; the first exception is ours."""
    wrong = []

    def run(job):
        try:
            job()
        except Exception as error:  # pylint: disable=broad-except
            wrong.append(error)
    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE * 4)
    assert not wrong, wrong[0]


def echo(stream, request):
    return answer(digest(request.body))


@pytest.mark.parametrize("unix", [False, True])
@pytest.mark.parametrize("chunked", [False, True])
def test_uploads_of_every_length_arrive_whole(rig, tenant_of, tmp_path, unix, chunked):
    rig.tenant(tenant_of(echo, path=tmp_path / "s" if unix else None))
    with Client(rig) as client:
        for length in LENGTHS:
            body = os.urandom(length)
            if chunked:
                client.ask("POST / HTTP/1.1", "Transfer-Encoding: chunked")
                for at in range(0, length, 70001):
                    piece = body[at:at + 70001]
                    client.send(b"%x\r\n" % len(piece) + piece + b"\r\n")
                client.send(b"0\r\n\r\n")
            else:
                # Part of it rides behind the head, and the next request behind its end.
                client.ask("POST / HTTP/1.1", f"Content-Length: {length}", body=body[:1000])
                client.send(body[1000:] + b"GET / HTTP/1.1\r\nHost: t.localhost\r\n\r\n")
            assert client.response().body.decode() == digest(body)
            if not chunked:
                assert client.response().body.decode() == digest(b"")


@pytest.mark.parametrize("unix", [False, True])
def test_downloads_of_every_length_arrive_whole(rig, tenant_of, tmp_path, unix):
    bodies = {f"/{length}": os.urandom(length) for length in LENGTHS}
    rig.tenant(tenant_of(lambda stream, request: answer(bodies[request.target]), path=tmp_path / "s" if unix else None))
    with Client(rig) as client:
        for target, body in bodies.items():
            assert digest(client.get(f"GET {target} HTTP/1.1").body) == digest(body)


def test_many_long_bodies_at_once(rig, tenant_of, tmp_path):
    rig.tenant(tenant_of(lambda stream, request: answer(request.body), path=tmp_path / "s"))
    fetch(rig)
    before = descriptors(rig)

    def job():
        body = os.urandom(1500000)
        with Client(rig) as client:
            assert digest(client.get("POST / HTTP/1.1", f"Content-Length: {len(body)}", body=body).body) == digest(body)
    all_of([job] * AT_ONCE)
    fetch(rig)
    # Idle connections and pipes are kept for a while, but nothing grows without end.
    assert descriptors(rig) <= before + AT_ONCE + 2 * 64


def test_a_client_that_vanishes_in_an_upload_is_seen_by_the_tenant(rig, tenant_of, tmp_path):
    seen = []

    def handler(stream, request):
        try:
            while True:
                if not stream.more():
                    seen.append("end")
                    return False
                stream.buffer = b""
        except OSError:
            seen.append("reset")
            return False
    rig.tenant(tenant_of(handler, path=tmp_path / "s", read_body=False))
    fetch_count = 3
    for _ in range(fetch_count):
        with Client(rig) as client:
            client.ask("POST / HTTP/1.1", "Content-Length: 50000000")
            client.send(os.urandom(2000000))
    wait_until(lambda: len(seen) == fetch_count)
    assert wait_until(lambda: rig.use()["in_flight"] == 0)


def test_a_tenant_that_closes_in_an_upload(rig, tenant_of, tmp_path):
    """What is left in the pipe goes nowhere: neither to the next request nor to another tenant."""
    def cut(stream, request):
        stream.more()
        return False
    rig.tenant(tenant_of(cut, path=tmp_path / "s", read_body=False))
    rig.tenant(tenant_of(echo, path=tmp_path / "o"), name="o")

    def job():
        with Client(rig) as client:
            try:
                client.ask("POST / HTTP/1.1", "Content-Length: 50000000")
                client.send(os.urandom(4000000))
                assert client.response().status == 502
            except OSError:
                pass  # it may be cut off while it still sends
    for _ in range(5):
        job()
        body = os.urandom(400000)
        answered = fetch(rig, "POST / HTTP/1.1", f"Content-Length: {len(body)}", host="o.localhost", body=body)
        assert answered.body.decode() == digest(body)
    assert wait_until(lambda: rig.use()["in_flight"] == 0)


def test_an_answer_before_the_end_of_an_upload(rig, tenant_of, tmp_path):
    def early(stream, request):
        stream.sock.sendall(answer("enough", status="413 Content Too Large"))
        try:
            while stream.more():
                stream.buffer = b""
        except OSError:
            pass
        return False
    rig.tenant(tenant_of(early, path=tmp_path / "s", read_body=False))
    with Client(rig) as client:
        client.ask("POST / HTTP/1.1", "Content-Length: 50000000")
        client.send(os.urandom(500000))
        response = client.response()
        assert (response.status, response.body) == (413, b"enough")
        assert response.get("connection") == "close"


def test_a_client_that_leaves_before_the_answer_is_noticed(rig, tenant_of):
    """On its first request as well, of which the loop hears only when it takes a while."""
    waiting = threading.Event()
    gone = threading.Event()

    def handler(stream, request):
        waiting.set()
        try:
            stream.more()
        except OSError:
            pass
        gone.set()
        return False
    rig.tenant(tenant_of(handler))
    with Client(rig) as client:
        client.ask()
        assert waiting.wait(DEADLINE)
    assert gone.wait(DEADLINE), "the tenant works for nobody"
