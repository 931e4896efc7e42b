"""`ten` as a client: what it asks, what it prints, how it ends."""

import json
import os
import pty
import signal
import socket
import subprocess
import time

import pytest

from cli_rig import (CONFLICT, DONE, FAILED, HELD, TIMED_OUT, UNREACHABLE, USAGE, Cli, FakeDaemon,
                     instance)
from harness import wait_until


@pytest.fixture
def ten(tmp_path):
    return Cli(tmp_path)


@pytest.fixture
def daemon(ten):
    with FakeDaemon(ten.data_dir) as running:
        yield running


def asked(daemon):
    """Method and path of the requests so far."""
    return [(one["method"], one["path"]) for one in daemon.requests]


# ---- usage ----

def test_help_lists_every_command(ten):
    text = ten("help").stdout
    for command in ("apply audit check config deploy diff events exec help history hold init logs overrides pause ps release restart "
                    "resume rm route serve spawn start status stop suspend token-gen tokens token-revoke undo unpause upgrade version weight why").split():
        assert f"\n  {command} " in text
        own = ten("help", command).stdout
        assert own.startswith(f"ten {command} - ")
        assert own == ten(command, "--help").stdout == ten("-h", command).stdout
        assert all(len(line) <= 80 for line in own.splitlines())
    assert all(len(line) <= 80 for line in text.splitlines())
    assert ten("--help").stdout == text


def test_no_command_is_wrong_usage(ten):
    done = ten(code=USAGE)
    assert "Usage: ten COMMAND" in done.stderr and not done.stdout


def test_version(ten):
    version = ten("version", "-q").stdout.strip()
    assert ten("version").stdout == f"tenement {version}\n"
    assert ten("--version").stdout == f"tenement {version}\n"
    assert json.loads(ten("version", "-o", "json").stdout) == {"version": version}


@pytest.mark.parametrize("args, error", [
    (["stauts"], 'unknown command "stauts" (did you mean "status"?)'),
    (["help", "aply"], 'unknown command "aply" (did you mean "apply"?)'),
    (["apply", "x", "--prnue"], "unknown flag --prnue (did you mean --prune?)"),
    (["ps", "--prune"], '"ten ps" has no flag --prune'),
    (["ps", "x"], '"ten ps" does not know what to do with "x"'),
    (["stop"], '"ten stop" wants SERVICE:ID...'),
    (["stop", "alice"], '"alice" is not a tenant: write SERVICE:ID, as in notes:alice'),
    (["status", ":x"], "is not a tenant"),
    (["ps", "-o", "yaml"], "-o yaml: the formats are json and text\n"),
    (["usage", "-o", "xml"], "-o xml: the formats are json and text, and csv\n"),
    (["start", "notes:a", "--timeout", "soon"], "--timeout soon: not a time"),
    (["weight", "notes:a", "-1"], "unknown flag -1"),
    (["weight", "notes:a", "10001"], '"10001" is not a weight from 0 to 10000'),
    (["weight", "notes:a", "5x"], '"5x" is not a weight'),
    (["route", "notes", "--from", "v1"], "--to is missing"),
    (["route", "--from", "v1", "--to", "v2"], "the service is missing"),
    (["route", "notes", "--declare"], "--declare goes with --from and --to"),
    (["spawn", "notes"], "an id is missing: ten spawn notes:ID"),
    (["spawn", "notes:a", "--id", "b"], "the id is said twice"),
    (["apply"], "nothing to apply"),
    (["apply", "--confirm", "--prune"], "--prune goes with files"),
    (["diff", "--prune"], "--prune goes with files"),
    (["deploy", "notes"], "is not a tenant: write SERVICE:ID"),
    (["deploy", "notes:v2", "--weight", "10001"], '"10001" is not a weight from 0 to 10000'),
    (["events", "-n", "5000"], "-n 5000: not a number from 0 to 4096"),
    (["overrides", "list"], '"list" is not "clear"'),
    (["overrides", "clear", "a", "b"], '"a b" is not a target'),
    (["undo", "x"], '"x" is not the number of a generation'),
    (["history", "-n", "0"], "-n 0: not a number from 1"),
    (["logs", "notes:alice", "-n", "many"], "-n many: not a number from 0 to 100000"),
    (["logs", "--level", "error"], "--level error: it is stdout or stderr"),
    (["logs", "--since", "yesterday"], "--since yesterday: not a time such as"),
    (["logs", "--since", "1h", "--until", "2h"], "--until is not after --since"),
    (["logs", "-f", "--until", "2h"], "what is followed has no end"),
    (["logs", "notes:"], "is not a tenant"),
    (["ps", "--server", "ten.example.com"], "not an address"),
])
def test_wrong_usage(ten, daemon, args, error):
    done = ten(*args, code=USAGE)
    assert error in done.stderr
    assert not done.stdout
    assert not daemon.requests


# ---- reaching the daemon ----

def test_no_daemon(ten):
    done = ten("ps", code=UNREACHABLE)
    assert f"no daemon is running for {ten.data_dir}" in done.stderr
    assert "ten serve" in done.stderr and "systemctl start tenement" in done.stderr


@pytest.mark.skipif(os.path.exists("/etc/tenement"), reason="this machine has a configuration")
def test_no_daemon_and_no_configuration(ten):
    done = ten("ps", env={"TENEMENT_DATA_DIR": None}, code=UNREACHABLE)
    assert "there is no tenement.toml and no conf.d here" in done.stderr and "ten init" in done.stderr


def test_daemon_that_died_left_its_socket(ten):
    folder = ten.data_dir / ".tenement"
    (folder / "run").mkdir(parents=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "run" / "control.sock"))
    listener.close()
    assert "no daemon is running" in ten("status", code=UNREACHABLE).stderr


def test_dangling_link_to_the_runtime_folder(ten):
    (ten.data_dir / ".tenement").mkdir()
    (ten.data_dir / ".tenement" / "run").symlink_to("/run/tenement/gone")
    assert "no daemon is running" in ten("status", code=UNREACHABLE).stderr


def test_daemon_goes_away_while_it_is_asked(ten, daemon):
    def hang_up(handler):
        handler.connection.shutdown(socket.SHUT_RDWR)
        handler.close_connection = True

    daemon.on("GET", "/api/status", 200, hang_up)
    assert "went away" in ten("status", code=UNREACHABLE).stderr


def test_answers_that_are_not_json(ten, daemon):
    daemon.on("GET", "/api/status", 200, b"<html>")
    assert "is not JSON" in ten("status", code=FAILED).stderr


def test_found_by_flag_by_variable_and_by_configuration(ten, daemon, tmp_path):
    nowhere = {"TENEMENT_DATA_DIR": None}
    assert ten("ps", "-q", "--data-dir", daemon.data_dir, env=nowhere).stdout == "notes:alice\n"
    assert ten("--data-dir", "data", "ps", "-q", env=nowhere).stdout == "notes:alice\n"
    (tmp_path / "site" / "below").mkdir(parents=True)
    (tmp_path / "site" / "tenement.toml").write_text('[settings]\ndata_dir = "../data"\n')
    # from a folder below, and by --config from anywhere
    assert ten("ps", "-q", cwd=tmp_path / "site" / "below", env=nowhere).stdout == "notes:alice\n"
    assert ten("ps", "-q", "--config", "site/tenement.toml", env=nowhere).stdout == "notes:alice\n"


@pytest.mark.parametrize("damage", ['workers = "many"\n', "workers = \n"])
def test_found_although_the_configuration_is_wrong(ten, daemon, tmp_path, damage):
    """When it is broken its status is needed most."""
    (tmp_path / "tenement.toml").write_text(f'[settings]\ndata_dir = "./data" # here\n{damage}')
    done = ten("ps", "-q", env={"TENEMENT_DATA_DIR": None})
    assert done.stdout == "notes:alice\n"


def test_server_flag_and_variable(ten, daemon):
    nowhere = {"TENEMENT_DATA_DIR": "/nonexistent"}
    assert ten("ps", "-q", "--server", f"unix:{daemon.path}", env=nowhere).stdout == "notes:alice\n"
    nowhere["TENEMENT_SERVER"] = f"unix:{daemon.path}"
    assert ten("ps", "-q", env=nowhere).stdout == "notes:alice\n"


def test_path_longer_than_a_socket_address(ten, daemon, tmp_path):
    long = tmp_path / ("d" * 100) / ("e" * 100)
    (long / ".tenement").mkdir(parents=True)
    (long / ".tenement" / "run").symlink_to(daemon.runtime_dir)
    assert ten("ps", "-q", "--data-dir", long).stdout == "notes:alice\n"


def test_token_is_shown_to_the_daemon(ten, daemon):
    ten("ps", "--token", "abc")
    assert daemon.requests[-1]["headers"]["Authorization"] == "Bearer abc"
    ten("ps", env={"TENEMENT_TOKEN": "def"})
    assert daemon.requests[-1]["headers"]["Authorization"] == "Bearer def"
    ten("ps")
    assert "Authorization" not in daemon.requests[-1]["headers"]


def test_proxy_of_the_environment_is_not_asked(ten, daemon):
    assert ten("ps", "-q", env={"http_proxy": "http://127.0.0.1:9", "ALL_PROXY": "http://127.0.0.1:9"})


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be somebody else")
def test_stranger_is_told_who_may(ten, daemon):
    os.chmod(daemon.runtime_dir, 0o755)
    os.chmod(daemon.path, 0o660)
    done = subprocess.run([ten.program, "ps"], user=65534, group=65534, extra_groups=[], cwd="/",
                          env={"TENEMENT_SERVER": f"unix:{daemon.path}"}, capture_output=True, text=True)
    assert done.returncode == UNREACHABLE
    assert "this user may not use it" in done.stderr and "root may" in done.stderr


@pytest.mark.parametrize("status, code", [
    (400, FAILED), (403, FAILED), (404, FAILED), (409, CONFLICT), (422, FAILED), (500, FAILED),
    (503, UNREACHABLE), (504, TIMED_OUT)])
def test_errors_of_the_daemon(ten, daemon, status, code):
    daemon.on("GET", "/api/status", status, {"error": "this is why\033[2J"})
    done = ten("status", code=code)
    assert done.stderr == "ten: this is why\\x1b[2J\n"
    assert not done.stdout


def test_daemon_that_never_answers(ten, daemon):
    def sleep(handler):
        daemon.following.get()

    daemon.on("POST", "/api/instances/notes:alice/start", 200, sleep)
    begun = time.monotonic()
    process = subprocess.Popen([ten.program, "start", "notes:alice", "--timeout", "1"],
                               env=ten.environment(), stderr=subprocess.PIPE, text=True)
    wait_until(lambda: daemon.requests, what="the request")
    assert daemon.requests[-1]["body"]["timeout"] == 1
    # It is given some time beyond what it was told to take.
    assert process.wait(timeout=60) == TIMED_OUT
    assert time.monotonic() - begun >= 1
    assert "did not answer in time" in process.stderr.read()
    process.stderr.close()


# ---- listings ----

LISTINGS = [["ps"], ["ps", "-a"], ["status"], ["status", "notes:alice"], ["route"], ["overrides"],
            ["history"], ["config"], ["diff"]]


@pytest.mark.parametrize("args", LISTINGS, ids=" ".join)
def test_json_is_what_the_daemon_says(ten, daemon, args):
    printed = json.loads(ten(*args, "-o", "json").stdout)
    request = daemon.requests[-1]
    status, answer = daemon.default(request["method"], request["path"], request["query"], request["body"])
    assert status == 200 and printed == answer


@pytest.mark.parametrize("args", LISTINGS, ids=" ".join)
def test_fits_80_columns(ten, daemon, args):
    """With names and reasons as long as they come."""
    daemon.instances = [instance("notes:alice"), instance(
        "a-service-with-a-name:tenant-with-a-long-name", "failed", pid=1234567,
        url="http://tenant-with-a-long-name.a-service-with-a-name.example.com:8080/",
        reason="exit status 1, 4 times in 12 s; last output: " + "x" * 300)]
    daemon.status["trouble"] = [{"instance": "a-service-with-a-name:tenant-with-a-long-name",
                                 "state": "failed", "reason": "word " * 60}]
    daemon.status["warnings"] = ["all tenants share the daemon's uid: those with isolation = \"process\" are not "
                                 "protected from each other; run `ten serve` as root " * 3]
    daemon.history[0]["files"] *= 30
    daemon.overrides[0]["what"] = "split = { " + "v = 1, " * 30 + "}"
    daemon.routes[0]["split"] = {f"v{i}": 5 for i in range(20)}
    for text in (ten(*args).stdout, ten.on_terminal(*args, env={"NO_COLOR": "1"})):
        for line in text.splitlines():
            assert len(line) <= 80, line


def test_ps(ten, daemon):
    lines = ten("ps").stdout.splitlines()
    assert lines[0].split() == ["TENANT", "STATE", "SINCE", "IDLE", "REQS", "PID", "ADDRESS"]
    assert lines[1].split() == ["notes:alice", "ready", "3m", "42s", "12", "4711",
                                "alice.notes.localhost:8080"]
    assert len(lines) == 2
    everything = ten("ps", "-a").stdout
    assert "notes:bob" in everything and "asleep" in everything
    assert "exit status 1, 4 times" in everything
    assert ten("ps", "-aq").stdout == "notes:alice\nnotes:bob\nnotes:dave\n"


def test_ps_notes(ten, daemon):
    daemon.instances = [instance("n:a", health="unhealthy", last_good=True, overridden=["weight"])]
    text = ten("ps", env={"COLUMNS": "200"}).stdout
    assert "unhealthy; last good state: its file is wrong; overridden: weight" in text


def test_ps_with_nothing(ten, daemon):
    daemon.instances = []
    assert "No tenants run." in ten("ps").stdout
    assert "No tenants are declared." in ten("ps", "-a").stdout
    assert ten("ps", "-aq").stdout == ""
    assert json.loads(ten("ps", "-o", "json").stdout) == []


def test_ps_of_1000_is_one_question(ten, daemon):
    daemon.instances = [instance(f"notes:t{number:04}", "asleep") for number in range(1000)]
    body = json.dumps(daemon.instances).encode()
    daemon.on("GET", "/api/instances", 200, body)
    lines = ten("ps", "-a").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["TENANT", *(one["id"] for one in daemon.instances)]
    assert [(one["path"], one["query"]) for one in daemon.requests] == [("/api/instances", {"all": "1", "brief": "1"})]


def test_route_list(ten, daemon):
    assert "v1 95%, v2 5%" in ten("route").stdout
    assert ten("route", "-q").stdout == "notes\n"
    assert "v1 95%" in ten("route", "notes").stdout
    assert 'service "blog" has no route' in ten("route", "blog", code=FAILED).stderr
    daemon.routes = []
    assert "No service shares its traffic" in ten("route").stdout


def test_overrides(ten, daemon):
    text = ten("overrides").stdout
    assert "weight = 5" in text and "3m ago" in text and "2h ago" in text
    assert ten("overrides", "-q").stdout == "notes:v1\nroute notes\n"
    assert ten("overrides", "clear").stdout == "2 overrides cleared\n"
    assert ten("overrides", "clear", "notes:v1").stdout == "1 override cleared\n"
    assert ten("overrides", "clear", "route", "notes", "-q").stdout == ""
    assert ten("overrides", "clear", "route notes", "-o", "json").stdout == '{\n  "cleared": 1\n}\n'
    assert asked(daemon)[-4:] == [("DELETE", "/api/overrides"), ("DELETE", "/api/overrides/notes:v1"),
                                  ("DELETE", "/api/overrides/route notes"),
                                  ("DELETE", "/api/overrides/route notes")]
    daemon.overrides = []
    assert "No overrides" in ten("overrides").stdout


def test_history(ten, daemon):
    lines = ten("history", "-n", "3").stdout.splitlines()
    assert len(lines) == 4
    assert lines[1].split()[0] == "12" and "~notes-0.toml" in lines[1]
    assert "2m ago" in lines[3]
    assert daemon.requests[-1]["query"] == {"limit": "3"}
    assert ten("history", "-q", "-n2").stdout == "12\n11\n"


# ---- status ----

def test_status_when_all_is_well(ten, daemon):
    text = ten("status").stdout
    assert "tenement 0.1.0, pid 99 (keeper: 98), up 5m, generation 12" in text
    assert "1000 declared, 20 ready, 980 asleep" in text
    assert "2 workers, 4 clients, 150 requests" in text
    assert "Nothing is wrong." in text
    ten("status", "--check")


PROBLEM = ('conf.d/alice.toml:7:1: unknown key "domians" (did you mean "domains"?)\n'
           '  7 | domians = ["a.example"]\n    | ^\n')


@pytest.mark.parametrize("change, shown", [
    ({"problems": [PROBLEM], "files": {"total": 9, "bad": 1}},
     ["1 of 9 files has errors", "  conf.d/alice.toml:7:1: unknown key", "    7 | domians", "      | ^"]),
    ({"problems": [PROBLEM], "files": {"total": 90, "bad": 50}, "problems_omitted": 49},
     ["50 of 90 files have errors", "and 49 more: ten check"]),
    ({"held": {"files": ["a.toml"], "instances": [f"notes:t{i}" for i in range(29)],
               "why": "29 of 30 tenants would be removed (max_delete_percent = 20)",
               "type": "ten apply --confirm"}},
     ["Removals are held", "29 of 30 tenants would be removed", "files gone: a.toml",
      "notes:t0, notes:t1", "and 21 more", "ten apply --confirm"]),
    ({"listen_problems": ["listen on 127.0.0.1:1: Permission denied"]}, ["Not listened on", "127.0.0.1:1: Perm"]),
    ({"halted": ["service notes: notes:a did not come back healthy; 12 tenants keep the old one"]},
     ["Roll-outs that were halted", "notes:a did not come back"]),
    ({"trouble": [{"instance": "notes:x", "state": "failed", "reason": "exit status 1; " + "and " * 40 + "so on"}]},
     ["Tenants in trouble", "notes:x is failed\n      exit status 1; and", "and so on\n"]),
    ({"trouble": [{"instance": f"notes:x{i}", "state": "failed", "reason": "r"} for i in range(50)]},
     ["notes:x19 is failed", "and 30 more"]),
], ids=["problem", "many problems", "held", "listen", "halted", "trouble", "much trouble"])
def test_status_of_what_is_wrong(ten, daemon, change, shown):
    daemon.status.update(change)
    for flags, code in ([], DONE), (["--check"], FAILED):
        text = ten("status", *flags, code=code).stdout
        for part in shown:
            assert part in text
        assert "Nothing is wrong" not in text
    assert json.loads(ten("status", "--check", "-o", "json", code=FAILED).stdout) == daemon.status


@pytest.mark.parametrize("change, shown", [
    ({"paused": True}, ["Paused", "ten unpause"]),
    ({"paused": True, "paused_why": "moving"}, ["not acted on: moving. To go on: ten unpause"]),
    ({"confirm": ['domain: "a" -> "b"']}, ["ten apply --confirm", 'domain: "a" -> "b"']),
    ({"restart_needed": ["workers: 2 -> 4"]}, ["next start", "workers: 2 -> 4"]),
    ({"degraded": ["isolation: not available (1000 tenants)"]}, ["Degraded", "isolation"]),
    ({"warnings": ["tenants share the uid"]}, ["Warnings", "tenants share the uid"]),
    ({"overrides": 2}, ["2 things are set by hand", "ten overrides"]),
    ({"converged": False}, ["at work on changes"]),
], ids=lambda value: next(iter(value)))
def test_status_of_what_is_worth_knowing(ten, daemon, change, shown):
    daemon.status.update(change)
    text = ten("status", "--check").stdout
    for part in shown:
        assert part in text
    assert "Nothing is wrong" in text


def test_status_quiet_names_the_troubled(ten, daemon):
    daemon.status["trouble"] = [{"instance": "notes:x", "state": "failed", "reason": "r"}]
    assert ten("status", "-q").stdout == "notes:x\n"


def test_status_of_a_tenant(ten, daemon):
    text = ten("status", "notes:alice").stdout
    for part in ("notes:alice is ready for 3m, healthy", "http://alice.notes.localhost:8080/",
                 "python3 app.py", "notes-alice.toml:1", "PLAN=***", "listening"):
        assert part in text
    ten("status", "notes:alice", "--check")
    ten("status", "notes:alice", "--secrets")
    assert daemon.requests[-1]["query"] == {"secrets": "1"}
    text = ten("status", "notes:dave", "--check", code=FAILED).stdout
    assert "exit status 1, 4 times in 12 s" in text
    assert "did you mean notes:alice?" in ten("status", "notes:alcie", code=FAILED).stderr


def test_missing_fields_do_not_matter(ten, daemon):
    """An older or newer daemon."""
    daemon.on("GET", "/api/status", 200, {"tenants": 5, "problems": "x", "workers": None})
    daemon.on("GET", "/api/instances", 200, [{"id": "a:b"}, {"id": 7}, None])
    daemon.on("GET", "/api/history", 200, [])
    ten("status")
    assert "a:b" in ten("ps").stdout
    ten("history")


# ---- deeds ----

@pytest.mark.parametrize("command, state", [("start", "ready"), ("restart", "ready"), ("stop", "asleep"),
                                            ("suspend", "suspended"), ("resume", "asleep")])
def test_deeds(ten, daemon, command, state):
    done = ten(command, "notes:alice", "notes:bob")
    assert [line.split()[:3] for line in done.stdout.splitlines()] == [
        ["notes:alice", "is", state], ["notes:bob", "is", state]]
    assert asked(daemon) == [("POST", f"/api/instances/notes:{name}/{command}") for name in ("alice", "bob")]
    assert daemon.requests[-1]["body"]["timeout"] == 30
    assert ten(command, "-q", "notes:alice").stdout == "notes:alice\n"
    assert json.loads(ten(command, "notes:alice", "-o", "json").stdout)["state"] == state
    assert len(json.loads(ten(command, "notes:alice", "notes:bob", "-o", "json").stdout)) == 2
    ten(command, "notes:alice", "--timeout", "2m")
    assert daemon.requests[-1]["body"]["timeout"] == 120


def test_deeds_go_on_after_a_failure(ten, daemon):
    done = ten("stop", "notes:nobody", "notes:alice", code=FAILED)
    assert "no tenant notes:nobody" in done.stderr
    assert done.stdout == "notes:alice is asleep\n"


@pytest.mark.parametrize("command, state, code, said", [
    ("start", "starting", TIMED_OUT, "notes:alice is still starting after 30 s"),
    ("start", "failed", FAILED, "notes:alice is failed: the reason"),
    ("start", "backoff", FAILED, "notes:alice is backoff"),
    ("restart", "draining", TIMED_OUT, "still draining"),
    ("restart", "suspended", FAILED, "is suspended"),
    ("stop", "stopping", TIMED_OUT, "still stopping"),
])
def test_deeds_that_did_not_get_there(ten, daemon, command, state, code, said):
    daemon.on("POST", f"/api/instances/notes:alice/{command}", 200,
              instance("notes:alice", state, reason="the reason"))
    assert said in ten(command, "notes:alice", code=code).stderr


def test_declare(ten, daemon):
    ten("suspend", "notes:alice")
    assert daemon.requests[-1]["body"]["declare"] is False
    assert "override" in ten("suspend", "notes:alice").stdout
    assert "override" not in ten("suspend", "notes:alice", "--declare").stdout
    assert daemon.requests[-1]["body"]["declare"] is True
    ten("weight", "notes:alice", "5", "--declare")
    assert daemon.requests[-1]["body"]["declare"] is True
    ten("route", "notes", "--from", "v1", "--to", "v2", "--declare")
    assert daemon.requests[-1]["body"]["declare"] is True


def test_rm(ten, daemon):
    done = ten("rm", "notes:alice")
    assert "notes-alice.toml" in done.stdout and "/srv/data/notes/alice" in done.stdout
    assert asked(daemon) == [("POST", "/api/instances/notes:alice/undeclare")]
    daemon.on("POST", "/api/instances/notes:bob/undeclare", 409, {"error": "edit conf.d/bob.toml"})
    assert "edit conf.d/bob.toml" in ten("rm", "notes:bob", code=CONFLICT).stderr


def test_spawn(ten, daemon):
    done = ten("spawn", "notes:carol")
    assert "notes:carol is declared in notes-carol.toml" in done.stdout
    assert "is ready at http://carol.notes.localhost:8080/" in done.stdout
    ten("spawn", "notes", "--id", "erin", "--timeout", "5")
    bodies = [one["body"] for one in daemon.requests if one["path"].endswith("/spawn")]
    assert bodies == [{"process": "notes", "id": "carol", "timeout": 30},
                      {"process": "notes", "id": "erin", "timeout": 5}]
    assert ten("spawn", "notes:fay", "-q").stdout == "notes:fay\n"
    assert json.loads(ten("spawn", "notes:gus", "-o", "json").stdout)["state"] == "ready"
    daemon.on("POST", "/api/instances/spawn", 409, {"error": "notes:carol is declared already"})
    assert "declared already" in ten("spawn", "notes:carol", code=CONFLICT).stderr


def test_spawn_that_fails_says_why(ten, daemon):
    daemon.instances.append(instance("notes:zed", "failed", reason="python3: no such file"))
    daemon.on("POST", "/api/instances/spawn", 200,
              {"instance": "notes:zed", "file": "notes-zed.toml", "state": "failed"})
    for flags in ([], ["-q"], ["-o", "json"]):
        assert "python3: no such file" in ten("spawn", "notes:zed", *flags, code=FAILED).stderr


def test_weight_and_route(ten, daemon):
    daemon.instances.append(instance("notes:v2"))
    assert "notes: v1 95%, v2 5% (an override" in ten("weight", "notes:v2", "5").stdout
    assert daemon.requests[-1]["body"]["weight"] == 5
    assert "notes: v2 100%" in ten("route", "notes", "--from", "v1", "--to", "v2").stdout
    assert daemon.requests[-1]["body"]["from"] == "v1" and daemon.requests[-1]["body"]["to"] == "v2"
    assert json.loads(ten("route", "notes", "--from", "v1", "--to", "v2", "-o", "json").stdout)["generation"] == 13


def test_pause(ten, daemon):
    assert "until `ten unpause`" in ten("pause", "moving", "the", "database").stdout
    assert daemon.requests[-1]["body"] == {"why": "moving the database"}
    ten("pause", "-q")
    assert daemon.requests[-1]["body"] == {"why": ""}
    assert json.loads(ten("unpause", "-o", "json").stdout) == {"paused": False}


def test_upgrade(ten, daemon):
    done = {"from": "0.1.0", "to": "0.2.0", "pid": 98, "workers": [{"worker": 0, "old": 7, "new": 8}]}
    daemon.on("POST", "/api/upgrade", 200, done)
    # (whose status says 99: the next daemon)
    assert ten("upgrade").stdout == (
        "Upgraded from 0.1.0 to 0.2.0.\n  proxy 0        7 -> 8\n  daemon        98 -> 99\n")
    assert daemon.requests[-1]["path"] == "/api/status"
    assert ten("upgrade", "-q").stdout == ""
    told = json.loads(ten("upgrade", "-o", "json").stdout)
    assert told["daemon"] == {"old": 98, "new": 99} and told["workers"] == done["workers"]


def test_upgrade_that_fails(ten, daemon):
    daemon.on("POST", "/api/upgrade", 409, {"error": "an upgrade is under way already"})
    assert ten("upgrade", code=4).stderr == "ten: an upgrade is under way already\n"
    daemon.on("POST", "/api/upgrade", 422, {"error": "/x/tenement-proxy: Exec format error"})
    assert ten("upgrade", code=1).stderr == "ten: /x/tenement-proxy: Exec format error\n"
    daemon.on("POST", "/api/upgrade", 200, {"from": "1", "to": "2", "pid": 99, "workers": []})
    assert "the new daemon does not answer" in ten("upgrade", "--timeout", "1", code=6).stderr


# ---- logs and exec ----

def test_logs(ten, daemon):
    assert ten("logs", "notes:alice", "-n", "2").stdout == "line 3\nline 4\n"
    assert daemon.requests[-1]["query"] == {"id": "notes:alice", "limit": "2"}
    assert ten("logs", "notes:alice", "-n0").stdout == ""
    lines = ten("logs", "notes:alice", "-o", "json").stdout.splitlines()
    assert json.loads(lines[0])["message"] == "line 0"


def test_logs_asks_for_what_is_said(ten, daemon):
    ten("logs")
    assert daemon.requests[-1]["query"] == {}
    ten("logs", "notes", "--level", "stderr", "--search", "timeout AND NOT \"health & co\" ü",
        "--since", "2026-11-01", "--until", "2026-11-01T08:00")
    assert daemon.requests[-1]["query"] == {
        "process": "notes", "level": "stderr", "search": "timeout AND NOT \"health & co\" ü",
        "since": "1793491200000", "until": "1793520000000"}
    ten("logs", "notes:alice", "--since", "1h")
    since = int(daemon.requests[-1]["query"]["since"])
    assert abs(time.time() - 3600 - since / 1000) < 60
    daemon.logs = [dict(daemon.logs[0], instance_id="bob"), dict(daemon.logs[0], process="", instance_id="",
                                                                 level="tenement", message="no time")]
    shown = ten("logs", "notes")
    assert shown.stdout == "notes:bob  line 0\n" and shown.stderr == "ten: no time\n"


def test_logs_raw_in_a_pipe_and_harmless_on_a_terminal(ten, daemon):
    nasty = "\033]0;owned\a \033[2J café"
    daemon.logs = [dict(daemon.logs[0], message=nasty, level="stderr")]
    assert ten("logs", "notes:alice").stdout == nasty + "\n"
    shown = ten.on_terminal("logs", "notes:alice", "--no-color")
    assert "\\x1b]0;owned\\x07 \\x1b[2J café" in shown and "\033" not in shown
    assert "2023-11-1" in shown
    assert "\033[33m" in ten.on_terminal("logs", "notes:alice")
    # A tenant may say what we say, but not as we do.
    daemon.logs = [dict(daemon.logs[0], message="9 lines dropped", level=level) for level in ("stdout", "tenement")]
    shown = ten.on_terminal("logs", "notes:alice").splitlines()
    assert ["\033[31m9 lines dropped" in line for line in shown] == [False, True]


def test_json_on_a_terminal_is_harmless_too(ten, daemon):
    nasty = "\x9b2J \x7f \u202e café"
    daemon.logs = [dict(daemon.logs[0], message=nasty)]
    shown = ten.on_terminal("logs", "notes:alice", "-o", "json")
    assert shown.isascii() and json.loads(shown)["message"] == nasty
    assert "café" in ten("logs", "notes:alice", "-o", "json").stdout


def test_logs_follow(ten, daemon):
    process = subprocess.Popen([ten.program, "logs", "notes:alice", "-f", "-n1"], env=ten.environment(),
                               stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "line 4\n"
    daemon.following.put(dict(daemon.logs[0], message="later"))
    assert process.stdout.readline() == "later\n"
    assert [one["path"] for one in daemon.requests] == ["/api/logs/stream"]
    # The stream ends as that of a daemon does that goes: it is read on where it was.
    daemon.following.put(None)
    daemon.following.put(dict(daemon.logs[0], message="after that"))
    assert process.stdout.readline() == "after that\n"
    assert daemon.requests[-1]["query"] == {"id": "notes:alice", "limit": "1", "last_event_id": "2"}
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == -signal.SIGINT
    process.stdout.close()


def test_logs_of_nobody(ten, daemon):
    daemon.on("GET", "/api/logs", 404, {"error": "no tenant notes:x"})
    assert "no tenant notes:x" in ten("logs", "notes:x", code=FAILED).stderr


def test_exec(ten, daemon):
    done = ten("exec", "notes:alice", "--", "sh", "-c", "env; pwd; umask; ulimit -n; exit 7", code=7)
    lines = done.stdout.splitlines()
    assert "PLAN=pro" in lines and not any(line.startswith("TENEMENT_") for line in lines)
    assert lines[-3:] == ["/", "0077", "512"]
    status = ten("exec", "notes:alice", "cat", "/proc/self/status").stdout
    assert "NoNewPrivs:\t1" in status and "CapEff:\t0000000000000000" in status
    ten("exec", "notes:alice", "--", "no-such-program", code=127)
    ten("exec", "notes:alice", "--", "/etc/passwd", code=126)
    assert ten("exec", "notes:alice", "ls", "-d", "/").stdout == "/\n"
    descriptors = ten("exec", "notes:alice", "--", "sh", "-c", "echo /proc/self/fd/*").stdout.split()
    assert {path.rsplit("/", 1)[1] for path in descriptors} <= {"0", "1", "2", "3"}


def test_exec_without_a_command_is_a_shell(ten, daemon):
    assert ten("exec", "notes:alice", input="echo $PLAN\n").stdout == "pro\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become a tenant")
def test_exec_as_the_tenant(ten, daemon):
    daemon.on("GET", "/api/instances/notes:alice/exec", 200, {
        "env": [], "uid": 1900000001, "gid": 1900000001, "dir": "/", "umask": 63, "nofile": 100})
    assert ten("exec", "notes:alice", "--", "id", "-u").stdout == "1900000001\n"
    assert ten("exec", "notes:alice", "--", "id", "-G").stdout == "1900000001\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_exec_by_root_where_the_daemon_is_a_plain_user(ten, daemon):
    """The tenant runs as the daemon does; so must the command, and not as root."""
    os.chown(daemon.path, 65534, 65534)
    daemon.on("GET", "/api/instances/notes:alice/exec", 200, {
        "env": [], "uid": None, "gid": None, "dir": "/", "umask": 63, "nofile": 100})
    assert ten("exec", "notes:alice", "--", "id", "-u").stdout == "65534\n"
    # It cannot have root run something for it, or be anybody else.
    for uid in (0, 1900000001):
        daemon.on("GET", "/api/instances/notes:alice/exec", 200, {
            "env": ["PATH=/usr/bin"], "uid": uid, "gid": uid, "dir": "/", "umask": 63, "nofile": 100})
        assert ten("exec", "notes:alice", "--", "id", "-u").stdout == "65534\n"


def test_exec_needs_an_identity(ten, daemon):
    daemon.on("GET", "/api/instances/notes:alice/exec", 200, {"env": [], "dir": "/"})
    assert "did not say who" in ten("exec", "notes:alice", "--", "id", code=FAILED).stderr
    daemon.on("GET", "/api/instances/notes:alice/exec", 403, {"error": "root only"})
    assert "root only" in ten("exec", "notes:alice", "--", "id", code=FAILED).stderr


def test_exec_cannot_type_into_the_terminal(ten, daemon, tmp_path):
    attempt = ("import fcntl, termios\n"
               "try:\n    fcntl.ioctl(0, termios.TIOCSTI, b'x')\n    print('typed')\n"
               "except OSError as error:\n    print('errno', error.errno)\n")
    shown = ten.on_terminal("exec", "notes:alice", "--", "/usr/bin/python3", "-c", attempt)
    assert "errno 1" in shown  # EPERM: ours; a kernel without the call says EIO
    # Nor by the name that it has for everybody in the session.
    attempt = attempt.replace("ioctl(0", "ioctl(open('/dev/tty')")
    script = 'exec "$0" exec notes:alice -- /usr/bin/python3 -c "$1" </dev/null >"$2" 2>&1'
    said = tmp_path / "said"
    pid, master = pty.fork()
    if pid == 0:
        os.execve("/bin/sh", ["sh", "-c", script, str(ten.program), attempt, str(said)], ten.environment())
    os.waitpid(pid, 0)
    os.close(master)
    assert said.read_text() == "errno 1\n"


# ---- apply, diff, undo ----

@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "notes-carol.toml").write_text('[tenant]\nservice = "notes"\n')
    (folder / "notes-dora.toml").write_text('[tenant]\nservice = "notes"\n')
    (folder / ".hidden.toml").write_text("")
    (folder / "readme.txt").write_text("")
    return folder


def names(daemon):
    return [one["name"] for one in daemon.requests[-1]["body"]["files"]]


def test_apply_file_folder_and_standard_input(ten, daemon, files):
    done = ten("apply", files / "notes-carol.toml")
    assert "notes-carol.toml  added" in done.stdout and "Generation 13 is in force." in done.stdout
    assert "notes-bob.toml" not in done.stdout  # the same as before
    body = daemon.requests[-1]["body"]
    assert body == {"files": [{"name": "notes-carol.toml", "text": '[tenant]\nservice = "notes"\n'}],
                    "prune": False, "confirm": False, "force": False, "dry_run": False, "timeout": 30}
    ten("apply", files)
    assert names(daemon) == ["notes-carol.toml", "notes-dora.toml"]
    ten("apply", "-", "--name", "notes-x.toml", input="[tenant]\n")
    assert daemon.requests[-1]["body"]["files"] == [{"name": "notes-x.toml", "text": "[tenant]\n"}]
    ten("apply", files, "--prune", "--force", "--confirm", "--dry-run", "--timeout", "7")
    body = daemon.requests[-1]["body"]
    assert [body[key] for key in ("prune", "force", "confirm", "dry_run", "timeout")] == [True] * 4 + [7]
    ten("apply", "--confirm")
    assert daemon.requests[-1]["body"]["files"] == [] and daemon.requests[-1]["body"]["confirm"]
    assert ten("apply", files, "-q").stdout == "notes:carol\n"


@pytest.mark.parametrize("make, args, error, code", [
    (None, ["apply", "nothing.toml"], "nothing.toml: No such file", FAILED),
    ({"a.txt": b""}, ["apply", "a.txt"], "ends in .toml", FAILED),
    ({"tenement.toml": b""}, ["apply", "tenement.toml"], "tenement.toml is not applied", FAILED),
    ({"a.toml": b"\xff"}, ["apply", "a.toml"], "not UTF-8", FAILED),
    ({"a.toml": b"#" * 70000}, ["apply", "a.toml"], "longer than 64 KiB", FAILED),
    ({"a.toml": b"", "d/a.toml": b""}, ["apply", "a.toml", "d"], "two files are called a.toml", FAILED),
    ({"d/readme": b""}, ["apply", "d"], "d holds no .toml files", FAILED),
    ({"d/conf.d/a.toml": b""}, ["apply", "d"], "did you mean d/conf.d?", FAILED),
    (None, ["apply", "-"], "standard input wants a name", USAGE),
    (None, ["apply", "-", "--name", "../x.toml"], "--name ../x.toml", USAGE),
    (None, ["apply", "-", "--name", ".x.toml"], "--name .x.toml", USAGE),
    ({"a.toml": b""}, ["apply", "a.toml", "--name", "b.toml"], "--name goes with -", USAGE),
])
def test_apply_of_what_cannot_be(ten, daemon, make, args, error, code):
    for name, data in (make or {}).items():
        (ten.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (ten.folder / name).write_bytes(data)
    assert error in ten(*args, code=code, input="").stderr
    assert not daemon.requests


def outcome(name, **more):
    return dict({"outcome": name, "generation": 13, "files": [], "actions": [], "problems": [],
                 "conflicts": [], "unready": []}, **more)


@pytest.mark.parametrize("answer, code, said", [
    (outcome("converged"), DONE, []),
    (outcome("held"), HELD, ["removals are held", "ten apply --confirm"]),
    (outcome("conflict", conflicts=["notes-x.toml: changed by hand since ten wrote it"]), CONFLICT,
     ["changed by hand", "nothing was changed", "--force"]),
    (outcome("timeout", unready=[{"instance": "notes:x", "state": "failed", "reason": "exit 1"}]),
     TIMED_OUT, ["notes:x is failed: exit 1", "generation 13 was accepted", "after 30 s"]),
    (outcome("rejected", problems=[PROBLEM]), FAILED,
     ["conf.d/alice.toml:7:1", "  7 | domians", "    | ^", "nothing was changed"]),
    (outcome("dry-run", actions=[{"action": "hold", "instance": "notes:x", "why": "guard"}]), HELD,
     ["1 removal would be held"]),
    (outcome("dry-run", conflicts=["a.toml: not ten's"]), CONFLICT, ["a.toml: not ten's"]),
    (outcome("dry-run", problems=[PROBLEM]), FAILED, ["conf.d/alice.toml:7:1"]),
    (outcome("something new"), FAILED, ["something new"]),
], ids=lambda value: value["outcome"] if isinstance(value, dict) else None)
def test_outcomes(ten, daemon, files, answer, code, said):
    daemon.on("POST", "/api/config/apply", 200, answer)
    daemon.on("POST", "/api/undo", 200, answer)
    for args in (["apply", files], ["undo"], ["undo", "11"]):
        done = ten(*args, code=code)
        for part in said:
            assert part in done.stderr
        assert json.loads(ten(*args, "-o", "json", code=code).stdout) == answer
    assert daemon.requests[-1]["body"]["generation"] == 11


@pytest.mark.parametrize("name", ["conflict", "rejected"])
def test_what_was_not_done_is_not_shown_as_done(ten, daemon, files, name):
    daemon.on("POST", "/api/config/apply", 200, outcome(
        name, files=[{"name": "a.toml", "change": "changed"}],
        actions=[{"action": "update", "instance": "notes:x", "why": "changed"}]))
    assert ten("apply", files, code=CONFLICT if name == "conflict" else FAILED).stdout == ""


def test_dry_run_says_so(ten, daemon, files):
    text = ten("apply", files, "--dry-run").stdout
    assert "declare  notes:carol  new file" in text and "nothing is changed" in text


def test_diff(ten, daemon, files):
    assert "restart  notes:alice  spec changed: command, env.PLAN" in ten("diff").stdout
    assert "files" not in daemon.requests[-1]["body"]
    ten("diff", files, "--prune")
    assert names(daemon) == ["notes-carol.toml", "notes-dora.toml"]
    assert daemon.requests[-1]["body"]["prune"] is True
    assert ten("diff", "-q").stdout == "notes:alice\n"
    daemon.on("POST", "/api/config/diff", 200, {"actions": [], "problems": []})
    assert "Nothing is to be done" in ten("diff").stdout
    assert "Nothing would be changed" in ten("diff", files).stdout
    daemon.on("POST", "/api/config/diff", 200, {"actions": [], "problems": [], "confirm": ["domain: a -> b"],
                                                "restart_needed": ["workers: 2 -> 4"]})
    assert ten("diff").stdout == ("Waits for ten apply --confirm: domain: a -> b\n"
                                  "Takes effect at the next start: workers: 2 -> 4\n")
    assert ten("diff", "-q").stdout == ""
    daemon.on("POST", "/api/config/diff", 200, {"actions": [], "problems": [PROBLEM]})
    assert PROBLEM in ten("diff", files, code=FAILED).stderr


# ---- the terminal ----

def test_colours_only_where_they_are_welcome(ten, daemon):
    assert "\033" not in ten("ps", "-a").stdout
    assert "\033[32mready\033[0m" in ten.on_terminal("ps", "-a")
    for flags, env in ([["--no-color"], {}], [[], {"NO_COLOR": "1"}], [[], {"TERM": "dumb"}]):
        assert "\033" not in ten.on_terminal("ps", "-a", *flags, env=env)
    assert "\033[32m" in ten.on_terminal("ps", "-a", env={"NO_COLOR": ""})


def test_table_follows_the_terminals_width(ten, daemon):
    daemon.instances[0]["reason"] = "r" * 100
    narrow = ten.on_terminal("ps", columns=60, env={"NO_COLOR": "1"})
    assert all(len(line) <= 60 for line in narrow.splitlines()) and "…" in narrow
    assert "r" * 100 in ten.on_terminal("ps", columns=250, env={"NO_COLOR": "1"})


def test_reasons_cannot_drive_the_terminal(ten, daemon):
    daemon.instances[0].update(reason="\033[2J\nfake: line", url="http://\033[31mx/")
    daemon.status["trouble"] = [{"instance": "notes:x", "state": "failed", "reason": "\033[2J"}]
    daemon.status["problems"] = ["conf.d/\033[31m.toml:1:1: no"]
    for args in (["ps"], ["status"], ["status", "notes:alice"]):
        assert "\033[2J" not in ten.on_terminal(*args) and "\033[31mx" not in ten.on_terminal(*args)
        assert "\033" not in ten(*args).stdout


def test_progress_only_on_a_terminal(ten, daemon):
    gate = []

    def slow(handler):
        wait_until(lambda: time.monotonic() - begun > 2.5 or None, what="the time")
        gate.append(True)
        handler.answer(200, instance("notes:alice"))

    daemon.on("POST", "/api/instances/notes:alice/start", 200, slow)
    begun = time.monotonic()
    shown = ten.on_terminal("start", "notes:alice")
    assert "starting notes:alice …" in shown
    assert shown.rstrip().split("\r\033[K")[-1].startswith("notes:alice is ready")
    begun = time.monotonic()
    assert ten("start", "notes:alice").stderr == ""
    assert len(gate) == 2


def test_full_disk_is_noticed(ten, daemon):
    with open("/dev/full", "w") as full:
        done = subprocess.run([ten.program, "ps"], env=ten.environment(), stdout=full,
                              stderr=subprocess.PIPE, text=True)
    assert done.returncode == FAILED and "cannot write to standard output" in done.stderr
