"""Telling gateways which models an organisation may call, and where they are served."""

from collections.abc import Sequence
from uuid import UUID

from ias.billing.catalogue.domain import Model
from ias.billing.catalogue.queries import allowed_to_each, enabled
from ias.billing.tables import RouteDebts
from ias.contract import admission
from ias.contract.admission import Argument
from ias.contract.catalogue import encode_route
from ias.db import EVERYWHERE, transaction, uuid7
from ias.edge import Edge, EdgeDown
from ias.identity import Tenant, next_version, tenants
from ias.telemetry import now

BATCH = 100


async def project_routes(orgs: Sequence[Tenant], edge: Edge) -> None:
    """Project the section `routes` of these organisations.

    Raises:
        EdgeDown: Redis did not confirm.
    """
    async with transaction(EVERYWHERE) as connection:
        version = await next_version()
        models = await enabled(connection)
        allowed = await allowed_to_each(connection, [org.id for org in orgs])
    routes = {model.id: encode_route(model.route()) for model in models}
    here = set(await edge.reachable([org.tag for org in orgs]))
    there = [org for org in orgs if org.tag in here]
    for start in range(0, len(there), BATCH):
        await edge.calls(
            [
                admission.project(org.tag, "routes", version, _section(models, routes, allowed.get(org.id)))
                for org in there[start : start + BATCH]
            ]
        )
    if len(there) < len(orgs):
        raise EdgeDown(f"Redis does not answer: the shards of {len(orgs) - len(there)} organisations are away")


async def owe_routes() -> UUID:
    """Note, inside a change's transaction, that the routes of everybody are still to be projected."""
    debt = uuid7()
    await RouteDebts(id=debt, created_at=now()).save()
    return debt


async def pay_routes(edge: Edge, debt: UUID | None = None) -> None:
    """Project the routes of everybody, and cross out the debt, or all that there were before.

    Raises:
        EdgeDown: Redis did not confirm; the debts stay.
    """
    debts = [debt] if debt is not None else await route_debts()
    await project_routes(await tenants(), edge)
    async with transaction(EVERYWHERE):
        await RouteDebts.delete().where(RouteDebts.id.is_in(debts))


async def route_debts() -> list[UUID]:
    """What a crash or an unreachable Redis left behind."""
    async with transaction(EVERYWHERE):
        return [row["id"] for row in await RouteDebts.select(RouteDebts.id)]


def _section(models: list[Model], routes: dict[UUID, bytes], allowed: list[UUID] | None) -> dict[str, Argument]:
    return {model.name: routes[model.id] for model in models if allowed is None or model.id in allowed}
