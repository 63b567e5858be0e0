"""PostgreSQL: one pool per process, and the transaction that tells row-level security whose rows these are."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Protocol, TypeAlias
from uuid import UUID

import asyncpg
from piccolo.engine.postgres import PostgresEngine
from uuid_utils.compat import uuid7 as _uuid7

from ias.outages import GIVEN_UP, Outage

ROLE = "ias_app"
STATEMENT_TIMEOUT_MS = 30_000
WAIT_FOR_CONNECTION_S = 5.0

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

_FOR_EACH_LOOKUP = 4
"""So many connections for transactions there are for each one for lookups."""

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


class Lookups:
    """The pool of connections that read, a statement at a time, whoever's rows they are."""

    pool: "Pool | None" = None


async def open_pool(url: str, size: int, process: str) -> None:
    """Open the process's pool. Connections act as `ias_app`, which owns nothing and bypasses no policy.

    Raises:
        DatabaseDown: PostgreSQL does not answer; the message says where it was looked for.
    """
    asked = {
        "application_name": f"ias-{process}",
        # Compiling a plan takes longer than what it is compiled for: seconds, where the planner takes sums for many.
        "jit": "off",
        "role": ROLE,
        "statement_timeout": str(STATEMENT_TIMEOUT_MS),
        "timezone": "UTC",
    }
    reading = {"app.everywhere": "on", "default_transaction_read_only": "on"}
    ENGINE.config = {
        "dsn": url,
        "timeout": 5.0,
        "command_timeout": STATEMENT_TIMEOUT_MS / 1000 + 5,
        "reset": _nothing,
        "server_settings": asked,
    }
    try:
        await ENGINE.start_connection_pool(min_size=2, max_size=size)
        lookups = {**ENGINE.config, "server_settings": asked | reading}
        Lookups.pool = await asyncpg.create_pool(**lookups, min_size=0, max_size=max(size // _FOR_EACH_LOOKUP, 1))
    except (OSError, asyncpg.PostgresError) as error:
        raise DatabaseDown(f"PostgreSQL does not answer: {error}") from error


async def close_pool() -> None:
    """Close the pool; a second call does nothing."""
    if Lookups.pool is not None:
        await Lookups.pool.close()
        Lookups.pool = None
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
    async with _begun("BEGIN", scope) as connection:
        with _piccolo_in(connection):
            yield connection


@asynccontextmanager
async def snapshot(scope: Scope) -> AsyncIterator[Connection]:
    """A transaction that only reads, and in which everything is as it was when it began.

    Raises:
        DatabaseDown: no connection could be had, or it broke.
    """
    async with _begun("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", scope) as connection:
        yield connection


@asynccontextmanager
async def lookup() -> AsyncIterator[Connection]:
    """A connection that sees everybody's rows and writes none: for looking something up by its id. Do not nest.

    Each statement is by itself, which is one message there and one back; a transaction takes two more.

    Raises:
        DatabaseDown: no connection could be had, or it broke.
    """
    async with _connected(Lookups.pool) as connection:
        with _piccolo_in(connection):
            yield connection


@asynccontextmanager
async def sole(name: str) -> AsyncIterator[bool]:
    """Whether nobody else, in any process, is inside `sole` of the same name; for as long as the block lasts.

    Raises:
        DatabaseDown: no connection could be had.
    """
    async with _connected(ENGINE.pool) as connection:
        try:
            yield bool(await connection.fetchval("SELECT pg_try_advisory_lock(hashtext($1))", name))
        finally:
            await _unlocked(connection)


@asynccontextmanager
async def _begun(begin: str, scope: Scope) -> AsyncIterator[Connection]:
    """A transaction. What it begins with is one message, and settings that end with it need no resetting."""
    async with _connected(ENGINE.pool) as connection:
        try:
            await connection.execute(begin + _said(scope))
            yield connection
        except BaseException:
            await connection.execute("ROLLBACK")
            raise
        await connection.execute("COMMIT")


@asynccontextmanager
async def _connected(pool: "Pool | None") -> AsyncIterator[Connection]:
    if pool is None:
        raise DatabaseDown("PostgreSQL's pool is not open")
    try:
        with GIVEN_UP.count_exceptions(TimeoutError):
            connection = await pool.acquire(timeout=WAIT_FOR_CONNECTION_S)
        try:
            yield connection
        finally:
            await pool.release(connection)
    except _LOST as error:
        raise DatabaseDown(f"PostgreSQL does not answer: {str(error) or type(error).__name__}") from error


@contextmanager
def _piccolo_in(connection: Connection) -> Iterator[None]:
    """Piccolo's queries use this connection."""
    whole = ENGINE.transaction(allow_nested=False)
    whole.connection = connection
    ours = ENGINE.current_transaction.set(whole)
    try:
        yield
    finally:
        ENGINE.current_transaction.reset(ours)


async def _nothing(_: object) -> None:
    """What is to be reset when a connection is given back: what is set is set for one transaction."""


async def _unlocked(connection: Connection) -> None:
    """Let go of a session's locks, at the worst with the session."""
    try:
        await connection.execute("SELECT pg_advisory_unlock_all()")
    except BaseException:
        connection.terminate()
        raise


def _said(scope: Scope) -> str:
    org = "" if scope.org_id is None else f"; SET LOCAL app.org_id = '{UUID(int=scope.org_id.int)}'"
    return org + ("; SET LOCAL app.everywhere = 'on'" if scope.everywhere else "")


async def ping() -> None:
    """One round trip.

    Raises:
        DatabaseDown: there is no answer.
    """
    async with lookup() as connection:
        await connection.execute("SELECT")
