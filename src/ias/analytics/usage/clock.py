"""What is done about usage by the clock: opening months, forgetting old events."""

from datetime import timedelta

from ias.db import EVERYWHERE, transaction
from ias.telemetry import now

KEEP = timedelta(days=90)
AHEAD = timedelta(days=31)


async def open_months() -> None:
    """Make the partitions of this month and the next, where TimescaleDB does not."""
    async with transaction(EVERYWHERE) as connection:
        for moment in (now(), now() + AHEAD):
            await connection.execute("SELECT analytics.open_month($1)", moment)


async def forget() -> None:
    """Drop events that are older than ninety days as a whole; the rollups stay."""
    async with transaction(EVERYWHERE) as connection:
        await connection.execute("SELECT analytics.forget_before($1)", now() - KEEP)
