"""Sessions: logging in, going on, logging out, and tokens that do not hold."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
import pytest

from tests.integration.identity.conftest import PASSWORD, Api, Org, good, new_member
from tests.product.processes import SECRET


def bearer(api: Api, token: str) -> httpx.Response:
    return api.anonymous().get("/me", headers={"authorization": f"Bearer {token}"})


def begin(api: Api, email: str, password: str = PASSWORD) -> Any:
    return good(api.anonymous().post("/auth/login", json={"email": email, "password": password}))


def go_on(api: Api, refresh_token: str) -> httpx.Response:
    return api.anonymous().post("/auth/refresh", json={"refresh_token": refresh_token})


def claims(api: Api, email: str) -> dict[str, Any]:
    """The claims of a fresh access token."""
    token = begin(api, email)["access_token"]
    return jwt.decode(token, SECRET, ["HS256"], audience="ias-api")


def test_login_gives_an_hour_and_a_refresh_token(api: Api, org: Org) -> None:
    session = begin(api, org.user.email)
    assert session["token_type"] == "Bearer"
    assert session["expires_in"] == 3600
    assert bearer(api, session["access_token"]).json()["email"] == org.user.email


def test_the_address_may_be_written_in_any_case(api: Api, org: Org) -> None:
    assert begin(api, org.user.email.upper())["access_token"]


@pytest.mark.parametrize("password", ["", "wrong", PASSWORD + "x", "é" * 36, "x" * 73, "x" * 100_000])
def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(api: Api, org: Org, password: str) -> None:
    answers = [
        api.anonymous().post("/auth/login", json={"email": email, "password": password})
        for email in (org.user.email, "nobody@example.org")
    ]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert answers[0].json()["detail"] == answers[1].json()["detail"]


@pytest.mark.parametrize(
    "body", ["{", "[]", "null", '{"email": 1, "password": "x"}', '{"email": "a@b", "password": "x", "role": "x"}']
)
def test_a_malformed_login_is_a_400(api: Api, body: str) -> None:
    answer = api.anonymous().post("/auth/login", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400


def test_a_nul_in_an_address_is_a_400(api: Api) -> None:
    assert api.anonymous().post("/auth/login", json={"email": "a\0@b", "password": "x"}).status_code in {400, 401}


def test_a_refresh_token_works_once_and_gives_the_next(api: Api, org: Org) -> None:
    first = begin(api, org.user.email)
    second = good(go_on(api, first["refresh_token"]))
    assert second["refresh_token"] != first["refresh_token"]
    assert bearer(api, second["access_token"]).status_code == 200


def test_using_a_refresh_token_twice_ends_the_whole_session(api: Api, org: Org) -> None:
    first = begin(api, org.user.email)
    second = good(go_on(api, first["refresh_token"]))
    assert go_on(api, first["refresh_token"]).status_code == 401
    assert go_on(api, second["refresh_token"]).status_code == 401
    assert bearer(api, second["access_token"]).status_code == 401
    entries = good(org.admin.client.get("/audit-logs", params={"action": "session.reuse_detected"}))["items"]
    assert [entry["actor"] for entry in entries] == [org.user.email]
    assert org.user.client.get("/me").status_code == 200, "another session of the same person goes on"


def test_two_at_once_cannot_both_use_a_refresh_token(api: Api, org: Org) -> None:
    token = begin(api, org.user.email)["refresh_token"]
    with ThreadPoolExecutor(2) as threads:
        codes = [answer.status_code for answer in threads.map(lambda _: go_on(api, token), range(2))]
    assert sorted(codes) == [200, 401]


def test_logging_out_ends_access_and_refresh_tokens(api: Api, org: Org) -> None:
    session = begin(api, org.user.email)
    headers = {"authorization": f"Bearer {session['access_token']}"}
    assert api.anonymous().post("/auth/logout", headers=headers).status_code == 204
    assert bearer(api, session["access_token"]).status_code == 401
    assert go_on(api, session["refresh_token"]).status_code == 401


def test_a_refresh_token_is_no_access_token(api: Api, org: Org) -> None:
    assert bearer(api, begin(api, org.user.email)["refresh_token"]).status_code == 401


def test_a_token_of_our_own_making_with_the_right_claims_holds(api: Api, org: Org) -> None:
    assert bearer(api, jwt.encode(claims(api, org.user.email), SECRET, "HS256")).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"aud": "somebody-else"},
        {"iss": "somebody-else"},
        {"typ": "refresh"},
        {"exp": None},
        {"sid": None},
        {"exp": datetime.now(UTC) - timedelta(seconds=1)},
        {"sub": "0190a3a0-0000-7000-8000-000000000000"},
        {"sid": "0190a3a0-0000-7000-8000-000000000000"},
    ],
)
def test_a_token_with_a_wrong_claim_is_refused(api: Api, org: Org, change: dict[str, object]) -> None:
    wrong = {name: value for name, value in (claims(api, org.user.email) | change).items() if value is not None}
    assert bearer(api, jwt.encode(wrong, SECRET, "HS256")).status_code == 401


def test_a_token_with_another_algorithm_or_none_is_refused(api: Api, org: Org) -> None:
    right = claims(api, org.user.email)
    for token in (jwt.encode(right, None, "none"), jwt.encode(right, SECRET * 2, "HS512")):
        assert bearer(api, token).status_code == 401


def test_another_users_session_id_does_not_hold(api: Api, org: Org) -> None:
    mixed = claims(api, org.user.email) | {"sid": claims(api, org.other.email)["sid"]}
    assert bearer(api, jwt.encode(mixed, SECRET, "HS256")).status_code == 401


@pytest.mark.parametrize("field", ["role", "org_id", "is_admin", "email"])
def test_nobody_changes_more_of_themselves_than_the_name(org: Org, field: str) -> None:
    assert org.user.client.patch("/me", json={"name": "Ada", field: "x"}).status_code == 400
    assert good(org.user.client.patch("/me", json={"name": "Ada"}))["name"] == "Ada"


def test_a_new_password_ends_the_other_sessions_and_only_it_works(api: Api, root: httpx.Client, org: Org) -> None:
    member = new_member(api, root, org.id)
    other = api.login(member.email)
    new = "Another-battery-9-staple"
    assert member.client.put("/me/password", json={"current_password": "x", "new_password": new}).status_code == 401
    sent = {"current_password": PASSWORD, "new_password": new}
    assert member.client.put("/me/password", json=sent).status_code == 204
    assert member.client.get("/me").status_code == 200
    assert other.get("/me").status_code == 401
    assert api.anonymous().post("/auth/login", json={"email": member.email, "password": PASSWORD}).status_code == 401
    assert begin(api, member.email, new)


@pytest.mark.parametrize("weak", ["short", "Password123!", "x" * 73, "Correct-Horse-7" * 5, "aaaaaaaaaaaaA1!"])
def test_a_weak_new_password_is_a_400_with_every_reason(org: Org, weak: str) -> None:
    answer = org.user.client.put("/me/password", json={"current_password": PASSWORD, "new_password": weak})
    assert answer.status_code == 400
    assert all(error["pointer"] == "/new_password" for error in answer.json()["errors"])


def test_only_a_system_admin_resets_a_password_which_ends_sessions(api: Api, root: httpx.Client, org: Org) -> None:
    body, path = {"new_password": "Another-battery-9-staple"}, f"/users/{org.user.id}/reset-password"
    assert org.admin.client.post(path, json=body).status_code == 403
    assert root.post(path, json=body).status_code == 204
    assert org.user.client.get("/me").status_code == 401
    assert begin(api, org.user.email, body["new_password"])


def test_two_hundred_logins_at_once_are_let_in_or_sent_back_later(api: Api, org: Org) -> None:
    own = threading.local()  # httpx's pool may close under one thread what another has just taken

    def begin() -> None:
        own.client = api.anonymous()

    def attempt(_: int) -> httpx.Response:
        return own.client.post("/auth/login", json={"email": org.user.email, "password": PASSWORD})

    with ThreadPoolExecutor(60, initializer=begin) as threads:
        answers = list(threads.map(attempt, range(200)))
    assert {answer.status_code for answer in answers} <= {200, 429, 503}
    assert any(answer.status_code == 200 for answer in answers)
    assert all(answer.headers["retry-after"] for answer in answers if answer.status_code != 200)
