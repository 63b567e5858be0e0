"""Refusals in OpenAI's words, and the headers of limits."""

import pytest

from ias.contract import admission as contract
from ias.contract import keys
from ias.contract.admission import Admitted, Rate
from ias_gateway import admission
from ias_gateway.errors import ApiError

NONE = Rate(-1, -1, 0)


def test_a_well_formed_key_is_a_caller() -> None:
    token = keys.mint("Ab3dEf9h")
    for scheme in ("Bearer", "bearer", "BEARER"):
        caller = admission.identify(f"{scheme} {token}".encode())
        assert (caller.tag, caller.fingerprint) == ("Ab3dEf9h", keys.fingerprint(token))


@pytest.mark.parametrize("header", [b"", b"Basic abc", b"Bearer", b"Bearer ", b"Bearer ias_x", b"Bearer \xff\xfe"])
def test_anything_else_is_a_401_that_does_not_repeat_it(header: bytes) -> None:
    with pytest.raises(ApiError) as refused:
        admission.identify(header)
    assert refused.value.status == 401
    assert refused.value.detail.code == "invalid_api_key"
    assert b"ias_x" not in refused.value.body


@pytest.mark.parametrize(
    ("refused", "status", "kind", "code"),
    [
        (contract.BadKey(), 401, "invalid_request_error", "invalid_api_key"),
        (contract.NotReady(unknown_org=False), 503, "server_error", "not_ready"),
        (contract.Suspended("user"), 403, "permission_error", "insufficient_permissions"),
        (contract.UnknownModel(("a",)), 404, "invalid_request_error", "model_not_found"),
        (contract.UnknownModel(()), 404, "invalid_request_error", "model_not_found"),
        (contract.Duplicate(), 409, "invalid_request_error", "duplicate_request"),
        (contract.OverBudget("user", 10, 9, 1, "202611", 1), 429, "insufficient_quota", "insufficient_quota"),
        (contract.OverRate("requests", "user", 5, 120, Rate(5, 0, 9)), 429, "rate_limit_error", "rate_limit_exceeded"),
        (contract.OverRate("concurrency", "user", 5, 9), 429, "rate_limit_error", "rate_limit_exceeded"),
        (contract.TooLarge(5, 9), 429, "rate_limit_error", "rate_limit_exceeded"),
    ],
)
def test_every_refusal_has_its_row(refused: contract.Refused, status: int, kind: str, code: str) -> None:
    error = admission.refusal(refused, "gpt")
    assert (error.status, error.detail.type, error.detail.code) == (status, kind, code)


def test_an_exhausted_budget_says_whose_how_much_and_until_when_and_is_not_retried() -> None:
    error = admission.refusal(contract.OverBudget("organisation", 100, 90, 10, "202612", 1_798_761_590), "gpt")
    headers = dict(error.headers)
    assert headers == {"x-should-retry": "false", "retry-after": "10"}
    for part in ("organisation's", "100", "90 are used", "10 held", "2027-01-01T00:00:00Z"):
        assert part in error.detail.message


def test_a_rate_says_when_to_come_back_to_the_millisecond() -> None:
    refused = contract.OverRate("requests", "organisation", 5, 1250, Rate(8, 0, 1900), Rate(60, 17, 61_500))
    error = admission.refusal(refused, "gpt")
    headers = dict(error.headers)
    assert (headers["retry-after"], headers["retry-after-ms"]) == ("2", "1250")
    assert "limit of 5 requests per second" in error.detail.message
    assert headers["x-ratelimit-limit-requests"] == "8"
    assert headers["x-ratelimit-reset-requests"] == "1.9s"
    assert headers["x-ratelimit-remaining-tokens"] == "17"
    assert headers["x-ratelimit-reset-tokens"] == "1m1.5s"
    assert "1.25s" in error.detail.message


def test_a_limit_of_nothing_is_not_to_be_tried_again() -> None:
    error = admission.refusal(contract.OverRate("requests", "user", 0, 60_000), "gpt")
    assert dict(error.headers)["x-should-retry"] == "false"
    assert "try again" not in error.detail.message


def test_a_long_model_name_is_not_repeated_whole() -> None:
    assert len(admission.unknown_model("m" * 10_000, ()).detail.message) < 400


@pytest.mark.parametrize(
    ("ms", "text"), [(0, "0ms"), (12, "12ms"), (1000, "1s"), (1500, "1.5s"), (360_000, "6m0s"), (61_500, "1m1.5s")]
)
def test_durations_are_written_as_openai_does(ms: int, text: str) -> None:
    assert admission.duration(ms) == text


@pytest.mark.parametrize(
    ("period", "ends"), [("202611", 1_796_083_200), ("202612", 1_798_761_600), ("202802", 1_835_481_600)]
)
def test_a_month_ends_at_midnight_utc(period: str, ends: int) -> None:
    assert admission.month_end(period) == ends


def test_limits_are_in_the_headers_where_there_are_limits() -> None:
    admitted = Admitted("o", "u", "k", b"", "202611", 1, 1, requests=Rate(10, 9, 100), tokens=NONE)
    assert admission.limit_headers(admitted) == (
        b"x-ratelimit-limit-requests: 10\r\nx-ratelimit-remaining-requests: 9\r\nx-ratelimit-reset-requests: 100ms\r\n"
    )
