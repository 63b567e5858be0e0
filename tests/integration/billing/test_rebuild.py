"""Telling an emptied Redis of everything: many keys, many organisations at once, and nothing whole before its time."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import pytest

from ias.billing import projection, rebuild
from ias.contract import keys
from ias.contract.admission import Admitted, BadKey, Command, NotReady
from ias.db import uuid7
from ias.edge import Edge, EdgeDown
from ias.identity import Tenant, project_keys
from ias.identity.projection import PAGE
from tests.integration.billing.ground import Ground, Org, opened
from tests.services import Service, Services

MANY = PAGE + 34
"""Keys: more than a page, and no round number."""


@pytest.fixture
def redis(world: Services) -> Iterator[Service]:
    """A Redis of the test's own, to be emptied at will."""
    with world.fresh("redis") as service:
        yield service


@pytest.fixture
async def ground(world: Services, redis: Service, migrated: str) -> AsyncIterator[Ground]:
    """A database and a Redis of the test's own."""
    with world.database(migrated) as url:
        async with opened(url, redis.url) as ground:
            yield ground


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gateways, which there are none of, get no time."""
    monkeypatch.setattr(projection, "REASSERT_S", 0.0)


async def give_keys(ground: Ground, org: Org, count: int) -> None:
    """Keys of one member; the first is the organisation's token, the second revoked, the third expired."""
    await ground.owner.execute(
        """INSERT INTO identity.users (id, org_id, email, email_folded, name, password_hash, role)
        VALUES ($1, $2, $3, $3, 'Ada', '', 'org-user')""",
        *(org.user, org.id, f"{org.tag}@example.org"),
    )
    rows = [[uuid7(), org.id, org.user, "", "", secrets.token_hex(32), None, None] for _ in range(count)]
    rows[0][5] = keys.fingerprint(org.token)
    rows[1][6], rows[2][7] = datetime.now(UTC), datetime(2026, 1, 1, 0, 0, 0, 900_000, UTC)
    await ground.owner.copy_records_to_table(
        "api_keys",
        schema_name="identity",
        columns=("id", "org_id", "user_id", "label", "prefix", "fingerprint", "revoked_at", "expires_at"),
        records=rows,
    )


async def records(edge: Edge, org: Org) -> list[dict[bytes, bytes]]:
    names = [name async for name in edge.redis.scan_iter(f"{{o:{org.tag}}}:k:*", count=1000)]
    return [await edge.redis.hgetall(name) for name in names]


async def test_more_keys_than_a_page_are_all_projected_as_they_are(ground: Ground, org: Org) -> None:
    await give_keys(ground, org, MANY)
    await org.edge.call(("FLUSHALL",))

    assert await rebuild(org.edge) == 1

    found = await records(org.edge, org)
    assert len({record[b"kid"] for record in found}) == MANY
    assert {record[b"uid"] for record in found} == {str(org.user).encode()}
    assert sum(record[b"st"] == b"revoked" for record in found) == 1
    assert [record[b"exp"] for record in found if record[b"exp"]] == [b"1767225600"]
    assert isinstance((await org.reserve())[1], Admitted)


async def test_many_organisations_are_rebuilt_at_once_and_each_is_whole(ground: Ground) -> None:
    orgs = [await ground.organisation() for _ in range(3 * projection.AT_ONCE + 1)]
    for org in orgs:
        await give_keys(ground, org, 5)
    await ground.edge.call(("FLUSHALL",))

    assert await rebuild(ground.edge) == len(orgs)

    for org in orgs:
        assert isinstance((await org.reserve())[1], Admitted)
        org.token = keys.mint(org.tag)
        assert isinstance((await org.reserve())[1], BadKey)


async def test_a_rebuild_that_fails_half_way_calls_nothing_whole_and_can_be_run_again(ground: Ground, org: Org) -> None:
    await give_keys(ground, org, 5)
    await ground.edge.call(("FLUSHALL",))
    broken = Breaking(ground.edge, "ias_grants")

    with pytest.raises(EdgeDown):
        await rebuild(broken)

    assert not await ground.edge.whole()
    assert isinstance((await org.reserve())[1], NotReady)
    assert await rebuild(ground.edge) == 1
    assert isinstance((await org.reserve())[1], Admitted)


async def test_a_key_that_is_revoked_while_keys_are_projected_stays_revoked(ground: Ground, org: Org) -> None:
    """The older ticket of the projection that began before loses, whichever comes first."""
    await give_keys(ground, org, MANY)
    holding = Holding(ground.edge, "ias_grants")
    projecting = asyncio.create_task(project_keys(Tenant(org.id, org.tag), holding))
    async with asyncio.timeout(30):
        await holding.at_it.wait()
    await ground.owner.execute("UPDATE identity.api_keys SET revoked_at = now() WHERE org_id = $1", org.id)

    await project_keys(Tenant(org.id, org.tag), ground.edge)
    holding.go.set()

    assert await projecting == MANY
    assert {record[b"st"] for record in await records(ground.edge, org)} == {b"revoked"}


class Breaking(Edge):
    """An edge whose Redis is gone when a function is called."""

    def __init__(self, real: Edge, function: str) -> None:
        self.__dict__ = dict(vars(real))
        self._function = function

    async def call(self, command: Command) -> object:
        if self._function in command:
            raise EdgeDown("Redis does not answer: it was told not to")
        return await super().call(command)


class Holding(Edge):
    """An edge that waits before it calls a function."""

    def __init__(self, real: Edge, function: str) -> None:
        self.__dict__ = dict(vars(real))
        self._function = function
        self.at_it, self.go = asyncio.Event(), asyncio.Event()

    async def call(self, command: Command) -> object:
        if self._function in command:
            self.at_it.set()
            await self.go.wait()
        return await super().call(command)
