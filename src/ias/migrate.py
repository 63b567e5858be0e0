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
from ias.settings import settings

LOCK = 0x1A5_0001
"""Key of the advisory lock that a runner holds."""


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
    async with _alone() as connection:
        await connection.execute(schema.RECORD)
        steps = await schema.pending(connection, settings().migrations_dir)
        for step in steps:
            await _forwards(step)
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
    async with _alone() as connection:
        done = await schema.applied(connection)
        known = [step for step in schema.discover(settings().migrations_dir) if step.name in done]
        for step in reversed(known[-steps:]):
            await _backwards(step)
            click.echo(f"undone {step.name}")


async def _status() -> None:
    async with _alone() as connection:
        done = await schema.applied(connection)
    for step in schema.discover(settings().migrations_dir):
        click.echo(f"{'applied' if step.name in done else 'pending'}  {step.name}")


async def _forwards(step: schema.Step) -> None:
    """The migration and its record are one transaction."""
    manager = await step.manager()
    async with ENGINE.transaction(allow_nested=False) as whole:
        await _run(manager.raw)
        await whole.connection.execute(
            "INSERT INTO public.migration (name, app_name) VALUES ($1, $2)", step.name, step.context
        )


async def _backwards(step: schema.Step) -> None:
    manager = await step.manager()
    async with ENGINE.transaction(allow_nested=False) as whole:
        await _run(manager.raw_backwards)
        await whole.connection.execute("DELETE FROM public.migration WHERE name = $1", step.name)


async def _run(parts: list[Callable[[], Awaitable[None] | None]]) -> None:
    for part in parts:
        result = part()
        if isawaitable(result):
            await result


@asynccontextmanager
async def _alone() -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """The only runner on this database, as the owner of its schemas."""
    url = settings().migration_database_url or settings().database_url
    ENGINE.config = {"dsn": url, "timeout": 10.0, "server_settings": {"application_name": "ias-migrate"}}
    try:
        connection = await asyncpg.connect(**ENGINE.config)
    except (OSError, asyncpg.PostgresError) as error:
        raise click.ClickException(f"PostgreSQL does not answer ({error}); check IAS_MIGRATION_DATABASE_URL") from error
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
        yield connection
    finally:
        await connection.close()
