"""What /api/openapi.json says of the API, held against the API."""

import json
import re
import subprocess

import jsonschema

from harness import SOURCE, wait_until
from test_api_config import ask as ask_raw

TOML = '[tenant]\nservice = "app"\n'
# What other tests try, and nobody would have follow another here.
LEFT_OUT = {("post", "/api/upgrade"), ("get", "/api/logs/stream")}


class Api:
    """Asks as the document says, and holds each answer against it."""

    def __init__(self, t):
        self.t = t
        answer = t.control("GET", "/api/openapi.json")
        assert answer.headers["Content-Type"] == "application/json"
        self.document = answer.json()
        self.asked = set()

    def validator(self, schema):
        return jsonschema.Draft202012Validator({**schema, "components": self.document["components"]})

    def operation(self, method, path):
        path = path.partition("?")[0]
        # the words of a path before the placeholders that would take them, too
        for pattern in sorted(self.document["paths"], key=lambda pattern: pattern.count("{")):
            expression = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(pattern))
            if re.fullmatch(expression, path) and method.lower() in self.document["paths"][pattern]:
                self.asked.add((method.lower(), pattern))
                return self.document["paths"][pattern][method.lower()]
        raise AssertionError(f"{method} {path} is not described")

    def check(self, method, path, answer):
        operation = self.operation(method, path)
        described = operation["responses"].get(str(answer.status), operation["responses"]["default"])
        assert answer.status < 400 or "$ref" in described, f"{method} {path}: {answer}"
        if "$ref" in described:
            assert answer.status >= 400, f"{method} {path}: {answer.status} is not described"
            described = self.document["components"]["responses"]["Error"]
        content = described.get("content")
        if not content:
            assert answer.body == b"", f"{method} {path}: {answer}"
            return
        kind = answer.headers["Content-Type"].partition(";")[0]
        assert kind in content, f"{method} {path}: {kind}"
        said = answer.json() if kind == "application/json" else answer.text
        for error in self.validator(content[kind]["schema"]).iter_errors(said):
            raise AssertionError(f"{method} {path}: {error.message} at {list(error.absolute_path)}\n{said}")

    def ask(self, method, path, body=None, status=200):
        answer = self.t.control(method, path, body)
        assert answer.status == status, f"{method} {path}: {answer}"
        self.check(method, path, answer)
        content = self.operation(method, path).get("requestBody", {}).get("content", {})
        if body is not None and status < 400:
            self.validator(content["application/json"]["schema"]).validate(body)
        return answer


def test_the_document():
    document = json.loads((SOURCE / "tenement/api/openapi.json").read_text(encoding="utf-8"))
    assert document["openapi"].startswith("3.1")
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    names = set()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["summary"] and operation["operationId"] not in names, path
            names.add(operation["operationId"])
            said = {parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "path"}
            assert said == set(re.findall(r"\{(\w+)\}", path)), path
    text = json.dumps(document)
    for reference in set(re.findall(r'"#/components/(\w+/\w+)"', text)):
        section, name = reference.split("/")
        assert name in document["components"][section], reference
    done = subprocess.run([SOURCE / "scripts/check-api"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_program(tenement):
    t = tenement()
    t.write("app.toml", t.service("app", health="/health", balance=True))
    t.write("app-a.toml", TOML)
    t.write("app-b.toml", TOML)
    t.wait_ok("app:a")
    api = Api(t)
    for path in ("/health", "/metrics", "/api/openapi.json", "/api/instances", "/api/instances?all=1",
                 "/api/instances?brief=1&all=1", "/api/instances/app:a", "/api/instances/app:b",
                 "/api/instances/app:a/health", "/api/instances/app:a/storage", "/api/instances/app:a/why",
                 "/api/instances/app:b/why", "/api/instances/app:a/exec", "/api/routes", "/api/logs",
                 "/api/top", "/api/usage", "/api/telemetry", "/api/tls/status", "/api/events", "/api/status", "/api/config", "/api/config/app.toml",
                 "/api/history", "/api/overrides", "/api/tokens", "/api/audit", "/api/session"):
        answer = t.control("GET", path)
        assert answer.status == 200, answer
        api.check("GET", path, answer)

    one = "/api/instances/app:a"
    api.ask("POST", "/api/instances/spawn", {"process": "app", "id": "c"})
    api.ask("POST", f"{one}/restart", {})
    api.ask("POST", f"{one}/exec", status=426)
    api.ask("POST", f"{one}/hold", {"seconds": 60})
    api.ask("POST", f"{one}/release")
    api.ask("POST", f"{one}/suspend")
    api.ask("POST", f"{one}/resume")
    api.ask("POST", f"{one}/start")
    api.ask("POST", f"{one}/stop")
    api.ask("PUT", f"{one}/weight", {"weight": 5})
    api.ask("GET", "/api/overrides")
    api.ask("DELETE", "/api/overrides/app:a")
    api.ask("DELETE", "/api/overrides")
    api.ask("POST", "/api/deploy", {"process": "app", "version": "v2", "weight": 1})
    api.ask("POST", "/api/route", {"process": "app", "from": "v2", "to": "a"})
    api.ask("DELETE", "/api/instances/app:c", status=204)
    api.ask("POST", "/api/instances/app:c/undeclare")
    api.ask("POST", "/api/pause", {"why": "a test"})
    api.ask("POST", "/api/unpause", {})
    files = {"files": [{"name": "app-d.toml", "text": TOML}]}
    api.ask("POST", "/api/config/check", files)
    api.ask("POST", "/api/config/diff", files)
    api.ask("POST", "/api/config/diff", {})
    api.ask("POST", "/api/config/apply", {**files, "dry_run": True})
    api.ask("POST", "/api/config/apply", files)
    api.ask("GET", "/api/history")
    api.ask("POST", "/api/undo", {})
    wait_until(lambda: t.instance("app:d") is None)
    wish = {"description": "of a test", "tenant": "a", "read_only": True, "expires": 4102444800}
    made = api.ask("POST", "/api/tokens", wish, status=201).json()
    assert api.ask("GET", "/api/tokens").json()[0]["id"] == made["id"]
    assert len(api.ask("GET", "/api/audit?limit=2").json()) == 2
    api.ask("POST", "/api/session", {"token": made["token"]})
    api.ask("DELETE", "/api/session", status=204)
    api.ask("DELETE", f"/api/tokens/{made['id']}")
    api.check("PUT", "/api/config/app-e.toml", ask_raw(t, "PUT", "/app-e.toml", TOML))
    api.ask("DELETE", "/api/config/app-e.toml?dry_run=1")
    api.ask("DELETE", "/api/config/app-e.toml")

    # refusals look alike
    for method, path, body, status in (
            ("GET", "/api/instances/app:nobody", None, 404), ("DELETE", "/api/instances/app:nobody", None, 404),
            ("PUT", f"{one}/weight", {"weight": -1}, 422), ("GET", "/api/events?limit=x", None, 422),
            ("POST", "/api/instances/spawn", {}, 422), ("POST", "/api/deploy", {"process": "app"}, 422),
            ("GET", "/api/config/x.txt", None, 422), ("POST", f"{one}/hold", {}, 422),
            ("POST", "/api/deploy", {"process": "nobody", "version": "v1"}, 404)):
        api.ask(method, path, body, status)
    everything = {(method, path) for path, operations in api.document["paths"].items() for method in operations}
    assert everything - api.asked == LEFT_OUT
