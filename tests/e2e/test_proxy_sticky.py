"""A visitor keeps the version that served them until weights say otherwise."""

import collections
import re

import pytest

from proxy_rig import *  # noqa: F401,F403
from proxy_rig import Client, Rig, answer, fetch

HOST = "tiny.localhost"
NAME = "tenement_route_tiny"
SHAPE = re.compile(NAME + r"=([0-9a-f]{16}); Path=/; HttpOnly; SameSite=Lax")


@pytest.fixture
def routed(rig, tenant_of):
    """The rig with the tenants a, b and c, which answer with their names and FIELDS."""
    rig.fields, rig.tenants = [], {}
    for name in ("a", "b", "c"):
        rig.tenants[name] = tenant_of(lambda stream, request, name=name: answer(name, *rig.fields))
        rig.tenant(rig.tenants[name], name)
    return rig


def share(rig, kind, *weights):
    rig.do("weighted", HOST, 3, f"sticky={kind}", *weights)


def ask(rig, *fields, line="GET / HTTP/1.1"):
    """Who answered, and the tag that was set."""
    response = fetch(rig, line, *fields, host=HOST)
    assert response.status == 200
    cookies = response.all("set-cookie")
    assert len(cookies) <= 1
    return response.body.decode(), SHAPE.fullmatch(cookies[0]).group(1) if cookies else None


def with_cookie(rig, *values):
    return ask(rig, *[f"Cookie: {value}" for value in values])


def tags(rig):
    """{name: tag} of all that take traffic."""
    found = {}
    while len(found) < 3:
        name, tag = ask(rig)
        assert found.setdefault(name, tag) == tag
    return found


def test_a_cookie_keeps_the_version(routed):
    share(routed, "cookie", "a=1", "b=1", "c=1")
    known = tags(routed)
    assert len(set(known.values())) == 3
    for name, tag in known.items():
        for _ in range(5):
            assert with_cookie(routed, f"{NAME}={tag}") == (name, None), "and it is not set again"


def test_a_sticky_pick_takes_no_ticket(routed):
    share(routed, "cookie", "a=1", "b=1")
    first, tag = ask(routed)
    other = {"a": "b", "b": "a"}[first]
    for _ in range(3):
        assert with_cookie(routed, f"{NAME}={tag}")[0] == first
    assert ask(routed)[0] == other, "the next new visitor gets what would have come next"
    got = collections.Counter(ask(routed)[0] for _ in range(20))
    assert got == {"a": 10, "b": 10}, "weights are exact for those who are new"


def test_without_sticky_there_is_no_cookie(routed):
    share(routed, "none", "a=1", "b=1")
    got = [ask(routed, f"Cookie: {NAME}=0123456789abcdef") for _ in range(10)]
    assert collections.Counter(got) == {("a", None): 5, ("b", None): 5}


def test_weights_say_otherwise(routed):
    share(routed, "cookie", "a=1", "b=1", "c=1")
    known = tags(routed)
    share(routed, "cookie", "a=0", "b=1", "c=5")
    name, tag = with_cookie(routed, f"{NAME}={known['a']}")
    assert name in "bc" and tag == known[name], "a stale cookie is replaced"
    assert with_cookie(routed, f"{NAME}={known['b']}") == ("b", None)
    share(routed, "cookie", "a=1", "c=1")
    assert with_cookie(routed, f"{NAME}={known['b']}")[0] in "ac", "it is gone from the route"
    assert with_cookie(routed, f"{NAME}={known['a']}") == ("a", None)
    share(routed, "cookie", "b=1")
    assert with_cookie(routed, f"{NAME}={known['c']}") == ("b", known["b"])


@pytest.mark.parametrize("cookie", [
    "", ";", "x=y", f"{NAME}", f"{NAME}=", f"{NAME}=1", f'{NAME}="{"0" * 16}"', f"{NAME}={'0' * 16}",
    f"{NAME}={'f' * 16}", f"{NAME}={'f' * 8000}", f"{NAME}=../../etc/pass", "; ".join([f"{NAME}=" + "1" * 16] * 300),
    "\xff\xfe\x80", f"{NAME}={'F' * 16}", "a=\"" + f"; {NAME}=x",
])
def test_junk_is_no_cookie(routed, cookie):
    share(routed, "cookie", "a=1", "b=1")
    with Client(routed, HOST) as client:
        client.send(f"GET / HTTP/1.1\r\nHost: {HOST}\r\nCookie: ".encode() + cookie.encode("latin-1") + b"\r\n\r\n")
        response = client.response()
    assert response.status == 200 and SHAPE.fullmatch(response.get("set-cookie"))


def test_many_cookies(routed):
    share(routed, "cookie", "a=1", "b=1", "c=1")
    known = tags(routed)
    good = f"{NAME}={known['b']}"
    assert with_cookie(routed, "x=1", f"y=2; {good}; z=3") == ("b", None)
    assert with_cookie(routed, f"{NAME}={'1' * 16}; {good}") == ("b", None), "one that leads nowhere is passed over"
    assert with_cookie(routed, f"{NAME}=junk; {good}") == ("b", None)
    assert with_cookie(routed, f"tenement_route_other={known['a']}; {good}") == ("b", None)
    # But no request has us try hundreds.
    late = "; ".join([f"{NAME}={'1' * 16}"] * 8 + [good])
    assert with_cookie(routed, late)[1] is not None


def test_the_cookie_reaches_the_tenant_as_it_is(routed):
    share(routed, "cookie", "a=1", "b=1", "c=1")
    known = tags(routed)
    with_cookie(routed, f"sid=7; {NAME}={known['a']}")
    assert routed.tenants["a"].requests[-1].get("cookie") == f"sid=7; {NAME}={known['a']}"


def test_the_tenants_own_cookies_stay(routed):
    routed.fields = ["Set-Cookie: sid=1; Path=/", "Set-Cookie: theme=dark"]
    share(routed, "cookie", "a=1")
    cookies = fetch(routed, host=HOST).all("set-cookie")
    assert cookies[:2] == ["sid=1; Path=/", "theme=dark"] and SHAPE.fullmatch(cookies[2])


@pytest.mark.parametrize("control, is_set", [
    ("public", False), ("max-age=60, Public", False), ("max-age=60, s-maxage=600", False),
    ("private", True), ("max-age=60", True), ("no-store", True), ("publicity", True),
])
def test_what_a_shared_cache_may_keep_has_no_cookie(routed, control, is_set):
    routed.fields = [f"Cache-Control: {control}"]
    share(routed, "cookie", "a=1")
    assert (ask(routed)[1] is not None) == is_set


def test_304_and_interim_answers_set_nothing(rig, tenant_of):
    def handler(stream, request):
        if request.target == "/304":
            return b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n"
        return b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + answer("late")
    rig.tenant(tenant_of(handler), "a")
    share(rig, "cookie", "a=1")
    assert fetch(rig, "GET /304 HTTP/1.1", host=HOST).get("set-cookie") is None
    with Client(rig, HOST) as client:
        client.ask()
        interim, final = client.response(), client.response()
    assert (interim.status, final.status) == (103, 200)
    assert interim.get("set-cookie") is None and SHAPE.fullmatch(final.get("set-cookie"))


def test_an_upgrade_is_kept_too(rig, tenant_of):
    def handler(stream, request):
        stream.sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
        stream.sock.sendall(stream.bytes(4))
        return False
    rig.tenant(tenant_of(handler), "a")
    share(rig, "cookie", "a=1")
    with Client(rig, HOST) as client:
        client.ask("GET / HTTP/1.1", "Connection: upgrade", "Upgrade: echo")
        response = client.response()
        assert response.status == 101 and SHAPE.fullmatch(response.get("set-cookie"))
        client.send("ping")
        assert client.bytes(4) == b"ping"


def test_pipelined_visitors_are_told_apart(routed):
    share(routed, "cookie", "a=1", "b=1", "c=1")
    known = tags(routed)
    with Client(routed, HOST) as client:
        for name in "abc":
            client.ask("GET / HTTP/1.1", f"Cookie: {NAME}={known[name]}")
        client.ask()
        got = [client.response() for _ in range(4)]
    assert [response.body for response in got[:3]] == [b"a", b"b", b"c"]
    assert [response.get("set-cookie") is None for response in got] == [True, True, True, False]


@pytest.mark.parametrize("state", ["failed", "stopped", "suspended"])
def test_who_is_down_does_not_keep_its_visitors(routed, state):
    share(routed, "cookie", "a=1", "b=1", "c=1")
    known = tags(routed)
    routed.do("state", "a", state)
    for _ in range(6):
        name, tag = with_cookie(routed, f"{NAME}={known['a']}")
        assert name in "bc" and tag == known[name]
    routed.do("state", "b", state)
    assert {with_cookie(routed, f"{NAME}={known['a']}")[0] for _ in range(6)} == {"c"}
    routed.do("state", "c", state)
    response = fetch(routed, "GET / HTTP/1.1", f"Cookie: {NAME}={known['a']}", host=HOST)
    assert response.status == 503 and response.get("set-cookie") is None


@pytest.mark.parametrize("kind, field", [("cookie", f"Cookie: {NAME}={{}}"), ("ip", "X-Unused: {}")])
def test_who_sleeps_is_woken_for_their_visitor(routed, kind, field):
    share(routed, "cookie", "a=1", "b=1", "c=1")
    known = tags(routed)
    share(routed, kind, "a=1", "b=1", "c=1")
    name = ask(routed, field.format(known["b"]))[0]
    routed.do("state", name, "asleep")
    with Client(routed, HOST) as client:
        client.ask("GET / HTTP/1.1", field.format(known["b"]))
        assert routed.wanted() == [name]
        routed.do("state", name, "ready")
        response = client.response()
        assert (response.body.decode(), response.get("set-cookie")) == (name, None)


def test_a_target_that_goes_while_its_visitor_waits(routed):
    share(routed, "cookie", "a=1", "b=1", "c=1")
    known = tags(routed)
    routed.do("state", "a", "asleep")
    with Client(routed, HOST) as client:
        client.ask("GET / HTTP/1.1", f"Cookie: {NAME}={known['a']}")
        assert routed.wanted() == ["a"]
        share(routed, "cookie", "b=1")
        response = client.response()
        assert response.body == b"b" and SHAPE.fullmatch(response.get("set-cookie")).group(1) == known["b"]


def test_cookies_outlive_the_workers(tenant_of):
    rig = Rig(workers=2)
    rig.do("settings")
    for name in ("a", "b", "c"):
        rig.tenant(tenant_of(lambda stream, request, name=name: answer(name)), name)
    share(rig, "cookie", "a=1", "b=1", "c=1")
    known = tags(rig)
    for worker in (0, 1):
        rig.do("kill", worker)
    for _ in range(4):  # whichever of the two has the connection
        for name, tag in known.items():
            assert with_cookie(rig, f"{NAME}={tag}") == (name, None)
    rig.close()


# ---- by address ----

def by_address(rig, addresses):
    return {address: ask(rig, f"X-Real-IP: {address}")[0] for address in addresses}


ADDRESSES = [f"198.51.100.{i}" for i in range(120)]


def test_an_address_keeps_the_version(routed):
    routed.do("settings", trusted="127.0.0.0/8")
    share(routed, "ip", "a=2", "b=1", "c=1")
    had = by_address(routed, ADDRESSES)
    assert set(had.values()) == {"a", "b", "c"}
    assert by_address(routed, ADDRESSES) == had
    assert ask(routed, f"X-Real-IP: {ADDRESSES[0]}")[1] is None, "no cookie is set"
    # A weight that grows draws visitors; nobody moves between the others.
    share(routed, "ip", "a=2", "b=1", "c=5")
    now = by_address(routed, ADDRESSES)
    moved = {(had[address], now[address]) for address in ADDRESSES if had[address] != now[address]}
    assert moved and {to for _, to in moved} == {"c"}
    share(routed, "ip", "a=2", "b=1")
    now = by_address(routed, ADDRESSES)
    assert all(now[address] == had[address] for address in ADDRESSES if had[address] != "c")


def test_only_who_is_trusted_says_whose_address_it_is(routed):
    share(routed, "ip", "a=1", "b=1", "c=1")
    assert len(set(by_address(routed, ADDRESSES[:30]).values())) == 1
    routed.do("settings", trusted="127.0.0.0/8")
    assert len(set(by_address(routed, ADDRESSES[:30]).values())) == 3
    last = {ask(routed, f"X-Forwarded-For: {ADDRESSES[i]}, 192.0.2.9")[0] for i in range(10)}
    assert last == {ask(routed, "X-Real-IP: 192.0.2.9")[0]}


def test_an_address_whose_version_is_down(routed):
    routed.do("settings", trusted="127.0.0.0/8")
    share(routed, "ip", "a=1", "b=1", "c=1")
    had = by_address(routed, ADDRESSES[:30])
    routed.do("state", "a", "failed")
    now = by_address(routed, ADDRESSES[:30])
    assert set(now.values()) == {"b", "c"}
    assert all(now[address] == name for address, name in had.items() if name != "a")
    routed.do("state", "a", "ready")
    assert by_address(routed, ADDRESSES[:30]) == had


def test_addresses_agree_over_workers(tenant_of):
    rig = Rig(workers=2)
    rig.do("settings", trusted="127.0.0.0/8")
    for name in ("a", "b", "c"):
        rig.tenant(tenant_of(lambda stream, request, name=name: answer(name)), name)
    share(rig, "ip", "a=1", "b=1", "c=1")
    had = by_address(rig, ADDRESSES[:20])
    for _ in range(3):
        assert by_address(rig, ADDRESSES[:20]) == had
    requests = [worker["requests"] for worker in rig.do("workers")["workers"]]
    assert all(requests), "both took part"
    rig.close()
