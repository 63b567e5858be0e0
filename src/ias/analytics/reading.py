"""Reading for people: a transaction that only reads and gives up early, and rows of an export as they are read."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from ias.db import Connection, Scope, snapshot
from ias.problems import Problem, Unavailable

TIMEOUT_S: Final = 10
EXPORTS: Final = 3
"""At a time, in one process: each holds a connection while it reads."""
EXPORT_S: Final = 120.0
"""As long as an export may hold its connection, however slowly it is fetched."""
AT_ONCE: Final = 1000
"""Rows of an export that are read at once."""
_AHEAD: Final = 4
"""Pieces of so many rows that are read before they are fetched."""

_SETTINGS: Final = f"SET LOCAL statement_timeout = '{TIMEOUT_S}s'"

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
            await connection.execute(_SETTINGS)
            yield connection
    except asyncpg.QueryCanceledError as error:
        raise TooMuch(f"this takes more than {TIMEOUT_S} s; ask for a shorter time or with fewer groups") from error


async def exported(scope: Scope, sql: str, arguments: Sequence[object]) -> AsyncIterator[Row]:
    """The rows of a query as they are read.

    Raises:
        Unavailable: too many exports are under way.
        TooMuch: it takes too long, or whoever fetches it does.
        DatabaseDown: PostgreSQL does not answer.
    """
    _begin()
    pieces: asyncio.Queue[Sequence[Row]] = asyncio.Queue(_AHEAD)
    # In a task of its own, since a generator that nobody asks for more could not let go of its connection.
    reader = asyncio.create_task(_read(scope, sql, arguments, pieces))
    try:
        while rows := await _next(pieces, reader):
            for row in rows:
                yield row
    finally:
        reader.cancel()
        await asyncio.wait({reader})


async def paged(scope: Scope, page: Callable[[Connection, Row | None], Awaitable[Sequence[Row]]]) -> AsyncIterator[Row]:
    """Rows page after page, each after the last row of the one before; nothing is held between two pages.

    Raises:
        Unavailable: too many exports are under way.
        TooMuch: a page takes too long.
        DatabaseDown: PostgreSQL does not answer.
    """
    _begin()
    last: Row | None = None
    while True:
        async with _exporting, reading(scope) as connection:
            rows = await page(connection, last)
        for row in rows:
            yield row
        if len(rows) < AT_ONCE:
            return
        last = rows[-1]


def _begin() -> None:
    if _exporting.locked():
        raise Unavailable(f"{EXPORTS} exports are under way; try again when one has ended")


async def _read(scope: Scope, sql: str, arguments: Sequence[object], pieces: asyncio.Queue[Sequence[Row]]) -> None:
    try:
        async with asyncio.timeout(EXPORT_S), _exporting, reading(scope) as connection:
            cursor = await connection.cursor(sql, *arguments)
            while rows := await cursor.fetch(AT_ONCE):
                await pieces.put(rows)
    except TimeoutError as error:
        said = f"this export takes longer than {EXPORT_S:g} s; ask for a shorter time or with fewer groups"
        raise TooMuch(said) from error


async def _next(pieces: asyncio.Queue[Sequence[Row]], reader: asyncio.Task[None]) -> Sequence[Row]:
    """The next rows, none at the end."""
    if pieces.empty():
        more = asyncio.create_task(pieces.get())
        await asyncio.wait({more, reader}, return_when=asyncio.FIRST_COMPLETED)
        if more.done():
            return more.result()
        more.cancel()
    if pieces.empty():
        reader.result()
        return ()
    return pieces.get_nowait()
