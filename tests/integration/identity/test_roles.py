"""Who may do what: every route of the API against every kind of caller, and every id against a foreign organisation.

A route without a row here fails. Bodies of the first table hold a field that nothing knows: 400 says "would be let in".
Who is refused is refused what is really there; who is let in asks for `{nobody}` where it would do harm.
"""

import re
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.integration.identity.conftest import Api, Org, good, new_member, new_org
from tests.integration.identity.routes import NOBODY, OWNED, PLATFORM, Routes, asked, routes_of, things_of

UNKNOWN = {"nothing": "known"}

# What a system admin, an org admin and an org user get.
READ_BY_ALL = (200, 200, 200)
READ_BY_ADMINS = (200, 200, 403)
READ_BY_SYSTEM = (200, 403, 403)
WRITTEN_BY_ALL = (400, 400, 400)
WRITTEN_BY_ADMINS = (400, 400, 403)
WRITTEN_BY_SYSTEM = (400, 403, 403)
NONE_FOR_ALL = (404, 404, 404)
NONE_FOR_ADMINS = (404, 404, 403)
NONE_FOR_SYSTEM = (404, 403, 403)

MATRIX: dict[tuple[str, str], tuple[int, int, int]] = {
    ("GET", "/analytics/orgs/{org_id}/keys"): READ_BY_ALL,
    ("GET", "/analytics/orgs/{org_id}/models"): READ_BY_ALL,
    ("GET", "/analytics/orgs/{org_id}/usage"): READ_BY_ALL,
    ("GET", "/analytics/orgs/{org_id}/users"): READ_BY_ALL,
    ("GET", "/analytics/requests"): READ_BY_ALL,
    ("GET", "/analytics/requests/{request_id}"): NONE_FOR_ALL,
    ("GET", "/analytics/system/models"): READ_BY_SYSTEM,
    ("GET", "/analytics/system/orgs"): READ_BY_SYSTEM,
    ("GET", "/analytics/system/reconciliation"): READ_BY_SYSTEM,
    ("GET", "/analytics/system/usage"): READ_BY_SYSTEM,
    ("GET", "/api-keys"): READ_BY_ALL,
    ("POST", "/api-keys"): (403, 400, 400),
    ("GET", "/api-keys/{key_id}"): NONE_FOR_ALL,
    ("PATCH", "/api-keys/{key_id}"): WRITTEN_BY_ALL,
    ("DELETE", "/api-keys/{key_id}"): NONE_FOR_ALL,
    ("POST", "/api-keys/{key_id}/rotate"): (403, 400, 400),
    ("GET", "/audit-logs"): READ_BY_ADMINS,
    ("GET", "/audit-logs/export"): READ_BY_ADMINS,
    ("GET", "/audit-logs/verification"): READ_BY_ADMINS,
    ("GET", "/audit-logs/{entry_id}"): NONE_FOR_ADMINS,
    ("POST", "/auth/login"): WRITTEN_BY_ALL,
    ("POST", "/auth/refresh"): WRITTEN_BY_ALL,
    ("POST", "/users/accept-invite"): WRITTEN_BY_ALL,
    ("POST", "/gitops/plan"): WRITTEN_BY_ADMINS,
    ("POST", "/gitops/replay"): WRITTEN_BY_ADMINS,
    ("GET", "/ledger/lines"): READ_BY_ALL,
    ("GET", "/me"): READ_BY_ALL,
    ("GET", "/me/limits"): (404, 200, 200),
    ("GET", "/me/sessions"): READ_BY_ALL,
    ("DELETE", "/me/sessions/{session_id}"): NONE_FOR_ALL,
    ("PATCH", "/me"): WRITTEN_BY_ALL,
    ("PUT", "/me/password"): WRITTEN_BY_ALL,
    ("GET", "/models"): READ_BY_ALL,
    ("POST", "/models"): WRITTEN_BY_SYSTEM,
    ("GET", "/models/{model_id}"): NONE_FOR_ALL,
    ("PATCH", "/models/{model_id}"): WRITTEN_BY_SYSTEM,
    ("DELETE", "/models/{model_id}"): NONE_FOR_SYSTEM,
    ("POST", "/models/{model_id}/test"): NONE_FOR_SYSTEM,
    ("GET", "/models/{model_id}/callers"): NONE_FOR_SYSTEM,
    ("GET", "/models/{model_id}/rates"): NONE_FOR_ALL,
    ("GET", "/models/{model_id}/replicas"): NONE_FOR_SYSTEM,
    ("POST", "/models/{model_id}/rates"): WRITTEN_BY_SYSTEM,
    ("DELETE", "/models/{model_id}/rates/{rate_id}"): NONE_FOR_SYSTEM,
    ("GET", "/organizations"): READ_BY_ALL,
    ("POST", "/organizations"): WRITTEN_BY_SYSTEM,
    ("GET", "/organizations/{org_id}"): READ_BY_ALL,
    ("PATCH", "/organizations/{org_id}"): WRITTEN_BY_SYSTEM,
    ("DELETE", "/organizations/{nobody}"): NONE_FOR_SYSTEM,
    ("POST", "/organizations/{nobody}/suspend"): NONE_FOR_SYSTEM,
    ("POST", "/organizations/{nobody}/resume"): NONE_FOR_SYSTEM,
    ("GET", "/organizations/{org_id}/alert-thresholds"): READ_BY_ALL,
    ("PUT", "/organizations/{org_id}/alert-thresholds"): WRITTEN_BY_ADMINS,
    ("GET", "/organizations/{org_id}/alerts"): READ_BY_ALL,
    ("POST", "/organizations/{org_id}/alerts/{alert_id}/acknowledge"): NONE_FOR_ADMINS,
    ("GET", "/organizations/{org_id}/allowed-models"): READ_BY_ALL,
    ("PUT", "/organizations/{org_id}/allowed-models"): WRITTEN_BY_ADMINS,
    ("GET", "/organizations/{org_id}/budget"): READ_BY_ALL,
    ("PATCH", "/organizations/{org_id}/budget"): WRITTEN_BY_ADMINS,
    ("POST", "/organizations/{org_id}/gitops/approve"): WRITTEN_BY_SYSTEM,
    ("GET", "/organizations/{org_id}/gitops/diff"): NONE_FOR_ADMINS,
    ("POST", "/organizations/{nobody}/gitops/disable"): NONE_FOR_SYSTEM,
    ("GET", "/organizations/{org_id}/gitops/drift"): READ_BY_ADMINS,
    ("POST", "/organizations/{org_id}/gitops/enable"): WRITTEN_BY_SYSTEM,
    ("POST", "/organizations/{nobody}/gitops/resume"): NONE_FOR_SYSTEM,
    ("GET", "/organizations/{org_id}/gitops/runs"): READ_BY_ADMINS,
    ("GET", "/organizations/{org_id}/gitops/status"): NONE_FOR_ADMINS,
    ("POST", "/organizations/{org_id}/gitops/suspend"): WRITTEN_BY_SYSTEM,
    ("POST", "/organizations/{nobody}/gitops/sync"): NONE_FOR_ADMINS,
    ("GET", "/organizations/{org_id}/limits"): READ_BY_ALL,
    ("PUT", "/organizations/{org_id}/limits"): WRITTEN_BY_ADMINS,
    ("GET", "/organizations/{org_id}/spend"): READ_BY_ALL,
    ("GET", "/organizations/{org_id}/users/{user_id}/budget"): READ_BY_ALL,
    ("PUT", "/organizations/{org_id}/users/{user_id}/budget"): WRITTEN_BY_ADMINS,
    ("GET", "/users"): READ_BY_ADMINS,
    ("POST", "/users/invite"): WRITTEN_BY_ADMINS,
    ("GET", "/users/invites"): READ_BY_ADMINS,
    ("DELETE", "/users/invites/{invite_id}"): NONE_FOR_ADMINS,
    ("GET", "/users/{user_id}"): READ_BY_ADMINS,
    ("PATCH", "/users/{user_id}"): WRITTEN_BY_ADMINS,
    ("DELETE", "/users/{nobody}"): NONE_FOR_ADMINS,
    ("POST", "/users/{user_id}/reset-password"): WRITTEN_BY_SYSTEM,
}
OPEN = {("POST", "/auth/login"), ("POST", "/auth/refresh"), ("POST", "/users/accept-invite")}
"""To everybody, logged in or not."""
APART = {("POST", "/auth/logout"), ("GET", "/gitops/schema"), ("POST", "/gitops/webhook")}
"""One ends the caller's session, one everybody may read, and one asks for a signature; they have tests of their own."""
BODILESS = {
    "/models/{model_id}/test",
    "/organizations/{nobody}/suspend",
    "/organizations/{nobody}/resume",
    *(f"/organizations/{{nobody}}/gitops/{verb}" for verb in ("disable", "resume", "sync")),
}

BODIES: dict[tuple[str, str], object] = {
    ("PATCH", "/api-keys/{key_id}"): {"monthly_tokens": 1},
    ("POST", "/api-keys/{key_id}/rotate"): {},
    ("PATCH", "/organizations/{org_id}"): {"name": "x"},
    ("POST", "/organizations/{org_id}/gitops/approve"): {"commit": "0" * 40},
    ("POST", "/organizations/{org_id}/gitops/enable"): {"repository": "https://git.example.org/x.git"},
    ("POST", "/organizations/{org_id}/gitops/suspend"): {"reason": "x", "until": "2026-01-01T00:00:00Z"},
    ("PUT", "/organizations/{org_id}/alert-thresholds"): {"thresholds": [50]},
    ("PUT", "/organizations/{org_id}/allowed-models"): {"models": None},
    ("PATCH", "/organizations/{org_id}/budget"): {"monthly_tokens": 1},
    ("PUT", "/organizations/{org_id}/limits"): {},
    ("PUT", "/organizations/{org_id}/users/{user_id}/budget"): {"monthly_tokens": 1},
    ("PATCH", "/users/{user_id}"): {"name": "x"},
    ("POST", "/users/{user_id}/reset-password"): {"new_password": "Another-battery-9-staple"},
}
"""What could be taken, by each route that takes something and names what is a tenant's: the body is not wrong."""


@dataclass
class Callers:
    """One of each kind; all but the first and the last were somebody when they logged in."""

    system: httpx.Client
    admin: httpx.Client
    user: httpx.Client
    demoted: httpx.Client
    suspended: httpx.Client
    removed: httpx.Client
    of_suspended: httpx.Client
    anonymous: httpx.Client
    ids: dict[str, str]


@pytest.fixture(scope="module")
def callers(api: Api, root: httpx.Client) -> Callers:
    """People of one organisation in each state that one can be in, with the tokens from before."""
    org, closed = new_org(api, root), new_org(api, root)
    demoted, removed = (new_member(api, root, org.id, "org-admin") for _ in range(2))
    good(root.patch(f"/users/{demoted.id}", json={"role": "org-user"}))
    good(root.patch(f"/users/{org.other.id}", json={"status": "suspended"}))
    good(root.delete(f"/users/{removed.id}"))
    good(root.post(f"/organizations/{closed.id}/suspend"))
    return Callers(
        root,
        org.admin.client,
        org.user.client,
        demoted.client,
        org.other.client,
        removed.client,
        closed.admin.client,
        api.anonymous(),
        things_of(org),
    )


@pytest.fixture(scope="module")
def documented(api: Api) -> Routes:
    return routes_of(api)


def sent(client: httpx.Client, route: tuple[str, str], ids: dict[str, str], expected: int) -> int:
    method, path = route
    body = {"json": UNKNOWN} if method in {"POST", "PATCH", "PUT"} and path not in BODILESS else {}
    path = generic(route)[1] if expected in {401, 403} else path
    nobody = dict.fromkeys(ids, NOBODY) if expected == 404 else {}
    return client.request(method, path.format(**(ids | nobody), nobody=NOBODY), **body).status_code


def generic(route: tuple[str, str]) -> tuple[str, str]:
    """The route as the document has it."""
    method, path = route
    held = "{org_id}" if path.startswith("/organizations") else "{user_id}"
    return method, path.replace("{nobody}", held)


def test_every_route_has_a_row(documented: Routes) -> None:
    assert {generic(route) for route in MATRIX} | APART == set(documented)
    assert named(documented) <= OWNED | PLATFORM


def named(routes: Routes) -> set[str]:
    return {name for _, path in routes for name in re.findall(r"{(\w+)}", path)}


@pytest.mark.parametrize("route", MATRIX, ids=" ".join)
def test_each_caller_gets_what_the_table_says(callers: Callers, route: tuple[str, str]) -> None:
    expected = MATRIX[route]
    kinds = (callers.system, callers.admin, callers.user)
    got = tuple(sent(who, route, callers.ids, each) for who, each in zip(kinds, expected, strict=True))
    assert got == expected
    as_a_user = _as_a_user(route, expected)
    assert sent(callers.demoted, route, callers.ids, as_a_user) == as_a_user
    outside = (callers.anonymous, callers.suspended, callers.removed, callers.of_suspended)
    refused = (400,) * 4 if route in OPEN else (401, 401, 401, 403)
    assert tuple(sent(who, route, callers.ids, each) for who, each in zip(outside, refused, strict=True)) == refused


def _as_a_user(route: tuple[str, str], expected: tuple[int, int, int]) -> int:
    """The demoted admin is not the user whose budget is asked for, and members see their own only."""
    return 404 if route == ("GET", "/organizations/{org_id}/users/{user_id}/budget") else expected[2]


def ways_in(route: tuple[str, str], operation: Any) -> list[str]:
    """The paths of a route by which a stranger's request names something of an organisation."""
    path = route[1]
    whole = [path] if OWNED & set(re.findall(r"{(\w+)}", path)) else []
    return [*whole, f"{path}?org_id={{org_id}}"] if "org_id" in asked(operation) else whole


def test_what_is_of_another_organisation_is_not_there_for_anybody_on_any_route(
    org: Org, foreign: Org, documented: Routes
) -> None:
    ids, tried, wrong = things_of(foreign), 0, {}
    for route, operation in documented.items():
        body = {"json": BODIES[route]} if route in BODIES else {}
        for path in ways_in(route, operation):
            # Listing needs a permission that users lack: a filter names nothing, and is not looked at.
            strangers = (org.admin,) if "?" in path else (org.admin, org.user)
            for who in strangers:
                answer = who.client.request(route[0], path.format(**ids), **body)
                tried += 1
                if answer.status_code != 404:
                    wrong[f"{route[0]} {path}"] = f"{answer.status_code} {answer.text}"
    assert wrong == {}
    assert tried > 2 * len(BODIES)
    assert foreign.user.client.get("/me").status_code == 200


def test_a_thing_of_ones_own_that_one_may_not_touch_is_forbidden_and_not_hidden(org: Org) -> None:
    assert org.user.client.get(f"/users/{org.user.id}").status_code == 403
    assert org.admin.client.patch(f"/organizations/{org.id}", json={"name": "x"}).status_code == 403
