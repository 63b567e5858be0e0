"""That a settlement is held back holds wherever Redis is: a master that sentinels name, or a shard."""

import socket
from collections.abc import Iterator
from typing import cast

import pytest

from ias.contract.shards import slot_of
from ias_gateway.asked import Then
from ias_gateway.redis import Redis, pack
from ias_gateway.shards import Shards
from ias_gateway.store import Store, open_store
from tests.integration.gateway.guarded import gate
from tests.integration.gateway.place import eventually
from tests.services import Services
from tests.services.cluster import cluster
from tests.services.sentinels import Watched

__all__ = ["gate"]
TAG = "AbCdEfGh"


@pytest.fixture(scope="module")
def trio(services: Services) -> Iterator[str]:
    """A cluster's URL."""
    with cluster(services) as made:
        yield made.url


def connection(store: Store) -> Redis:
    """The one that leads to the organisation."""
    home = store._homes[slot_of(TAG)] if isinstance(store, Shards) else cast("Redis", store)
    assert home is not None
    return home


async def held_back(url: str) -> list[bool]:
    """Whether the kernel holds back a command that is last, and one that is not."""
    store = open_store(url, 10.0, lambda _, __: None)
    store.start()

    async def is_open() -> bool:
        return store.connected and connection(store).connected

    await eventually(is_open)
    found = []
    for last in (True, False):
        answers: list[object] = []
        store.write(TAG, Then(answers.append), pack(("ECHO", "-")), last=last)
        own = connection(store)._outlet._socket
        assert own is not None
        found.append(own.getsockopt(socket.IPPROTO_TCP, socket.TCP_CORK) == 1)

        async def answered(answers: list[object] = answers) -> bool:
            return answers == [b"-"]

        await eventually(answered)
    await store.close()
    return found


async def test_a_master_that_sentinels_name_is_told_after_the_client(gate: Watched) -> None:
    assert await held_back(gate.url) == [True, False]


async def test_a_shard_is_told_after_the_client(trio: str) -> None:
    assert await held_back(trio) == [True, False]
