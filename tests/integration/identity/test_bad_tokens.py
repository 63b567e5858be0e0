"""Tokens that nobody gave out (the first row of "bad input" in docs/bad-input.md)."""

import base64
import hmac
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.integration.identity.conftest import PASSWORD, Api, Org, good
from tests.product.processes import SECRET

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
SOON = datetime.now(UTC) + timedelta(hours=1)


def session(api: Api, org: Org) -> Any:
    return good(api.anonymous().post("/auth/login", json={"email": org.user.email, "password": PASSWORD}))


@pytest.fixture
def right(api: Api, org: Org) -> dict[str, Any]:
    """The claims of a token that holds."""
    return jwt.decode(session(api, org)["access_token"], SECRET, ["HS256"], audience="ias-api")


def refused(api: Api, token: str) -> None:
    answer = api.anonymous().get("/me", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 401, answer.text
    assert answer.headers["www-authenticate"] == "Bearer"


def forged(header: dict[str, Any], claims: dict[str, Any], key: bytes) -> str:
    """A token with any header at all, signed with HMAC-SHA-256."""
    parts = [base64.urlsafe_b64encode(msgspec.json.encode(part)).rstrip(b"=") for part in (header, claims)]
    signature = base64.urlsafe_b64encode(hmac.digest(key, b".".join(parts), "sha256")).rstrip(b"=")
    return b".".join([*parts, signature]).decode()


def test_what_these_tests_forge_would_hold_with_the_right_header_and_key(api: Api, right: dict[str, Any]) -> None:
    token = forged({"alg": "HS256", "typ": "JWT"}, right, SECRET.encode())
    assert api.anonymous().get("/me", headers={"authorization": f"Bearer {token}"}).status_code == 200


@pytest.mark.parametrize("alg", ["none", "None", "nOnE", "", "HS384", "RS256", "ES256", None, 7])
def test_another_algorithm_than_the_one_is_refused(api: Api, right: dict[str, Any], alg: object) -> None:
    token = forged({"alg": alg, "typ": "JWT"}, right, SECRET.encode())
    refused(api, token)
    refused(api, token.rpartition(".")[0] + ".")


def test_a_token_that_is_signed_with_a_public_key_as_the_secret_is_refused(api: Api, right: dict[str, Any]) -> None:
    refused(api, forged({"alg": "HS256", "typ": "JWT"}, right, PUBLIC))
    refused(api, jwt.encode(right, RSA, "RS256"))


@pytest.mark.parametrize(
    "header",
    [
        {"kid": "../../../../dev/null"},
        {"kid": "/dev/null"},
        {"kid": "x' UNION SELECT 'key"},
        {"kid": "http://169.254.169.254/key"},
        {"jku": "http://evil.example.org/keys"},
        {"jwk": {"kty": "oct", "k": ""}},
        {"x5u": "file:///dev/null"},
    ],
)
def test_a_header_that_names_another_key_names_nothing(api: Api, right: dict[str, Any], header: dict[str, Any]) -> None:
    refused(api, forged({"alg": "HS256", "typ": "JWT"} | header, right, b""))


@pytest.mark.parametrize("crit", [["moon"], ["exp"], [], "moon"])
def test_a_critical_header_that_is_not_understood_is_refused(api: Api, right: dict[str, Any], crit: object) -> None:
    refused(api, forged({"alg": "HS256", "typ": "JWT", "crit": crit, "moon": "full"}, right, SECRET.encode()))


@pytest.mark.parametrize("claim", ["exp", "iat", "sub", "aud", "iss", "typ", "sid"])
def test_a_token_without_a_claim_that_is_required_is_refused(api: Api, right: dict[str, Any], claim: str) -> None:
    refused(api, jwt.encode({name: value for name, value in right.items() if name != claim}, SECRET, "HS256"))


@pytest.mark.parametrize(
    "change",
    [
        {"aud": "ias"},
        {"aud": ["other"]},
        {"iss": "https://evil.example.org"},
        {"typ": "refresh"},
        {"exp": datetime.now(UTC) - timedelta(seconds=1)},
        {"exp": "never"},
        {"nbf": SOON},
        {"iat": SOON},
        {"sub": ["x"]},
        {"sub": "' OR true --"},
        {"sid": 1},
    ],
)
def test_a_token_with_a_wrong_claim_is_refused(api: Api, right: dict[str, Any], change: dict[str, Any]) -> None:
    refused(api, jwt.encode(right | change, SECRET, "HS256"))


def test_a_refresh_token_is_no_access_token_and_an_access_token_no_refresh_token(api: Api, org: Org) -> None:
    made = session(api, org)
    refused(api, made["refresh_token"])
    sent = {"refresh_token": made["access_token"]}
    assert api.anonymous().post("/auth/refresh", json=sent).status_code == 401
    assert api.anonymous().post("/auth/refresh", json={"refresh_token": "x" * 10_000}).status_code == 401


def test_a_replayed_refresh_token_is_refused_and_revokes_its_family_alone(api: Api, org: Org) -> None:
    def go_on(token: str) -> httpx.Response:
        return api.anonymous().post("/auth/refresh", json={"refresh_token": token})

    first, other = session(api, org), session(api, org)
    second = good(go_on(first["refresh_token"]))
    assert go_on(first["refresh_token"]).status_code == 401
    assert go_on(second["refresh_token"]).status_code == 401
    for token in (first["access_token"], second["access_token"]):
        refused(api, token)
    assert go_on(other["refresh_token"]).status_code == 200


@pytest.mark.parametrize("said", ["Bearer", "Basic eDp5", "bearer x", "Bearer " + "x" * 20_000, "Bearer é"])
def test_what_is_no_bearer_token_at_all_is_refused(api: Api, said: str) -> None:
    answer = api.anonymous().get("/me", headers={"authorization": said.encode()})
    assert answer.status_code in {401, 431}
