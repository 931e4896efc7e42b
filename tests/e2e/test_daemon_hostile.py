"""What a hostile or merely unlucky tenant, file or client must not be able to do to the daemon."""

import os
import threading

import pytest

from harness import wait_until

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="tenants have uids of their own under root alone")


@pytest.fixture
def echo(tenement):
    def make(settings=None, **keys):
        t = tenement(start=False, settings=settings)
        t.write("echo.toml", t.service("echo", **keys))
        t.write("echo-a.toml", t.tenant("echo"))
        return t.start()
    return make


@pytest.mark.parametrize("path", [
    "/api/instances/" + "a" * 100 + "%1", "/api/%ff", "/api/instances/%", "/api/instances/echo%3Aa%2",
    "/api/logs?id=%ff&limit=x", "/%00", "/api/instances/echo%3Aa/%c3%28"])
def test_strange_paths_are_refused(echo, path):
    t = echo()
    pid = t.pid_of("tenementd")
    answer = t.control("GET", path)
    assert answer.status in (400, 404, 422), answer
    assert answer.json()["error"]
    assert t.pid_of("tenementd") == pid


def test_who_cannot_be_started_does_not_block_the_queue(tenement):
    t = tenement(start=False, settings={"max_concurrent_starts": 1, "max_restarts": 1})
    t.write("slow.toml", t.service("slow", "echo --start-delay 1"))
    t.write("slow-a.toml", t.tenant("slow"))
    t.write("bad.toml", t.service("bad", command="/nowhere/at-all"))
    t.write("bad-a.toml", t.tenant("bad"))
    t.write("good.toml", t.service("good"))
    t.write("good-a.toml", t.tenant("good"))
    t.start()
    answers = {}

    def ask(key):
        answers[key] = t.get(key).status

    threads = []
    for key in ("slow:a", "bad:a", "good:a"):
        threads.append(threading.Thread(target=ask, args=(key,)))
        threads[-1].start()
        wait_until(lambda key=key: t.state(key) in ("starting", "ready", "backoff", "failed"))
    for thread in threads:
        thread.join()
    assert answers["slow:a"] == 200 and answers["good:a"] == 200, answers
    assert answers["bad:a"] in (503, 504)


@needs_root
def test_a_socket_in_a_tenants_folder_is_refused(tenement):
    """Root would follow what the tenant puts there, and the proxy may not enter it."""
    t = tenement(start=False, settings={"max_restarts": 0})
    t.write("echo.toml", t.service("echo", socket="{dir}/run/app.sock"))
    t.write("echo-a.toml", t.tenant("echo"))
    t.start()
    assert t.get("echo:a").status in (503, 504)
    assert "{runtime_dir}" in t.wait_state("echo:a", "failed")["reason"]


def test_a_secret_is_not_in_an_excerpt(echo):
    t = echo()
    t.write("echo-b.toml", '[tenant]\nservice = "echo"\n[tenant.env]\nAPI_KEY = "sk-very-secret" oops\n')
    shown = wait_until(lambda: (s := t.ten("status").stdout) and "echo-b.toml" in s and s)
    assert "API_KEY" in shown and "secret" not in shown
    assert "secret" not in t.said()


def test_a_file_that_goes_wrong_is_logged(echo):
    t = echo()
    t.write("echo-a.toml", '[tenant]\nservice = "echo"\ndomians = []\n')
    wait_until(lambda: 'unknown key "domians"' in t.said(), what="a line in the log")
    t.write("echo-a.toml", t.tenant("echo"))
    wait_until(lambda: "echo-a.toml is right again" in t.said(), what="a line in the log")


def test_a_file_that_is_no_utf8_is_shown(echo):
    t = echo()
    (t.conf_dir / "bin.toml").write_bytes(b"\xff\xfe = 1\n")
    wait_until(lambda: "bin.toml" in t.ten("status").stdout, what="a problem")


def test_a_stop_wins_over_a_restart_that_drains(echo):
    t = echo()
    t.wait_ok("echo:a")
    slow = threading.Thread(target=lambda: t.get("echo:a", "/?delay=2"))
    slow.start()
    wait_until(lambda: t.instance("echo:a")["in_flight"] == 1)
    restart = threading.Thread(target=lambda: t.ten("restart", "echo:a", status=None))
    restart.start()
    t.wait_state("echo:a", "draining")
    t.ten("stop", "echo:a")
    assert t.state("echo:a") == "asleep"
    slow.join()
    t.ten("start", "echo:a")  # so that the restart has what it waits for
    restart.join()


def test_output_can_be_opened_by_its_path(tenement):
    t = tenement(start=False)
    (t.apps / "out.py").write_text("open('/dev/stdout', 'a').write('by its path\\n')\n"
                                   "import runpy, sys; sys.argv = ['app.py']; runpy.run_path('app.py', run_name='__main__')\n")
    os.chmod(t.apps / "out.py", 0o755)
    t.write("echo.toml", t.service("echo", command="/usr/bin/python3 out.py"))
    t.write("echo-a.toml", t.tenant("echo"))
    t.start()
    t.wait_ok("echo:a")
    wait_until(lambda: "by its path" in t.ten("logs", "echo:a").stdout)


def test_exec_is_possible_while_it_sleeps(tenement):
    t = tenement(start=False)
    t.write("echo.toml", t.service("echo", env={"URL": "http://127.0.0.1:{port}"}))
    t.write("echo-a.toml", t.tenant("echo"))
    t.start()
    assert t.ten("exec", "echo:a", "--", "sh", "-c", "echo $TENANT_ID").stdout == "a\n"


def test_paused_commands_that_write_files_are_refused(echo):
    t = echo()
    t.wait_ok("echo:a")
    t.ten("pause", "moving house")
    refused = t.ten("spawn", "echo:b", status=1)
    assert "ten unpause" in refused.stderr
    assert not (t.conf_dir / "echo-b.toml").exists()
    assert t.get("echo:a").status == 200
    t.ten("unpause")
    t.ten("spawn", "echo:b")
    assert t.get("echo:b").status == 200


# It never listens, and gives the daemon as much to look at as it can.
NOISE = {
    "folder": """\
import os
folder = os.path.dirname(os.environ["SOCKET_PATH"])
names = [os.path.join(folder, name) for name in "ab"]
for name in names:
    open(name, "w").close()
for _ in range(3):
    if os.fork() == 0:
        break
while True:
    for name in names:
        os.utime(name)
""",
    "notify": """\
import os, socket
for _ in range(3):
    if os.fork() == 0:
        break
sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
sock.connect(os.environ["NOTIFY_SOCKET"])
while True:
    sock.send(b"EXTEND_TIMEOUT_USEC=1000000")
"""}


@pytest.mark.parametrize("way", NOISE)
def test_who_makes_noise_does_not_keep_the_daemon_from_its_work(echo, way):
    t = echo()
    (t.apps / "noise.py").write_text(NOISE[way])
    t.write("noise.toml", t.service("noise", ready="notify", startup_timeout=3, restart="never",
                                    stop_timeout=1).replace("app.py echo", "noise.py"))
    t.write("noise-a.toml", t.tenant("noise", state="running"))
    wait_until(lambda: t.state("noise:a") != "asleep")
    assert t.get("echo:a").status == 200
    t.wait_state("noise:a", "failed")
