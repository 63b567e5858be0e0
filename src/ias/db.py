"""PostgreSQL: one pool per process, and the transaction that tells row-level security whose rows these are."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol, TypeAlias
from uuid import UUID

import asyncpg
from piccolo.engine.postgres import PostgresEngine
from uuid_utils.compat import uuid7 as _uuid7

from ias.outages import Outage

ROLE = "ias_app"
STATEMENT_TIMEOUT_MS = 30_000
WAIT_FOR_CONNECTION_S = 5.0

_SCOPE = "SELECT set_config('app.org_id', $1, true), set_config('app.everywhere', $2, true)"

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

_LOST = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
)


class Engine(PostgresEngine):
    """Piccolo's engine without the connection that it makes when it is imported, to ask for the server's version."""

    async def check_version(self) -> None:
        """Nothing: the migrations say what they need."""


ENGINE = Engine(config={})
"""Every table is bound to this engine; `open_pool` tells it where the database is."""


class DatabaseDown(Outage):
    """PostgreSQL cannot be reached."""


class Scope(Protocol):
    """Whose rows a transaction may see: one organisation's, or everybody's."""

    @property
    def org_id(self) -> UUID | None:
        """The organisation, None for one who belongs to none."""

    @property
    def everywhere(self) -> bool:
        """Whether rows of every organisation may be seen."""


class Everywhere:
    """The scope of the platform itself: the worker, login, bootstrap."""

    org_id: UUID | None = None
    everywhere: bool = True


EVERYWHERE = Everywhere()


class Within:
    """The scope of one organisation, for work done in its name."""

    everywhere: bool = False

    def __init__(self, org_id: UUID) -> None:
        self.org_id: UUID | None = org_id


def uuid7() -> UUID:
    """A fresh UUIDv7: ids are made in the application and sort by time."""
    return _uuid7()


async def open_pool(url: str, size: int, process: str) -> None:
    """Open the process's pool. Connections act as `ias_app`, which owns nothing and bypasses no policy.

    Raises:
        DatabaseDown: PostgreSQL does not answer; the message says where it was looked for.
    """
    ENGINE.config = {
        "dsn": url,
        "timeout": 5.0,
        "command_timeout": STATEMENT_TIMEOUT_MS / 1000 + 5,
        "server_settings": {
            "application_name": f"ias-{process}",
            "role": ROLE,
            "statement_timeout": str(STATEMENT_TIMEOUT_MS),
            "timezone": "UTC",
        },
    }
    try:
        await ENGINE.start_connection_pool(min_size=2, max_size=size)
    except (OSError, asyncpg.PostgresError) as error:
        raise DatabaseDown(f"PostgreSQL does not answer: {error}") from error


async def close_pool() -> None:
    """Close the pool; a second call does nothing."""
    if ENGINE.pool is not None:
        await ENGINE.close_connection_pool()


@asynccontextmanager
async def transaction(scope: Scope) -> AsyncIterator[Connection]:
    """One transaction in which row-level security shows what `scope` may see. Do not nest, do not gather inside.

    Piccolo queries inside it take part by themselves; the connection is for SQL that Piccolo cannot say. The
    connection is had and given back here: Piccolo's own transaction keeps one that breaks.

    Raises:
        DatabaseDown: no connection could be had, or it broke; then the transaction may or may not have been committed.
    """
    whole = ENGINE.transaction(allow_nested=False)
    try:
        async with _pool().acquire(timeout=WAIT_FOR_CONNECTION_S) as connection, connection.transaction():
            whole.connection = connection
            ours = ENGINE.current_transaction.set(whole)
            try:
                await connection.execute(_SCOPE, *_said(scope))
                yield connection
            finally:
                ENGINE.current_transaction.reset(ours)
    except _LOST as error:
        raise _down(error) from error


@asynccontextmanager
async def snapshot(scope: Scope) -> AsyncIterator[Connection]:
    """A transaction that only reads, and in which everything is as it was when it began.

    Raises:
        DatabaseDown: no connection could be had, or it broke.
    """
    try:
        async with (
            _pool().acquire(timeout=WAIT_FOR_CONNECTION_S) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            await connection.execute(_SCOPE, *_said(scope))
            yield connection
    except _LOST as error:
        raise _down(error) from error


@asynccontextmanager
async def sole(name: str) -> AsyncIterator[bool]:
    """Whether nobody else, in any process, is inside `sole` of the same name; for as long as the block lasts.

    Raises:
        DatabaseDown: no connection could be had.
    """
    try:
        async with _pool().acquire(timeout=WAIT_FOR_CONNECTION_S) as connection:
            got = await connection.fetchval("SELECT pg_try_advisory_lock(hashtext($1))", name)
            try:
                yield bool(got)
            finally:
                if got:
                    await connection.execute("SELECT pg_advisory_unlock(hashtext($1))", name)
    except _LOST as error:
        raise _down(error) from error


def _said(scope: Scope) -> tuple[str, str]:
    return str(scope.org_id or ""), "on" if scope.everywhere else ""


def _down(error: Exception) -> DatabaseDown:
    return DatabaseDown(f"PostgreSQL does not answer: {str(error) or type(error).__name__}")


def _pool() -> "asyncpg.Pool[asyncpg.Record]":
    if ENGINE.pool is None:
        raise DatabaseDown("PostgreSQL's pool is not open")
    return ENGINE.pool


async def ping() -> None:
    """One round trip.

    Raises:
        DatabaseDown: there is no answer.
    """
    async with transaction(EVERYWHERE):
        pass
