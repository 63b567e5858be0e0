"""Reading budgets and limits in force. All of these run inside the caller's transaction."""

from uuid import UUID

import msgspec

from ias.billing.policies.domain import DEFAULT_BUDGET, DEFAULT_LIMITS, Budget, RateLimits
from ias.billing.tables import Budgets, Limits, UserBudgets
from ias.db import Connection

_HOLD = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))"


async def hold(connection: Connection, org_id: UUID) -> None:
    """Let changes of one organisation's policy come one after the other, also where there is no row to lock yet."""
    await connection.execute(_HOLD, f"policy of {org_id}")


async def budget_of(org_id: UUID) -> Budget:
    """An organisation's budget, or the platform's default."""
    row = (
        await Budgets.select(Budgets.monthly_tokens, Budgets.user_monthly_tokens)
        .where(Budgets.org_id == org_id)
        .first()
    )
    return DEFAULT_BUDGET if row is None else msgspec.convert(row, Budget)


async def budget_ceiling(org_id: UUID) -> int | None:
    """The most tokens a month that an organisation may give itself; None is no end."""
    row = await Budgets.select(Budgets.ceiling_tokens).where(Budgets.org_id == org_id).first()
    return DEFAULT_BUDGET.monthly_tokens if row is None else row["ceiling_tokens"]


async def member_budgets(org_id: UUID) -> dict[UUID, int | None]:
    """The members who have a budget of their own, in tokens a month."""
    rows = await UserBudgets.select(UserBudgets.user_id, UserBudgets.monthly_tokens).where(UserBudgets.org_id == org_id)
    return {row["user_id"]: row["monthly_tokens"] for row in rows}


async def limits_of(org_id: UUID) -> RateLimits:
    """An organisation's limits, or the platform's default."""
    columns = Limits.all_columns(exclude=[Limits.org_id, Limits.updated_at, Limits.ceiling])
    row = await Limits.select(*columns).where(Limits.org_id == org_id).first()
    return DEFAULT_LIMITS if row is None else msgspec.convert(row, RateLimits)


async def limits_ceiling(org_id: UUID) -> RateLimits:
    """The limits that the platform gave an organisation; it may only lower them."""
    row = await Limits.select(Limits.ceiling).where(Limits.org_id == org_id).first()
    return DEFAULT_LIMITS if row is None else msgspec.json.decode(row["ceiling"], type=RateLimits)
