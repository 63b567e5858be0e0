"""Budgets and limits, and how gateways are told."""

from uuid import UUID

import msgspec
import pytest

from ias.billing.policies.domain import (
    DEFAULT_BUDGET,
    DEFAULT_LIMITS,
    AboveCeiling,
    BadLimits,
    Budget,
    RateLimits,
    check_ceiling,
    check_limits,
    moved_ceiling,
    moved_models,
    section,
    within,
)

ADA = UUID(int=1)
BOB = UUID(int=2)


def test_none_is_told_as_minus_one_and_zero_as_zero() -> None:
    fields = section(
        Budget(monthly_tokens=0, user_monthly_tokens=None), {ADA: None, BOB: 0}, RateLimits(concurrency=None)
    )

    assert (fields["tokens"], fields["udef"], fields["conc"]) == (0, -1, -1)
    assert (fields[f"u:{ADA}"], fields[f"u:{BOB}"]) == (-1, 0)


def test_the_defaults_have_an_end_for_every_organisation() -> None:
    fields = section(DEFAULT_BUDGET, {}, DEFAULT_LIMITS)

    assert {name for name, value in fields.items() if value == -1} == {"udef", "cap"}
    assert set(fields) == {
        *("tokens", "udef", "rps", "burst", "tpm", "conc", "urps", "uburst", "utpm", "uconc", "floor", "cap"),
        "estimate",
    }


@pytest.mark.parametrize(
    "limits",
    [
        RateLimits(requests_per_second=10, burst=9),
        RateLimits(user_requests_per_second=10, user_burst=9),
        RateLimits(min_output_tokens=100, max_output_tokens=99),
    ],
)
def test_limits_that_contradict_each_other_are_refused(limits: RateLimits) -> None:
    with pytest.raises(BadLimits, match="must be at least"):
        check_limits(limits)


def test_a_burst_may_be_anything_where_there_is_no_rate() -> None:
    limits = RateLimits(requests_per_second=None, burst=1, user_requests_per_second=None, user_burst=1)

    assert check_limits(limits) is limits


def test_an_organisation_may_lower_its_limits_but_not_raise_them() -> None:
    ceiling = RateLimits(requests_per_second=10, burst=20)

    check_ceiling(ceiling, RateLimits(requests_per_second=10, burst=10, min_output_tokens=999, max_output_tokens=None))
    with pytest.raises(AboveCeiling, match="requests_per_second may be 10 at most; burst may be 20 at most"):
        check_ceiling(ceiling, RateLimits(requests_per_second=None, burst=21))


def test_none_is_above_every_ceiling_but_none() -> None:
    assert within(None, None)
    assert within(None, 10**12)
    assert within(10, 10)
    assert not within(10, None)
    assert not within(10, 11)


@pytest.mark.parametrize("tokens", ["-1", "9223372036854775808", "1.5", '"1"', "9007199254740992"])
def test_a_budget_that_cannot_be_counted_is_refused(tokens: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(f'{{"monthly_tokens": {tokens}}}', type=Budget)


def test_estimates_are_told_as_a_number_and_only_where_the_platform_gave_them() -> None:
    assert section(DEFAULT_BUDGET, {}, DEFAULT_LIMITS)["estimate"] == 0
    estimating = RateLimits(mode="estimate")
    assert section(DEFAULT_BUDGET, {}, estimating)["estimate"] == 1
    with pytest.raises(AboveCeiling, match="mode may be strict"):
        check_ceiling(DEFAULT_LIMITS, estimating)
    check_ceiling(estimating, estimating)
    check_ceiling(estimating, DEFAULT_LIMITS)


def test_a_ceiling_from_before_there_were_estimates_is_strict() -> None:
    before = msgspec.json.decode(msgspec.json.encode({"concurrency": 5}), type=RateLimits)
    assert before.mode == "strict"


def test_a_ceiling_moves_with_the_limits_that_the_platform_changes_and_stays_where_it_does_not() -> None:
    ceiling = RateLimits(requests_per_second=100, burst=200, concurrency=None)
    chosen = RateLimits(requests_per_second=10, burst=20, concurrency=5)

    after = moved_ceiling(ceiling, chosen, msgspec.structs.replace(chosen, burst=30, user_concurrency=3))

    assert after == msgspec.structs.replace(ceiling, burst=30, user_concurrency=3)
    assert moved_ceiling(ceiling, chosen, chosen) == ceiling


@pytest.mark.parametrize(
    ("ceiling", "before", "asked", "after"),
    [
        ("ab", "a", "a", "ab"),
        ("ab", "a", "ac", "abc"),
        ("abc", "ab", "b", "bc"),
        ("ab", "", "", "ab"),
        ("ab", "a", None, None),
        (None, None, None, None),
        (None, "a", "ab", None),
        (None, "ab", "a", "acd"),
        (None, None, "ab", "ab"),
        (None, None, "abcd", "abcd"),
    ],
)
def test_of_models_what_is_added_is_given_and_what_is_struck_is_taken(
    ceiling: str | None, before: str | None, asked: str | None, after: str | None
) -> None:
    ids = {letter: UUID(int=number) for number, letter in enumerate("abcd")}

    def of(letters: str | None) -> list[UUID] | None:
        return None if letters is None else [ids[letter] for letter in letters]

    assert moved_models(of(ceiling), of(before), of(asked), list(ids.values())) == of(after)
