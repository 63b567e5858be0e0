"""A gateway whose Redis is a master with a replica, watched by sentinels; and a tenant on it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.gateway.place import Place, Tenant, place_of
from tests.services import Services
from tests.services.sentinels import Watched, watched


@pytest.fixture
def gate(services: Services) -> Iterator[Watched]:
    with watched(services) as made:
        yield made


@pytest.fixture
def place(services: Services, gate: Watched, tmp_path: Path) -> Iterator[Place]:
    with place_of(services, tmp_path, gate) as place:
        yield place


@pytest.fixture
async def tenant(place: Place, tenants: Callable[[Place], Tenant]) -> Tenant:
    made = tenants(place)
    await made.edge.load_library()
    return await made.begin()
