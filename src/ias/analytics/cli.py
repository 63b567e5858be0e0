"""`ias analytics`: the sums of usage, for operators of the database."""

from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta

import rich_click as click
import uvloop

from ias.analytics.usage.rebuilding import Rebuilt, rebuild
from ias.db import close_pool, open_pool
from ias.settings import settings
from ias.telemetry import no_logging, now

SOME_LEFT = 1
_DAY = click.DateTime(["%Y-%m-%d"])


@click.group()
def analytics() -> None:
    """The sums of usage."""
    no_logging()


@analytics.command(name="rebuild")
@click.option("--from", "first", type=_DAY, required=True, help="First day (UTC).")
@click.option("--to", "last", type=_DAY, required=True, help="Last day (UTC).")
@click.option("--allow-fewer", is_flag=True, help="Also where the events hold fewer requests than the sums do.")
def rebuild_command(first: datetime, last: datetime, *, allow_fewer: bool) -> None:
    """Make the sums of days anew out of their events, whoever reads and writes meanwhile; exits with 1 if one is left.

    Days whose events are no longer kept are never touched.
    """
    kept_since = now().date() - timedelta(days=settings().keep_events_days - 1)
    if last < first:
        raise click.UsageError("--to must not be before --from")
    if first.date() < kept_since:
        raise click.UsageError(f"events are kept for {settings().keep_events_days} days: --from {kept_since} at least")
    if uvloop.run(_rebuild(first.date(), last.date(), allow_fewer=allow_fewer)):
        raise SystemExit(SOME_LEFT)


async def _rebuild(first: date, last: date, *, allow_fewer: bool) -> int:
    """How many days were left as they are."""
    left = 0
    async for day in _days(first, last, allow_fewer=allow_fewer):
        left += not day.made
        before, after = f"{day.requests_before} requests, {day.tokens_before} tokens", f"{day.requests}, {day.tokens}"
        refused = "" if day.made else ": left as it is, since events may be missing; --allow-fewer believes them"
        click.echo(f"{day.day}: sums {before}; events {after}{refused}")
    return left


async def _days(first: date, last: date, *, allow_fewer: bool) -> AsyncIterator[Rebuilt]:
    await open_pool(settings().database_url, settings().database_pool, "analytics")
    try:
        for number in range((last - first).days + 1):
            yield await rebuild(first + timedelta(days=number), allow_fewer=allow_fewer)
    finally:
        await close_pool()
