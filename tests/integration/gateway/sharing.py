"""Organisations on the shards of a Redis Cluster, and a gateway before them."""

import asyncio

from ias.contract import keys
from ias.edge import EdgeDown
from tests.integration.gateway.place import Place, Tenant, eventually
from tests.services.cluster import Cluster, Node

GOOD, LATER = 200, 503


async def settled_in(tenant: Tenant, trio: Cluster, home: Node) -> Tenant:
    while trio.home(tenant.tag) is not home:
        tenant.tag = keys.new_tag()
    await eventually(lambda: loaded(tenant), 30)
    return await tenant.begin()


async def loaded(tenant: Tenant) -> bool:
    try:
        await tenant.edge.load_library()
    except EdgeDown:  # a shard was just started
        return False
    return True


async def serves(tenants: list[Tenant], *statuses: int) -> bool:
    """Whether each of these gets one of the statuses, and every 503 says when to come back."""
    answers = await asyncio.gather(*(tenant.chat(max_tokens=1) for tenant in tenants))
    assert all(answer.headers["retry-after"] for answer in answers if answer.status_code == LATER)
    return all(answer.status_code in statuses for answer in answers)


async def ready(place: Place) -> tuple[int, dict[str, str]]:
    answer = await place.client.get(f"{place.probes}/ready")
    return answer.status_code, answer.json()["dependencies"]
