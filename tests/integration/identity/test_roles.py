"""Who may do what: each route against each role, and every id against a foreign organisation."""

import httpx
import pytest

from tests.integration.identity.conftest import Org, good

NOBODY = "0190a3a0-0000-7000-8000-000000000000"

# Route, then what a system admin, an org admin and an org user get. The body is empty, so 400 says "would be let in".
MATRIX = [
    ("GET", "/me", (200, 200, 200)),
    ("POST", "/organizations", (400, 403, 403)),
    ("GET", "/organizations", (200, 200, 200)),
    ("GET", "/organizations/{org}", (200, 200, 200)),
    ("PATCH", "/organizations/{org}", (400, 403, 403)),
    ("DELETE", f"/organizations/{NOBODY}", (404, 403, 403)),
    ("POST", f"/organizations/{NOBODY}/suspend", (404, 403, 403)),
    ("POST", f"/organizations/{NOBODY}/resume", (404, 403, 403)),
    ("POST", "/users/invite", (400, 400, 403)),
    ("GET", "/users", (200, 200, 403)),
    ("GET", "/users/{user}", (200, 200, 403)),
    ("PATCH", "/users/{user}", (400, 400, 403)),
    ("DELETE", f"/users/{NOBODY}", (404, 404, 403)),
    ("POST", "/users/{user}/reset-password", (400, 403, 403)),
    ("POST", "/api-keys", (403, 400, 400)),
    ("GET", "/api-keys", (200, 200, 200)),
    ("GET", "/audit-logs", (200, 200, 403)),
]

# Every route that takes an id, asked by an org admin for somebody else's.
FOREIGN = [
    ("GET", "/organizations/{org}", None),
    ("GET", "/users/{user}", None),
    ("PATCH", "/users/{user}", {"name": "x"}),
    ("DELETE", "/users/{user}", None),
    ("GET", "/api-keys/{key}", None),
    ("DELETE", "/api-keys/{key}", None),
    ("GET", "/audit-logs/{entry}", None),
    ("GET", "/users?org_id={org}", None),
    ("GET", "/audit-logs?org_id={org}", None),
]


def sent(client: httpx.Client, method: str, path: str) -> int:
    body = {"json": {"nothing": "known"}} if method in {"POST", "PATCH"} else {}
    return client.request(method, path, **body).status_code


@pytest.mark.parametrize(("method", "path", "expected"), MATRIX, ids=str)
def test_each_role_gets_what_the_table_says(
    root: httpx.Client, foreign: Org, method: str, path: str, expected: tuple[int, int, int]
) -> None:
    filled = path.format(org=foreign.id, user=foreign.user.id)
    assert tuple(sent(who, method, filled) for who in (root, foreign.admin.client, foreign.user.client)) == expected


@pytest.mark.parametrize(("method", "path", "body"), FOREIGN, ids=str)
def test_a_foreign_id_is_not_found(org: Org, foreign: Org, method: str, path: str, body: dict[str, str] | None) -> None:
    key = foreign.user.key()["id"]
    entry = good(foreign.admin.client.get("/audit-logs", params={"limit": "1"}))["items"][0]["id"]
    filled = path.format(org=foreign.id, user=foreign.user.id, key=key, entry=entry)
    assert org.admin.client.request(method, filled, json=body).status_code == 404
    assert foreign.user.client.get("/me").status_code == 200
