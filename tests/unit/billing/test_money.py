"""Money: no digit of it is ever lost, whatever is priced and however much of it is added up."""

from datetime import UTC, datetime
from decimal import Decimal, Inexact, localcontext
from fractions import Fraction
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ias.billing.catalogue.prices import (
    HIGHEST_RATE,
    RATE_PLACES,
    BadModel,
    NewRate,
    Rates,
    check_rates,
    written,
)
from ias.billing.ledger.domain import EXACT, Rate, cost_of, sums
from ias.billing.tables import MONEY, MONEY_PER_1K
from ias.contract.sound import MOST_TOKENS
from tests.unit.billing.test_ledger import MOMENT, an_event

DIGITS, PLACES = MONEY
RATES = st.decimals(0, HIGHEST_RATE, places=RATE_PLACES)
TOKENS = st.integers(-MOST_TOKENS, MOST_TOKENS)
LINES = st.lists(
    st.tuples(TOKENS, TOKENS, TOKENS, st.tuples(RATES, RATES, RATES), st.sampled_from("abc")), min_size=1, max_size=12
)


def fraction(line: tuple[int, int, int, tuple[Decimal, Decimal, Decimal], str]) -> Fraction:
    prompt, completion, cached, (per_input, per_output, per_cached), _ = line
    whole = (prompt - cached) * Fraction(per_input) + cached * Fraction(per_cached) + completion * Fraction(per_output)
    return whole / 1000


@given(lines=LINES)
def test_lines_and_their_sums_are_exact_to_the_last_digit(
    lines: list[tuple[int, int, int, tuple[Decimal, Decimal, Decimal], str]],
) -> None:
    priced = []
    for prompt, completion, cached, rates, model in lines:
        event = an_event(line=2, prompt_tokens=prompt, completion_tokens=completion, cached_tokens=cached, model=model)
        priced.append((event, cost_of(event, Rate(UUID(int=9), MOMENT, *rates))))

    booked = sums(priced)

    assert [Fraction(cost) for _, cost in priced] == [fraction(line) for line in lines]
    for account, total in booked:
        assert Fraction(total.cost) == sum(fraction(line) for line in lines if line[4] == account.model)
    assert sum(Fraction(written(total.cost)) for _, total in booked) == sum(map(fraction, lines))


@given(lines=LINES)
def test_no_line_has_more_decimal_places_than_the_ledger_keeps(
    lines: list[tuple[int, int, int, tuple[Decimal, Decimal, Decimal], str]],
) -> None:
    for prompt, completion, cached, rates, _ in lines:
        event = an_event(line=2, prompt_tokens=prompt, completion_tokens=completion, cached_tokens=cached)
        cost = cost_of(event, Rate(UUID(int=9), MOMENT, *rates))
        assert -int(cost.as_tuple().exponent) <= PLACES


def test_the_ledgers_places_are_those_of_a_rate_and_of_a_thousandth() -> None:
    assert MONEY_PER_1K == (18, RATE_PLACES)
    assert PLACES == RATE_PLACES + 3
    assert len(str(HIGHEST_RATE)) + RATE_PLACES <= MONEY_PER_1K[0]


def test_a_line_of_a_billion_tokens_at_the_highest_rate_fits_the_ledger() -> None:
    highest = Rate(UUID(int=9), MOMENT, *[HIGHEST_RATE] * 3)
    event = an_event(prompt_tokens=10**9, completion_tokens=10**9, cached_tokens=0)

    assert len(str(int(cost_of(event, highest)))) <= DIGITS - PLACES


def test_what_would_have_to_be_rounded_raises_instead() -> None:
    with pytest.raises(Inexact):
        EXACT.add(Decimal("1e60"), Decimal("0.1"))


def test_the_interpreters_own_precision_changes_nothing() -> None:
    rate = Rate(UUID(int=9), MOMENT, *[Decimal("999999.9999999999")] * 3)
    event = an_event(prompt_tokens=MOST_TOKENS, completion_tokens=MOST_TOKENS, cached_tokens=0)
    with localcontext(prec=3):
        cost = cost_of(event, rate)

    assert Fraction(cost) == 2 * MOST_TOKENS * Fraction("999999.9999999999") / 1000


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0E-13", "0"),
        ("-0", "0"),
        ("1E+3", "1000"),
        ("-0.0041000000000", "-0.0041"),
        ("0.0000000000001", "0.0000000000001"),
    ],
)
def test_money_is_written_without_exponent_and_trailing_zeros(amount: str, text: str) -> None:
    assert written(Decimal(amount)) == text


@given(amount=st.decimals(allow_nan=False, allow_infinity=False, places=PLACES))
def test_what_is_written_is_what_is_read(amount: Decimal) -> None:
    assert Decimal(written(amount)) == amount


def test_cached_input_costs_what_other_input_does_where_nothing_else_is_said() -> None:
    new = NewRate(input_rate=Decimal("0.5"), output_rate=Decimal(1), valid_from=datetime(2030, 1, 1, tzinfo=UTC))

    assert check_rates(new) == Rates(Decimal("0.5"), Decimal(1), Decimal("0.5"))
    assert (
        check_rates(NewRate(input_rate=Decimal(1), output_rate=Decimal(1), cached_input_rate=Decimal(0))).cached_input
        == 0
    )


@pytest.mark.parametrize("rate", ["-0.1", "1000000.1", "0.00000000001", "NaN", "Infinity", "1e-400"])
def test_a_rate_that_could_not_be_kept_exactly_is_refused_with_its_place(rate: str) -> None:
    with pytest.raises(BadModel) as refused:
        check_rates(NewRate(input_rate=Decimal(1), output_rate=Decimal(1), cached_input_rate=Decimal(rate)))

    assert [error.pointer for error in refused.value.errors] == ["/cached_input_rate"]
