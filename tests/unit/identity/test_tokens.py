"""Access tokens: only ours, only whole, only fresh."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import jwt
import pytest

from ias.identity.access.tokens import ALGORITHM, AUDIENCE, ISSUER, Access, NotAuthenticated, issue, read

SECRET = "a secret that is long enough to be one"
HOUR = timedelta(hours=1)


def now() -> datetime:
    return datetime.now(UTC)


def claims(**changes: object) -> dict[str, object]:
    """Good claims, with changes; a change to None leaves the claim out."""
    good: dict[str, object] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "typ": "access",
        "sub": str(uuid4()),
        "sid": str(uuid4()),
        "iat": now(),
        "exp": now() + HOUR,
    }
    return {name: value for name, value in (good | changes).items() if value is not None}


def refused(token: str) -> bool:
    with pytest.raises(NotAuthenticated) as problem:
        read(token, SECRET)
    return problem.value.status == 401


def test_an_issued_token_says_who_and_which_session() -> None:
    access = Access(uuid4(), uuid4())
    assert read(issue(access, SECRET, now()), SECRET) == access


def test_a_token_works_for_an_hour() -> None:
    access = Access(uuid4(), uuid4())
    assert read(issue(access, SECRET, now() - HOUR + timedelta(minutes=1)), SECRET) == access
    assert refused(issue(access, SECRET, now() - HOUR - timedelta(seconds=1)))


def test_the_claims_that_the_refusals_start_from_are_good() -> None:
    assert read(jwt.encode(claims(), SECRET, ALGORITHM), SECRET)


@pytest.mark.parametrize("claim", ["iss", "aud", "typ", "sub", "sid", "iat", "exp"])
def test_a_token_without_any_one_claim_is_refused(claim: str) -> None:
    assert refused(jwt.encode(claims(**{claim: None}), SECRET, ALGORITHM))


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "somebody"},
        {"aud": "another-api"},
        {"aud": ["another-api"]},
        {"typ": "refresh"},
        {"sub": "root"},
        {"sid": "1"},
        {"iat": datetime(2099, 1, 1, tzinfo=UTC)},
        {"exp": "tomorrow"},
    ],
)
def test_a_token_with_a_wrong_claim_is_refused(change: dict[str, object]) -> None:
    assert refused(jwt.encode(claims(**change), SECRET, ALGORITHM))


def test_a_token_signed_with_another_secret_is_refused() -> None:
    assert refused(jwt.encode(claims(), "another secret that is long enough too", ALGORITHM))


def test_a_token_with_algorithm_none_is_refused() -> None:
    assert refused(jwt.encode(claims(), None, "none"))


def test_a_token_of_another_algorithm_is_refused_though_the_secret_is_right() -> None:
    assert refused(jwt.encode(claims(), SECRET * 2, "HS512"))


@pytest.mark.parametrize("headers", [{"kid": "../../dev/null"}, {"kid": "' OR 1=1"}])
def test_a_key_id_in_the_header_changes_nothing(headers: dict[str, str]) -> None:
    assert read(jwt.encode(claims(), SECRET, ALGORITHM, headers=headers), SECRET)
    assert refused(jwt.encode(claims(), "another secret that is long enough too", ALGORITHM, headers=headers))


def test_a_token_with_a_critical_header_that_is_not_understood_is_refused() -> None:
    assert refused(jwt.encode(claims(), SECRET, ALGORITHM, headers={"crit": ["moon"], "moon": "full"}))


@pytest.mark.parametrize("token", ["", "a.b.c", "é.é.é", "x" * 100_000, "Bearer", "null"])
def test_what_is_not_a_token_at_all_is_refused(token: str) -> None:
    assert refused(token)
