"""One gateway, engine and Redis per test process; a tenant per test."""

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ias.edge import Edge
from tests.integration.gateway.place import Place, Tenant, environment
from tests.product.processes import BIN, Process
from tests.services import Services, free_port


@contextmanager
def _place(services: Services, folder: Path, **settings: str) -> Iterator[Place]:
    ports = [free_port() for _ in range(4)]
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    with services.fresh("redis") as redis:
        argv = (sys.executable, "-m", "ias.dev.engine", "--port", str(ports[2]), "--control-port", str(ports[3]))
        engine = Process("engine", argv, {"PATH": "/usr/bin:/bin"}, folder, f"{urls[2]}/health")
        env = environment(redis, (ports[0], ports[1]), **settings)
        gateway = Process("gateway", (str(BIN / "ias-gateway"),), env, folder, f"{urls[1]}/health")
        try:
            for process in (engine, gateway):
                process.start()
            for process in (engine, gateway):
                process.wait_ready()
            yield Place(redis, gateway, engine, urls[0], urls[1], urls[3], urls[2])
        finally:
            for process in (gateway, engine):
                process.end()


@pytest.fixture(scope="session")
def shared(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A gateway that all tests use."""
    with _place(services, tmp_path_factory.mktemp("gateway")) as place:
        yield place


@pytest.fixture
def own(services: Services, tmp_path: Path) -> Iterator[Place]:
    """A gateway, an engine and a Redis of the test's own, to be harmed."""
    with _place(services, tmp_path) as place:
        yield place


@pytest.fixture
async def tenants() -> AsyncIterator[Callable[[Place], Tenant]]:
    """Makes tenants, and closes what they held."""
    made: list[Tenant] = []

    def make(place: Place) -> Tenant:
        made.append(Tenant(place, Edge(place.redis.url)))
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
