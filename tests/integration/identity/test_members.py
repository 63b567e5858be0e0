"""Members and organisations: invited, changed, suspended, removed."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
import redis

from ias.contract.admission import models
from ias.contract.keys import fingerprint
from tests.integration.identity.conftest import PASSWORD, Api, Org, good, new_member, new_org
from tests.services import Services


def invited(org: Org, email: str | None = None, role: str = "org-user") -> Any:
    address = email or f"{uuid4().hex[:8]}@example.org"
    return good(org.admin.client.post("/users/invite", json={"email": address, "role": role}))


def accept(api: Api, token: str, **more: str) -> httpx.Response:
    sent = {"token": token, "name": "Ada", "password": PASSWORD} | more
    return api.anonymous().post("/users/accept-invite", json=sent)


@pytest.fixture(scope="session")
def edge(services: Services) -> redis.Redis:
    return redis.Redis.from_url(services.redis_url)


def verdict(edge: redis.Redis, org: Org, token: str) -> Any:
    return edge.execute_command(*models(org.tag, fingerprint(token)))[0]


def test_an_invite_is_a_link_with_a_token_that_works_once(api: Api, org: Org) -> None:
    invite = invited(org)
    assert invite["invite_url"].endswith(invite["token"])
    member = good(accept(api, invite["token"]))
    assert (member["org_id"], member["role"], member["status"]) == (org.id, "org-user", "active")
    assert accept(api, invite["token"]).status_code == 410


def test_two_at_once_cannot_both_use_an_invite(api: Api, org: Org) -> None:
    token = invited(org)["token"]
    with ThreadPoolExecutor(2) as threads:
        codes = {answer.status_code for answer in threads.map(lambda _: accept(api, token), range(2))}
    assert 201 in codes
    assert codes < {201, 409, 410}


def test_a_new_invite_replaces_the_open_one(api: Api, org: Org) -> None:
    first = invited(org)
    second = invited(org, first["email"].upper())
    assert accept(api, first["token"]).status_code == 410
    assert accept(api, second["token"]).status_code == 201


async def test_an_expired_invite_is_gone(api: Api, org: Org, database_url: str) -> None:
    invite = invited(org)
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "UPDATE identity.invites SET expires_at = now() - interval '1 s' WHERE id = $1", invite["id"]
    )
    await connection.close()
    assert accept(api, invite["token"]).status_code == 410


def test_an_invite_is_for_one_address(api: Api, org: Org) -> None:
    invite = invited(org)
    assert accept(api, invite["token"], email="somebody.else@example.org").status_code == 403
    assert accept(api, invite["token"], email=invite["email"].upper()).status_code == 201


@pytest.mark.parametrize("twin", [str.upper, str.title, lambda address: address.replace("e", "\uff45")])
def test_a_twin_of_a_known_address_is_a_409(org: Org, twin: Any) -> None:
    answer = org.admin.client.post("/users/invite", json={"email": twin(org.user.email)})
    assert answer.status_code == 409


def test_nobody_is_invited_as_system_admin_or_into_a_foreign_organisation(org: Org, foreign: Org) -> None:
    send = org.admin.client.post
    assert send("/users/invite", json={"email": "a@example.org", "role": "system-admin"}).status_code == 403
    assert send("/users/invite", json={"email": "a@example.org", "org_id": foreign.id}).status_code == 404
    assert send("/users/invite", json={"email": "a@example.org", "is_admin": True}).status_code == 400
    assert send("/users/invite", json={"email": "nonsense"}).status_code == 400


def test_a_system_admin_says_into_which_organisation(root: httpx.Client) -> None:
    answer = root.post("/users/invite", json={"email": "a@example.org"})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == "/org_id"


def test_the_last_admin_cannot_be_removed_demoted_or_suspended(org: Org) -> None:
    path = f"/users/{org.admin.id}"
    assert org.admin.client.delete(path).status_code == 409
    assert org.admin.client.patch(path, json={"role": "org-user"}).status_code == 409
    assert org.admin.client.patch(path, json={"status": "suspended"}).status_code == 409


def test_two_last_admins_cannot_remove_each_other(api: Api, root: httpx.Client, org: Org) -> None:
    second = new_member(api, root, org.id, "org-admin")
    pairs = [(org.admin.client, second.id), (second.client, org.admin.id)]
    with ThreadPoolExecutor(2) as threads:
        codes = [answer.status_code for answer in threads.map(lambda pair: pair[0].delete(f"/users/{pair[1]}"), pairs)]
    assert sorted(codes) in ([204, 401], [204, 409])
    left = good(root.get("/users", params={"org_id": org.id}))["items"]
    assert [member["role"] for member in left].count("org-admin") == 1


def test_a_demoted_admin_may_do_no_more_from_the_next_request_on(api: Api, root: httpx.Client, org: Org) -> None:
    second = new_member(api, root, org.id, "org-admin")
    assert second.client.get("/users").status_code == 200
    good(org.admin.client.patch(f"/users/{second.id}", json={"role": "org-user"}))
    assert second.client.get("/users").status_code == 403


def test_a_suspended_member_is_turned_away_until_active_again(api: Api, org: Org, edge: redis.Redis) -> None:
    token = org.user.key()["token"]
    good(org.admin.client.patch(f"/users/{org.user.id}", json={"status": "suspended"}))
    assert verdict(edge, org, token) == b"suspended"
    assert org.user.client.get("/me").status_code == 401
    assert api.anonymous().post("/auth/login", json={"email": org.user.email, "password": PASSWORD}).status_code == 403
    good(org.admin.client.patch(f"/users/{org.user.id}", json={"status": "active"}))
    assert verdict(edge, org, token) == b"ok"
    assert api.login(org.user.email).get("/me").status_code == 200


def test_a_removed_member_loses_keys_and_sessions_and_frees_the_address(api: Api, org: Org, edge: redis.Redis) -> None:
    token = org.user.key()["token"]
    assert org.admin.client.delete(f"/users/{org.user.id}").status_code == 204
    assert verdict(edge, org, token) == b"key"
    assert org.user.client.get("/me").status_code == 401
    assert api.anonymous().post("/auth/login", json={"email": org.user.email, "password": PASSWORD}).status_code == 401
    assert org.admin.client.get(f"/users/{org.user.id}").status_code == 404
    assert accept(api, invited(org, org.user.email)["token"]).status_code == 201


def test_members_are_listed_within_their_organisation_only(root: httpx.Client, org: Org, foreign: Org) -> None:
    mine = {member["id"] for member in good(org.admin.client.get("/users"))["items"]}
    assert mine == {org.admin.id, org.user.id, org.other.id}
    assert org.admin.client.get("/users", params={"org_id": foreign.id}).status_code == 404
    theirs = {member["id"] for member in good(root.get("/users", params={"org_id": foreign.id}))["items"]}
    assert theirs == {foreign.admin.id, foreign.user.id, foreign.other.id}


@pytest.mark.parametrize("twin", [str, str.upper, lambda name: name.replace("o", "\uff4f")])
def test_a_twin_of_an_organisations_name_is_a_409(root: httpx.Client, org: Org, twin: Any) -> None:
    assert root.post("/organizations", json={"name": twin(org.name)}).status_code == 409


def test_an_organisation_is_renamed_by_system_admins_only(root: httpx.Client, org: Org, foreign: Org) -> None:
    name = f"renamed {uuid4().hex}"
    assert org.admin.client.patch(f"/organizations/{org.id}", json={"name": name}).status_code == 403
    assert good(root.patch(f"/organizations/{org.id}", json={"name": name}))["name"] == name
    assert root.patch(f"/organizations/{org.id}", json={"name": foreign.name}).status_code == 409


def test_a_suspended_organisation_gets_nothing_in_until_resumed(
    root: httpx.Client, org: Org, edge: redis.Redis
) -> None:
    token = org.user.key()["token"]
    good(root.post(f"/organizations/{org.id}/suspend"))
    assert verdict(edge, org, token) == b"suspended"
    assert org.admin.client.get("/me").status_code == 403
    good(root.post(f"/organizations/{org.id}/resume"))
    assert verdict(edge, org, token) == b"ok"
    assert org.admin.client.get("/me").status_code == 200


def test_a_removed_organisation_is_as_if_it_were_not_there(api: Api, root: httpx.Client, edge: redis.Redis) -> None:
    org = new_org(api, root)
    token, invite = org.user.key()["token"], invited(org)
    assert root.delete(f"/organizations/{org.id}").status_code == 204
    assert verdict(edge, org, token) == b"key"
    assert org.admin.client.get("/me").status_code == 401
    assert accept(api, invite["token"]).status_code == 410
    for path in ("", "/suspend", "/resume"):
        method = "POST" if path else "GET"
        assert root.request(method, f"/organizations/{org.id}{path}").status_code == 404
    assert good(root.post("/organizations", json={"name": org.name}))["id"] != org.id


def test_members_see_their_own_organisation_and_system_admins_see_all(
    root: httpx.Client, org: Org, foreign: Org
) -> None:
    assert [each["id"] for each in good(org.user.client.get("/organizations"))["items"]] == [org.id]
    assert org.user.client.get(f"/organizations/{foreign.id}").status_code == 404
    assert good(root.get(f"/organizations/{foreign.id}"))["name"] == foreign.name
