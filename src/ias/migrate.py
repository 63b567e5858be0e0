"""`ias migrate`: brings the schemas and the Function library to this release, one runner at a time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from inspect import isawaitable

import asyncpg
import rich_click as click

from ias import schema
from ias.db import ENGINE
from ias.edge import Edge
from ias.indexes import LOCK_TIMEOUT, briefly
from ias.settings import settings

LOCK = 0x1A5_0001
"""Key of the advisory lock that a runner holds."""
LOOK_EVERY_S = 0.2
"""How often one that waits looks whether the other has ended."""
TRIES = 30
PAUSE_S = 2.0

RECORDED = "INSERT INTO public.migration (name, app_name) VALUES ($1, $2)"
FORGOTTEN = "DELETE FROM public.migration WHERE name = $1 AND app_name = $2"

Parts = list[Callable[[], Awaitable[None] | None]]

_HELD = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)
_HALF_BUILT = """
SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid AND c.relkind = 'i' JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT i.indisvalid AND n.nspname = $1
"""


@click.group()
def migrate() -> None:
    """Bring the database to this release, or back."""


@migrate.command()
def up() -> None:
    """Apply every migration that is pending, then load the Function library into Redis."""
    asyncio.run(_up())


@migrate.command()
@click.option("--steps", type=click.IntRange(min=1), default=1, show_default=True, help="How many migrations to undo.")
@click.confirmation_option(prompt="This removes tables and what is in them. Go on?")
def down(steps: int) -> None:
    """Undo the last migrations."""
    asyncio.run(_down(steps))


@migrate.command()
def status() -> None:
    """List the migrations: applied or pending."""
    asyncio.run(_status())


async def _up() -> None:
    async with alone(_owner_url()) as connection:
        await connection.execute(schema.RECORD)
        steps = await schema.pending(connection, settings().migrations_dir)
        for step in steps:
            await forwards(step)
            click.echo(f"applied {step.name}")
        if not steps:
            click.echo("the database is up to date")
    edge = Edge(settings().redis_url)
    try:
        await edge.load_library()
    finally:
        await edge.close()
    click.echo("the Function library is loaded")


async def _down(steps: int) -> None:
    async with alone(_owner_url()) as connection:
        done = await schema.applied(connection)
        known = [step for step in schema.discover(settings().migrations_dir) if step.name in done]
        for step in reversed(known[-steps:]):
            await backwards(step)
            click.echo(f"undone {step.name}")


async def _status() -> None:
    async with _connected(_owner_url()) as connection:
        done = await schema.applied(connection)
    for step in schema.discover(settings().migrations_dir):
        click.echo(f"{'applied' if step.name in done else 'pending'}  {step.name}")


async def forwards(step: schema.Step) -> None:
    """Apply a migration and record it: in one transaction, unless it says that each statement is by itself.

    Raises:
        click.ClickException: others hold on to a table for as long as this may wait, again and again.
    """
    manager = await step.manager()
    run = _at_once if manager.wrap_in_transaction else _one_by_one
    await _patiently(step, lambda: run(step, manager.raw, RECORDED))


async def backwards(step: schema.Step) -> None:
    """Undo a migration and its record, as `forwards` applies it.

    Raises:
        click.ClickException: others hold on to a table for as long as this may wait, again and again.
    """
    manager = await step.manager()
    run = _at_once if manager.wrap_in_transaction else _one_by_one
    await _patiently(step, lambda: run(step, manager.raw_backwards, FORGOTTEN))


async def _patiently(step: schema.Step, attempt: Callable[[], Awaitable[None]]) -> None:
    """Try again where a lock was not to be had: nobody who came meanwhile has waited longer than for one try."""
    for _ in range(TRIES):
        try:
            return await attempt()
        except _HELD as error:
            click.echo(f"{step.name} waits for whoever uses the table ({error})", err=True)
            await asyncio.sleep(PAUSE_S)
    raise click.ClickException(
        f"{step.name} could not be applied: others hold on to its table; end long transactions (pg_stat_activity tells"
        " which), then run it again"
    )


async def _at_once(step: schema.Step, parts: Parts, record: str) -> None:
    async with ENGINE.transaction(allow_nested=False) as whole:
        await ENGINE.run_ddl(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
        await _run(parts)
        await whole.connection.execute(record, step.name, step.context)


async def _one_by_one(step: schema.Step, parts: Parts, record: str) -> None:
    """Each statement by itself; the record comes last, so that what was broken off is done again."""
    for index in await _half_built(step):
        await briefly(f"DROP INDEX IF EXISTS {index}")
    await _run(parts)
    await _at_once(step, [], record)


async def _half_built(step: schema.Step) -> list[str]:
    """Indexes of the context whose building was broken off: by name they are there, so they would never be built."""
    connection = await ENGINE.get_new_connection()
    try:
        return [row["name"] for row in await connection.fetch(_HALF_BUILT, step.context)]
    finally:
        await connection.close()


async def _run(parts: Parts) -> None:
    for part in parts:
        result = part()
        if isawaitable(result):
            await result


@asynccontextmanager
async def alone(url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """The only runner on this database, once whoever was before has ended."""
    async with _connected(url) as connection:
        # A statement that waited for the lock would hold a snapshot, for which an index that is being built waits.
        while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):  # noqa: ASYNC110 - of a process elsewhere
            await asyncio.sleep(LOOK_EVERY_S)
        yield connection


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    ENGINE.config = {"dsn": url, "timeout": 10.0, "server_settings": {"application_name": "ias-migrate"}}
    try:
        connection = await asyncpg.connect(**ENGINE.config)
    except (OSError, asyncpg.PostgresError) as error:
        raise click.ClickException(f"PostgreSQL does not answer ({error}); check IAS_MIGRATION_DATABASE_URL") from error
    try:
        yield connection
    finally:
        await connection.close()


def _owner_url() -> str:
    """Where the owner of the schemas connects to."""
    return settings().migration_database_url or settings().database_url
