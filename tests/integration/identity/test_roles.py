"""Who may do what: every route of the API against every kind of caller, and every id against a foreign organisation.

A route without a row here fails. Bodies of the first table hold a field that nothing knows: 400 says "would be let in".
"""

from dataclasses import dataclass

import httpx
import pytest

from tests.integration.identity.conftest import Api, Org, good, new_member, new_org

NOBODY = "0190a3a0-0000-7000-8000-000000000000"
UNKNOWN = {"nothing": "known"}

# What a system admin, an org admin and an org user get.
READ_BY_ALL = (200, 200, 200)
READ_BY_ADMINS = (200, 200, 403)
WRITTEN_BY_ALL = (400, 400, 400)
WRITTEN_BY_ADMINS = (400, 400, 403)
WRITTEN_BY_SYSTEM = (400, 403, 403)
NONE_FOR_ALL = (404, 404, 404)
NONE_FOR_ADMINS = (404, 404, 403)
NONE_FOR_SYSTEM = (404, 403, 403)
OPEN = (400, 400, 400)
"""To everybody, logged in or not."""

MATRIX: dict[tuple[str, str], tuple[int, int, int]] = {
    ("GET", "/analytics/orgs/{org_id}/usage"): READ_BY_ALL,
    ("GET", "/api-keys"): READ_BY_ALL,
    ("POST", "/api-keys"): (403, 400, 400),
    ("GET", "/api-keys/{key_id}"): NONE_FOR_ALL,
    ("DELETE", "/api-keys/{key_id}"): NONE_FOR_ALL,
    ("POST", "/api-keys/{key_id}/rotate"): (403, 400, 400),
    ("GET", "/audit-logs"): READ_BY_ADMINS,
    ("GET", "/audit-logs/export"): READ_BY_ADMINS,
    ("GET", "/audit-logs/verification"): READ_BY_ADMINS,
    ("GET", "/audit-logs/{entry_id}"): NONE_FOR_ADMINS,
    ("POST", "/auth/login"): OPEN,
    ("POST", "/auth/refresh"): OPEN,
    ("POST", "/users/accept-invite"): OPEN,
    ("GET", "/ledger/lines"): READ_BY_ALL,
    ("GET", "/me"): READ_BY_ALL,
    ("GET", "/me/limits"): (404, 200, 200),
    ("PATCH", "/me"): WRITTEN_BY_ALL,
    ("PUT", "/me/password"): WRITTEN_BY_ALL,
    ("GET", "/models"): READ_BY_ALL,
    ("POST", "/models"): WRITTEN_BY_SYSTEM,
    ("GET", "/models/{model_id}"): NONE_FOR_ALL,
    ("PATCH", "/models/{model_id}"): WRITTEN_BY_SYSTEM,
    ("DELETE", "/models/{model_id}"): NONE_FOR_SYSTEM,
    ("GET", "/models/{model_id}/rates"): NONE_FOR_ALL,
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
APART = {("POST", "/auth/logout")}
"""It ends the caller's session, and has tests of its own."""
BODILESS = {"/organizations/{nobody}/suspend", "/organizations/{nobody}/resume"}

# Every route that takes an organisation's id, or the id of something that belongs to one: asked by the admin of another
# organisation, with a body that could be taken.
FOREIGN: dict[tuple[str, str], object] = {
    ("GET", "/analytics/orgs/{org_id}/usage"): None,
    ("GET", "/api-keys/{key_id}"): None,
    ("DELETE", "/api-keys/{key_id}"): None,
    ("POST", "/api-keys/{key_id}/rotate"): {},
    ("GET", "/audit-logs/{entry_id}"): None,
    ("GET", "/audit-logs?org_id={org_id}"): None,
    ("GET", "/audit-logs/export?org_id={org_id}"): None,
    ("GET", "/audit-logs/verification?org_id={org_id}"): None,
    ("GET", "/ledger/lines?org_id={org_id}"): None,
    ("GET", "/organizations/{org_id}"): None,
    ("GET", "/organizations/{org_id}/alert-thresholds"): None,
    ("PUT", "/organizations/{org_id}/alert-thresholds"): {"thresholds": [50]},
    ("GET", "/organizations/{org_id}/alerts"): None,
    ("POST", "/organizations/{org_id}/alerts/{alert_id}/acknowledge"): None,
    ("GET", "/organizations/{org_id}/allowed-models"): None,
    ("PUT", "/organizations/{org_id}/allowed-models"): {"models": None},
    ("GET", "/organizations/{org_id}/budget"): None,
    ("PATCH", "/organizations/{org_id}/budget"): {"monthly_tokens": 1},
    ("GET", "/organizations/{org_id}/limits"): None,
    ("PUT", "/organizations/{org_id}/limits"): {},
    ("GET", "/organizations/{org_id}/spend"): None,
    ("GET", "/organizations/{org_id}/users/{user_id}/budget"): None,
    ("PUT", "/organizations/{org_id}/users/{user_id}/budget"): {"monthly_tokens": 1},
    ("GET", "/users/{user_id}"): None,
    ("GET", "/users?org_id={org_id}"): None,
    ("PATCH", "/users/{user_id}"): {"name": "x"},
    ("DELETE", "/users/{user_id}"): None,
    ("GET", "/users/invites?org_id={org_id}"): None,
    ("DELETE", "/users/invites/{invite_id}"): None,
}
PLATFORM = {
    *(("PATCH", "/organizations/{org_id}"), ("DELETE", "/organizations/{org_id}")),
    *(("POST", "/organizations/{org_id}/suspend"), ("POST", "/organizations/{org_id}/resume")),
    ("POST", "/users/{user_id}/reset-password"),
}
"""Only system admins get in: the first table shows it."""


@dataclass
class Callers:
    """One of each kind."""

    system: httpx.Client
    admin: httpx.Client
    user: httpx.Client
    suspended: httpx.Client
    of_suspended: httpx.Client
    demoted: httpx.Client
    anonymous: httpx.Client
    ids: dict[str, str]


@pytest.fixture(scope="module")
def callers(api: Api, root: httpx.Client) -> Callers:
    """People of one organisation in each state that one can be in, with the tokens from before."""
    org, closed = new_org(api, root), new_org(api, root)
    demoted = new_member(api, root, org.id, "org-admin")
    good(root.patch(f"/users/{demoted.id}", json={"role": "org-user"}))
    good(root.patch(f"/users/{org.other.id}", json={"status": "suspended"}))
    good(root.post(f"/organizations/{closed.id}/suspend"))
    names = ("key_id", "entry_id", "model_id", "rate_id", "invite_id", "alert_id", "nobody")
    ids = {"org_id": org.id, "user_id": org.user.id} | dict.fromkeys(names, NOBODY)
    return Callers(
        root,
        org.admin.client,
        org.user.client,
        org.other.client,
        closed.admin.client,
        demoted.client,
        api.anonymous(),
        ids,
    )


def sent(client: httpx.Client, route: tuple[str, str], ids: dict[str, str]) -> int:
    method, path = route
    body = {"json": UNKNOWN} if method in {"POST", "PATCH", "PUT"} and path not in BODILESS else {}
    return client.request(method, path.format(**ids), **body).status_code


def generic(route: tuple[str, str]) -> tuple[str, str]:
    """The route as the document has it."""
    method, path = route
    held = "{org_id}" if path.startswith("/organizations") else "{user_id}"
    return method, path.partition("?")[0].replace("{nobody}", held)


def documented(api: Api) -> set[tuple[str, str]]:
    """Every route that there is."""
    paths = good(api.anonymous().get("/openapi.json"))["paths"]
    return {(method.upper(), path.removeprefix("/api/v1")) for path, item in paths.items() for method in item}


def test_every_route_has_a_row(api: Api) -> None:
    routes = documented(api)
    assert {generic(route) for route in MATRIX} | APART == routes
    owned = {route for route in routes if "{" in route[1] and not route[1].startswith("/models")}
    assert {generic(route) for route in FOREIGN} >= owned - PLATFORM


@pytest.mark.parametrize("route", MATRIX, ids=" ".join)
def test_each_caller_gets_what_the_table_says(callers: Callers, route: tuple[str, str]) -> None:
    expected = MATRIX[route]
    got = tuple(sent(who, route, callers.ids) for who in (callers.system, callers.admin, callers.user))
    assert got == expected
    assert sent(callers.demoted, route, callers.ids) == _as_a_user(route, expected)
    if expected is OPEN:
        return
    assert sent(callers.anonymous, route, callers.ids) == 401
    assert sent(callers.suspended, route, callers.ids) == 401
    assert sent(callers.of_suspended, route, callers.ids) == 403


def _as_a_user(route: tuple[str, str], expected: tuple[int, int, int]) -> int:
    """The demoted admin is not the user whose budget is asked for, and members see their own only."""
    return 404 if route == ("GET", "/organizations/{org_id}/users/{user_id}/budget") else expected[2]


@pytest.mark.parametrize("route", FOREIGN, ids=" ".join)
def test_a_foreign_id_is_not_found(org: Org, foreign: Org, route: tuple[str, str]) -> None:
    invite = good(foreign.admin.client.post("/users/invite", json={"email": f"{org.tag}@example.org"}))
    ids = {
        "org_id": foreign.id,
        "user_id": foreign.user.id,
        "key_id": foreign.user.key()["id"],
        "entry_id": good(foreign.admin.client.get("/audit-logs", params={"limit": "1"}))["items"][0]["id"],
        "invite_id": invite["id"],
        "alert_id": NOBODY,
    }
    method, path = route
    body = FOREIGN[route]
    answer = org.admin.client.request(method, path.format(**ids), **({} if body is None else {"json": body}))
    assert answer.status_code == 404, answer.text
    assert foreign.user.client.get("/me").status_code == 200
