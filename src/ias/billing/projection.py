"""What gateways decide by, as a whole: projecting an organisation anew, or all of them after Redis lost everything."""

from datetime import UTC, datetime
from typing import cast
from uuid import UUID

from loguru import logger

from ias.billing.catalogue.routes import pay_routes, project_routes, route_debts
from ias.billing.ledger.queries import used
from ias.billing.policies.projection import project_policy
from ias.contract import admission
from ias.edge import Edge
from ias.identity import Tenant, debts, paid, project_keys, project_organisation, tenants


async def prepare_organisation(edge: Edge, org_id: UUID, tag: str) -> None:
    """Project what billing knows of a new organisation: its limits and its models.

    Raises:
        EdgeDown: Redis did not confirm.
    """
    org = Tenant(org_id, tag)
    await project_policy(org, edge)
    await project_routes([org], edge)


async def rebuild(edge: Edge) -> int:
    """Project every organisation with its keys, limits, models and what it used this month; answers how many.

    No organisation counts as complete before all of it is there, and all of them only when the last one is.

    Raises:
        EdgeDown: Redis did not confirm; run it again.
    """
    await edge.load_library()
    orgs = await tenants()
    await project_routes(orgs, edge)
    for org in orgs:
        await project_organisation(org.id, edge)
        await project_keys(org, edge)
        await project_policy(org, edge)
        await _restore_spend(org, edge)
        await edge.complete(org.tag)
    await edge.mark_whole()
    return len(orgs)


async def pay_debts(edge: Edge) -> None:
    """Project again what was changed and not confirmed, because Redis was away or the process was killed.

    Raises:
        EdgeDown: Redis did not confirm; the debts stay.
    """
    owed = await debts()
    for org in {debt.owner for debt in owed}:
        await project_organisation(org.id, edge)
        await project_keys(org, edge)
        await prepare_organisation(edge, org.id, org.tag)
        await edge.complete(org.tag)
    for debt in owed:
        await paid(debt.id)
    if await route_debts():
        await pay_routes(edge)
    if owed:
        logger.info("projected {} changes that Redis had not confirmed", len(owed))


async def _restore_spend(org: Tenant, edge: Edge) -> None:
    period = await _period(edge)
    by_user = await used(org.id, period)
    members = {str(user_id): tokens for user_id, tokens in by_user.items()}
    await edge.call(admission.restore(org.tag, period, sum(by_user.values()), members))


async def _period(edge: Edge) -> str:
    """The month by Redis's clock, which is the one that admission goes by."""
    seconds, _ = cast("tuple[int, int]", await edge.call(("TIME",)))
    return f"{datetime.fromtimestamp(seconds, UTC):%Y%m}"
