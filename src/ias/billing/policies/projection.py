"""Telling gateways the budgets and limits of an organisation; what is used is not touched by it."""

from ias.billing.policies.domain import section
from ias.billing.policies.queries import budget_of, limits_of, member_budgets
from ias.db import EVERYWHERE, transaction
from ias.edge import Edge
from ias.identity import Tenant, next_version


async def project_policy(org: Tenant, edge: Edge) -> None:
    """Project the section `pol`.

    Raises:
        EdgeDown: Redis did not confirm.
    """
    async with transaction(EVERYWHERE):
        version = await next_version()
        fields = section(await budget_of(org.id), await member_budgets(org.id), await limits_of(org.id))
    await edge.project(org.tag, "pol", version, fields)
