"""What organisations and members may use a month and used of it, many at once, for pages that list them."""

from collections.abc import Collection
from uuid import UUID

from ias.billing.catalogue.prices import written
from ias.billing.policies.domain import DEFAULT_BUDGET
from ias.db import lookup
from ias.identity.values import MemberFigures, OrgFigures
from ias.telemetry import now

_MEMBERS = """
SELECT asked.user_id, u.user_id IS NOT NULL AS own,
       CASE WHEN u.user_id IS NULL THEN b.user_monthly_tokens ELSE u.monthly_tokens END AS monthly_tokens,
       coalesce(s.tokens, 0)::bigint AS tokens, coalesce(s.cost, 0) AS cost
FROM unnest($2::uuid[]) AS asked (user_id)
LEFT JOIN billing.budgets b ON b.org_id = $1
LEFT JOIN billing.user_budgets u ON u.org_id = $1 AND u.user_id = asked.user_id
LEFT JOIN LATERAL (
    SELECT sum(prompt_tokens + completion_tokens) AS tokens, sum(cost) AS cost FROM billing.spend
    WHERE period = $3 AND org_id = $1 AND user_id = asked.user_id
) s ON true
"""
_ORGS = """
SELECT asked.org_id, b.org_id IS NOT NULL AS given, b.monthly_tokens,
       coalesce(s.prompt_tokens + s.completion_tokens, 0) AS tokens, coalesce(s.requests, 0) AS requests,
       coalesce(s.cost, 0) AS cost
FROM unnest($1::uuid[]) AS asked (org_id)
LEFT JOIN billing.budgets b USING (org_id)
LEFT JOIN billing.org_spend s ON s.org_id = asked.org_id AND s.period = $2
"""


async def of_members(org_id: UUID, users: Collection[UUID]) -> dict[UUID, MemberFigures]:
    """The figures of these members of an organisation; who asks may see them."""
    async with lookup() as connection:
        rows = await connection.fetch(_MEMBERS, org_id, list(users), f"{now():%Y%m}")
    return {
        row["user_id"]: MemberFigures(row["monthly_tokens"], row["own"], row["tokens"], written(row["cost"]))
        for row in rows
    }


async def of_orgs(orgs: Collection[UUID]) -> dict[UUID, OrgFigures]:
    """The figures of these organisations; who asks may see them."""
    async with lookup() as connection:
        rows = await connection.fetch(_ORGS, list(orgs), f"{now():%Y%m}")
    return {
        row["org_id"]: OrgFigures(
            row["monthly_tokens"] if row["given"] else DEFAULT_BUDGET.monthly_tokens,
            row["tokens"],
            row["requests"],
            written(row["cost"]),
        )
        for row in rows
    }
