"""A gateway with patient time limits for all tests here; for each a tenant, and a tape whose answers are checked."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import openai
import pytest

from ias.edge import Edge
from tests.integration.gateway.place import Place, Tenant, place_of
from tests.sdk import schema
from tests.sdk.models import allow
from tests.sdk.tape import Tape, tape_of
from tests.services import Services


@dataclass
class Case:
    """What a test of the Python SDK works with."""

    tenant: Tenant
    tape: Tape
    client: openai.AsyncOpenAI
    blocking: openai.OpenAI


@pytest.fixture(scope="session")
def place(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A gateway whose time limits no slow machine reaches."""
    with place_of(services, tmp_path_factory.mktemp("sdk")) as patient:
        yield patient


@pytest.fixture
async def tenant(place: Place) -> AsyncIterator[Tenant]:
    """An organisation of the test's own that may use all of the engine's models."""
    edge = Edge(place.redis.url)
    await edge.load_library()
    made = await Tenant(place, edge).begin()
    await allow(made)
    yield made
    await edge.close()


@pytest.fixture(scope="session")
async def clients() -> AsyncIterator[tuple[openai.AsyncOpenAI, openai.OpenAI]]:
    """Both clients, of which tests take copies: to make one anew reads every certificate of the machine."""
    with openai.OpenAI(api_key="none") as blocking:
        async with openai.AsyncOpenAI(api_key="none") as client:
            yield client, blocking


@pytest.fixture
async def case(tenant: Tenant, clients: tuple[openai.AsyncOpenAI, openai.OpenAI]) -> AsyncIterator[Case]:
    """Both clients behind a tape; at the end every answer that passed is held against OpenAI's types."""
    client, blocking = clients
    async with tape_of(tenant.place.url) as tape:
        where = {"base_url": f"{tape.url}/v1", "api_key": tenant.token}
        yield Case(tenant, tape, client.with_options(**where), blocking.with_options(**where))
        schema.check_all(tape.requests)
