"""Reading budgets, and what is used of them this month by the gateways' own count."""

from uuid import UUID

import msgspec

from ias.billing.policies.queries import budget_of, member_budgets
from ias.contract.admission import text
from ias.db import transaction
from ias.edge import Edge
from ias.identity import Principal, tenant
from ias.problems import NotFound


class BudgetStanding(msgspec.Struct, kw_only=True):
    """Tokens a month, null for none, and what is used and held of them in `period`, YYYYMM (UTC)."""

    monthly_tokens: int | None
    user_monthly_tokens: int | None
    users: dict[UUID, int | None]
    period: str
    used_tokens: int
    held_tokens: int


async def standing(principal: Principal, org_id: UUID, edge: Edge) -> BudgetStanding:
    """An organisation's budget and how much of it is gone.

    Raises:
        NotFound: it is not the caller's organisation.
        EdgeDown: Redis, which counts, does not answer.
    """
    scope, org = principal.within(org_id), await tenant(org_id)
    if org is None:
        raise NotFound("no such organisation")
    async with transaction(scope):
        budget, users = await budget_of(org_id), await member_budgets(org_id)
    period, _, used, held = (text(part) for part in (await edge.standing(org.tag, ""))[:4])
    return BudgetStanding(
        monthly_tokens=budget.monthly_tokens,
        user_monthly_tokens=budget.user_monthly_tokens,
        users=users,
        period=period,
        used_tokens=int(used),
        held_tokens=int(held),
    )
