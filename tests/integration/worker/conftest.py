"""Fixtures of the worker's tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.billing.ground import Org, migrated
from tests.integration.worker.place import Place, a_place
from tests.services import Services

__all__ = ["migrated"]


@pytest.fixture(scope="session")
def world(services: Services) -> Services:
    """The best one only: each test starts processes, and `nox -s worlds` has them in every world."""
    return services


@pytest.fixture
async def place(world: Services, migrated: str, tmp_path: Path) -> AsyncIterator[Place]:
    """Without a broker."""
    with world.database(migrated) as url, world.fresh("redis") as redis:
        async with a_place(tmp_path, url, redis.url, None) as place:
            yield place


@pytest.fixture
async def queued(world: Services, migrated: str, tmp_path: Path) -> AsyncIterator[Place]:
    """With a broker."""
    world.need("rabbitmq")
    with world.database(migrated) as url, world.fresh("redis") as redis, world.virtual_host() as amqp:
        async with a_place(tmp_path, url, redis.url, amqp) as place:
            yield place


@pytest.fixture
async def org(place: Place) -> Org:
    """An organisation at the place without a broker."""
    return await place.ground.organisation()
