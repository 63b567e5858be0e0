"""Check and doctor on a Redis Cluster: a shard that is away is named, and the others' books go on being compared."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from ias.contract import admission
from ias.edge import EdgeDown
from tests.integration.billing.ground import Org, migrate
from tests.integration.worker.doctors import doctor
from tests.integration.worker.place import Place, a_place, until
from tests.integration.worker.test_alerts import told
from tests.integration.worker.test_doctor import QUICK, agree, well
from tests.services import Services
from tests.services.cluster import Cluster, cluster


@pytest.fixture
def trio(services: Services) -> Iterator[Cluster]:
    with cluster(services) as made:
        yield made


@pytest.fixture
def migrated(services: Services, trio: Cluster) -> Iterator[str]:
    """A database of the test's own; the Function library is put in by who needs it."""
    with services.database() as url:
        migrate(url, trio.url)
        yield url


@pytest.fixture
async def place(trio: Cluster, migrated: str, tmp_path: Path) -> AsyncIterator[Place]:
    async with a_place(tmp_path, migrated, trio.url, None) as place:
        yield place


async def used(org: Org, change: int = 0) -> int:
    """What Redis counts of this month, after a change."""
    month = f"{admission.slot(org.tag)}:bud:{(await org.edge.standing(org.tag, ''))[0].decode()}"
    return int(str(await org.edge.call(("HINCRBY", month, "used", change))))


async def at_each(place: Place, trio: Cluster) -> list[Org]:
    """An organisation on each shard."""
    found: dict[str, Org] = {}
    while len(found) < len(trio.masters):
        org = await place.ground.organisation()
        found.setdefault(trio.home(org.tag).name, org)
    return [found[node.name] for node in trio.masters]


async def test_a_shard_that_is_away_or_lacks_the_library_is_named_and_the_others_are_checked(
    place: Place, trio: Cluster
) -> None:
    orgs = await at_each(place, trio)
    with place.worker(**QUICK) as worker:
        for org in orgs:
            await org.complete((10, 5, 0))
        answer = await well(place)
        assert answer.said("redis", "kind").startswith("cluster, 3 shards")
        await agree(place, worker)

        lost = trio.masters[0]
        await asyncio.to_thread(lost.service.kill)
        assert await used(orgs[1], 100) == 115

        async def repaired() -> bool:
            return told(worker, "ias_check_repaired_total").get('ias_check_repaired_total{kind="used"}') == 100

        # Redis is right before the repair is committed, and that before it is counted.
        await until(repaired)
        assert await used(orgs[1]) == 15
        with pytest.raises(EdgeDown):
            await used(orgs[0])
        answer = await doctor(place)
        assert lost.name in answer.said("redis", "reachable")
        assert ("redis", "reachable") in answer.wrong

    trio.masters[1].ask("FUNCTION", "FLUSH")
    assert trio.masters[1].name in (await doctor(place)).said("redis", "function library")
