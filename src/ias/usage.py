"""`ias usage`: what could not be taken in, and putting it back."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import msgspec
import rich_click as click
import uvloop
from rich.console import Console
from rich.table import Table

from ias.bus import BusDown
from ias.db import close_pool, open_pool
from ias.replay import CONSUMERS, Aside, Outcome, replay, replay_dead_letters, set_aside
from ias.settings import settings
from ias.telemetry import no_logging

SOME_LEFT = 1
_ENCODE = msgspec.json.Encoder(enc_hook=str).encode


class Unreachable(click.ClickException):
    """RabbitMQ does not answer."""

    exit_code = 9


@click.group()
def usage() -> None:
    """What could not be taken in, and putting it back."""
    no_logging()


@usage.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON array instead of a table.")
def quarantine(*, as_json: bool) -> None:
    """List what is set aside: when, why, which request and line."""
    rows = uvloop.run(_listed())
    if as_json:
        click.echo(_ENCODE(rows))
        return
    table = Table("id", "consumer", "since (UTC)", "request", "line", "from", "reason")
    for row in rows:
        table.add_row(*(str("" if part is None else part) for part in row.values()))
    Console().print(table if rows else "nothing is set aside")


@usage.command(name="replay")
@click.argument("ids", nargs=-1, type=click.UUID, metavar="[ID]…")
@click.option("--all", "everything", is_flag=True, help="All of it, and the dead letters of the queues.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object a line.")
def replay_command(ids: tuple[UUID, ...], *, everything: bool, as_json: bool) -> None:
    """Take in again what was set aside; exits with 1 where some of it stays."""
    if bool(ids) == everything:
        raise click.UsageError("say which: the IDs that `ias usage quarantine` shows, or --all")
    outcomes = uvloop.run(_replay(None if everything else set(ids), as_json=as_json))
    left = sum(outcome.left for outcome in outcomes)
    missing = set(ids) - {outcome.id for outcome in outcomes}
    for missed in sorted(missing):
        click.echo(f"{missed}: is not in quarantine, or was put back already", err=True)
    if not as_json:
        click.echo(f"{len(outcomes)} tried, {left} set aside still")
    if left or missing:
        raise SystemExit(SOME_LEFT)


@usage.command()
@click.argument("ids", nargs=-1, type=click.UUID, required=True, metavar="ID…")
@click.option("--because", required=True, help="Why these are never to be taken in; it is kept with them.")
def dismiss(ids: tuple[UUID, ...], because: str) -> None:
    """Decide that events are never taken in, such as a forged one; the rows stay."""
    closed = uvloop.run(_dismiss(set(ids), f"dismissed, {because}"))
    click.echo(f"dismissed {len(closed)} of {len(set(ids))}")
    if len(closed) < len(set(ids)):
        raise SystemExit(SOME_LEFT)


async def _listed() -> list[dict[str, object]]:
    async with _connected():
        return [_row(aside) async for aside in set_aside(None)]


async def _replay(ids: set[UUID] | None, *, as_json: bool) -> list[Outcome]:
    outcomes = []
    async with _connected():
        async for outcome in _outcomes(ids):
            outcomes.append(outcome)
            click.echo(_ENCODE(outcome) if as_json else _line(outcome))
    return outcomes


async def _outcomes(ids: set[UUID] | None) -> AsyncIterator[Outcome]:
    # Rows first: what is dead and still bad comes among them.
    async for aside in set_aside(ids):
        yield await replay(aside)
    if ids is None and settings().amqp_url:
        try:
            async for outcome in replay_dead_letters(settings().amqp_url):
                yield outcome
        except BusDown as error:
            raise Unreachable(str(error)) from error


async def _dismiss(ids: set[UUID], why: str) -> set[UUID]:
    async with _connected():
        closed = [await consumer.quarantine.dismiss(ids, why) for consumer in CONSUMERS]
    return set().union(*closed)


def _row(aside: Aside) -> dict[str, object]:
    kept = aside.kept
    return {
        "id": kept.id,
        "consumer": aside.consumer.name,
        "since": kept.created_at.isoformat(sep=" ", timespec="seconds"),
        "request_id": kept.request_id,
        "line": kept.line,
        "origin": kept.origin,
        "reason": kept.reason,
    }


def _line(outcome: Outcome) -> str:
    return f"{outcome.id or 'dead letter'} ({outcome.consumer}): {outcome.said}"


@asynccontextmanager
async def _connected() -> AsyncIterator[None]:
    await open_pool(settings().database_url, settings().database_pool, "usage")
    try:
        yield
    finally:
        await close_pool()
