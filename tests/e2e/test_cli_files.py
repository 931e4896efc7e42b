"""`ten` without a daemon: check, config, init, serve, and what is made from its tables."""

import json
import os
import re
import shutil
import stat
import subprocess

import pytest

from cli_rig import DONE, FAILED, UNREACHABLE, USAGE, Cli, FakeDaemon
from harness import SOURCE

SERVICE = '[service.notes]\ncommand = "python3 app.py"\n'
TENANT = '[tenant]\nservice = "notes"\n'


@pytest.fixture
def ten(tmp_path):
    return Cli(tmp_path)


@pytest.fixture
def site(tmp_path):
    """A folder with a configuration that is right."""
    folder = tmp_path / "site"
    (folder / "conf.d").mkdir(parents=True)
    (folder / "tenement.toml").write_text('[settings]\ndomain = "example.com"\n')
    (folder / "conf.d" / "notes.toml").write_text(SERVICE)
    (folder / "conf.d" / "notes-alice.toml").write_text(TENANT)
    return folder


# ---- check ----

def test_check_of_what_is_right(ten, site):
    assert ten("check", cwd=site).stdout == "All is right: 3 files, 1 service, 1 tenant.\n"
    assert ten("check", site / "tenement.toml").stdout == "All is right: 3 files, 1 service, 1 tenant.\n"
    for folder in (site, site / "conf.d"):
        assert ten("check", folder).stdout == "All is right: 3 files, 1 service, 1 tenant.\n"
    assert ten("check", "conf.d/notes-alice.toml", cwd=site).stdout == "conf.d/notes-alice.toml is right.\n"
    assert ten("check", "-q", cwd=site).stdout == ""
    assert json.loads(ten("check", "-o", "json", cwd=site).stdout) == {"problems": []}
    (site / "tenement.toml").unlink()
    assert "All is right: 2 files" in ten("check", cwd=site).stdout


def test_check_finds_all_errors_at_once(ten, site):
    (site / "conf.d" / "notes-alice.toml").write_text(TENANT + "domians = []\nweight = -1\n")
    (site / "conf.d" / "notes-bob.toml").write_text('[tenant]\nservice = "nots"\n')
    (site / "tenement.toml").write_text("[settings]\nworkers = 1000\n")
    done = ten("check", cwd=site, code=FAILED)
    assert not done.stdout
    for part in ("conf.d/notes-alice.toml:3:1", "conf.d/notes-alice.toml:4:", "conf.d/notes-bob.toml:2:",
                 "tenement.toml:2:", '(did you mean "domains"?)', '(did you mean "notes"?)',
                 "  3 | domians = []\n    | ^\n", "ten: 4 problems"):
        assert part in done.stderr
    problems = json.loads(ten("check", "-o", "json", cwd=site, code=FAILED).stdout)["problems"]
    assert len(problems) == 4
    alice = [one for one in problems if one["file"] == "conf.d/notes-alice.toml"]
    assert alice[0]["line"] == 3 and alice[0]["column"] == 1 and alice[0]["excerpt"] == "domians = []"


def test_check_of_one_file_judges_it_with_the_others(ten, site, tmp_path):
    (site / "conf.d" / "notes-bad.toml").write_text("[tenant\n")
    # only its own errors
    ten("check", "conf.d/notes-alice.toml", cwd=site)
    new = tmp_path / "notes-carol.toml"
    new.write_text(TENANT)
    ten("check", new, cwd=site)
    # what another has already
    new = tmp_path / "mine.toml"
    new.write_text(TENANT + 'id = "alice"\n')
    done = ten("check", new, cwd=site, code=FAILED)
    assert f"{new}:" in done.stderr and "notes-alice.toml" in done.stderr and "notes-bad" not in done.stderr
    # a service that is not there
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert '"notes" is not declared' in ten("check", new, cwd=elsewhere, code=FAILED).stderr
    # by --config, and by --conf-dir
    ten("check", tmp_path / "notes-carol.toml", "--config", site / "tenement.toml")
    ten("check", tmp_path / "notes-carol.toml", "--conf-dir", site / "conf.d")


def test_check_of_standard_input(ten, site):
    ten("check", "-", "--name", "notes-x.toml", cwd=site, input=TENANT)
    done = ten("check", "-", "--name", "notes-x.toml", cwd=site, input=TENANT + "x = 1\n", code=FAILED)
    assert done.stderr.startswith("notes-x.toml:3:1: unknown key")
    assert "stdin.toml" in ten("check", "-", cwd=site, input="[", code=FAILED).stderr


@pytest.mark.parametrize("args, code, error", [
    (["check"], FAILED, "neither a tenement.toml nor a conf.d"),
    (["check", "--conf-dir", "nowhere"], FAILED, "there is no such folder"),
    (["check", "nothing"], FAILED, "nothing: No such file"),
    (["check", "empty"], DONE, ""),
    (["check", "--name", "x.toml"], USAGE, "--name goes with -"),
    (["check", "-", "--name", "x"], USAGE, "--name x"),
    (["check", "--config", "nothing.toml"], FAILED, "--config nothing.toml: No such file"),
    (["check", "file.txt"], FAILED, "ends in .toml"),
])
def test_check_of_what_is_not_there(ten, tmp_path, args, code, error):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.txt").write_text("")
    assert error in ten(*args, code=code).stderr


def test_check_follows_the_settings_to_another_conf_dir(ten, site):
    (site / "conf.d").rename(site / "tenants")
    (site / "tenement.toml").write_text('[settings]\nconf_dir = "tenants"\n')
    (site / "tenants" / "bad.toml").write_text("")
    assert "tenants/bad.toml" in ten("check", cwd=site, code=FAILED).stderr


def test_check_of_a_folder_that_everybody_may_write_to(ten, site):
    (site / "conf.d").chmod(0o777)
    assert "chmod o-w" in ten("check", cwd=site, code=FAILED).stderr


def test_check_of_a_hostile_file_is_harmless_on_a_terminal(ten, site):
    (site / "conf.d" / "notes-\033[31m.toml").write_text('[tenant]\nservice = "\\u001b[2J"\n"\\u001b]0;x" = 1\n')
    assert "\033" not in ten.on_terminal("check", site, code=FAILED)


def test_file_that_is_too_long_or_unreadable(ten, site):
    (site / "conf.d" / "notes-big.toml").write_text("#" * 70000)
    (site / "conf.d" / "notes-folder.toml").mkdir()
    (site / "conf.d" / "notes-dangling.toml").symlink_to("nowhere")
    done = ten("check", cwd=site, code=FAILED)
    for name in ("big", "folder", "dangling"):
        assert f"conf.d/notes-{name}.toml" in done.stderr


# ---- check --dump-json ----

def test_dump_json(ten, tmp_path):
    text = 'a = 42\nb = ["x", 1.5]\n[t]\nwhen = 1979-05-27T07:32:00Z\n'
    (tmp_path / "any.name").write_text(text)
    expected = {"a": {"type": "integer", "value": "42"},
                "b": [{"type": "string", "value": "x"}, {"type": "float", "value": "1.5"}],
                "t": {"when": {"type": "datetime", "value": "1979-05-27T07:32:00Z"}}}
    assert json.loads(ten("check", "--dump-json", "any.name").stdout) == expected
    assert json.loads(ten("check", "--dump-json", "-", input=text).stdout) == expected
    assert json.loads(ten("check", "--dump-json", input=text).stdout) == expected
    assert json.loads(ten("check", "--dump-json", "-", input="").stdout) == {}


@pytest.mark.parametrize("text, place", [("a = \n", "1:"), ("a = 1\na = 2\n", "2:"), ("\n\n[x\n", "3:")])
def test_dump_json_of_what_is_wrong(ten, text, place):
    done = ten("check", "--dump-json", "-", input=text, code=FAILED)
    assert not done.stdout
    assert done.stderr.startswith(place) and re.match(r"^\d+:\d+: \S", done.stderr)


# ---- config ----

def test_config_from_the_files(ten, site):
    text = ten("config", cwd=site, env={"TENEMENT_DATA_DIR": None}).stdout
    assert 'domain = "example.com"\n' in text and f'data_dir = "{site}/tenement-data"\n' in text
    assert 'listen = ["127.0.0.1:8080"]\n' in text and "max_delete_percent = 20\n" in text
    assert ten("config", "domain", cwd=site).stdout == "example.com\n"
    assert ten("config", "data_dir", cwd=site).stdout == f"{ten.data_dir}\n"
    settings = json.loads(ten("config", "-o", "json", cwd=site).stdout)["settings"]
    assert settings["domain"] == "example.com" and settings["workers"] == 0
    assert ten("config", "workers", "-o", "json", cwd=site).stdout == "0\n"
    (site / "tenement.toml").write_text("[settings]\nworkers = 5000\n")
    assert "has errors" in ten("config", cwd=site).stderr


def test_config_of_the_daemon(ten):
    with FakeDaemon(ten.data_dir) as daemon:
        daemon.settings["domain"] = "in.force"
        assert ten("config", "domain").stdout == "in.force\n"
        text = ten("config").stdout
        assert 'error_pages = { 404 = "/srv/404.html" }\n' in text
        assert ten("config", "-q").stdout.splitlines()[:2] == ["data_dir", "domain"]
    ten("config", "--server", f"unix:{daemon.path}", code=UNREACHABLE)


def test_config_of_listeners(ten, site):
    assert ten("config", "listener", cwd=site, env={"TENEMENT_DATA_DIR": None}).stdout == (
        '[[settings.listener]]\naddress = "127.0.0.1:8080"\nproxy_protocol = false\n')
    (site / "tenement.toml").write_text('[[settings.listener]]\naddress = "[::1]:80"\nproxy_protocol = true\n'
                                        '[[settings.listener]]\naddress = "unix:/x"\n')
    text = ten("config", "listener", cwd=site).stdout
    assert text.count("[[settings.listener]]") == 2 and "proxy_protocol = true\n\n[[" in text
    told = json.loads(ten("config", "listener", "-o", "json", cwd=site).stdout)
    assert told == [{"address": "[::1]:80", "proxy_protocol": True},
                    {"address": "unix:/x", "proxy_protocol": False}]
    every = ten("config", "--all", "listener").stdout
    assert every.startswith("[[settings.listener]]") and "\nproxy_protocol = false\n" in every


def test_config_of_unknown_keys(ten, site):
    (site / "tenement.toml").write_text('[[settings.listeners]]\naddress = "[::1]:80"\n')
    said = ten("check", cwd=site, code=FAILED)
    assert "unknown table [[settings.listeners]] (did you mean [[settings.listener]]?)" in said.stdout + said.stderr
    assert 'did you mean "domain"?' in ten("config", "domian", cwd=site, code=FAILED).stderr
    assert "is not of [settings]" in ten("config", "idle_timeout", cwd=site, code=FAILED).stderr
    assert 'did you mean "idle_timeout"?' in ten("config", "--all", "idel_timeout", code=FAILED).stderr


def test_config_all_options(ten):
    text = ten("config", "--all").stdout
    for part in ("[settings]", "[[settings.listener]]", "[service.NAME]", "[tenant]", "\nidle_timeout = 300\n",
                 "one of listen|health|notify", "from 0 to 31536000"):
        assert part in text
    assert all(len(line) <= 80 for line in text.splitlines())
    options = json.loads(ten("config", "-a", "-o", "json").stdout)["options"]
    assert ten("config", "-aq").stdout.split() == [one["name"] for one in options]
    assert all(one["prose"] for one in options)
    one = ten("config", "--all", "idle_timeout").stdout
    assert one.startswith("[service.NAME]\nidle_timeout = 300\n    Seconds")


# ---- init ----

def test_init_writes_what_is_right_and_never_overwrites(ten, tmp_path):
    folder = tmp_path / "new"
    done = ten("init", "new")
    assert "cd new && ten serve" in done.stdout
    assert "All is right: 3 files, 1 service, 1 tenant." in ten("check", folder).stdout
    before = {path: path.read_text() for path in folder.rglob("*.toml")}
    assert sorted(path.name for path in before) == ["hello-world.toml", "hello.toml", "tenement.toml"]
    (folder / "tenement.toml").write_text("[settings]\nworkers = 2\n")
    (folder / "conf.d" / "hello-world.toml").unlink()
    again = ten("init", "-q", cwd=folder)
    assert again.stdout == ""  # a conf.d with files in it is somebody's
    assert (folder / "tenement.toml").read_text() == "[settings]\nworkers = 2\n"
    assert not (folder / "conf.d" / "hello-world.toml").exists()
    (folder / "tenement.toml").unlink()
    files = json.loads(ten("init", "new", "-o", "json").stdout)["files"]
    assert files == [{"file": "new/tenement.toml", "written": True}]


def test_init_says_every_setting_at_its_default(ten, tmp_path):
    ten("init", "new")
    main = tmp_path / "new" / "tenement.toml"
    defaults = json.loads(ten("config", "-o", "json", "--config", main).stdout)
    text = main.read_text()
    assert re.findall(r"^#(\w+) = ", text, re.M) == [name for name in defaults["settings"] if name != "listener"]
    assert all(len(line) <= 80 for line in text.splitlines())
    main.write_text(re.sub(r"^#(\w+ = (?!.*# not set$).*)$", r"\1", text, flags=re.M))
    ten("check", tmp_path / "new")
    assert json.loads(ten("config", "-o", "json", "--config", main).stdout) == defaults


def test_init_where_it_cannot(ten, tmp_path):
    (tmp_path / "file").write_text("")
    assert "file" in ten("init", "file", code=FAILED).stderr
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "tenement.toml").symlink_to(tmp_path / "elsewhere")
    ten("init", "link")
    assert not (tmp_path / "elsewhere").exists()


# ---- serve ----

@pytest.fixture
def serve(ten, tmp_path):
    """Beside this copy of ten is a keeper that only says how it was called."""
    programs = tmp_path / "programs"
    programs.mkdir()
    shutil.copy(ten.program, programs / "ten")
    keeper = programs / "tenement-keeper"
    keeper.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    keeper.chmod(keeper.stat().st_mode | stat.S_IXUSR)
    ten.program = programs / "ten"
    return lambda *args, **more: ten("serve", *args, **{"env": {"TENEMENT_DATA_DIR": None}, **more})


def test_serve_finds_the_nearest_configuration(serve, site, tmp_path):
    below = site / "a" / "b"
    below.mkdir(parents=True)
    for folder in (site, below, site / "conf.d"):
        assert serve(cwd=folder).stdout.split() == ["--main", f"{site}/tenement.toml"]
    (site / "tenement.toml").unlink()
    assert serve(cwd=below).stdout.split() == ["--main", f"{site}/tenement.toml"]
    # a conf.d alone is enough for --config, too
    assert serve("--config", site / "tenement.toml").stdout.split() == ["--main", f"{site}/tenement.toml"]
    assert "No such file" in serve("--config", tmp_path / "tenement.toml", code=FAILED).stderr
    (tmp_path / "mine.toml").write_text("")
    assert "mine.toml" in serve("--config", "mine.toml", cwd=tmp_path).stdout


def test_serve_passes_on_what_it_was_given(serve, site, tmp_path):
    done = serve("--port", "9000", "--domain", "x.org", "--data-dir", "d", "--conf-dir", "site/conf.d",
                 cwd=tmp_path)
    assert done.stdout.split() == [
        "--main", f"{site}/tenement.toml", "--data-dir", f"{tmp_path}/d", "--conf-dir",
        f"{site}/conf.d", "--domain", "x.org", "--port", "9000"]
    done = serve(cwd=site, env={"TENEMENT_DATA_DIR": "/by/env"})
    assert done.stdout.split()[-2:] == ["--data-dir", "/by/env"]
    serve(cwd=site, env={"TENEMENT_SERVER": "unix:/x"})  # meant for the other commands


def test_serve_of_conf_dir_alone(serve, site, tmp_path):
    (site / "tenement.toml").unlink()
    done = serve("--conf-dir", site / "conf.d", cwd=tmp_path)
    assert done.stdout.split() == ["--main", f"{site}/tenement.toml", "--conf-dir", f"{site}/conf.d"]


def test_serve_warns_of_problems_and_goes_on(serve, site):
    (site / "conf.d" / "notes-bob.toml").write_text("[tenant\n")
    done = serve(cwd=site)
    assert "--main" in done.stdout
    assert "conf.d/notes-bob.toml:1:" in done.stderr and "warning: 1 problem" in done.stderr


@pytest.mark.parametrize("args, code, error", [
    ([], FAILED, "`ten init` writes both"),
    (["--conf-dir", "nowhere"], FAILED, "there is no such folder"),
    (["--port", "0"], USAGE, "--port 0: not a port"),
    (["--port", "http"], USAGE, "--port http: not a port"),
    (["--server", "unix:/x"], USAGE, "a daemon that runs already"),
])
def test_serve_refuses(serve, tmp_path, args, code, error):
    folder = tmp_path / "empty"
    folder.mkdir()
    if os.path.exists("/etc/tenement") and not args:
        pytest.skip("this machine has a configuration of its own")
    assert error in serve(*args, cwd=folder, code=code).stderr


def test_folder_of_another_program_is_not_ours(serve, tmp_path):
    nginx = tmp_path / "nginx"
    (nginx / "conf.d").mkdir(parents=True)
    serve(cwd=nginx)  # empty: it may become ours
    (nginx / "conf.d" / "default.conf").write_text("")
    assert "neither" in serve(cwd=nginx, code=FAILED).stderr


def test_serve_without_its_programs(ten, site, tmp_path):
    shutil.copy(ten.program, tmp_path / "ten")
    ten.program = tmp_path / "ten"
    done = ten("serve", cwd=site, code=FAILED)
    assert "tenement-keeper: No such file" in done.stderr


# ---- what is made from the tables ----

def test_made_files_are_up_to_date(ten):
    done = subprocess.run([SOURCE / "scripts" / "check-commands"], env={**os.environ, "TEN": str(ten.program)},
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_completions_of_bash(ten):
    """What bash offers after some words."""
    script = SOURCE / "contrib" / "completions" / "ten.bash"

    def offered(*words):
        line = "COMP_WORDS=(ten {}); COMP_CWORD={}; COMP_LINE='ten {}'; COMP_POINT=${{#COMP_LINE}}".format(
            " ".join(f"'{word}'" for word in words), len(words), " ".join(words))
        done = subprocess.run(
            ["bash", "-c", f'source {script}; {line}; _ten; printf "%s\\n" "${{COMPREPLY[@]}}"'],
            env={**ten.environment(), "PATH": f"{ten.program.parent}:{os.environ['PATH']}"},
            cwd=ten.folder, capture_output=True, text=True, check=True)
        assert not done.stderr
        return done.stdout.split()

    with FakeDaemon(ten.data_dir):
        assert offered("sta") == ["status", "start"]
        assert offered("--data-dir", "x", "sta") == ["status", "start"]
        assert "--prune" in offered("apply", "--p") and "--prune" not in offered("ps", "--p")
        assert offered("stop", "notes:") == ["alice", "bob", "dave"]
        assert offered("spawn", "n") == ["notes"]
        assert offered("help", "und") == ["undo"]
        assert offered("ps", "-o", "j") == ["json"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completions_parse(shell):
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run([shell, "-n", SOURCE / "contrib" / "completions" / f"ten.{shell}"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_unknown_shell(ten):
    assert "there are bash, zsh and fish" in ten("help", "--completion", "csh", code=USAGE).stderr


@pytest.mark.parametrize("page", ["ten.1", "tenement-keeper.8", "tenementd.8", "tenement-proxy.8", "tenement.7"])
def test_manual_pages_are_sound(page):
    if not shutil.which("man"):
        pytest.skip("man is not installed")
    done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z",
                           SOURCE / "tenement" / "man" / page],
                          env={**os.environ, "MANROFFSEQ": "", "MANWIDTH": "80", "LC_ALL": "C.UTF-8"},
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr


def test_exit_codes_are_documented():
    text = (SOURCE / "tenement" / "man" / "ten.1").read_text()
    section = text[text.index(".SH EXIT STATUS"):]
    for code in range(7):
        assert f".TP\n.B {code}\n" in section


def test_check_warns_of_programs_that_are_not_here(ten, site):
    """It is no error: the machine that serves may be another."""
    conf_dir = site / "conf.d"
    (conf_dir / "x.toml").write_text('[service.x]\ncommand = "no-such-program --serve"\n')
    (conf_dir / "y.toml").write_text('[service.y]\ncommand = "{dir}/made-later"\n')
    (conf_dir / "z.toml").write_text('[service.z]\ncommand = "sh -c true"\n')
    (conf_dir / "v.toml").write_text('[service.v]\ncommand = "./here"\n')
    done = ten("check", cwd=site)
    assert 'service "x": there is no program "no-such-program"' in done.stderr
    assert 'service "v": there is no program "./here"' in done.stderr
    assert '"y"' not in done.stderr and '"z"' not in done.stderr
    here = conf_dir / "here"
    here.write_text("#!/bin/sh\n")
    assert '"v"' in ten("check", cwd=site).stderr, "it is no program yet"
    here.chmod(0o755)
    assert '"v"' not in ten("check", cwd=site).stderr
