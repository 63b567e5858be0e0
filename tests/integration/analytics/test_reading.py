"""Reading for people gives up in time, and exports do not take all connections."""

import asyncio
from contextlib import AsyncExitStack, aclosing

import pytest

from ias.analytics.reading import EXPORTS, TooMuch, exported, reading
from ias.db import EVERYWHERE
from ias.problems import Unavailable
from tests.integration.billing.ground import Ground


async def test_a_question_that_takes_too_long_is_given_up(ground: Ground) -> None:
    async def ask() -> None:
        async with reading(EVERYWHERE) as connection:
            await connection.execute("SET LOCAL statement_timeout = '100ms'")
            await connection.fetch("SELECT pg_sleep(60)")

    with pytest.raises(TooMuch, match="shorter time"):
        await ask()


async def test_nothing_is_written_while_reading(ground: Ground) -> None:
    async with reading(EVERYWHERE) as connection:
        assert await connection.fetchval("SHOW transaction_read_only") == "on"
        assert await connection.fetchval("SHOW statement_timeout") == "10s"


async def test_an_export_reads_every_row_however_many_there_are(ground: Ground) -> None:
    rows = [row["n"] async for row in exported(EVERYWHERE, "SELECT generate_series(1, $1::integer) AS n", [2500])]

    assert rows == list(range(1, 2501))


async def test_exports_beyond_a_few_at_a_time_are_refused_until_one_has_ended(ground: Ground) -> None:
    sql = "SELECT generate_series(1, 5000) AS n"
    async with AsyncExitStack() as stack:
        for _ in range(EXPORTS):
            under_way = await stack.enter_async_context(aclosing(exported(EVERYWHERE, sql, [])))
            assert await anext(under_way)
        with pytest.raises(Unavailable, match="exports are under way"):
            await anext(exported(EVERYWHERE, sql, []))
    await asyncio.sleep(0)
    assert len([row async for row in exported(EVERYWHERE, sql, [])]) == 5000
