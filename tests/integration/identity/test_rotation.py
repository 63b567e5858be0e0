"""Keys are rotated without a gap, and invites are listed and withdrawn."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.integration.identity.conftest import PASSWORD, Api, Org, good


def rotated(client: httpx.Client, key_id: str, **body: int) -> httpx.Response:
    return client.post(f"/api-keys/{key_id}/rotate", json=body)


def test_a_rotated_key_ends_after_its_grace_and_its_successor_goes_on(org: Org) -> None:
    old = org.user.key("ci")
    new = good(rotated(org.user.client, old["id"], grace_s=3600))
    assert new["token"] != old["token"]
    assert (new["label"], new["user_id"], new["expires_at"]) == ("ci", org.user.id, None)
    ends = datetime.fromisoformat(good(org.user.client.get(f"/api-keys/{old['id']}"))["expires_at"])
    assert timedelta(minutes=59) < ends - datetime.now(UTC) <= timedelta(hours=1)


def test_without_grace_the_old_key_is_revoked_at_once(org: Org) -> None:
    old = org.user.key()
    good(rotated(org.user.client, old["id"], grace_s=0))
    assert good(org.user.client.get(f"/api-keys/{old['id']}"))["revoked_at"] is not None


def test_a_key_that_ends_before_its_grace_is_not_prolonged(org: Org) -> None:
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    old = good(org.user.client.post("/api-keys", json={"label": "soon", "expires_at": soon}))
    new = good(rotated(org.user.client, old["id"]))
    assert new["expires_at"] == old["expires_at"]
    assert good(org.user.client.get(f"/api-keys/{old['id']}"))["expires_at"] == old["expires_at"]


@pytest.mark.parametrize("days", [None, 3])
def test_a_key_that_is_rotated_again_in_its_grace_has_a_successor_that_lasts_as_the_first(
    org: Org, days: int | None
) -> None:
    ends = None if days is None else (datetime.now(UTC) + timedelta(days=days)).isoformat()
    old = good(org.user.client.post("/api-keys", json={"label": "ci", "expires_at": ends}))
    successors = [good(rotated(org.user.client, old["id"], grace_s=3600)) for _ in range(3)]
    assert [each["expires_at"] for each in successors] == [old["expires_at"]] * 3
    assert len({each["token"] for each in successors}) == 3
    left = datetime.fromisoformat(good(org.user.client.get(f"/api-keys/{old['id']}"))["expires_at"]) - datetime.now(UTC)
    assert left <= timedelta(hours=1)


def test_a_revoked_key_is_not_rotated(org: Org) -> None:
    key = org.user.key()
    good(org.user.client.delete(f"/api-keys/{key['id']}"))
    answer = rotated(org.user.client, key["id"])
    assert answer.status_code == 409
    assert "issue a new one" in answer.json()["detail"]


def test_nobody_rotates_somebody_elses_key(org: Org, foreign: Org, root: httpx.Client) -> None:
    key = org.user.key()
    assert rotated(org.admin.client, key["id"]).status_code == 404
    assert rotated(foreign.user.client, key["id"]).status_code == 404
    assert rotated(root, key["id"]).status_code == 403


@pytest.mark.parametrize("grace", [-1, 30 * 86_400 + 1, "x", 1.5])
def test_a_grace_that_cannot_be_is_a_400(org: Org, grace: object) -> None:
    key = org.user.key()
    assert org.user.client.post(f"/api-keys/{key['id']}/rotate", json={"grace_s": grace}).status_code == 400


def test_a_rotation_is_in_the_audit_log_without_a_token(org: Org) -> None:
    old = org.user.key()
    new = good(rotated(org.user.client, old["id"]))
    (entry,) = good(org.admin.client.get("/audit-logs", params={"action": "key.rotated"}))["items"]
    assert entry["target_id"] == old["id"]
    assert entry["after"]["successor"] == new["id"]
    assert new["token"] not in org.admin.client.get("/audit-logs?limit=200").text


def test_open_invites_are_listed_without_their_links_and_can_be_withdrawn(api: Api, org: Org) -> None:
    made = good(org.admin.client.post("/users/invite", json={"email": "new@example.org"}))
    (listed,) = good(org.admin.client.get("/users/invites"))["items"]
    assert (listed["id"], listed["email"], listed["invited_by"]) == (made["id"], "new@example.org", org.admin.id)
    assert not {"token", "invite_url", "token_hash"} & set(listed)
    assert org.admin.client.delete(f"/users/invites/{made['id']}").status_code == 204
    assert good(org.admin.client.get("/users/invites"))["items"] == []
    sent = {"token": made["token"], "name": "Late", "password": PASSWORD}
    assert api.anonymous().post("/users/accept-invite", json=sent).status_code == 410
    assert org.admin.client.delete(f"/users/invites/{made['id']}").status_code == 404


def test_a_foreign_invite_is_not_found(org: Org, foreign: Org) -> None:
    email = f"for-{org.tag}@example.org"
    made = good(org.admin.client.post("/users/invite", json={"email": email}))
    assert foreign.admin.client.delete(f"/users/invites/{made['id']}").status_code == 404
    assert foreign.admin.client.get("/users/invites", params={"org_id": org.id}).status_code == 404
    assert org.user.client.get("/users/invites").status_code == 403
