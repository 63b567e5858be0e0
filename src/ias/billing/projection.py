"""What gateways decide by, as a whole: projecting an organisation anew, or all of them after Redis lost everything."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from uuid import UUID

from loguru import logger

from ias.billing.catalogue.routes import pay_routes, project_routes, route_debts
from ias.billing.check.counting import count_capped
from ias.billing.check.restoring import restore
from ias.billing.policies.projection import project_policy
from ias.contract import admission
from ias.contract.shards import Shard
from ias.edge import Edge
from ias.identity import Tenant, debts, paid, project_keys, project_organisation, tenants

BATCH = 1000
AT_ONCE = 4
"""Organisations that are rebuilt at once, each with a connection to PostgreSQL."""
REASSERT_S = 3.0
"""What gateways get to put their requests under way back into a Redis that lost them, once it has the Function library:
their longest pause before they connect again, and four ticks of 250 ms or more."""


async def prepare_organisation(edge: Edge, org_id: UUID, tag: str) -> None:
    """Project what billing knows of a new organisation: its limits and its models.

    Raises:
        EdgeDown: Redis did not confirm.
    """
    org = Tenant(org_id, tag)
    await project_policy(org, edge)
    await project_routes([org], edge)


async def rebuild(edge: Edge, lost: Shard | None = None) -> int:
    """Project every organisation with its keys, limits, models and what it used this month; answers how many.

    Where `lost` says that some slots alone have lost their data, only those that are in them. No organisation counts as
    complete before all of it is there, and all of them only when the last one is. Where Redis lost one, gateways have
    time before that to put back what they have under way.

    Raises:
        EdgeDown: Redis did not confirm; run it again.
    """
    await edge.load_library(lost)
    orgs = [org for org in await tenants() if lost is None or lost.holds(org.tag)]
    await project_routes(orgs, edge)
    await _bring_back(orgs, edge)
    await edge.mark_whole(lost)
    return len(orgs)


async def _bring_back(orgs: Sequence[Tenant], edge: Edge) -> None:
    """Project organisations and complete them; where Redis lost one, not before gateways have put back theirs."""
    lost, asserted_at = await _any_incomplete(orgs, edge), time.monotonic() + REASSERT_S
    await _each(orgs, partial(_project, edge))
    if lost:
        await asyncio.sleep(max(0.0, asserted_at - time.monotonic()))
    await _each(orgs, partial(_complete, edge))


async def _any_incomplete(orgs: Sequence[Tenant], edge: Edge) -> bool:
    calls = [("HGET", f"{admission.slot(org.tag)}:v", "complete") for org in orgs]
    for start in range(0, len(calls), BATCH):
        if any(told != b"1" for told in await edge.calls(calls[start : start + BATCH])):
            return True
    return False


async def _project(edge: Edge, org: Tenant) -> None:
    await project_organisation(org.id, edge)
    await count_capped(edge, org)
    await project_keys(org, edge)
    await project_policy(org, edge)


async def _complete(edge: Edge, org: Tenant) -> None:
    """Nobody is admitted to an organisation of which Redis does not know what it has used."""
    await restore(org, edge)
    await edge.complete(org.tag)


async def _each(orgs: Iterable[Tenant], job: Callable[[Tenant], Awaitable[None]]) -> None:
    """The job for each organisation, several at once; what fails first is raised, after the others have ended."""
    left = iter(orgs)

    async def some() -> None:
        for org in left:
            await job(org)

    tasks = [asyncio.create_task(some()) for _ in range(AT_ONCE)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def pay_debts(edge: Edge) -> None:
    """Project again what was changed and not confirmed, because Redis was away or the process was killed.

    Raises:
        EdgeDown: Redis did not confirm; the debts stay.
    """
    owed = await debts()
    here = set(await edge.reachable([debt.owner.tag for debt in owed]))
    owed = [debt for debt in owed if debt.owner.tag in here]
    orgs = list({debt.owner for debt in owed})
    if orgs:
        await project_routes(orgs, edge)
        await _bring_back(orgs, edge)
    for debt in owed:
        await paid(debt.id)
    if await route_debts():
        await pay_routes(edge)
    if owed:
        logger.info("projected {} changes that Redis had not confirmed", len(owed))
