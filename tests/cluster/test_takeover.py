"""A replica takes over from a master of a Redis Cluster that is lost."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from tests.integration.gateway.place import Place, Tenant, eventually, place_of
from tests.integration.gateway.sharing import GOOD, ready, serves, settled_in
from tests.services import Services
from tests.services.cluster import cluster, replicated


async def test_a_replica_that_takes_over_is_followed(
    services: Services, tmp_path: Path, tenants: Callable[[Place], Tenant]
) -> None:
    with cluster(services, replicas=True) as six, place_of(services, tmp_path, six) as place:
        mine = [await settled_in(tenants(place), six, master) for master in six.masters]
        victim, *others = mine
        for _ in range(5):
            assert await serves(mine, GOOD)
        before = {line["r"] for line in await victim.lines(5)}
        await asyncio.to_thread(replicated, six.home(victim.tag).client, f"{{o:{victim.tag}}}:told")
        six.home(victim.tag).service.kill()
        assert await serves(others, GOOD)
        await eventually(lambda: serves([victim], GOOD), 60)
        lines = [line["r"] for line in await victim.lines(6)]
        assert before < set(lines)
        assert len(lines) == len(set(lines))
        await eventually(lambda: all_ok(place), 30)
        # The one that was killed comes back as a replica, and is not written to.
        six.home(victim.tag).service.start()
        assert await serves(mine, GOOD)


async def all_ok(place: Place) -> bool:
    states = (await ready(place))[1]
    return set(states.values()) == {"ok"}
