"""The forecast of a budget: on which day it ends, from what was used so far this month.

The pace is the mean of today and the six days before it, as far as they are of this month; each day weighs one more
than the one before it, and today counts for the part of it that is over. It is exact: whole tokens over seconds.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from typing import Final
from uuid import UUID

import msgspec

DAYS: Final = 7
DAY_S: Final = 86_400
EARLIEST_S: Final = 6 * 3600
"""So much of a month must be over for its pace to say anything."""

DailyUse = Callable[[UUID, UUID | None, datetime, datetime], Awaitable[dict[date, int]]]
"""Tokens of each day (UTC) from a moment to before another, of an organisation or of one of its members."""


class Basis(msgspec.Struct, frozen=True):
    """What a forecast rests on: the tokens used since the day `since`, and the pace that follows."""

    since: date
    tokens: int
    tokens_per_day: int


class Forecast(msgspec.Struct, frozen=True):
    """Where the month goes if its pace stays.

    Attributes:
        ends_on: the day (UTC) on which the budget ends, or ended; null where it lasts, or there is none.
        projected_tokens: what will be used when the month is over; null, as `basis`, in the first hours of a month.
    """

    ends_on: date | None
    projected_tokens: int | None
    basis: Basis | None


def month_of(moment: datetime) -> tuple[datetime, datetime]:
    """When the month of this moment begins, and when the next one does."""
    start = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return start, (start + timedelta(days=32)).replace(day=1)


def forecast(daily: Mapping[date, int], used: int, limit: int | None, moment: datetime) -> Forecast:
    """Where a month goes.

    Args:
        daily: tokens of the days of this month before today; days without use may be left out.
        used: tokens of this month so far; what the days do not explain is today's.
        limit: tokens a month, None for no budget.
        moment: now, in UTC.
    """
    gone_on = _gone_on(daily, limit, moment.date()) if limit is not None and used >= limit else None
    basis, pace = _pace(daily, used, moment)
    if basis is None:
        return Forecast(gone_on, None, None)
    end = month_of(moment)[1]
    projected = used + int(pace * _seconds(end - moment))
    ends_on = gone_on
    if limit is not None and used < limit <= projected:
        ends_on = min(moment + timedelta(seconds=int((limit - used) / pace)), end - timedelta(seconds=1)).date()
    return Forecast(ends_on, projected, basis)


def _pace(daily: Mapping[date, int], used: int, moment: datetime) -> tuple[Basis | None, Fraction]:
    """What was used lately, in tokens a second; None where the month has only just begun."""
    today = moment.date()
    ages = range(min(DAYS, today.day))
    earlier = sum(tokens for day, tokens in daily.items() if day < today)
    days = {today - timedelta(days=age): daily.get(today - timedelta(days=age), 0) for age in ages}
    days[today] = max(0, used - earlier)
    lengths = dict.fromkeys(days, Fraction(DAY_S))
    lengths[today] = _seconds(moment - datetime.combine(today, time(), moment.tzinfo))
    if sum(lengths.values()) < EARLIEST_S:
        return None, Fraction(0)
    weights = {today - timedelta(days=age): DAYS - age for age in ages}
    weighed_s = sum((weights[day] * length for day, length in lengths.items()), Fraction(0))
    pace = max(Fraction(0), sum(weights[day] * tokens for day, tokens in days.items()) / weighed_s)
    return Basis(min(days), sum(days.values()), int(pace * DAY_S)), pace


def _gone_on(daily: Mapping[date, int], limit: int, today: date) -> date:
    """The day on which the use reached the limit."""
    reached = 0
    for number in range(1, today.day):
        day = today.replace(day=number)
        reached += daily.get(day, 0)
        if reached >= limit:
            return day
    return today


def _seconds(span: timedelta) -> Fraction:
    return Fraction(span // timedelta(microseconds=1), 1_000_000)
