"""/api/config/{file}: files of conf.d by the API, and the list of them."""

import contextlib
import http.client
import os
import socket

from harness import SLOWNESS, Answer, wait_until

TENANT = '[tenant]\nservice = "app"\n'


def ask(t, method, path, text=None, **headers):
    with contextlib.closing(http.client.HTTPConnection("localhost")) as connection:
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(60 * SLOWNESS)
        connection.sock.connect(str(t.data_dir / ".tenement" / "run" / "control.sock"))
        connection.request(method, f"/api/config{path}", text,
                           {name.replace("_", "-"): value for name, value in headers.items()})
        return Answer(connection.getresponse())


def test_a_file(tenement):
    t = tenement()
    t.write("app.toml", t.service("app"))
    t.write("app-a.toml", TENANT)
    t.wait_ok("app:a")

    # put: in force when it is answered
    done = ask(t, "PUT", "/app-b.toml", TENANT, Content_Type="application/toml; charset=utf-8")
    assert done.status == 200, done
    done = done.json()
    assert done["outcome"] == "converged" and done["files"] == [{"name": "app-b.toml", "change": "added"}]
    assert [action["action"] for action in done["actions"]] == ["declare"]
    assert (t.conf_dir / "app-b.toml").read_text() == TENANT and t.get("app:b").status == 200

    # get, with what it is known by
    shown = ask(t, "GET", "/app-b.toml")
    assert shown.text == TENANT and shown.headers["Content-Type"].startswith("application/toml")
    etag = shown.headers["ETag"]

    # a plan, and nothing is done
    changed = TENANT + "weight = 5\n"
    plan = ask(t, "PUT", "/app-b.toml?dry_run=1", changed).json()
    assert plan["outcome"] == "dry-run" and plan["files"][0]["change"] == "changed"
    assert plan["actions"] == t.control("POST", "/api/config/diff", {
        "files": [{"name": "app-b.toml", "text": changed}]}).json()["actions"]
    assert (t.conf_dir / "app-b.toml").read_text() == TENANT
    assert ask(t, "DELETE", "/app-b.toml?dry_run=1").json()["files"][0]["change"] == "removed"

    # files that are no list are not taken for no files; without any, what is there is judged
    for path in ("check", "diff", "apply"):
        for files in ({"app-b.toml": changed}, changed):
            assert t.control("POST", f"/api/config/{path}", {"files": files}).status == 422
    assert t.control("POST", "/api/config/check", {}).json() == {"problems": []}
    t.write("app-c.toml", TENANT + "memmory = 5\n")
    wait_until(lambda: t.control("POST", "/api/config/check", {}).json()["problems"], what="a problem")
    t.remove("app-c.toml")

    # wrong: nothing is written, and where is said
    wrong = ask(t, "PUT", "/app-b.toml", TENANT + "memmory = 5\n")
    assert wrong.status == 422
    assert wrong.json()["where"] == {"file": "app-b.toml", "line": 3, "column": 1}
    assert wrong.json()["error"].startswith("unknown key") and "memmory" in wrong.json()["problems"][0]
    # ... with everything else
    wrong = ask(t, "PUT", "/other.toml", '[tenant]\nservice = "app"\nid = "a"\n')
    assert wrong.status == 422 and wrong.json()["where"]["file"] == "other.toml", wrong.json()
    assert ask(t, "PUT", "/app-b.toml", b"\xff\xfe").status == 422
    assert ask(t, "PUT", "/app-b.toml", b"\0").status == 422
    assert ask(t, "PUT", "/app-b.toml", "x" * (65 << 10)).status == 413
    assert ask(t, "PUT", "/app-b.toml", "{}", Content_Type="application/json").status == 415
    assert (t.conf_dir / "app-b.toml").read_text() == TENANT

    # lost updates
    for other in ('"0"', ", ".join(f'"{i:016x}"' for i in range(20))):
        assert ask(t, "PUT", "/app-b.toml", changed, If_Match=other).status == 412
    assert ask(t, "PUT", "/app-b.toml", changed, If_None_Match="*").status == 412
    assert ask(t, "PUT", "/app-z.toml", changed, If_Match="*").status == 412
    assert ask(t, "DELETE", "/app-b.toml", If_Match='"0"').status == 412
    assert ask(t, "PUT", "/app-b.toml", changed, If_Match=etag).status == 200
    assert ask(t, "GET", "/app-b.toml").headers["ETag"] != etag
    assert t.instance("app:b")["weight"] == 5

    # what somebody else wrote is left alone, unless it is forced
    other = ask(t, "PUT", "/app-a.toml", changed)
    assert other.status == 409 and "ten did not write it" in other.json()["error"]
    assert ask(t, "DELETE", "/app-a.toml").status == 409
    assert ask(t, "PUT", "/app-a.toml?force=1", changed).status == 200
    assert t.instance("app:a")["weight"] == 5

    # names
    for name in (".b.toml", "b", "b.txt", "..%2fb.toml", "%2e%2e%2ftenement.toml", "b%0a.toml", "b c.toml".replace(" ", "%20"),
                 "x" * 300 + ".toml", "%ff.toml", "b.toml~"):
        assert ask(t, "PUT", f"/{name}", TENANT).status in (400, 404, 422), name
    assert sorted(os.listdir(t.conf_dir)) == ["app-a.toml", "app-b.toml", "app.toml"]
    assert ask(t, "GET", "/nobody.toml").status == 404
    assert ask(t, "DELETE", "/nobody.toml").status == 404
    assert ask(t, "POST", "/app-b.toml").status == 405

    # the list
    t.write("bad.toml", "x")
    def listed():
        told = ask(t, "GET", "").json()
        return told if told["problems"] else None
    told = wait_until(listed)
    assert {one["name"]: (one["state"], one["tenants"]) for one in told["files"]} == {
        "app.toml": ("good", 0), "app-a.toml": ("good", 1), "app-b.toml": ("good", 1), "bad.toml": ("wrong", 0),
        "tenement.toml": ("good", 0)}
    (problem,) = told["problems"]
    assert problem["file"] == "bad.toml" and problem["line"] == 1 and problem["error"]
    assert told["settings"]["domain"] == "localhost"
    assert "files" not in ask(t, "GET", "?files=0").json()
    t.remove("bad.toml")

    # paused
    t.ten("pause")
    assert ask(t, "PUT", "/app-b.toml", TENANT).status == 422
    assert ask(t, "DELETE", "/app-b.toml").status == 422
    assert ask(t, "PUT", "/app-b.toml?dry_run=1", TENANT).status == 200
    t.ten("unpause")

    # delete
    gone = ask(t, "DELETE", "/app-b.toml").json()
    assert gone["outcome"] == "converged" and t.instance("app:b") is None
    assert [entry["by"] for entry in t.ten_json("history")["history"]][0].startswith("delete app-b.toml (uid ")


def test_deleting_much_is_held(tenement):
    """DELETE goes through the guard, as every removal does."""
    t = tenement(settings={"max_delete_percent": 50})
    t.write("app.toml", t.service("app"))
    t.write("fleet.toml", "".join(f'[[tenant]]\nservice = "app"\nid = "t{i}"\n' for i in range(20)))
    t.wait_ok("app:t1")
    held = ask(t, "DELETE", "/fleet.toml?force=1").json()
    assert held["outcome"] == "held", held
    assert t.get("app:t1").status == 200
    t.ten("apply", "--confirm")
    wait_until(lambda: t.instance("app:t1") is None)
    told = [event for event in t.control("GET", "/api/events").json()["events"] if "held" in event["kind"]]
    assert [event["kind"] for event in told] == ["held", "unheld"] and "20 of 20 tenants" in told[0]["text"]
