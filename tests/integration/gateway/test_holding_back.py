"""What leaves when holds wherever Redis is: a settlement is held back, a question goes past it."""

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
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


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Store]:
    store = open_store(url, 10.0, lambda _, __: None)
    store.start()

    async def is_open() -> bool:
        return store.connected and connection(store).connected

    await eventually(is_open)
    yield store
    await store.close()


async def held_back(store: Store) -> list[bool]:
    """Whether the kernel holds back a command that is last, and one that is not."""
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
    return found


def at_once(store: Store) -> list[bool]:
    """Whether a question behind a settlement is with the kernel at once, and one behind that question."""
    store.write(TAG, Then(lambda _: None), pack(("ECHO", "-")), last=True)
    found = []
    for _ in range(2):
        store.ask(TAG, pack(("ECHO", "-")))
        found.append(store.handed_over(TAG))
    return found


async def test_a_master_that_sentinels_name_is_told_after_the_client_and_asked_at_once(gate: Watched) -> None:
    async with opened(gate.url) as store:
        assert await held_back(store) == [True, False]
        assert at_once(store) == [True, False]


async def test_a_shard_is_told_after_the_client_and_asked_at_once(trio: str) -> None:
    async with opened(trio) as store:
        assert await held_back(store) == [True, False]
        assert at_once(store) == [True, False]
