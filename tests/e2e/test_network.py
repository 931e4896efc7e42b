"""The networks of tenants: who reaches whom, and what is left when they end."""

import os
import re
import signal
import socket
import subprocess
import time

import pytest

from daemon_rig import kill_daemon, status, wait_problem
from harness import SLOWNESS, SOURCE, free_port, processes_of, wait_until
from network_rig import (NEIGHBOUR, Greeter, connect, declare, guarded_ports, links, machine, needs_root,
                         needs_tools, reach, run, tables, wait_nothing_left)

assert machine  # a fixture
pytestmark = [needs_root, needs_tools]

CLOSED = "ECONNREFUSED"  # by a reset
OUT_OF_REACH = "EHOSTUNREACH"  # by ICMP


def port_of(t, key):
    return t.instance(key)["port"]


def address_of(t, key):
    kind, address = t.instance(key)["network"].split()
    assert kind == "private"
    return address


def pid_of(t, key):
    return t.instance(key)["pid"]


# ---- the machine's own


def test_port_is_open_to_the_proxy_root_and_itself_alone(tenement):
    t = tenement()
    declare(t, ["web:a", "web:b"])
    t.wait_ok("web:a"), t.wait_ok("web:b")
    port = port_of(t, "web:a")
    assert connect("127.0.0.1", port) == "ok"
    assert connect("127.0.0.1", port, NEIGHBOUR) == CLOSED
    assert connect("127.0.0.2", port, NEIGHBOUR) == CLOSED
    assert reach(t, "web:b", host="127.0.0.1", port=port) == CLOSED
    # (it says nothing of itself: that nothing comes means that it was taken)
    assert reach(t, "web:a", host="127.0.0.1", port=port, timeout=0.2) == "ETIMEDOUT"
    assert guarded_ports() == {port, port_of(t, "web:b")}
    assert not status(t)["warnings"]


def test_port_is_closed_to_other_machines(tenement, machine):
    t = tenement()
    declare(t, ["web:a"])
    t.wait_ok("web:a")
    ours = Greeter("192.0.2.1")
    assert machine.connect("192.0.2.1", port_of(t, "web:a")) == CLOSED
    assert connect("192.0.2.1", port_of(t, "web:a"), NEIGHBOUR) == CLOSED
    assert connect("192.0.2.1", port_of(t, "web:a")) == "ok"
    assert machine.connect("192.0.2.1", ours.port) == "ok"
    ours.close()


def test_other_servers_in_the_range_are_left_alone(tenement):
    t = tenement(settings={"port_range": "23000-23099"})
    other = Greeter("127.0.0.1", 23050)
    declare(t, ["web:a", "web:b"])
    t.wait_ok("web:a"), t.wait_ok("web:b")
    assert connect("127.0.0.1", 23050, NEIGHBOUR) == "ok"
    assert reach(t, "web:a", host="127.0.0.1", port=23050) == "ok 127.0.0.1"
    other.close()


def test_port_is_nobodys_again_when_its_process_ends(tenement):
    t = tenement(settings={"port_range": "23100-23199"})
    declare(t, ["web:a"])
    t.wait_ok("web:a")
    port = port_of(t, "web:a")
    t.ten("stop", "web:a")
    wait_until(lambda: not guarded_ports(), what="the end of the rule")
    other = Greeter("127.0.0.1", port)
    assert connect("127.0.0.1", port, NEIGHBOUR) == "ok"
    other.close()
    t.wait_ok("web:a")
    assert guarded_ports() == {port_of(t, "web:a")}


def test_ports_stay_closed_while_the_daemon_is_away(tenement):
    t = tenement()
    declare(t, ["web:a"])
    t.wait_ok("web:a")
    port = port_of(t, "web:a")
    os.kill(t.pid_of("tenementd"), signal.SIGKILL)
    until = time.monotonic() + 1
    while time.monotonic() < until:
        assert connect("127.0.0.1", port, NEIGHBOUR) == CLOSED
    t.wait_ok("web:a")
    assert port_of(t, "web:a") == port and guarded_ports() == {port}


@pytest.mark.parametrize("what", ["flush ruleset", "delete table inet {}", "flush set inet {} ports"])
def test_who_takes_our_rules_away_gets_them_back(tenement, what):
    t = tenement()
    declare(t, ["web:a", "web:b"])
    t.wait_ok("web:a")
    run("nft", what.format(tables()[0]))
    if "set" not in what:
        wait_until(lambda: guarded_ports() == {port_of(t, "web:a")}, what="the rule again")
        assert "somebody removed our table" in t.said()
    t.wait_ok("web:b")
    assert port_of(t, "web:b") in guarded_ports()
    assert connect("127.0.0.1", port_of(t, "web:b"), NEIGHBOUR) == CLOSED


def test_keeper_killed_leaves_nothing_that_the_next_start_does_not_remove(tenement):
    t = tenement()
    t.write("own.toml", t.service("own", **{"command": "/usr/bin/python3 reach.py any", "network": "private",
                                            "egress": True}))
    t.write("own-a.toml", t.tenant("own"))
    declare(t, ["web:a"])
    t.wait_ok("web:a"), t.wait_ok("own:a")
    before = guarded_ports()
    os.kill(t.keeper_pid(), signal.SIGKILL)
    t.serve.wait()
    wait_until(lambda: not any("tenementd" in open(f"/proc/{pid}/comm").read()
                               for pid in processes_of(str(t.root)) if os.path.exists(f"/proc/{pid}/comm")),
               what="the end of the daemon")
    t.serve = None
    t.start()
    assert not before & guarded_ports()
    wait_until(lambda: not links(), what="the end of what was left")
    t.wait_ok("own:a")
    assert len(links()) == 1
    t.stop()
    wait_nothing_left()
    assert open("/proc/sys/net/ipv4/ip_forward").read() == "0\n"


def test_end_leaves_nothing(tenement):
    t = tenement()
    declare(t, ["web:a", "web:b"], network="private", egress=True, bandwidth_mbit=100)
    t.wait_ok("web:a"), t.wait_ok("web:b")
    assert len(links()) == 2 and len(tables()) == 2
    assert open("/proc/sys/net/ipv4/ip_forward").read() == "1\n"
    t.stop()
    wait_nothing_left()
    assert open("/proc/sys/net/ipv4/ip_forward").read() == "0\n"


# ---- our listeners, to a tenant that has an address of trusted_proxies


def test_tenant_is_no_trusted_proxy(tenement):
    t = tenement(settings={"trusted_proxies": ["127.0.0.0/8"]})
    declare(t, ["web:a"])
    t.wait_ok("web:a")

    def asks(host="127.0.0.1", port=None):
        # (the proxy waits for a request)
        return reach(t, "web:a", host=host, port=port or t.port, timeout=0.2)
    assert asks() == CLOSED
    assert asks("127.0.0.2") == CLOSED
    assert connect("127.0.0.1", t.port, NEIGHBOUR) == "ok"  # who is no tenant
    kill_daemon(t)
    assert asks() == CLOSED
    for trusted, said in ((["10.0.0.0/8", "::1"], "ETIMEDOUT"), (["::/0"], CLOSED), ([], "ETIMEDOUT"),
                          (["::ffff:127.0.0.1"], CLOSED)):
        t.settings["trusted_proxies"] = trusted
        t.write_main()
        wait_until(lambda said=said: asks() == said, what=f"{said} with {trusted}")
    # One more listener, closed before anybody accepts there.
    second = free_port()
    t.settings["listen"] = [f"127.0.0.1:{t.port}", f"127.0.0.1:{second}"]
    t.write_main()
    wait_until(lambda: connect("127.0.0.1", second) == "ok", what="the second")
    assert asks(port=second) == CLOSED
    run("nft", "flush", "ruleset")
    wait_until(lambda: asks(port=second) == asks() == CLOSED, what="the rules again")


def test_tenant_is_no_trusted_proxy_by_ipv6(tenement):
    port = free_port()
    t = tenement(settings={"trusted_proxies": ["::1", "fd00::/8"]}, start=False)
    t.settings["listen"] = [f"127.0.0.1:{t.port}", f"[::]:{port}"]
    t.start()
    declare(t, ["web:a"])
    t.wait_ok("web:a")
    assert reach(t, "web:a", host="::1", port=port, timeout=0.2) == CLOSED
    assert reach(t, "web:a", host="127.0.0.1", port=t.port, timeout=0.2) == "ETIMEDOUT"
    assert connect("::1", port, NEIGHBOUR) == "ok"


# ---- none


def test_none_is_a_loopback_alone(tenement):
    t = tenement()
    ours = Greeter("127.0.0.1")
    declare(t, ["web:a"], listen="socket", network="none")
    t.wait_ok("web:a")
    assert t.instance("web:a")["network"] == "none"
    assert t.get("web:a", "/interfaces").json() == ["lo"]
    assert reach(t, "web:a", host="127.0.0.1", port=ours.port) == CLOSED
    assert reach(t, "web:a", host="192.0.2.2", port=80) == "ENETUNREACH"
    kill_daemon(t)
    t.wait_ok("web:a")
    ours.close()


def test_none_says_why_a_port_is_of_no_use(tenement):
    t = tenement()
    declare(t, ["web:a"], network="none", startup_timeout=2, restart="never")
    assert t.get("web:a").status in (503, 504)
    t.wait_state("web:a", "failed")
    assert 'with network = "none" nobody reaches it: listen on SOCKET_PATH' in t.instance("web:a")["reason"]


def test_none_with_a_passed_socket(tenement):
    t = tenement()
    t.declare(["app:a"], mode="echo --listen passed", network="none", socket_activation=True)
    t.wait_ok("app:a")


# ---- private


def test_private_is_reached_by_the_proxy_and_root_alone(tenement, machine):
    t = tenement()
    declare(t, ["web:a", "web:b"], network="private")
    t.wait_ok("web:a"), t.wait_ok("web:b")
    a, port = address_of(t, "web:a"), port_of(t, "web:a")
    assert a.startswith("10.90.") and a != address_of(t, "web:b")
    assert t.get("web:a", "/interfaces").json() == ["lo", "eth0"]
    assert connect(a, port) == "ok"
    assert connect(a, port, NEIGHBOUR) == OUT_OF_REACH
    assert connect(a, port + 1, NEIGHBOUR) == OUT_OF_REACH
    assert connect("127.0.0.1", port) == CLOSED
    assert reach(t, "web:b", host=a, port=port, timeout=1) in (OUT_OF_REACH, "ETIMEDOUT")
    machine.within(lambda: run("ip", "route", "add", "10.90.0.0/16", "via", "192.0.2.1"))
    with open("/proc/sys/net/ipv4/ip_forward", "w", encoding="ascii") as forward:
        forward.write("1")
    assert machine.connect(a, port, 0.5) == "ETIMEDOUT"
    with open("/proc/sys/net/ipv4/ip_forward", "w", encoding="ascii") as forward:
        forward.write("0")


def test_private_reaches_nothing_without_egress(tenement, machine):
    t = tenement()
    ours = Greeter()
    declare(t, ["web:a"], network="private")
    t.wait_ok("web:a")
    gateway = address_of(t, "web:a").rpartition(".")
    gateway = f"{gateway[0]}.{int(gateway[2]) - 1}"
    for host in (gateway, "192.0.2.1"):
        assert reach(t, "web:a", host=host, port=ours.port) == OUT_OF_REACH
    assert reach(t, "web:a", host="127.0.0.1", port=ours.port) == CLOSED
    assert reach(t, "web:a", host=gateway, port=t.port) == OUT_OF_REACH
    assert reach(t, "web:a", host="fe80::1%eth0", port=80) in ("EINVAL", "EADDRNOTAVAIL", "ENETUNREACH")
    assert reach(t, "web:a", host="192.0.2.2", port=machine.greeter()) in (OUT_OF_REACH, "ETIMEDOUT")
    assert open("/proc/sys/net/ipv4/ip_forward").read() == "0\n"
    ours.close()


def test_egress_is_opened_and_closed_while_it_runs(tenement, machine):
    t = tenement()
    ours = Greeter()
    run("ip", "route", "add", "169.254.169.254", "via", "192.0.2.2")
    here, there, cloud = (machine.greeter(host) for host in ("192.0.2.2", "192.0.2.3", "169.254.169.254"))
    declare(t, ["web:a", "web:b"], network="private", egress=True)
    t.wait_ok("web:a"), t.wait_ok("web:b")
    pid = pid_of(t, "web:a")
    assert reach(t, "web:a", host="192.0.2.2", port=here) == "ok 192.0.2.1"
    assert reach(t, "web:a", host="192.0.2.1", port=ours.port) == OUT_OF_REACH
    assert reach(t, "web:a", host=address_of(t, "web:b"), port=port_of(t, "web:b")) == OUT_OF_REACH
    assert reach(t, "web:a", host="169.254.169.254", port=cloud) == OUT_OF_REACH
    t.write("web-a.toml", t.tenant("web", egress_allow=["192.0.2.0/24:1-9", f"192.0.2.2:{here}"]))
    wait_until(lambda: reach(t, "web:a", host="192.0.2.3", port=there) == OUT_OF_REACH, what="the new rule")
    assert reach(t, "web:a", host="192.0.2.2", port=here) == "ok 192.0.2.1"
    assert reach(t, "web:b", host="192.0.2.3", port=there) == "ok 192.0.2.1"
    t.write("web-a.toml", t.tenant("web", egress=False))
    wait_until(lambda: reach(t, "web:a", host="192.0.2.2", port=here) == OUT_OF_REACH, what="no egress")
    t.write("web-a.toml", t.tenant("web"))
    wait_until(lambda: reach(t, "web:a", host="192.0.2.2", port=here) == "ok 192.0.2.1", what="egress")
    assert pid_of(t, "web:a") == pid
    ours.close()


def test_private_outlives_the_daemon(tenement, machine):
    t = tenement()
    here = machine.greeter()
    declare(t, ["web:a", "web:b"], network="private", egress=True)
    t.wait_ok("web:a"), t.wait_ok("web:b")
    before, pid = address_of(t, "web:a"), pid_of(t, "web:a")
    kill_daemon(t)
    assert t.get("web:a").status == 200
    assert (address_of(t, "web:a"), pid_of(t, "web:a")) == (before, pid)
    assert reach(t, "web:a", host="192.0.2.2", port=here) == "ok 192.0.2.1"
    assert connect(before, port_of(t, "web:a"), NEIGHBOUR) == OUT_OF_REACH
    t.write("web-a.toml", t.tenant("web", egress=False, bandwidth_mbit=10))
    wait_until(lambda: reach(t, "web:a", host="192.0.2.2", port=here) == OUT_OF_REACH, what="no egress")
    wait_until(lambda: "tbf" in run("tc", "qdisc", "show"), what="a bound")
    run("nft", "flush", "ruleset")
    wait_until(lambda: len(tables()) == 2, what="the rules again")
    assert reach(t, "web:b", host="192.0.2.2", port=here) == "ok 192.0.2.1"
    assert reach(t, "web:a", host="192.0.2.2", port=here) == OUT_OF_REACH
    t.ten("restart", "web:a")
    assert t.wait_ok("web:a").json()["pid"] != pid


def test_private_that_is_killed_leaves_no_link(tenement):
    t = tenement()
    declare(t, ["web:a"], network="private", egress=True, restart="never")
    t.wait_ok("web:a")
    assert len(links()) == 1
    os.kill(pid_of(t, "web:a"), signal.SIGKILL)
    wait_until(lambda: not links(), what="the end of the link")
    wait_until(lambda: "egress_" not in run("nft", "list", "chains"), what="the end of its chain")


def test_private_of_two_tenements_with_one_range(tenement):
    t, other = tenement(), tenement()
    for one in (t, other):
        declare(one, ["web:a", "web:b"], network="private")
        one.wait_ok("web:a"), one.wait_ok("web:b")
    assert len({address_of(one, key) for one in (t, other) for key in ("web:a", "web:b")}) == 4
    for one in (t, other):
        assert one.get("web:a").json()["pid"] != one.get("web:b").json()["pid"]


def test_private_rules_that_cannot_be_made_are_told_and_tried_again(tenement):
    t = tenement()
    declare(t, ["web:a"], network="private")
    t.wait_ok("web:a")
    table = next(name for name in tables() if name.endswith("_private"))
    os.kill(t.pid_of("tenementd"), signal.SIGSTOP)
    run("nft", f"delete table inet {table}")
    with subprocess.Popen(["nft", "-i"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as owner:
        owner.stdin.write(f"add table inet {table} {{ flags owner; }}\n")
        owner.stdin.flush()
        wait_until(lambda: table in tables(), what="another's table of that name")
        kill_daemon(t)
        wait_until(lambda: any("are not closed" in one for one in status(t)["warnings"]), what="the problem")
        owner.kill()
    wait_until(lambda: not any("are not closed" in one for one in status(t)["warnings"]), 15, what="no problem")
    assert "chain to_tenant" in run("nft", "list", "table", "inet", table)
    assert connect(address_of(t, "web:a"), port_of(t, "web:a"), NEIGHBOUR) == OUT_OF_REACH


def test_private_says_that_it_listens_where_nobody_is(tenement):
    t = tenement()
    declare(t, ["web:a"], listen="local", network="private", startup_timeout=2, restart="never")
    t.get("web:a")
    t.wait_state("web:a", "failed")
    assert "listen on 0.0.0.0, or on SOCKET_PATH" in t.instance("web:a")["reason"]


def test_private_by_socket(tenement):
    t = tenement()
    declare(t, ["web:a"], listen="socket", network="private", health="/")
    t.wait_ok("web:a")
    assert t.get("web:a", "/interfaces").json() == ["lo", "eth0"]


def seconds(work):
    began = time.monotonic()
    work()
    return time.monotonic() - began


def test_bandwidth_is_bounded_in_both_directions(tenement):
    t = tenement()
    declare(t, ["web:a"], network="private", bandwidth_mbit=8)
    t.wait_ok("web:a")
    size = 2_000_000  # two seconds' worth, but for what comes at once
    assert 1.2 < seconds(lambda: t.get("web:a", f"/download?bytes={size}")) < 6 * SLOWNESS
    assert 1.2 < seconds(lambda: t.post("web:a", "/upload", bytes(size))) < 6 * SLOWNESS
    pid = pid_of(t, "web:a")
    t.write("web-a.toml", t.tenant("web", bandwidth_mbit=0))
    wait_until(lambda: "tbf" not in run("tc", "qdisc", "show"), what="no bound")
    wait_until(lambda: seconds(lambda: t.get("web:a", f"/download?bytes={size}")) < 1.2, what="a fast answer")
    assert pid_of(t, "web:a") == pid


def test_fifty_at_once(tenement):
    t = tenement(settings={"max_concurrent_starts": 50})
    keys = [f"tiny:t{i}" for i in range(50)]
    t.declare(keys, mode="tiny", network="private", egress=True)
    wait_until(lambda: len(t.instances()) == 50, what="fifty tenants")
    t.ten("start", *keys)
    for key in keys:
        t.wait_ok(key)
    assert len(links()) == 50
    assert len({address_of(t, key) for key in keys}) == 50
    t.stop()
    wait_nothing_left()


def test_range_that_is_used_up(tenement):
    t = tenement(settings={"private_range": "10.91.0.0/30", "max_restarts": 1000,
                           "backoff_base_ms": 100, "backoff_max_ms": 300})
    declare(t, ["web:a", "web:b", "web:c"], network="private", startup_timeout=4)
    assert t.wait_ok("web:a").status == t.wait_ok("web:b").status == 200
    t.get("web:c")
    wait_until(lambda: "no address is free in private_range" in t.instance("web:c")["reason"], what="the reason")
    t.ten("stop", "web:a")
    t.wait_ok("web:c", timeout=30)


# ---- at each level of isolation

LEVELS = [{"isolation": "process"}, {"isolation": "namespace"}, {"isolation": "sandbox", "sandbox": "native"},
          {"isolation": "sandbox", "sandbox": "gvisor"}]


def declare_at(t, keys, level, **settings):
    # (a sandbox's own processes are many, and gVisor takes its time here)
    declare(t, keys, startup_timeout=30, pids_limit=0, **level, **settings)
    problems = [text for text in status(t)["problems"] if "cannot be given" in text]
    if problems:
        pytest.skip(problems[0])


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: "-".join(level.values()))
def test_private_at_each_level(tenement, machine, level):
    t = tenement()
    ours, here = Greeter(), machine.greeter()
    declare_at(t, ["web:a", "web:b"], level, network="private", egress=True,
               egress_allow=[f"192.0.2.2:{here}"])
    t.wait_ok("web:a", timeout=40), t.wait_ok("web:b", timeout=40)
    a, port = address_of(t, "web:a"), port_of(t, "web:a")
    assert connect(a, port, NEIGHBOUR) == OUT_OF_REACH
    assert reach(t, "web:a", host="192.0.2.2", port=here) == "ok 192.0.2.1"
    for host, there in ((a, port), ("192.0.2.1", ours.port), ("192.0.2.3", here)):
        assert reach(t, "web:b", host=host, port=there, timeout=1) in (OUT_OF_REACH, "ETIMEDOUT", CLOSED)
    ours.close()


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: "-".join(level.values()))
def test_none_at_each_level(tenement, level):
    t = tenement()
    ours = Greeter()
    declare_at(t, ["web:a"], level, listen="socket", network="none")
    t.wait_ok("web:a", timeout=40)
    assert reach(t, "web:a", host="127.0.0.1", port=ours.port) == CLOSED
    ours.close()


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: "-".join(level.values()))
def test_ports_of_neighbours_are_closed_at_each_level(tenement, level):
    t = tenement()
    declare_at(t, ["web:a", "web:b"], level)
    t.wait_ok("web:a", timeout=40), t.wait_ok("web:b", timeout=40)
    assert reach(t, "web:b", host="127.0.0.1", port=port_of(t, "web:a")) == CLOSED
    assert connect("127.0.0.1", port_of(t, "web:b"), NEIGHBOUR) == CLOSED


# ---- the table in tenement-isolation(7)

NETWORKS = {"host": {}, "none": {"network": "none"}, "private": {"network": "private"},
            "egress": {"network": "private", "egress": True}}
PLACES = {
    "host-loopback": lambda w: {"host": "127.0.0.1", "port": w.ours.port},
    "host-address": lambda w: {"host": "192.0.2.1", "port": w.ours.port},
    "our-listeners": lambda w: {"host": "127.0.0.1", "port": w.t.port},
    "neighbour-host": lambda w: {"host": "127.0.0.1", "port": port_of(w.t, "other:a")},
    "neighbour-private": lambda w: {"host": address_of(w.t, "own:a"), "port": port_of(w.t, "own:a")},
    "abstract-socket": lambda w: {"path": f"@tenement-test-{w.t.port}"},
    "socket-names": lambda w: {"path": f"@tenement-test-{w.t.port}"},
    "other-machine": lambda w: {"host": "192.0.2.2", "port": w.there},
    "metadata": lambda w: {"host": "169.254.169.254", "port": w.cloud},
}


def read_table():
    """{place: {network: cell}}"""
    page = (SOURCE / "tenement" / "man" / "tenement-isolation.7").read_text()
    for text in re.findall(r"^\.TS\n.*?\.\n(.*?)^\.TE$", page, re.M | re.S):
        rows = [line.split("\t") for line in text.splitlines() if "\t" in line]
        if rows[0][0] == "to":
            return {row[0]: dict(zip(rows[0][2:], row[2:])) for row in rows[1:]}
    return {}


TABLE = read_table()


def test_each_row_of_the_table_is_tried():
    assert set(TABLE) == set(PLACES)
    assert all(set(cells) == set(NETWORKS) for cells in TABLE.values())


@pytest.mark.parametrize("network", NETWORKS)
def test_table_of_networks(tenement, machine, network):
    class World:
        t = tenement()
        ours = Greeter()
        there, cloud = machine.greeter(), machine.greeter("169.254.169.254")
        abstract = socket.socket(socket.AF_UNIX)
    t = World.t
    run("ip", "route", "add", "169.254.169.254", "via", "192.0.2.2")
    World.abstract.bind(f"\0tenement-test-{t.port}")
    World.abstract.listen(9)
    declare(t, ["web:a"], listen="socket" if network == "none" else "any", **NETWORKS[network])
    declare(t, ["other:a"])
    declare(t, ["own:a"], network="private")
    for key in ("web:a", "other:a", "own:a"):
        t.wait_ok(key)
    got = {}
    for row, place in PLACES.items():
        given = place(World)
        said = (t.get("web:a", f"/socket?path={given['path']}").text if row == "socket-names" else
                reach(t, "web:a", timeout=0.5 if row == "our-listeners" else 3, **given)).split()[0]
        # (the proxy waits for a request; and who is out of reach may not be told so)
        if said == "ETIMEDOUT":
            said = "open" if row == "our-listeners" else OUT_OF_REACH
        got[row] = "open" if said == "ok" else said
    World.ours.close(), World.abstract.close()
    assert got == {row: cells[network] for row, cells in TABLE.items()}


# ---- what is refused


@pytest.mark.parametrize("keys, why", [
    ({"egress": True}, "egress is for a network of the tenant's own"),
    ({"network": "none", "egress": True}, "egress is for a network of the tenant's own"),
    ({"egress_allow": ["10.0.0.0/8:80"]}, "egress_allow is for a network of the tenant's own"),
    ({"bandwidth_mbit": 5}, "bandwidth_mbit is for a network of the tenant's own"),
    ({"network": "private", "egress_allow": ["10.0.0.0/8:80"]}, "opens nothing without egress"),
    ({"network": "private", "egress": True, "egress_allow": ["db:80"]}, "no network in CIDR form"),
    ({"network": "private", "egress": True, "egress_allow": ["10.0.0.0/8:0"]}, "no port"),
    ({"network": "private", "egress": True, "egress_allow": ["[::1]:80"]}, "IPv4"),
    ({"network": "public"}, "network"),
])
def test_what_makes_no_sense_is_refused(tenement, keys, why):
    t = tenement()
    t.write("web.toml", t.service("web", **keys))
    t.write("web-a.toml", t.tenant("web"))
    wait_problem(t, why)
