"""What is done about usage by the clock: opening months, forgetting what was kept long enough."""

from datetime import timedelta

from ias.analytics.usage.rollups import day_of
from ias.db import EVERYWHERE, transaction
from ias.telemetry import now

AHEAD = timedelta(days=31)
PATIENCE_S = 1800.0
"""For sums of all organisations to be looked through, one organisation after the other."""


async def open_months() -> None:
    """Make the partitions of this month and the next, where TimescaleDB does not."""
    async with transaction(EVERYWHERE) as connection:
        for moment in (now(), now() + AHEAD):
            await connection.execute("SELECT analytics.open_month($1)", moment)


async def forget(events: timedelta, rollups: timedelta) -> None:
    """Drop events as whole months or chunks, and sums, that are older than that."""
    moment = now()
    async with transaction(EVERYWHERE) as connection:
        await connection.execute("SELECT analytics.forget_before($1)", moment - events)
    async with transaction(EVERYWHERE) as connection:
        await connection.execute("SET LOCAL statement_timeout = 0")
        before = day_of(moment - rollups)  # whole days: those of other time zones are made of both kinds of sums
        await connection.execute("SELECT analytics.forget_rollups_before($1)", before, timeout=PATIENCE_S)
