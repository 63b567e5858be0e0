"""The migrations of identity: forwards, backwards and forwards again, also for an owner who is no superuser."""

from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest

from tests.integration.identity.conftest import Api, environment
from tests.services import Services


@pytest.fixture
def empty(services: Services) -> Iterator[str]:
    with services.database() as url:
        yield url


@pytest.fixture
async def owned(services: Services, api: Api) -> AsyncIterator[str]:
    """An empty database of an owner who may not do everything; `api` has made the role `ias_app`."""
    owner = f"owner_{uuid4().hex[:8]}"
    server = await asyncpg.connect(services.database_url)
    await server.execute(f"CREATE ROLE {owner} LOGIN PASSWORD 'secret' CREATEROLE")
    await server.execute(f"GRANT ias_app TO {owner} WITH ADMIN OPTION")
    with services.database() as url:
        await server.execute(f"ALTER DATABASE {urlsplit(url).path.lstrip('/')} OWNER TO {owner}")
        parts = urlsplit(url)
        yield parts._replace(netloc=f"{owner}:secret@{parts.hostname}:{parts.port}").geturl()
    await server.execute(f"DROP ROLE {owner}")
    await server.close()


async def relations(url: str) -> set[str]:
    connection = await asyncpg.connect(url)
    rows = await connection.fetch("SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace('identity')")
    await connection.close()
    return {row["relname"] for row in rows}


async def test_what_goes_forwards_goes_backwards_and_forwards_again(api: Api, services: Services, empty: str) -> None:
    runner = Api(api.process, environment(empty, services.redis_url))
    assert runner.command("ias", "migrate", "up").returncode == 0
    first = await relations(empty)
    assert {"users", "api_keys", "audit_log"} <= first
    undone = runner.command("ias", "migrate", "down", "--steps", "100", "--yes")
    assert undone.returncode == 0, undone.stderr
    assert await relations(empty) == set()
    assert runner.command("ias", "migrate", "up").returncode == 0
    assert await relations(empty) == first


async def test_an_owner_who_is_no_superuser_can_migrate_and_serve(api: Api, services: Services, owned: str) -> None:
    runner = Api(api.process, environment(owned, services.redis_url))
    migrated = runner.command("ias", "migrate", "up")
    assert migrated.returncode == 0, migrated.stderr
    made = runner.command(
        "ias-admin", "bootstrap", "create-super-admin", "--email=a@example.org", stdin="Correct-horse-7-battery!\n"
    )
    assert made.returncode == 0, made.stderr
