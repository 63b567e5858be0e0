"""Making the sums of a day anew out of its events, while consumers go on."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Final

import msgspec

from ias.analytics.usage.adding import add, some_slot
from ias.analytics.usage.rollups import rolled_up
from ias.contract.usage import UsageRecorded
from ias.db import EVERYWHERE, Connection, transaction

AT_ONCE: Final = 5000
PATIENCE_S: Final = 1800.0
"""For a statement about a day of the whole platform."""
_DAY = timedelta(days=1)

# Whoever reads is not kept waiting. Consumers are: they have written their events by then, which are not seen here, and
# add them to what is made here.
_ALONE = """
LOCK TABLE analytics.usage_hourly, analytics.usage_daily, analytics.model_hourly, analytics.model_daily,
    analytics.platform_hourly, analytics.platform_daily IN SHARE ROW EXCLUSIVE MODE
"""
_SUMMED = """
SELECT coalesce(sum(requests), 0)::bigint AS requests,
    coalesce(sum(prompt_tokens + completion_tokens), 0)::bigint AS tokens
FROM analytics.platform_daily WHERE bucket = $1
"""
_COUNTED = """
SELECT count(*) FILTER (WHERE line = 1) AS requests,
    coalesce(sum(prompt_tokens + completion_tokens), 0)::bigint AS tokens
FROM analytics.usage_events WHERE started_at >= $1 AND started_at < $2
"""
_EVENTS = "SELECT * FROM analytics.usage_events WHERE started_at >= $1 AND started_at < $2"
_NAMES = {"org_id": "organisation", "user_id": "user", "key_id": "key"}
_NOT_KEPT = {"period": "", "model_id": "00000000-0000-0000-0000-000000000000"}
"""What no sum is about."""


class Rebuilt(msgspec.Struct, frozen=True):
    """A day (UTC): what its sums held of the platform, what its events hold, and whether the sums were made anew."""

    day: date
    requests_before: int
    tokens_before: int
    requests: int
    tokens: int
    made: bool


async def rebuild(day: date, *, allow_fewer: bool) -> Rebuilt:
    """Make the sums of a day anew, in one transaction.

    Where its events hold fewer requests than its sums do, some of them may have been dropped: then nothing is done,
    unless that is allowed.

    Raises:
        DatabaseDown: PostgreSQL does not answer.
    """
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    async with transaction(EVERYWHERE) as connection:
        await connection.execute("SET LOCAL statement_timeout = 0")
        await connection.execute(_ALONE, timeout=PATIENCE_S)
        before = await connection.fetchrow(_SUMMED, start)
        there = await connection.fetchrow(_COUNTED, start, start + _DAY, timeout=PATIENCE_S)
        made = allow_fewer or there["requests"] >= before["requests"]
        if made:
            await connection.execute("SELECT analytics.clear_day($1)", day, timeout=PATIENCE_S)
            await _add(connection, start)
    return Rebuilt(day, before["requests"], before["tokens"], there["requests"], there["tokens"], made)


async def _add(connection: Connection, start: datetime) -> None:
    slot = some_slot()
    cursor = await connection.cursor(_EVENTS, start, start + _DAY, timeout=PATIENCE_S)
    while rows := await cursor.fetch(AT_ONCE):
        await add(connection, rolled_up([_event(row) for row in rows], slot))


def _event(row: Mapping[str, object]) -> UsageRecorded:
    fields = {_NAMES.get(name, name): value for name, value in row.items()}
    return msgspec.convert({**_NOT_KEPT, **fields}, UsageRecorded)
