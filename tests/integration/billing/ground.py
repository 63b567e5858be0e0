"""What tests of accounting stand on: a migrated database, Redis with the Function library, organisations with keys."""

import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import asyncpg
import pytest

from ias.billing import prepare_organisation
from ias.contract import admission, keys
from ias.contract.admission import Admitted, Ask
from ias.contract.usage import Facts, encode_facts
from ias.db import close_pool, open_pool, uuid7
from ias.edge import Edge, KeyRecord
from ias.identity import next_version, project_organisation
from tests.product.processes import BIN
from tests.services import Services

SECRET = "a secret for tests that is long enough to be taken"


def migrate(database_url: str, redis_url: str) -> None:
    """Every migration, and the Function library."""
    env = {"IAS_DATABASE_URL": database_url, "IAS_REDIS_URL": redis_url, "IAS_JWT_SECRET": SECRET}
    done = subprocess.run([str(BIN / "ias"), "migrate", "up"], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@dataclass
class Org:
    """An organisation with one member, one key and one model, known to Redis."""

    edge: Edge
    id: UUID
    tag: str
    model: UUID
    model_name: str
    user: UUID = field(default_factory=uuid7)
    key: UUID = field(default_factory=uuid7)
    token: str = ""

    async def reserve(self, output: int = 100, gateway: str = "gateway-1", lease_s: int = 30) -> tuple[str, object]:
        """A request's id and what admission answered."""
        request_id = str(uuid7())
        ask = Ask(self.model_name, 10, 1, output, "chat", False)
        command = admission.reserve(self.tag, keys.fingerprint(self.token), request_id, ask, (gateway, lease_s))
        return request_id, admission.read_reserve(await self.edge.call(command))

    async def settle(self, request_id: str, tokens: tuple[int, int, int], admitted: Admitted) -> None:
        """End a request."""
        ending = ("completed", False)
        command = admission.settle(self.tag, request_id, tokens, ending, encode_facts(self.facts()))
        await self.edge.call((*command, *admission.holder_of(admitted, "gateway-1")))

    async def complete(self, tokens: tuple[int, int, int] = (10, 5, 0)) -> str:
        """A whole request."""
        request_id, admitted = await self.reserve()
        assert isinstance(admitted, Admitted), admitted
        await self.settle(request_id, tokens, admitted)
        return request_id

    def facts(self) -> Facts:
        """What a gateway knows of a request that it just served."""
        return Facts(
            organisation=str(self.id),
            user=str(self.user),
            key=str(self.key),
            model=self.model_name,
            model_id=str(self.model),
            endpoint="chat",
            started_at=time.time(),
            status=200,
        )

    async def waiting(self) -> int:
        """How many settlements are in the outbox."""
        return await self.edge.redis.xlen(admission.outbox(self.tag))


@dataclass
class Ground:
    """One database and one Redis."""

    edge: Edge
    owner: asyncpg.Connection
    database_url: str

    async def reconnect(self) -> None:
        """After PostgreSQL was away."""
        self.owner.terminate()
        self.owner = await asyncpg.connect(self.database_url)

    async def organisation(self) -> Org:
        """A new one, whose limits, model and key gateways know."""
        org = Org(self.edge, uuid7(), keys.new_tag(), uuid7(), f"model-{uuid4().hex[:8]}")
        name = f"org-{org.tag}"
        await self.owner.execute(
            "INSERT INTO identity.organizations (id, name, name_folded, tag) VALUES ($1, $2, $2, $3)",
            *(org.id, name, org.tag),
        )
        await self.owner.execute(
            """INSERT INTO billing.models (id, name, upstream_name, context_length, max_output_tokens)
            VALUES ($1, $2, $2, 8192, 1024)""",
            *(org.model, org.model_name),
        )
        await self.owner.execute(
            "INSERT INTO billing.model_backends (model_id, url) VALUES ($1, 'http://engine:8000')", org.model
        )
        await self.owner.execute(
            """INSERT INTO billing.rates (model_id, valid_from, input, output, cached_input)
            VALUES ($1, '2025-01-01', 0.5, 1.5, 0.1)""",
            org.model,
        )
        org.token = keys.mint(org.tag)
        await project_organisation(org.id, self.edge)
        await prepare_organisation(self.edge, org.id, org.tag)
        known = KeyRecord(keys.fingerprint(org.token), str(org.key), str(org.user))
        await self.edge.grant(org.tag, known, await next_version())
        await self.edge.complete(org.tag)
        return org

    async def rows(self, sql: str, *arguments: object) -> list[tuple[object, ...]]:
        """What a query of the owner answers."""
        return [tuple(row) for row in await self.owner.fetch(sql, *arguments)]

    async def value(self, sql: str, *arguments: object) -> object:
        """The one value that a query of the owner answers."""
        return await self.owner.fetchval(sql, *arguments)


@pytest.fixture(scope="session")
def migrated(world: Services) -> str:
    """The name of a template database with every migration applied; the Function library is in the shared Redis."""
    return world.template("accounting: all migrations", lambda url: migrate(url, world.redis_url))


@pytest.fixture(scope="session")
def database_url(world: Services, migrated: str) -> Iterator[str]:
    """A database of this test process's own, as its owner."""
    with world.database(migrated) as url:
        yield url


@asynccontextmanager
async def opened(database_url: str, redis_url: str) -> AsyncIterator[Ground]:
    """This process's pool, a connection as the owner, and Redis."""
    await open_pool(database_url, 8, "tests")
    ground = Ground(Edge(redis_url), await asyncpg.connect(database_url), database_url)
    try:
        await ground.edge.load_library()
        yield ground
    finally:
        await ground.owner.close()
        await ground.edge.close()
        await close_pool()


@pytest.fixture
async def ground(world: Services, database_url: str) -> AsyncIterator[Ground]:
    """The shared database and Redis, with and without TimescaleDB."""
    async with opened(database_url, world.redis_url) as ground:
        yield ground


@pytest.fixture
async def org(ground: Ground) -> Org:
    """An organisation of the test's own."""
    return await ground.organisation()
