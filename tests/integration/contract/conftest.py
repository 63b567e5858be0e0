"""One Redis per module, or the run's cluster; an organisation per test."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.integration.contract.ground import Org
from tests.services import Service, Services
from tests.services.looking import LookingEdge


@pytest.fixture(scope="module")
def server(services: Services) -> Iterator[Service]:
    with services.fresh("redis") as redis:
        yield redis


@pytest.fixture(scope="module", params=["one server", "a cluster"])
def url(request: pytest.FixtureRequest) -> str:
    """Where the Redis is: every test that asks for it runs on one server and on a cluster of three shards."""
    if request.param == "a cluster":
        return request.getfixturevalue("shards").url
    return request.getfixturevalue("server").url


@pytest.fixture
async def edge(url: str) -> AsyncIterator[LookingEdge]:
    edge = LookingEdge(url)
    await edge.load_library()
    yield edge
    await edge.close()


@pytest.fixture
async def org(edge: LookingEdge) -> Org:
    return await Org(edge).whole()
