"""However a file comes to change, it is seen; however wrong it is, nothing that runs is changed."""

import os
import shutil
import signal

import pytest

from daemon_rig import ROOT, kill_daemon, pids, status, wait_gone, wait_no_problem, wait_problem
from harness import wait_until

GREEN, BLUE = {"COLOUR": "green"}, {"COLOUR": "blue"}


@pytest.fixture
def alice(tenement):
    """echo:alice, green."""
    t = tenement(start=False)
    t.write("echo.toml", t.service("echo", drain_timeout=1))
    t.write("echo-alice.toml", t.tenant("echo", env=GREEN))
    t.start()
    assert colour(t) == "green"
    return t


def colour(t, key="echo:alice"):
    answer = t.get(key)
    return answer.json()["env"].get("COLOUR") if answer.status == 200 else answer.status


def wait_colour(t, expected, key="echo:alice"):
    wait_until(lambda: colour(t, key) == expected, what=f"{key} to be {expected}")


def by_rename(t, path, text):
    t.write(path.name, text)


def in_place(_, path, text):
    path.write_text(text)


def in_small_pieces(_, path, text):
    """Open for a while, whole only at its close."""
    with open(path, "w", buffering=1, encoding="utf-8") as file:
        for piece in text.splitlines(keepends=True):
            file.write(piece)
            os.fsync(file.fileno())


def as_vim(t, path, text):
    """In place, beside a swap file, with a backup."""
    (t.conf_dir / f".{path.name}.swp").write_text("b0VIM")
    (t.conf_dir / "4913").write_text("")
    (t.conf_dir / "4913").unlink()
    shutil.copy(path, t.conf_dir / f"{path.name}~")
    path.write_text(text)
    (t.conf_dir / f".{path.name}.swp").unlink()


def by_symlink(t, path, text):
    elsewhere = t.root / "elsewhere.toml"
    elsewhere.write_text(text)
    path.unlink()
    path.symlink_to(elsewhere)


def by_hard_link(t, path, text):
    elsewhere = t.root / "elsewhere.toml"
    elsewhere.write_text(text)
    os.link(elsewhere, t.conf_dir / ".new")
    os.rename(t.conf_dir / ".new", path)


def by_removal_and_again(_, path, text):
    path.unlink()
    path.write_text(text)


@pytest.mark.parametrize("way", [by_rename, in_place, in_small_pieces, as_vim, by_symlink,
                                 by_hard_link, by_removal_and_again])
def test_a_change_is_seen(alice, way):
    way(alice, alice.conf_dir / "echo-alice.toml", alice.tenant("echo", env=BLUE))
    wait_colour(alice, "blue")
    assert status(alice)["problems"] == []


def test_of_two_changes_the_last_holds(alice):
    for i in range(20):
        alice.write("echo-alice.toml", alice.tenant("echo", env={"COLOUR": f"c{i}"}))
    wait_colour(alice, "c19")


def swap_by_link(t):
    """conf.d is a link to one of two releases, as a deploy with `ln -sfn` makes it."""
    for name, env in (("one", GREEN), ("two", BLUE)):
        folder = t.root / "releases" / name
        folder.mkdir(parents=True)
        (folder / "echo.toml").write_text(t.service("echo"))
        (folder / "echo-alice.toml").write_text(t.tenant("echo", env=env))
    (t.root / "releases" / "two" / "echo-bob.toml").write_text(t.tenant("echo"))


def point(t, name):
    temporary = t.root / "conf.d.new"
    temporary.symlink_to(f"releases/{name}")
    temporary.rename(t.conf_dir)


def test_a_linked_conf_d_is_swapped(tenement):
    t = tenement(start=False)
    swap_by_link(t)
    t.conf_dir.rmdir()
    point(t, "one")
    t.start()
    assert colour(t) == "green"
    point(t, "two")
    wait_colour(t, "blue")
    t.wait_ok("echo:bob")
    point(t, "one")
    wait_colour(t, "green")
    t.wait_status("echo:bob", 404)
    # what happens inside is seen after a swap, too
    (t.root / "releases" / "one" / "echo-carol.toml").write_text(t.tenant("echo"))
    t.wait_ok("echo:carol")


def test_a_volume_mounted_as_kubernetes_does(tenement):
    """conf.d/X.toml -> ..data/X.toml, ..data -> ..2026_1; the link ..data is swapped."""
    t = tenement(start=False)

    def fill(version, files):
        folder = t.conf_dir / f"..{version}"
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text)
        (t.conf_dir / "..data_tmp").symlink_to(folder.name)
        (t.conf_dir / "..data_tmp").rename(t.conf_dir / "..data")
    files = {"echo.toml": t.service("echo"), "echo-alice.toml": t.tenant("echo", env=GREEN)}
    fill("2026_1", files)
    for name in files:
        (t.conf_dir / name).symlink_to(f"..data/{name}")
    t.start()
    assert colour(t) == "green"
    fill("2026_2", {**files, "echo-alice.toml": t.tenant("echo", env=BLUE)})
    shutil.rmtree(t.conf_dir / "..2026_1")
    wait_colour(t, "blue")
    assert status(t)["problems"] == []


def test_a_folder_made_anew_is_watched(alice):
    pid = pids(alice)["echo:alice"]
    old = alice.root / "old"
    alice.conf_dir.rename(old)
    alice.conf_dir.mkdir()
    for name in ("echo.toml", "echo-alice.toml"):
        shutil.copy2(old / name, alice.conf_dir / name)
    alice.write("echo-bob.toml", alice.tenant("echo"))
    alice.wait_ok("echo:bob")
    assert pids(alice)["echo:alice"] == pid
    alice.write("echo-alice.toml", alice.tenant("echo", env=BLUE))
    wait_colour(alice, "blue")


def test_leavings_of_editors_are_not_read(alice):
    broken = "this is = = not toml"
    for name in (".echo-x.toml.swp", "echo-x.toml~", "#echo-x.toml#", ".#echo-x.toml", "echo-x.toml.bak",
                 "echo-x.toml.dpkg-dist", "echo-x.TOML.tmp", "4913", ".toml", "README.md"):
        (alice.conf_dir / name).write_text(broken)
    (alice.conf_dir / "folder.d").mkdir()
    alice.write("echo-bob.toml", alice.tenant("echo"))  # comes after them
    alice.wait_ok("echo:bob")
    assert status(alice)["problems"] == []
    assert status(alice)["files"]["total"] == 4 - (0 if counts_main(alice) else 1)


def counts_main(t):
    """Whether tenement.toml is one of the counted files."""
    return status(t)["files"]["total"] == len(list(t.conf_dir.glob("echo*.toml"))) + 1


def test_a_torn_file_keeps_the_last_good(alice):
    pid = pids(alice)["echo:alice"]
    (alice.conf_dir / "echo-alice.toml").write_text('[tenant]\nservice = "ec')
    problem = wait_problem(alice, "echo-alice.toml:2:")
    assert "^" in problem
    assert colour(alice) == "green" and pids(alice)["echo:alice"] == pid
    assert alice.instance("echo:alice")["last_good"]
    alice.ten("stop", "echo:alice")
    assert colour(alice) == "green", "it wakes by its last good spec"
    alice.write("echo-alice.toml", alice.tenant("echo", env=BLUE))
    wait_colour(alice, "blue")
    wait_no_problem(alice)
    assert not alice.instance("echo:alice")["last_good"]


def test_a_torn_service_keeps_all_its_tenants(alice):
    alice.write("echo-bob.toml", alice.tenant("echo"))
    alice.wait_ok("echo:bob")
    before = pids(alice)
    alice.write("echo.toml", alice.service("echo", startup_timeout="soon"))
    problem = wait_problem(alice, "echo.toml", "startup_timeout")
    assert "^" in problem
    assert pids(alice) == before
    alice.write("echo-carol.toml", alice.tenant("echo"))
    alice.wait_ok("echo:carol")


def test_all_errors_of_all_files_at_once(alice):
    alice.write("echo-b.toml", '[tenant]\nservice = "echo"\nwieght = 5\nstate = "runing"\n')
    alice.write("echo-c.toml", '[tenant]\nservice = "eccho"\n')
    wait_problem(alice, "echo-b.toml:3:1", 'did you mean "weight"')
    wait_problem(alice, "echo-b.toml:4:", 'did you mean "running"')
    wait_problem(alice, "echo-c.toml:2:", 'did you mean "echo"')
    assert status(alice)["files"]["bad"] == 2
    said = alice.ten("status").stdout
    for word in ("echo-b.toml:3:1", "echo-b.toml:4:", "echo-c.toml:2:", "did you mean"):
        assert word in said
    assert alice.ten("status", "--check", status=None).returncode == 1
    alice.remove("echo-b.toml")
    alice.remove("echo-c.toml")
    wait_no_problem(alice)
    assert alice.ten("status", "--check", status=None).returncode == 0


def test_two_files_with_one_tenant_are_both_named(alice):
    pid = pids(alice)["echo:alice"]
    alice.write("another.toml", alice.tenant("echo", id="alice", env=BLUE))
    problem = wait_problem(alice, "echo-alice.toml", "another.toml")
    assert "echo:alice" in problem
    assert colour(alice) == "green" and pids(alice)["echo:alice"] == pid
    alice.remove("another.toml")
    wait_no_problem(alice)
    assert pids(alice)["echo:alice"] == pid


def test_two_files_with_one_domain_are_both_named(alice):
    alice.write("echo-alice.toml", alice.tenant("echo", env=GREEN, domains=["shop.test"]))
    alice.wait_ok("shop.test")
    alice.write("echo-bob.toml", alice.tenant("echo", domains=["SHOP.test"]))
    wait_problem(alice, "shop.test", "echo-alice.toml", "echo-bob.toml")
    assert alice.get("shop.test").json()["env"]["TENANT_ID"] == "alice"


def test_two_services_of_one_name_are_both_named(alice):
    pid = pids(alice)["echo:alice"]
    alice.write("again.toml", alice.service("echo", "silent"))
    wait_problem(alice, "echo.toml", "again.toml")
    assert pids(alice)["echo:alice"] == pid and colour(alice) == "green"


def test_a_service_file_removed_while_tenants_use_it(alice):
    pid = pids(alice)["echo:alice"]
    text = (alice.conf_dir / "echo.toml").read_text()
    alice.remove("echo.toml")
    wait_until(lambda: status(alice)["problems"] or status(alice)["held"], what="a word about it")
    assert colour(alice) == "green" and pids(alice)["echo:alice"] == pid
    alice.ten("stop", "echo:alice")
    assert colour(alice) == "green"
    alice.write("echo.toml", text)
    wait_no_problem(alice)
    assert status(alice)["held"] is None


def test_a_file_of_64_kib_is_read_and_one_more_is_refused(alice):
    text = alice.tenant("echo", env=BLUE)
    path = alice.conf_dir / "echo-alice.toml"
    path.write_text(text + "#" * (65537 - len(text)))
    problem = wait_problem(alice, "echo-alice.toml")
    assert "64 KiB" in problem or "65536" in problem, problem
    assert colour(alice) == "green"
    path.write_text(text + "#" * (65536 - len(text)))
    wait_colour(alice, "blue")
    wait_no_problem(alice)


def test_a_file_that_others_could_write_is_refused(alice):
    path = alice.conf_dir / "echo-alice.toml"
    text = alice.tenant("echo", env=BLUE)
    path.chmod(0o666)
    wait_problem(alice, "echo-alice.toml", "chmod o-w")
    path.write_text(text)
    wait_problem(alice, "echo-alice.toml", "chmod o-w")
    assert colour(alice) == "green"
    path.chmod(0o644)
    wait_colour(alice, "blue")
    wait_no_problem(alice)


def test_a_folder_that_others_could_write_is_refused(alice):
    pid = pids(alice)["echo:alice"]
    alice.conf_dir.chmod(0o777)
    wait_problem(alice, "conf.d", "chmod o-w")
    assert pids(alice)["echo:alice"] == pid
    alice.conf_dir.chmod(0o755)
    wait_no_problem(alice)


@pytest.mark.skipif(not ROOT, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused(alice):
    path = alice.conf_dir / "echo-alice.toml"
    os.chown(path, 4242, 4242)
    assert "4242" in wait_problem(alice, "echo-alice.toml")
    assert colour(alice) == "green"
    os.chown(path, 0, 0)
    wait_no_problem(alice)


@pytest.mark.skipif(ROOT, reason="root reads everything")
def test_a_file_that_cannot_be_read_keeps_the_last_good(alice):
    path = alice.conf_dir / "echo-alice.toml"
    path.chmod(0)
    wait_problem(alice, "echo-alice.toml", "Permission denied")
    assert colour(alice) == "green"
    path.chmod(0o644)
    wait_no_problem(alice)


@pytest.mark.parametrize("made", ["folder", "fifo", "dangling", "socket"])
def test_what_is_no_file_is_an_error_and_blocks_nothing(alice, made):
    path = alice.conf_dir / "echo-alice.toml"
    path.unlink()
    if made == "folder":
        path.mkdir()
    elif made == "fifo":
        os.mkfifo(path)
    elif made == "dangling":
        path.symlink_to("nowhere.toml")
    else:
        os.mknod(path, 0o140644)
    if made != "dangling":
        wait_problem(alice, "echo-alice.toml")
        assert colour(alice) == "green"
    alice.write("echo-bob.toml", alice.tenant("echo"))
    alice.wait_ok("echo:bob")
    if made == "folder":
        path.rmdir()
    else:
        path.unlink()
    alice.write("echo-alice.toml", alice.tenant("echo", env=BLUE))
    wait_colour(alice, "blue")


def test_sighup_rescans(alice):
    """A change that no event tells of: a file behind a link that leads out of conf.d."""
    elsewhere = alice.root / "elsewhere.toml"
    elsewhere.write_text(alice.tenant("echo", env=GREEN))
    path = alice.conf_dir / "echo-alice.toml"
    path.unlink()
    path.symlink_to(elsewhere)
    wait_until(lambda: status(alice)["converged"])
    elsewhere.write_text(alice.tenant("echo", env=BLUE))
    os.kill(alice.pid_of("tenementd"), signal.SIGHUP)
    wait_colour(alice, "blue")


def test_sighup_of_the_keeper_rescans_too(alice):
    elsewhere = alice.root / "elsewhere.toml"
    elsewhere.write_text(alice.tenant("echo", env=GREEN))
    path = alice.conf_dir / "echo-alice.toml"
    path.unlink()
    path.symlink_to(elsewhere)
    wait_until(lambda: status(alice)["converged"])
    elsewhere.write_text(alice.tenant("echo", env=BLUE))
    alice.serve.send_signal(signal.SIGHUP)
    wait_colour(alice, "blue")


def test_a_removed_tenant_ends_and_its_data_stays(alice):
    pid = pids(alice)["echo:alice"]
    (alice.data_dir / "echo" / "alice" / "kept").write_text("x")
    alice.remove("echo-alice.toml")
    wait_gone(pid)
    alice.wait_status("echo:alice", 404)
    assert (alice.data_dir / "echo" / "alice" / "kept").exists()


def test_many_at_once(alice):
    """200 files within a moment, in place, as `tar` or `git checkout` writes them."""
    for i in range(200):
        (alice.conf_dir / f"echo-n{i}.toml").write_text(alice.tenant("echo"))
    wait_until(lambda: status(alice)["tenants"]["declared"] == 201, what="all of them")
    assert status(alice)["problems"] == []


def test_settings_hold_from_the_first_though_a_service_is_misspelt(tenement):
    t = tenement(start=False, domain="example.org", main='[routing]\ndefault = "echo"\n')
    t.settings["max_delete_percent"] = 7
    t.write("echo.toml", "rate_limt = 5\n".join([t.service("echo"), t.tenant("echo", id="a")]))
    t.start()
    now = t.control("GET", "/api/status").json()
    assert now["listen"] == [f"127.0.0.1:{t.port}"] and now["domain"] == "example.org"
    assert not now["confirm"] and not now["restart_needed"], now
    assert t.ten_json("config")["settings"]["max_delete_percent"] == 7
    said = t.ten("status", "--check", status=1).stdout
    assert "rate_limt" in said and 'service "echo" is not declared' in said, said
    # Also in the life of the daemon after this one.
    kill_daemon(t)
    now = t.control("GET", "/api/status").json()
    assert now["listen"] == [f"127.0.0.1:{t.port}"] and not now["confirm"], now
    assert t.ten_json("config")["settings"]["max_delete_percent"] == 7
    t.write("echo.toml", t.service("echo") + t.tenant("echo", id="a"))
    wait_until(lambda: not t.control("GET", "/api/status").json()["problems"])
    t.wait_ok("echo:a")
    assert t.get("example.org").status == 200
    t.ten("status", "--check")


def test_a_tenant_says_that_its_service_is_wrong(alice):
    t = alice
    t.ten("status", "echo:alice", "--check")
    t.write("echo.toml", t.service("echo", drain_timeout=1) + "rate_limt = 5\n")
    wait_until(lambda: t.instance("echo:alice")["last_good"])
    said = t.ten("status", "echo:alice", "--check", status=1).stdout
    assert "conf.d/echo.toml is wrong now" in said, said
    t.write("echo.toml", t.service("echo", drain_timeout=1))
    wait_until(lambda: not t.instance("echo:alice")["last_good"])
    t.ten("status", "echo:alice", "--check")
