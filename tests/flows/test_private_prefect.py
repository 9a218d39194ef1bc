"""The policy that keeps Prefect's pages on this machine."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from flows.private_prefect import WithPolicy


def test_every_answer_forbids_the_browser_other_addresses() -> None:
    app = Starlette(routes=[Route("/", lambda _request: PlainTextResponse("page"))])
    client = TestClient(WithPolicy(app))
    for path in ("/", "/nothing-here"):
        rules = dict(
            rule.strip().split(" ", 1) for rule in client.get(path).headers["content-security-policy"].split(";")
        )
        allowed = {word for rule in rules.values() for word in rule.split() if "//" in word}
        assert allowed == {"ws://127.0.0.1:*", "http://127.0.0.1:*"}
        assert "*" not in rules["default-src"].split()
