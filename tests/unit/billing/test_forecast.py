"""The forecast of a budget, on months that one can reckon by hand."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ias.billing.budgets.domain import Basis, Forecast, forecast, month_of

NOON = datetime(2026, 6, 11, 12, tzinfo=UTC)
"""Ten and a half of the thirty days of June are over."""


def june(*tokens: int) -> dict[date, int]:
    return {date(2026, 6, number): used for number, used in enumerate(tokens, 1)}


def test_without_use_the_budget_lasts_and_nothing_will_be_used() -> None:
    assert forecast({}, 0, 1000, NOON) == Forecast(None, 0, Basis(date(2026, 6, 5), 0, 0))


def test_steady_use_goes_on_as_it_went() -> None:
    found = forecast(june(*[100] * 10), 1050, 2000, NOON)

    assert found == Forecast(date(2026, 6, 21), 3000, Basis(date(2026, 6, 5), 650, 100))


def test_steady_use_that_fits_lasts() -> None:
    assert forecast(june(*[100] * 10), 1050, 3001, NOON).ends_on is None
    assert forecast(june(*[100] * 10), 1050, 3000, NOON).ends_on == date(2026, 6, 30)


def test_rising_use_ends_the_budget_sooner_than_its_mean_would() -> None:
    rising = june(*range(0, 200, 20))
    steady = june(*[90] * 10)

    soon, late = (forecast(days, 1000, 2000, NOON) for days in (rising, steady))

    assert soon.ends_on is not None
    assert late.ends_on is not None
    assert soon.ends_on < late.ends_on


def test_use_that_stopped_a_week_ago_is_not_expected_to_go_on() -> None:
    assert forecast(june(500, 500, 0), 1000, 1500, NOON) == Forecast(None, 1000, Basis(date(2026, 6, 5), 0, 0))


def test_one_day_is_enough_once_some_of_it_is_over() -> None:
    sixth = datetime(2026, 6, 1, 6, tzinfo=UTC)

    assert forecast({}, 100, 1000, sixth) == Forecast(date(2026, 6, 3), 12_000, Basis(date(2026, 6, 1), 100, 400))
    assert forecast({}, 100, 1000, sixth - timedelta(seconds=1)) == Forecast(None, None, None)


def test_a_budget_that_is_gone_ended_on_the_day_that_took_the_last_of_it() -> None:
    days = june(100, 0, 400, 500)

    assert forecast(days, 1000, 100, NOON).ends_on == date(2026, 6, 1)
    assert forecast(days, 1000, 500, NOON).ends_on == date(2026, 6, 3)
    assert forecast(days, 1010, 1001, NOON).ends_on == date(2026, 6, 11)
    assert forecast({}, 7, 7, datetime(2026, 6, 1, tzinfo=UTC)) == Forecast(date(2026, 6, 1), None, None)


def test_without_a_budget_nothing_ends_and_the_month_is_foreseen_all_the_same() -> None:
    assert forecast(june(*[100] * 10), 1050, None, NOON) == Forecast(None, 3000, Basis(date(2026, 6, 5), 650, 100))


def test_on_the_last_day_what_is_left_of_it_decides() -> None:
    evening = datetime(2026, 6, 30, 18, tzinfo=UTC)
    days = june(*[100] * 29)

    assert forecast(days, 2975, 3000, evening) == Forecast(date(2026, 6, 30), 3000, Basis(date(2026, 6, 24), 675, 100))
    assert forecast(days, 2975, 3001, evening).ends_on is None


@pytest.mark.parametrize(("year", "projected"), [(2028, 2900), (2027, 2800)])
def test_a_leap_year_has_a_day_more(year: int, projected: int) -> None:
    days = {date(year, 2, number): 100 for number in range(1, 11)}

    assert forecast(days, 1050, None, datetime(year, 2, 11, 12, tzinfo=UTC)).projected_tokens == projected


def test_december_ends_with_the_year() -> None:
    moment = datetime(2026, 12, 31, 12, tzinfo=UTC)

    assert month_of(moment) == (datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    assert forecast({}, 100, None, moment).projected_tokens == 114


def test_days_that_explain_more_than_is_used_leave_nothing_for_today() -> None:
    assert forecast(june(*[100] * 10), 900, None, NOON).basis == Basis(date(2026, 6, 5), 600, 85)


TICK = timedelta(microseconds=1)
MOMENTS = st.integers(0, (datetime(2029, 1, 1, tzinfo=UTC) - datetime(2026, 1, 1, tzinfo=UTC)) // TICK - 1).map(
    lambda ticks: datetime(2026, 1, 1, tzinfo=UTC) + ticks * TICK
)
TOKENS = st.integers(0, 2**53 - 1)


@st.composite
def months(draw: st.DrawFn) -> tuple[dict[date, int], int, datetime]:
    moment = draw(MOMENTS)
    daily = {moment.date().replace(day=day): draw(TOKENS) for day in range(1, moment.day)}
    return daily, sum(daily.values()) + draw(TOKENS), moment


@given(month=months(), limit=TOKENS)
def test_a_budget_ends_in_this_month_or_lasts_until_it_is_over(
    month: tuple[Mapping[date, int], int, datetime], limit: int
) -> None:
    daily, used, moment = month
    start, end = month_of(moment)

    found = forecast(daily, used, limit, moment)

    foreseen = used if found.projected_tokens is None else found.projected_tokens
    assert foreseen >= used
    assert (found.ends_on is not None) == (foreseen >= limit)
    if found.ends_on is not None:
        assert start.date() <= found.ends_on < end.date()
        assert (found.ends_on <= moment.date()) or used < limit


@given(month=months(), limit=TOKENS, more=TOKENS)
def test_a_larger_budget_never_ends_sooner(
    month: tuple[Mapping[date, int], int, datetime], limit: int, more: int
) -> None:
    daily, used, moment = month

    smaller, larger = (forecast(daily, used, amount, moment).ends_on for amount in (limit, limit + more))

    assert larger is None or (smaller is not None and smaller <= larger)


@given(
    # Not a filter: examples often begin with the first moment of a month, and too many would be thrown away.
    moment=MOMENTS.map(lambda moment: max(moment, month_of(moment)[0] + timedelta(hours=6))),
    each=st.integers(0, 1000),
)
def test_a_steady_month_is_foreseen_to_the_token(moment: datetime, each: int) -> None:
    start, end = month_of(moment)
    daily = {start.date() + timedelta(days=age): each * (timedelta(days=1) // TICK) for age in range(moment.day - 1)}

    found = forecast(daily, each * ((moment - start) // TICK), None, moment)

    assert found.projected_tokens == each * ((end - start) // TICK)
