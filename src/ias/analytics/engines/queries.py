"""Reading what engines counted beside what was charged."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final

import msgspec

from ias.analytics.engines.domain import EARLY, Ours, Reconciled, Reconciliation, Theirs, reconciled
from ias.analytics.reading import reading
from ias.analytics.shares.domain import in_whole_days
from ias.analytics.usage.queries import fresh
from ias.analytics.usage.sketch import OUTCOMES
from ias.analytics.usage.spans import BadRange, Span
from ias.billing import replicas_of_models
from ias.db import Connection, Scope, transaction

LONGEST: Final = timedelta(days=93)
COLUMNS: Final = tuple(name for name in Reconciled.__struct_fields__ if name != "reasons")
"""Of a table, before the causes."""

_OURS = """
SELECT (bucket AT TIME ZONE 'UTC')::date AS day, model, sum(requests)::bigint AS requests,
    sum(prompt_tokens)::bigint AS prompt_tokens, sum(completion_tokens)::bigint AS completion_tokens
FROM analytics.platform_daily WHERE bucket >= $1 AND bucket < $2 GROUP BY 1, 2
"""
_EARLY = """
SELECT (bucket AT TIME ZONE 'UTC')::date AS day, model, sum(number & 4294967295)::bigint AS early
FROM analytics.platform_daily, unnest(counts) AS number
WHERE bucket >= $1 AND bucket < $2 AND number >> 32 = ANY($3::bigint[]) GROUP BY 1, 2
"""
# As the index has it.
_ACROSS = """
SELECT (started_at AT TIME ZONE 'UTC')::date AS day, model, count(*) AS requests
FROM analytics.usage_events
WHERE (settled_at AT TIME ZONE 'UTC')::date - (started_at AT TIME ZONE 'UTC')::date = 1 AND line = 1
    AND started_at >= $1::timestamptz - INTERVAL '1 day' AND started_at < $2 GROUP BY 1, 2
"""
_THEIRS = "SELECT * FROM analytics.engine_daily WHERE day >= $1 AND day < $2 ORDER BY url"
_LAST_READ = "SELECT url, read_at FROM analytics.engine_readings"
_READ_AT = "SELECT max(read_at) FROM analytics.engine_readings"


async def reconciliation(scope: Scope, asked: Span, now: datetime) -> Reconciliation:
    """Every day of the span and model, the newest first.

    Raises:
        BadRange: it is longer than three months.
        TooMuch: it takes too long.
    """
    days = in_whole_days(asked)
    if days.end - days.start > LONGEST:
        raise BadRange("from and to may be three months apart at most here")
    async with reading(scope) as connection:
        ours = await _ours(connection, days)
        theirs = await _theirs(connection, days)
        read_at: datetime | None = await connection.fetchval(_READ_AT)
        as_of = await fresh(connection)
    items = [
        item
        for day in sorted(ours.keys() | theirs.keys(), reverse=True)
        for item in reconciled(day, ours.get(day, {}), theirs.get(day, ()), now)
    ]
    return Reconciliation(start=days.start, end=days.end, items=items, read_at=read_at, data_as_of=as_of)


async def last_read(scope: Scope) -> dict[str, tuple[list[str], datetime | None]]:
    """Of each replica of an enabled model its models, and when its counters were last read, None where never."""
    async with transaction(scope) as connection:
        models = await replicas_of_models(connection)
        read_at = {row["url"]: row["read_at"] for row in await connection.fetch(_LAST_READ)}
    urls = sorted({url for each in models.values() for url in each})
    return {url: ([name for name in sorted(models) if url in models[name]], read_at.get(url)) for url in urls}


def row_of(item: Reconciled) -> Sequence[object]:
    """An item as a row of a table, with the columns `COLUMNS` and the causes."""
    named = {name: getattr(item, name) for name in COLUMNS} | {"models": " ".join(item.models)}
    return [*named.values(), " ".join(reason.cause for reason in item.reasons)]


async def _ours(connection: Connection, days: Span) -> Mapping[date, Mapping[str, Ours]]:
    found: dict[date, dict[str, Ours]] = defaultdict(lambda: defaultdict(Ours))
    for row in await connection.fetch(_OURS, days.start, days.end):
        fields = {name: row[name] for name in ("requests", "prompt_tokens", "completion_tokens")}
        found[row["day"]][row["model"]] = Ours(**fields)
    for row in await connection.fetch(_EARLY, days.start, days.end, [OUTCOMES[outcome] for outcome in EARLY]):
        found[row["day"]][row["model"]].early = row["early"]
    first, last = days.start.date(), days.end.date()
    for row in await connection.fetch(_ACROSS, days.start, days.end):
        day, model, after = row["day"], row["model"], row["day"] + timedelta(days=1)
        if day >= first:
            found[day][model].went_out = row["requests"]
        if after < last:
            found[after][model].came_in = row["requests"]
    return found


async def _theirs(connection: Connection, days: Span) -> Mapping[date, Sequence[Theirs]]:
    found: dict[date, list[Theirs]] = defaultdict(list)
    rows = await connection.fetch(_THEIRS, days.start.astimezone(UTC).date(), days.end.astimezone(UTC).date())
    for row in rows:
        fields = {name: row[name] for name in Theirs.__struct_fields__}
        found[row["day"]].append(msgspec.convert(fields, Theirs))
    return found
