"""POST /api/deploy and `ten deploy`."""

import contextlib
import http.client
import os
import signal
import socket
import threading

from harness import process_alive, wait_until
from sse_rig import Stream


def split_of(t, service):
    routes = t.control("GET", "/api/routes").json()["routes"]
    return next(route["split"] for route in routes if route["process"] == service)


def deploys(t, key):
    listed = t.control("GET", f"/api/events?instance={key}&limit=4096").json()["events"]
    return [event["text"] for event in listed if event["kind"] == "deploy"]


def deploy(t, **body):
    return t.control("POST", "/api/deploy", body)


def answering_ids(t, service, count=20):
    return {t.get(f"{service}:", "/").json()["env"].get("TENANT") for _ in range(count)}


def test_deploy(tenement):
    t = tenement(main='[routing]\ndefault = "plain"\n')
    # one whose traffic is shared by balance, one by a route, one as the default, one not at all
    for name, keys in (("app", {"balance": True}), ("blog", {}), ("plain", {}), ("alone", {})):
        t.write(f"{name}.toml", t.service(name, health="/health", env={"TENANT": "{id}"}, **keys))
        t.write(f"{name}-v1.toml", t.tenant(name))
    t.write("blog.route.toml", "[route.blog]\nsplit = { v1 = 100 }\n")
    t.wait_ok("app:v1")

    # balance: declared with its weight, not overridden
    done = deploy(t, process="app", version="v2", weight=100)
    assert done.status == 200, done
    done = done.json()
    assert done["instance"] == "app:v2" and done["status"] == "healthy" and done["weight"] == 100
    assert done["socket"].startswith("/") and done["split"] == {"v1": 100, "v2": 100}
    assert answering_ids(t, "app") == {"v1", "v2"}  # when it is answered, every worker goes by it
    assert "weight = 100" in (t.conf_dir / done["file"]).read_text()
    assert t.ten_json("overrides")["overrides"] == []
    assert deploys(t, "app:v2") == ["begins, by uid 0", "it is healthy, and its weight is 100"] or os.geteuid()

    # again, of what is declared: its weight alone changes
    assert deploy(t, process="app", version="v2", weight=0).json()["file"] is None
    assert split_of(t, "app") == {"v1": 100, "v2": 0}
    assert answering_ids(t, "app") == {"v1"}

    # a route: by override, as `ten weight` does
    text = t.ten("deploy", "blog:v2", "--weight", "5").stdout
    assert "blog:v2 is healthy, and its weight is 5: http://" in text
    assert split_of(t, "blog") == {"v1": 100, "v2": 5}
    # what is in force, and not what its own file says
    assert t.instance("blog:v2")["weight"] == 5
    moved = t.control("POST", "/api/route", {"process": "blog", "from": "v1", "to": "v2"}).json()
    assert moved["from_instance"] == "blog:v1" and moved["from_weight"] == 0
    assert moved["to_instance"] == "blog:v2" and moved["to_weight"] == 105
    # declared: the file is not ten's own
    assert t.ten("deploy", "blog:v3", "--declare", status=None).returncode == 4
    assert t.instance("blog:v3") is None
    # who is gone has no share, nor when one of that name comes again
    assert deploy(t, process="blog", version="v4", weight=7).json()["split"] == {"v1": 0, "v2": 105, "v4": 7}
    t.ten("rm", "blog:v4")
    assert split_of(t, "blog") == {"v1": 0, "v2": 105}
    t.ten("spawn", "blog:v4")
    assert split_of(t, "blog") == {"v1": 0, "v2": 105} and answering_ids(t, "blog") == {"v2"}

    # the default of the root domain
    assert deploy(t, process="plain", version="v2").json()["split"] == {"v1": 100, "v2": 100}

    # nothing to share out: refused, and nothing is declared; but with weight 0 it is only started
    refused = deploy(t, process="alone", version="v2")
    assert refused.status == 422 and "balance = true" in refused.json()["error"]
    assert t.instance("alone:v2") is None
    assert deploy(t, process="alone", version="v2", weight=0).status == 200
    assert t.get("alone:v2").status == 200

    # what is wrong with the question
    assert deploy(t, process="nobody", version="v2").status == 404
    assert deploy(t, process="app").status == 422
    assert deploy(t, process="app", version="../v2").status == 422
    wrong = deploy(t, process="app", version="v3", weight=10001)
    assert wrong.status == 422 and wrong.json()["where"] == {"parameter": "weight"}
    assert deploy(t, process="app", version="v3", timeout=0).status == 422
    assert deploy(t, process="app", version="v3", timeout="x").status == 422
    t.ten("suspend", "app:v2")
    assert "suspended" in deploy(t, process="app", version="v2").json()["error"]
    t.ten("pause")
    assert deploy(t, process="app", version="v3").status == 422
    t.ten("unpause")

    # paused meanwhile: it gets its share when that is over
    t.write("slow.toml", t.service("slow", "echo --start-delay 1", balance=True))
    t.write("slow-v1.toml", t.tenant("slow"))
    t.wait_state("slow:v1", "asleep")
    answers = []
    asks = threading.Thread(target=lambda: answers.append(deploy(t, process="slow", version="v2")))
    asks.start()
    t.wait_state("slow:v2", "starting")
    t.ten("pause")
    t.wait_state("slow:v2", "ready")
    assert split_of(t, "slow") == {"v1": 100, "v2": 0} and not answers
    t.ten("unpause")
    asks.join()
    assert answers[0].json()["split"] == {"v1": 100, "v2": 100}
    assert t.instance("app:v3") is None


def test_deploy_that_does_not_get_there(tenement):
    """Routes and the old version as before, nothing left; and no request before it is healthy."""
    t = tenement(settings={"max_restarts": 1})
    env = {"TENANT": "{id}"}
    # (that of v1 is not looked at for an hour)
    t.write("app.toml", t.service("app", "echo --health 500", health="/health", health_interval=3600, env=env, balance=True))
    t.write("app-v1.toml", t.tenant("app"))
    t.wait_ok("app:v1")
    pid = t.instance("app:v1")["pid"]
    before = sorted(os.listdir(t.conf_dir))

    # it answers, but says that it is not well
    failed = deploy(t, process="app", version="v2", timeout=1)
    assert failed.status == 504, failed
    failed = failed.json()
    assert "not healthy within 1 s: it answers 500" in failed["error"]
    assert failed["where"] == {"instance": "app:v2"}
    assert t.instance("app:v2") is None and sorted(os.listdir(t.conf_dir)) == before
    assert split_of(t, "app") == {"v1": 100}
    assert deploys(t, "app:v2")[-1].startswith("failed: ")

    # it dies: the answer has what it said
    t.write("bad.toml", t.service("bad", "dies", health="/health", balance=True))
    t.write("bad-v1.toml", t.tenant("bad"))
    t.wait_state("bad:v1", "asleep")
    done = t.ten("deploy", "bad:v2", status=1)
    assert "bad:v2 is failed" in done.stderr and done.stdout == ""
    answer = deploy(t, process="bad", version="v2")
    assert answer.status == 422 and answer.json()["log"], answer.json()
    assert answer.json()["log"][-1]["message"] in done.stderr
    assert t.instance("bad:v2") is None
    # one that was declared before stays declared
    assert deploy(t, process="bad", version="v1").status == 422
    assert t.instance("bad:v1")["state"] == "failed"
    assert t.instance("app:v1")["pid"] == pid


def test_deploys_meanwhile(tenement):
    """Two of the same; a client that goes; a daemon that is killed; no traffic before it is healthy."""
    t = tenement()
    t.write("app.toml", t.service("app", "echo --health 500", health="/health", health_interval=3600, balance=True,
                                  env={"TENANT": "{id}"}))
    t.write("app-v1.toml", t.tenant("app"))
    t.wait_ok("app:v1")
    answers = []
    asks = threading.Thread(target=lambda: answers.append(deploy(t, process="app", version="v2", timeout=3)))
    asks.start()
    t.wait_state("app:v2", "ready")
    assert split_of(t, "app") == {"v1": 100, "v2": 0}
    assert answering_ids(t, "app") == {"v1"}
    assert deploy(t, process="app", version="v2").status == 409
    asks.join()
    assert answers[0].status == 504 and t.instance("app:v2") is None

    # the client goes: the deploy goes on to its end
    with Stream(t, "/api/events") as stream:
        with contextlib.closing(http.client.HTTPConnection("localhost")) as connection:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.connect(str(t.data_dir / ".tenement" / "run" / "control.sock"))
            connection.request("POST", "/api/deploy", '{"process": "app", "version": "v3", "timeout": 1}')
            t.wait_state("app:v3", "ready")
        failed, _ = stream.until(lambda event: event["kind"] == "deploy" and event["text"].startswith("failed"))
        assert failed["instance"] == "app:v3"
        wait_until(lambda: t.instance("app:v3") is None)

    # the daemon is killed: a declared instance without traffic is left, and can be deployed again
    asks = threading.Thread(target=ask_and_be_cut_off, args=[t])
    asks.start()
    t.wait_state("app:v4", "ready")
    daemon = t.pid_of("tenementd")
    os.kill(daemon, signal.SIGKILL)
    wait_until(lambda: not process_alive(daemon))
    asks.join()
    t.pid_of("tenementd")
    wait_until(lambda: t.control("GET", "/health").status == 200)
    t.wait_state("app:v4", "ready")
    assert split_of(t, "app") == {"v1": 100, "v4": 0}
    t.write("app.toml", t.service("app", health="/health", balance=True, env={"TENANT": "{id}"}))
    wait_until(lambda: t.control("POST", "/api/config/diff", {}).json()["actions"] == [])
    assert deploy(t, process="app", version="v4", weight=100).status == 200
    assert answering_ids(t, "app") == {"v1", "v4"}


def ask_and_be_cut_off(t):
    with contextlib.suppress(OSError, http.client.HTTPException):
        deploy(t, process="app", version="v4", timeout=600)
