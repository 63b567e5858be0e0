"""Reading for people gives up in time, and exports do not take all connections."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing

import pytest

from ias.analytics import reading as reading_module
from ias.analytics.reading import EXPORT_S, EXPORTS, Row, TooMuch, exported, paged, reading
from ias.db import EVERYWHERE, Connection
from ias.problems import Unavailable
from ias.sheet import sheet
from tests.integration.billing.ground import Ground
from tests.integration.gateway.place import eventually

pytestmark = pytest.mark.alike


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
    sql = "SELECT generate_series(1, 20000) AS n"
    async with AsyncExitStack() as stack:
        for _ in range(EXPORTS):
            under_way = await stack.enter_async_context(aclosing(exported(EVERYWHERE, sql, [])))
            assert await anext(under_way)
        with pytest.raises(Unavailable, match="exports are under way"):
            await anext(exported(EVERYWHERE, sql, []))
    await asyncio.sleep(0)
    assert len([row async for row in exported(EVERYWHERE, sql, [])]) == 20000


async def test_an_export_that_nobody_fetches_lets_go_of_its_connection_and_says_that_it_is_not_whole(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits, limited = list[asyncio.Timeout](), asyncio.timeout

    def noted(seconds: float) -> asyncio.Timeout:
        made = limited(seconds)
        limits.extend([made] if seconds == EXPORT_S else [])
        return made

    monkeypatch.setattr(asyncio, "timeout", noted)
    stalled = [exported(EVERYWHERE, "SELECT generate_series(1, 50000) AS n", []) for _ in range(EXPORTS)]
    assert [(await anext(each))["n"] for each in stalled] == [1] * EXPORTS
    for limit in limits:
        limit.reschedule(asyncio.get_running_loop().time())

    async def room() -> bool:
        return not reading_module._exporting.locked()

    await eventually(room)
    assert [row["n"] async for row in exported(EVERYWHERE, "SELECT 7 AS n", [])] == [7]
    for each in stalled:
        with pytest.raises(TooMuch, match="longer than 120 s"):
            assert [row async for row in each]


async def test_pages_follow_one_another_and_hold_nothing_in_between(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_module, "AT_ONCE", 10)

    async def page(connection: Connection, last: Row | None) -> Sequence[Row]:
        after = 0 if last is None else last["n"]
        return await connection.fetch("SELECT generate_series($1::integer + 1, least($1 + 10, 25)) AS n", after)

    found = []
    async for row in paged(EVERYWHERE, page):
        assert reading_module._exporting._value == EXPORTS
        found.append(row["n"])
    assert found == list(range(1, 26))


async def test_a_sheet_that_breaks_off_says_so_in_its_last_line() -> None:
    async def rows() -> AsyncIterator[Sequence[object]]:
        yield [1]
        yield [2]
        raise TooMuch("it takes too long")

    made = await sheet("x", ["n"], rows())
    lines = "".join([str(part) async for part in made.iterator]).splitlines()  # type: ignore[union-attr]  # Litestar's
    assert lines == ["n", "1", "2", "INCOMPLETE: it takes too long"]
