"""The story that scripts/demo tells, with the sample configuration and the sample app."""

import os
import re
import shutil
import signal
import time

import pytest

from harness import SOURCE, process_alive, wait_until

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def story(tenement):
    """The sample conf.d, running; idle tenants fall asleep after 2 seconds where asked for."""
    def make(idle_timeout=20):
        t = tenement(start=False)
        example = t.root / "contrib" / "examples" / "notes"
        example.mkdir(parents=True)
        shutil.copy(SOURCE / "contrib" / "examples" / "notes" / "app.py", example)
        for folder in (t.root / "contrib", example.parent, example):
            os.chmod(folder, 0o755)
        os.chmod(example / "app.py", 0o644)
        for name in ("notes.toml", "notes-alice.toml", "notes-bob.toml"):
            text = (SOURCE / "conf.d" / name).read_text()
            t.write(name, re.sub(r"(?m)^idle_timeout = \d+", f"idle_timeout = {idle_timeout}", text))
        return t.start()
    return make


def add_note(t, key, text):
    answer = t.post(key, "/notes", f"text={text}".encode(), headers=FORM)
    assert answer.status == 201, answer
    return answer


def notes(t, key):
    answer = t.get(key, "/notes")
    assert answer.status == 200, answer
    return answer.text


def copy(t, old, new):
    """As cp does: the file is there before its text is."""
    text = (t.conf_dir / old).read_bytes()
    with open(t.conf_dir / new, "wb", buffering=0) as file:
        file.write(text)


def edit(t, name, old, new):
    """As sed -i does: a temporary file, renamed."""
    path = t.conf_dir / name
    text = path.read_text()
    assert old in text
    temporary = t.conf_dir / "sedA1b2C3"
    temporary.write_text(text.replace(old, new))
    temporary.rename(path)


def test_each_tenant_has_its_own_notes(story):
    t = story()
    add_note(t, "notes:alice", "hello")
    assert notes(t, "notes:alice") == "1: hello\n"
    assert notes(t, "notes:bob") == ""
    assert (t.data_dir / "notes" / "alice" / "app.db").exists()
    assert (t.data_dir / "notes" / "bob" / "app.db").exists()
    assert t.get("notes.alice.test", "/notes").text == "1: hello\n"
    assert t.get("notes:carol", "/notes").status == 404


def test_nobody_runs_before_the_first_request(story):
    t = story()
    states = {key: one["state"] for key, one in t.instances().items()}
    assert states == {"notes:alice": "asleep", "notes:bob": "asleep"}
    t.wait_ok("notes:alice")
    assert t.state("notes:alice") == "ready"
    assert t.state("notes:bob") == "asleep"


def test_a_dropped_file_is_a_tenant(story):
    t = story()
    assert t.get("notes:carol").status == 404
    begun = time.monotonic()
    copy(t, "notes-bob.toml", "notes-carol.toml")
    t.wait_ok("notes:carol", "/notes")
    took = time.monotonic() - begun
    print(f"carol answered after {took * 1000:.0f} ms")
    assert "notes:carol" in t.ten("ps", "--quiet").stdout.split()


def test_a_typo_is_shown_and_changes_nothing(story):
    t = story()
    add_note(t, "notes:alice", "hello")
    pid = t.instance("notes:alice")["pid"]
    edit(t, "notes-alice.toml", "domains", "domians")
    shown = wait_until(lambda: (s := t.ten("status").stdout) and "domians" in s and s, what="a problem")
    assert ('conf.d/notes-alice.toml:5:1: unknown key "domians" (did you mean "domains"?)') in shown
    assert re.search(r'\n +5 \| domians = .*\n +\| \^', shown), shown
    assert notes(t, "notes:alice") == "1: hello\n"
    assert t.get("notes.alice.test", "/notes").text == "1: hello\n"
    assert t.instance("notes:alice")["last_good"]
    edit(t, "notes-alice.toml", "domians", "domains")
    wait_until(lambda: "domians" not in t.ten("status").stdout, what="a clean status")
    assert t.instance("notes:alice")["pid"] == pid
    assert not t.instance("notes:alice")["last_good"]


def test_a_removed_file_ends_the_tenant_and_keeps_its_data(story):
    t = story()
    copy(t, "notes-bob.toml", "notes-carol.toml")
    t.wait_ok("notes:carol", "/notes")
    add_note(t, "notes:carol", "kept")
    pid = t.instance("notes:carol")["pid"]
    t.remove("notes-carol.toml")
    t.wait_status("notes:carol", 404)
    wait_until(lambda: not process_alive(pid), what="the end of carol's process")
    assert (t.data_dir / "notes" / "carol" / "app.db").exists()
    assert "notes:carol" not in t.instances()
    copy(t, "notes-bob.toml", "notes-carol.toml")
    t.wait_ok("notes:carol", "/notes")
    assert notes(t, "notes:carol") == "1: kept\n"


def test_the_idle_fall_asleep_and_wake(story):
    t = story(idle_timeout=2)
    add_note(t, "notes:alice", "hello")
    pid = t.instance("notes:alice")["pid"]
    assert t.ten("ps", "--quiet").stdout.split() == ["notes:alice"]
    t.wait_state("notes:alice", "asleep")
    assert not process_alive(pid)
    assert t.ten("ps", "--quiet").stdout.split() == []
    assert t.ten("ps", "-a", "--quiet").stdout.split() == ["notes:alice", "notes:bob"]
    assert notes(t, "notes:alice") == "1: hello\n"
    assert t.instance("notes:alice")["pid"] not in (None, pid)


def test_what_it_prints_is_kept(story):
    t = story()
    add_note(t, "notes:alice", "hello")
    add_note(t, "notes:bob", "hello")
    # (a kill takes what came in the last quarter second)
    for key in ("notes:alice", "notes:bob"):
        wait_until(lambda key=key: "note 1 added" in t.ten("logs", key).stdout, what=f"a line of {key}'s log")
    os.kill(t.pid_of("tenement-logger"), signal.SIGKILL)
    add_note(t, "notes:alice", "again")  # whoever reads now, the app neither blocks nor dies
    wait_until(lambda: "note 2 added" in t.ten("logs", "notes:alice").stdout, what="the next line")
    shown = [line for line in t.ten("logs", "notes:alice").stdout.splitlines() if "note " in line]
    assert [line.rsplit("note", 1)[1] for line in shown] == [" 1 added", " 2 added"]
    assert t.ten("logs", "notes:bob").stdout.count("added") == 1


def test_interrupt_ends_all(story):
    t = story()
    t.wait_ok("notes:alice")
    pid = t.instance("notes:alice")["pid"]
    assert t.stop(signal.SIGINT) == 0
    assert not process_alive(pid)


def test_the_app_itself(story):
    """What of the sample app the rest of the story does not touch."""
    t = story()
    add_note(t, "notes:alice", "one")
    add_note(t, "notes:alice", "%3Cb%3E+%26")
    page = t.get("notes:alice").text
    assert "Notes of alice" in page and "&lt;b&gt; &amp;" in page and "<b>" not in page
    listed = t.get("notes:alice", "/notes", headers={"Accept": "application/json"}).json()
    assert [(note["id"], note["text"]) for note in listed] == [(1, "one"), (2, "<b> &")]
    assert t.request("notes:alice", "/notes/1", "DELETE").status == 204
    assert t.request("notes:alice", "/notes/1", "DELETE").status == 404
    assert t.post("notes:alice", "/notes", b"text=", headers=FORM).status == 400
    assert t.post("notes:alice", "/notes", b"text=" + b"x" * 70000, headers=FORM).status == 413
    assert t.get("notes:alice", "/nothing").status == 404
    assert t.request("notes:alice", "/notes", "HEAD").body == b""
