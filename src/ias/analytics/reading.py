"""Reading for people: a transaction that only reads and gives up early, and rows of an export as they are read."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from ias.db import Connection, Scope, snapshot
from ias.problems import Problem, Unavailable

TIMEOUT_S: Final = 10
EXPORTS: Final = 3
"""At a time, in one process: each holds a connection for as long as its reader takes."""
AT_ONCE: Final = 1000
"""Rows of an export that are read at once."""

Row = Mapping[str, object]

_exporting = asyncio.Semaphore(EXPORTS)


class TooMuch(Problem):
    """The answer would take longer than anybody should wait."""

    status = 503
    title = "Too much at once"
    retry_after_s = 10


@asynccontextmanager
async def reading(scope: Scope) -> AsyncIterator[Connection]:
    """A transaction in which everything is as it was when it began, and no statement takes longer than ten seconds.

    Raises:
        TooMuch: one would have.
        DatabaseDown: PostgreSQL does not answer.
    """
    try:
        async with snapshot(scope) as connection:
            await connection.execute(f"SET LOCAL statement_timeout = '{TIMEOUT_S}s'")
            yield connection
    except asyncpg.QueryCanceledError as error:
        raise TooMuch(f"this takes more than {TIMEOUT_S} s; ask for a shorter time or with fewer groups") from error


async def exported(scope: Scope, sql: str, arguments: Sequence[object]) -> AsyncIterator[Row]:
    """The rows of a query as they are read.

    Raises:
        Unavailable: too many exports are under way.
        TooMuch: it takes too long.
        DatabaseDown: PostgreSQL does not answer.
    """
    if _exporting.locked():
        raise Unavailable(f"{EXPORTS} exports are under way; try again when one has ended")
    async with _exporting, reading(scope) as connection:
        cursor = await connection.cursor(sql, *arguments)
        while rows := await cursor.fetch(AT_ONCE):
            for row in rows:
                yield row
