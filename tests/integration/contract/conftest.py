"""One Redis per module, an organisation per test."""

from collections.abc import AsyncIterator, Iterator

import pytest

from ias.edge import Edge
from tests.integration.contract.ground import Org
from tests.services import Service, Services


@pytest.fixture(scope="module")
def server(services: Services) -> Iterator[Service]:
    with services.fresh("redis") as redis:
        yield redis


@pytest.fixture
async def edge(server: Service) -> AsyncIterator[Edge]:
    edge = Edge(server.url)
    await edge.load_library()
    yield edge
    await edge.close()


@pytest.fixture
async def org(edge: Edge) -> Org:
    return await Org(edge).whole()
