"""API keys: who may issue, see and revoke them, and what Redis knows of them."""

from typing import Any

import httpx
import pytest
import redis

from ias.contract.admission import models
from ias.contract.keys import fingerprint
from tests.integration.identity.conftest import Api, Org, good
from tests.services import Services


@pytest.fixture(scope="session")
def edge(services: Services) -> redis.Redis:
    return redis.Redis.from_url(services.redis_url)


def let_in(edge: redis.Redis, org: Org, token: str) -> Any:
    """What the Function library says of a key: `ok`, `key`, `suspended` …"""
    return edge.execute_command(*models(org.tag, fingerprint(token)))[0]


def test_an_issued_key_is_let_in_and_only_its_fingerprint_is_kept(org: Org, edge: redis.Redis) -> None:
    key = org.user.key()
    assert key["token"].startswith(f"ias_{org.tag}_")
    assert key["token"].startswith(key["prefix"])
    assert let_in(edge, org, key["token"]) == b"ok"
    again = good(org.user.client.get(f"/api-keys/{key['id']}"))
    assert "token" not in again
    assert again == {name: value for name, value in key.items() if name != "token"}


def test_a_revoked_key_is_turned_away_before_the_answer_comes(org: Org, edge: redis.Redis) -> None:
    key = org.user.key()
    answer = org.user.client.delete(f"/api-keys/{key['id']}")
    assert let_in(edge, org, key["token"]) == b"key"
    assert answer.status_code == 200
    assert answer.json()["revoked_at"]


def test_revoking_twice_changes_nothing(org: Org) -> None:
    key = org.user.key()
    first = good(org.user.client.delete(f"/api-keys/{key['id']}"))
    assert good(org.user.client.delete(f"/api-keys/{key['id']}")) == first
    entries = good(org.admin.client.get("/audit-logs", params={"action": "key.revoked"}))["items"]
    assert [entry["target_id"] for entry in entries] == [key["id"]]


def test_an_org_user_cannot_see_or_revoke_another_users_key(org: Org, edge: redis.Redis) -> None:
    key = org.user.key()
    assert org.other.client.get(f"/api-keys/{key['id']}").status_code == 404
    assert org.other.client.delete(f"/api-keys/{key['id']}").status_code == 404
    assert good(org.other.client.get("/api-keys"))["items"] == []
    assert let_in(edge, org, key["token"]) == b"ok"


def test_an_org_admin_sees_and_revokes_every_key_of_the_organisation(org: Org, edge: redis.Redis) -> None:
    theirs, own = org.user.key(), org.admin.key()
    listed = good(org.admin.client.get("/api-keys"))["items"]
    assert [key["id"] for key in listed] == [own["id"], theirs["id"]]
    only = good(org.admin.client.get("/api-keys", params={"user_id": org.user.id}))["items"]
    assert [key["id"] for key in only] == [theirs["id"]]
    good(org.admin.client.delete(f"/api-keys/{theirs['id']}"))
    assert let_in(edge, org, theirs["token"]) == b"key"


def test_a_foreign_admin_finds_no_such_key(org: Org, foreign: Org) -> None:
    key = org.user.key()
    assert foreign.admin.client.get(f"/api-keys/{key['id']}").status_code == 404
    assert foreign.admin.client.delete(f"/api-keys/{key['id']}").status_code == 404


def test_a_system_admin_holds_no_keys_but_revokes_any(org: Org, root: httpx.Client, edge: redis.Redis) -> None:
    assert root.post("/api-keys", json={"label": "mine"}).status_code == 403
    key = org.user.key()
    good(root.delete(f"/api-keys/{key['id']}"))
    assert let_in(edge, org, key["token"]) == b"key"
    entry = good(org.admin.client.get("/audit-logs", params={"action": "key.revoked"}))["items"][0]
    assert (entry["actor"], entry["org_id"]) == ("root@example.org", org.id)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"label": ""},
        {"label": 7},
        {"label": "a\r\nb"},
        {"label": "x" * 10_000},
        {"label": "x", "org_id": "0190a3a0-0000-7000-8000-000000000000"},
        {"label": "x", "expires_at": "2020-01-01T00:00:00Z"},
        {"label": "x", "expires_at": "2099-01-01T00:00:00"},
        {"label": "x", "expires_at": "soon"},
    ],
)
def test_a_bad_new_key_is_a_400_that_names_the_field(org: Org, body: dict[str, object]) -> None:
    answer = org.user.client.post("/api-keys", json=body)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"]


def test_a_key_that_ends_is_known_to_end_by_the_gateways(org: Org, edge: redis.Redis) -> None:
    made = good(org.user.client.post("/api-keys", json={"label": "x", "expires_at": "2099-01-01T00:00:00Z"}))
    record = edge.hgetall(f"{{o:{org.tag}}}:k:{fingerprint(made['token'])}")
    assert record[b"exp"] == b"4070908800"


def test_pages_follow_one_another_without_gap_or_overlap(org: Org) -> None:
    made = [org.user.key(f"key {number}")["id"] for number in range(5)]
    seen: list[str] = []
    cursor: str | None = None
    while True:
        query = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = good(org.user.client.get("/api-keys", params=query))
        seen += [key["id"] for key in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == made[::-1]


@pytest.mark.parametrize(
    "query", ["limit=-1", "limit=0", "limit=1000000000", "limit=x", "cursor=zz", "cursor=%00", "user_id=1"]
)
def test_a_bad_query_is_a_400(org: Org, query: str) -> None:
    assert org.user.client.get(f"/api-keys?{query}").status_code == 400


def test_without_a_token_nothing_is_told(api: Api) -> None:
    answer = api.anonymous().get("/api-keys")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
