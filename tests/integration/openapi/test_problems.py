"""Every refusal is a Problem that says where the fault is, also where no route was asked."""

from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.integration.identity.conftest import ROOT
from tests.integration.openapi.ground import Ground

NOBODY = "0190a3a0-0000-7000-8000-000000000000"
LONG = {"content-type": "application/json"}


@dataclass(frozen=True)
class Asked:
    """A request that is refused: its type, and the places of its faults."""

    method: str
    path: str
    status: int
    type: str
    places: tuple[tuple[str, str], ...] = ()
    sent: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.method} {self.path} {self.type}"


REFUSED = [
    Asked("GET", "/nowhere", 404, "not-found"),
    Asked("GET", "/api-keys/no-uuid", 404, "not-found"),
    Asked("GET", f"/api-keys/{NOBODY}", 404, "not-found"),
    Asked("PUT", "/organizations", 405, "method-not-allowed"),
    Asked("POST", "/organizations", 400, "bad-request", (("pointer", ""),), {"content": b"{", "headers": LONG}),
    Asked("POST", "/organizations", 400, "bad-request", (("pointer", ""),), {"json": [1]}),
    Asked("POST", "/organizations", 400, "bad-request", (("pointer", ""),), {"headers": LONG}),
    Asked("POST", "/organizations", 400, "bad-request", (("pointer", "/name"),), {"json": {}}),
    Asked("POST", "/organizations", 400, "bad-request", (("pointer", "/name"),), {"json": {"name": 5}}),
    Asked("POST", "/organizations", 400, "bad-name", (("pointer", "/name"),), {"json": {"name": "a\u202eb"}}),
    Asked("POST", "/organizations", 415, "not-json", (), {"data": {"name": "x"}}),
    Asked("POST", "/organizations", 413, "body-too-large", (), {"content": b" " * 1_100_000, "headers": LONG}),
    Asked(
        "POST",
        "/models",
        400,
        "bad-request",
        (("pointer", "/nam"), ("pointer", "/name"), ("pointer", "/backends/0/url"), ("pointer", "/image_tokens")),
        {"json": {"nam": "x", "backends": [{}], "image_tokens": -1}},
    ),
    Asked("GET", "/organizations?limit=0", 400, "bad-request", (("parameter", "limit"),)),
    Asked("GET", "/organizations?limit=many", 400, "bad-request", (("parameter", "limit"),)),
    Asked("GET", "/organizations?limit=null", 400, "bad-request", (("parameter", "limit"),)),
    Asked("GET", "/organizations?cursor=forged", 400, "bad-request", (("parameter", "cursor"),)),
    Asked("GET", "/organizations?colour=red", 400, "unknown-parameter", (("parameter", "colour"),)),
    Asked("GET", "/audit-logs?actor_id=x&since=y", 400, "bad-request", (("parameter", "actor_id"),)),
    Asked("GET", "/audit-logs?source=null", 400, "bad-request", (("parameter", "source"),)),
    Asked(
        "POST",
        "/organizations",
        400,
        "bad-idempotency-key",
        (("header", "Idempotency-Key"),),
        {"json": {"name": "x"}, "headers": {"idempotency-key": "two words"}},
    ),
    Asked("PATCH", "/me", 412, "changed", (), {"json": {"name": "x"}, "headers": {"if-match": "no tag at all"}}),
]


@pytest.fixture(scope="module")
def root(ground: Ground) -> httpx.Client:
    """A system admin."""
    return ground.api.login(ROOT)


@pytest.mark.parametrize("asked", REFUSED, ids=lambda asked: asked.name)
def test_a_refusal_says_what_kind_it_is_and_where_the_faults_are(root: httpx.Client, asked: Asked) -> None:
    answer = root.request(asked.method, asked.path, **asked.sent)
    assert answer.status_code == asked.status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == f"urn:ias:problem:{asked.type}"
    assert problem["status"] == asked.status
    assert problem["title"]
    assert problem["detail"]
    assert problem["instance"] == f"/api/v1{asked.path.partition('?')[0]}"
    assert problem["request_id"] == answer.headers["x-request-id"]
    errors = problem.get("errors", [])
    places = {(kind, error[kind]) for error in errors for kind in ("pointer", "parameter", "header") if kind in error}
    assert places == set(asked.places)
    assert all(error["detail"] for error in errors)


def test_a_method_that_a_path_does_not_take_is_answered_with_those_that_it_takes(root: httpx.Client) -> None:
    allowed = root.put("/organizations").headers["allow"]
    assert {method.strip() for method in allowed.split(",")} == {"GET", "POST", "OPTIONS"}


def test_whoever_is_not_logged_in_is_told_how(root: httpx.Client) -> None:
    answer = root.get("/me", headers={"authorization": ""})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.json()["type"] == "urn:ias:problem:not-authenticated"


def test_the_document_and_its_page_are_open_to_everybody(root: httpx.Client) -> None:
    open_to_all = {"authorization": ""}
    assert root.get("/openapi.json", headers=open_to_all).json()["openapi"] == "3.1.0"
    page = root.get("/docs", headers=open_to_all)
    assert "script-src 'self';" in page.headers["content-security-policy"]
    assert "swagger-ui-bundle" in page.text
