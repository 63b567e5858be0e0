"""Reading budgets, what is used of them this month by the gateways' own count, and where that leads."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import cast
from uuid import UUID

import msgspec

from ias.billing.budgets.domain import (
    BudgetStanding,
    DailyUse,
    KeyShare,
    MemberStanding,
    OwnLimits,
    Share,
    forecast,
    month_of,
    terms_of_member,
)
from ias.billing.policies.queries import budget_ceiling, budget_of, limits_of, member_budgets
from ias.contract.admission import Reply, slot, text
from ias.contract.key_records import held_by_key, of_key
from ias.db import transaction
from ias.edge import Edge
from ias.identity import Permission, Principal, is_member, managed_by, own_caps, removed_users, tenant
from ias.problems import NotFound


class Count(msgspec.Struct, frozen=True):
    """What Redis counts of this month, of an organisation and of one of its users, and its clock."""

    period: str
    moment: datetime
    used: int
    held: int
    user_used: int
    user_held: int


async def standing(principal: Principal, org_id: UUID, edge: Edge, daily_use: DailyUse) -> BudgetStanding:
    """An organisation's budget and how much of it is gone; of members' own budgets what the caller may see.

    Raises:
        NotFound: it is not the caller's organisation.
        EdgeDown: Redis, which counts, does not answer.
    """
    scope, org = principal.within(org_id), await tenant(org_id)
    if org is None:
        raise NotFound("no such organisation")
    async with transaction(scope) as connection:
        budget, users = await budget_of(org_id), await member_budgets(org_id)
        managed = await managed_by(connection, org_id)
    gone = await removed_users(users)
    users = {user_id: tokens for user_id, tokens in users.items() if user_id not in gone}
    count = await _count(edge, org.tag, None)
    days = await daily_use(org_id, None, *_days(count.moment))
    return BudgetStanding(
        monthly_tokens=budget.monthly_tokens,
        user_monthly_tokens=budget.user_monthly_tokens,
        users=users if principal.may(Permission.BUDGETS_WRITE) else _only(principal.user_id, users),
        period=count.period,
        used_tokens=count.used,
        held_tokens=count.held,
        forecast=forecast(days, count.used, budget.monthly_tokens, count.moment),
        managed_by=managed,
    )


async def given(principal: Principal, org_id: UUID) -> int | None:
    """The most tokens a month that the platform gave an organisation; None is no end.

    Raises:
        NotFound: it is not the caller's organisation.
    """
    async with transaction(principal.within(org_id)):
        return await budget_ceiling(org_id)


async def member_standing(
    principal: Principal, member: tuple[UUID, UUID], edge: Edge, daily_use: DailyUse
) -> MemberStanding:
    """The budget of a member, that is an organisation's id and a user's, and how much of it is gone.

    Raises:
        NotFound: it is not the caller's organisation, or the user is not of it, or is another than the caller, who may
            not change budgets.
        EdgeDown: Redis, which counts, does not answer.
    """
    org_id, user_id = member
    scope, org = principal.within(org_id), await tenant(org_id)
    visible = principal.user_id == user_id or principal.may(Permission.BUDGETS_WRITE)
    if org is None or not visible or not await is_member(org_id, user_id):
        raise NotFound("no such member")
    async with transaction(scope) as connection:
        budget, users = await budget_of(org_id), await member_budgets(org_id)
        managed = await managed_by(connection, org_id)
    terms = terms_of_member(budget, users, user_id)
    count = await _count(edge, org.tag, user_id)
    days = await daily_use(org_id, user_id, *_days(count.moment))
    return MemberStanding(
        user_id=user_id,
        monthly_tokens=terms.monthly_tokens,
        own=terms.own,
        period=count.period,
        used_tokens=count.user_used,
        held_tokens=count.user_held,
        forecast=forecast(days, count.user_used, terms.monthly_tokens, count.moment),
        managed_by=managed,
    )


async def own_limits(principal: Principal, edge: Edge) -> OwnLimits:
    """Every limit that applies to the caller.

    Raises:
        NotFound: the caller belongs to no organisation.
        EdgeDown: Redis, which counts, does not answer.
    """
    org = None if principal.org_id is None else await tenant(principal.org_id)
    if org is None:
        raise NotFound("you belong to no organisation, so that no limit applies to you")
    async with transaction(principal):
        budget, users, rates = await budget_of(org.id), await member_budgets(org.id), await limits_of(org.id)
    count = await _count(edge, org.tag, principal.user_id)
    keys = await _key_shares(edge, org.tag, count.period, await own_caps(principal))
    own = users.get(principal.user_id, budget.user_monthly_tokens)
    return OwnLimits(
        period=count.period,
        resets_at=month_of(count.moment)[1],
        organisation=Share(budget.monthly_tokens, count.used, count.held),
        user=Share(own, count.user_used, count.user_held),
        keys=keys,
        rates=rates,
    )


async def _key_shares(edge: Edge, tag: str, period: str, caps: Sequence[tuple[UUID, str, int]]) -> list[KeyShare]:
    if not caps:
        return []
    fields = [of(str(key)) for key, *_ in caps for of in (of_key, held_by_key)]
    found = cast("Reply", await edge.call(("HMGET", f"{slot(tag)}:bud:{period}", *fields)))
    counts = [int(text(part or b"0")) for part in found]
    return [KeyShare(*cap, *both) for cap, *both in zip(caps, counts[::2], counts[1::2], strict=True)]


async def _count(edge: Edge, tag: str, user_id: UUID | None) -> Count:
    reply = await edge.standing(tag, "" if user_id is None else str(user_id))
    period, seconds, *tokens = (text(part) for part in reply[:6])
    used, held, user_used, user_held = map(int, tokens)
    return Count(period, datetime.fromtimestamp(int(seconds), UTC), used, held, user_used, user_held)


def _only(user_id: UUID, users: Mapping[UUID, int | None]) -> dict[UUID, int | None]:
    return {each: tokens for each, tokens in users.items() if each == user_id}


def _days(moment: datetime) -> tuple[datetime, datetime]:
    """From the month's beginning to today's."""
    return month_of(moment)[0], moment.replace(hour=0, minute=0, second=0, microsecond=0)
