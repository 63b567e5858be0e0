"""What a connection keeps of whoever had it before: nothing, though nothing is reset when it is given back."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from ias import db
from ias.db import EVERYWHERE, Within, close_pool, lookup, open_pool, snapshot, sole, transaction, uuid7
from tests.integration.identity.conftest import database_url, migrated

__all__ = ["database_url", "migrated"]

SEEN = "SELECT count(*) FROM identity.organizations"
ADDED = "INSERT INTO identity.organizations (id, name, name_folded, tag) VALUES ($1, 'x', $2, $2)"


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[None]:
    """One connection for transactions, one for lookups, and an organisation that they may see."""
    await open_pool(database_url, 2, "tests")
    async with transaction(EVERYWHERE) as connection:
        org_id = uuid7()
        await connection.execute(ADDED, org_id, org_id.hex[-8:])
    yield
    await close_pool()


async def seen_without_a_scope() -> list[int]:
    """How many organisations each connection for transactions sees, of its own accord."""
    assert db.ENGINE.pool is not None
    async with db.ENGINE.pool.acquire() as one, db.ENGINE.pool.acquire() as other:
        return [await connection.fetchval(SEEN) for connection in (one, other)]


@pytest.mark.usefixtures("pool")
async def test_what_a_transaction_might_see_the_next_one_might_not() -> None:
    for scope in (EVERYWHERE, Within(uuid7())):
        for begun in (transaction, snapshot):
            async with begun(scope) as connection:
                await connection.execute(SEEN)
        assert await seen_without_a_scope() == [0, 0]


@pytest.mark.usefixtures("pool")
async def test_what_failed_leaves_neither_a_scope_nor_a_change() -> None:
    org_id = uuid7()

    async def fail() -> None:
        async with transaction(EVERYWHERE) as connection:
            await connection.execute(ADDED, org_id, org_id.hex[-8:])
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        await fail()
    assert await seen_without_a_scope() == [0, 0]
    async with lookup() as connection:
        assert await connection.fetchval(f"{SEEN} WHERE id = $1", org_id) == 0


@pytest.mark.usefixtures("pool")
async def test_what_is_cut_off_leaves_neither_a_scope_nor_a_change() -> None:
    org_id, there = uuid7(), asyncio.Event()

    async def slow() -> None:
        async with transaction(EVERYWHERE) as connection:
            await connection.execute(ADDED, org_id, org_id.hex[-8:])
            there.set()
            await connection.execute("SELECT pg_sleep(60)")

    task = asyncio.create_task(slow())
    await there.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await seen_without_a_scope() == [0, 0]
    async with lookup() as connection:
        assert await connection.fetchval(f"{SEEN} WHERE id = $1", org_id) == 0


@pytest.mark.usefixtures("pool")
async def test_a_lookup_sees_everybody_and_writes_nothing() -> None:
    async with lookup() as connection:
        assert await connection.fetchval(SEEN) > 0
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await connection.execute(ADDED, uuid7(), uuid7().hex[-8:])


@pytest.mark.usefixtures("pool")
async def test_nobody_holds_the_lock_of_whoever_was_cut_off_inside(database_url: str) -> None:
    inside = asyncio.Event()

    async def hold() -> None:
        async with sole("of the tests") as got:
            assert got
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(hold())
    await inside.wait()
    async with sole("of the tests") as got:
        assert not got
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    stranger = await asyncpg.connect(database_url)  # the session that holds a lock would get it a second time
    assert await stranger.fetchval("SELECT pg_try_advisory_lock(hashtext('of the tests'))")
    await stranger.close()
