"""One gateway, engine and Redis per test process; a tenant per test."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.gateway.place import Place, Tenant, place_of
from tests.services import Services
from tests.services.looking import LookingEdge
from tests.services.settings import SETTINGS


@pytest.fixture(scope="session")
def shared(
    request: pytest.FixtureRequest, services: Services, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """A gateway that all tests use; on a cluster where IAS_TEST_REDIS_KIND says so."""
    on = request.getfixturevalue("shards") if SETTINGS.redis_kind == "cluster" else None
    with place_of(services, tmp_path_factory.mktemp("gateway"), on) as place:
        yield place


@pytest.fixture
def own(services: Services, tmp_path: Path) -> Iterator[Place]:
    """A gateway, an engine and a Redis of the test's own, to be harmed."""
    with place_of(services, tmp_path) as place:
        yield place


@pytest.fixture
async def tenants() -> AsyncIterator[Callable[[Place], Tenant]]:
    """Makes tenants, and closes what they held."""
    made: list[Tenant] = []

    def make(place: Place) -> Tenant:
        made.append(Tenant(place, LookingEdge(place.redis.url)))
        return made[-1]

    yield make
    for tenant in made:
        await tenant.edge.close()
        for client in tenant.place.clients:
            await client.aclose()
        tenant.place.clients.clear()


@pytest.fixture
async def tenant(shared: Place, tenants: Callable[[Place], Tenant]) -> Tenant:
    """An organisation of the test's own on the shared gateway."""
    made = tenants(shared)
    await made.edge.load_library()
    return await made.begin()


@pytest.fixture
async def lone(own: Place, tenants: Callable[[Place], Tenant]) -> Tenant:
    """An organisation on a gateway of the test's own."""
    made = tenants(own)
    await made.edge.load_library()
    return await made.begin()


@pytest.fixture(scope="module")
def keen(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A gateway that goes by what it was told for long, so that a slow machine tests the same."""
    settings = {"IAS_EARLY_DISPATCH_MS": "60000", "IAS_TICK_MS": "5000"}
    with place_of(services, tmp_path_factory.mktemp("early"), **settings) as place:
        yield place


@pytest.fixture
def led_tenant(keen: Place, tenants: Callable[[Place], Tenant]) -> Tenant:
    return tenants(keen)
