"""Conventions of the API: changes with `If-Match`, and POSTs that may be sent again."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import asyncpg
import httpx

from tests.integration.identity.conftest import Org, good


def keyed(client: httpx.Client, path: str, body: dict[str, str], key: str) -> httpx.Response:
    return client.post(path, json=body, headers={"idempotency-key": key})


def test_a_change_with_an_outdated_etag_is_refused_and_changes_nothing(root: httpx.Client, org: Org) -> None:
    path = f"/organizations/{org.id}"
    read = root.get(path)
    assert root.patch(path, json={"name": f"a {uuid4().hex}"}, headers={"if-match": read.headers["etag"]}).is_success
    late = root.patch(path, json={"name": "late"}, headers={"if-match": read.headers["etag"]})
    assert late.status_code == 412
    assert "read it again" in late.json()["detail"]
    now = root.get(path)
    assert now.json()["name"] != "late"
    assert now.headers["etag"] != read.headers["etag"]


def test_the_etag_of_a_changes_answer_is_the_next_changes_if_match(org: Org) -> None:
    path = f"/users/{org.user.id}"
    tag = org.admin.client.get(path).headers["etag"]
    for name in ("First", "Second"):
        answer = org.admin.client.patch(path, json={"name": name}, headers={"if-match": tag})
        assert answer.status_code == 200, answer.text
        tag = answer.headers["etag"]
    assert org.admin.client.get(path).headers["etag"] == tag


def test_ones_own_account_too_is_changed_by_if_match(org: Org) -> None:
    tag = org.user.client.get("/me").headers["etag"]
    first = org.user.client.patch("/me", json={"name": "First"}, headers={"if-match": tag})
    assert first.status_code == 200
    assert org.user.client.patch("/me", json={"name": "Late"}, headers={"if-match": tag}).status_code == 412
    assert org.user.client.get("/me").headers["etag"] == first.headers["etag"]


def test_a_removal_too_goes_by_if_match(org: Org) -> None:
    path = f"/users/{org.other.id}"
    assert org.admin.client.delete(path, headers={"if-match": '"elsewhere"'}).status_code == 412
    tag = org.admin.client.get(path).headers["etag"]
    assert org.admin.client.delete(path, headers={"if-match": tag}).status_code == 204


def test_a_repeated_post_is_answered_again_and_not_done_again(org: Org) -> None:
    key = uuid4().hex
    first, second = (keyed(org.user.client, "/api-keys", {"label": "once"}, key) for _ in range(2))
    assert first.status_code == second.status_code == 201
    assert first.content == second.content, "the token is shown again to who has the idempotency key"
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert second.headers["content-type"] == first.headers["content-type"]
    keys = good(org.user.client.get("/api-keys"))["items"]
    assert [item["label"] for item in keys].count("once") == 1


def test_many_at_once_with_one_key_are_done_once(org: Org) -> None:
    key = uuid4().hex
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: keyed(org.user.client, "/api-keys", {"label": "crowd"}, key), range(8)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert all("retry-after" in answer.headers for answer in answers if answer.status_code == 409)
    keys = good(org.user.client.get("/api-keys"))["items"]
    assert [item["label"] for item in keys].count("crowd") == 1


def test_a_key_that_was_used_for_another_request_is_refused(org: Org) -> None:
    key = uuid4().hex
    assert keyed(org.user.client, "/api-keys", {"label": "one"}, key).is_success
    other = keyed(org.user.client, "/api-keys", {"label": "two"}, key)
    assert other.status_code == 422
    assert "new key" in other.json()["detail"]


def test_two_people_may_use_the_same_key(org: Org) -> None:
    key = uuid4().hex
    tokens = {good(keyed(who.client, "/api-keys", {"label": "mine"}, key))["token"] for who in (org.user, org.other)}
    assert len(tokens) == 2


def test_a_request_that_failed_may_be_sent_again_with_its_key(org: Org, root: httpx.Client) -> None:
    key, name = uuid4().hex, f"taken {uuid4().hex}"
    taken = good(root.post("/organizations", json={"name": name}))
    assert keyed(root, "/organizations", {"name": name}, key).status_code == 409
    assert root.delete(f"/organizations/{taken['id']}").is_success
    again = keyed(root, "/organizations", {"name": name}, key)
    assert again.status_code == 201
    assert "idempotency-replayed" not in again.headers


def test_a_key_that_is_no_plain_word_is_refused(org: Org) -> None:
    answer = keyed(org.user.client, "/api-keys", {"label": "x"}, "two words")
    assert answer.status_code == 400
    assert "printable ASCII" in answer.json()["detail"]


async def test_nothing_readable_is_stored_of_a_repeated_post(org: Org, database_url: str) -> None:
    key = uuid4().hex
    token = good(keyed(org.user.client, "/api-keys", {"label": "sealed"}, key))["token"]
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch("SELECT key_hash, answer FROM identity.repeats WHERE answer IS NOT NULL")
    finally:
        await connection.close()
    assert rows
    assert not [row for row in rows if token.encode() in row["answer"] or key.encode() in row["key_hash"]]
