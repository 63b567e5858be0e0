"""A budget as people see it, and its forecast: on which day it ends, from what was used so far this month.

The pace is the mean of today and the six days before it, as far as they are of this month; each day weighs one more
than the one before it, and today counts for the part of it that is over. It is exact: whole tokens over seconds.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from typing import Final
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from ias.billing.policies.domain import Budget, RateLimits, Tokens
from ias.identity.values import ManagedBy

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


class BudgetChanges(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Tokens a month; null is none, what is left out stays."""

    monthly_tokens: Tokens | UnsetType | None = UNSET
    user_monthly_tokens: Tokens | UnsetType | None = UNSET


class MemberTerms(msgspec.Struct, frozen=True):
    """What one member may use: tokens a month, and whether that is theirs or what every member has."""

    monthly_tokens: int | None
    own: bool


class MemberBudget(msgspec.Struct, forbid_unknown_fields=True):
    """Tokens a month of one member; null is none."""

    monthly_tokens: Tokens | None

    def lasting(self) -> object:
        """What the member's budget is once this is theirs."""
        return MemberTerms(self.monthly_tokens, own=True)


class BudgetStanding(msgspec.Struct, kw_only=True):
    """Tokens a month, null for none, and what is used and held of them in `period`, YYYYMM (UTC).

    `users` are the members who have a budget of their own; whoever may not change budgets finds none but themselves.
    `managed_by` is the file in Git that puts back what is changed elsewhere, as far as it has lines for it.
    """

    monthly_tokens: int | None
    user_monthly_tokens: int | None
    users: dict[UUID, int | None]
    period: str
    used_tokens: int
    held_tokens: int
    forecast: Forecast
    managed_by: ManagedBy | None = None

    def lasting(self) -> object:
        """What only a change of the budget changes."""
        return Budget(monthly_tokens=self.monthly_tokens, user_monthly_tokens=self.user_monthly_tokens)


class MemberStanding(msgspec.Struct, kw_only=True):
    """The same of one member; `own` where the budget is the member's and not that of every member."""

    user_id: UUID
    monthly_tokens: int | None
    own: bool
    period: str
    used_tokens: int
    held_tokens: int
    forecast: Forecast
    managed_by: ManagedBy | None = None

    def lasting(self) -> object:
        """What only a change of the member's budget, or of that of every member, changes."""
        return MemberTerms(self.monthly_tokens, self.own)


class Share(msgspec.Struct, frozen=True):
    """Tokens a month, null for none, and what is used and held of them."""

    monthly_tokens: int | None
    used_tokens: int
    held_tokens: int


class KeyShare(msgspec.Struct, frozen=True):
    """The cap of one of the caller's keys, tokens a month, and what is used and held of it."""

    key_id: UUID
    label: str
    monthly_tokens: int
    used_tokens: int
    held_tokens: int


class OwnLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Every limit that applies to the caller. The tokens of `period`, YYYYMM, are whole again at `resets_at`.

    `keys` are those of the caller's working keys that have a cap, newest first, 100 at most.
    """

    period: str
    resets_at: datetime
    organisation: Share
    user: Share
    keys: list[KeyShare] = []
    rates: RateLimits


class Stops(msgspec.Struct, frozen=True):
    """Whom a change of a budget stops at once: they have used as much already."""

    organisation: bool = False
    members: tuple[UUID, ...] = ()

    def __bool__(self) -> bool:
        return self.organisation or bool(self.members)


def stopped(standing: BudgetStanding, used: Mapping[UUID, int], changes: BudgetChanges) -> Stops:
    """Whom these changes stop who is not stopped yet; `used` are the tokens of each member this month."""
    whole, each = changes.monthly_tokens, changes.user_monthly_tokens
    every = standing.used_tokens
    return Stops(
        organisation=whole is not UNSET and _newly(every, standing.monthly_tokens, whole),
        members=tuple(
            user_id
            for user_id, tokens in used.items()
            if user_id not in standing.users
            and each is not UNSET
            and _newly(tokens, standing.user_monthly_tokens, each)
        ),
    )


def terms_of_member(budget: Budget, users: Mapping[UUID, int | None], user_id: UUID) -> MemberTerms:
    """What a member may use by the organisation's budget and by those that `users` have of their own."""
    return MemberTerms(users.get(user_id, budget.user_monthly_tokens), own=user_id in users)


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


def _newly(used: int, before: int | None, after: int | None) -> bool:
    """Whether a budget is used up by what it was not used up by before."""
    return after is not None and used >= after and (before is None or used < before)
