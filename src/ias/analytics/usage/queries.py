"""Reading usage out of the rollups, and how fresh it is."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from functools import partial
from uuid import UUID

import msgspec

from ias.analytics.usage.domain import LONGEST_BY_HOUR, BadRange, Filter, Grouping, Span, Totals, Usage, UsageItem
from ias.contract.amends import Known
from ias.db import EVERYWHERE, Connection, Within, transaction
from ias.identity import Principal, tenant
from ias.problems import NotFound
from ias.quarantine import Quarantine

Place = tuple[UUID, int]
"""Request and line."""

QUARANTINE = Quarantine("analytics", partial(transaction, EVERYWHERE))
"""What could not be taken in."""

_BY = {
    Grouping.MODEL: "model",
    Grouping.USER: "user_id",
    Grouping.KEY: "key_id",
    Grouping.HOUR: "bucket",
    Grouping.DAY: "bucket",
    Grouping.MONTH: "date_trunc('month', bucket, 'UTC')",
}
_NAMES = {
    Grouping.MODEL: "model",
    Grouping.USER: "user_id",
    Grouping.KEY: "key_id",
    Grouping.HOUR: "start",
    Grouping.DAY: "start",
    Grouping.MONTH: "start",
}

_USAGE = """
SELECT {by} AS "group", sum(requests)::bigint AS requests, sum(failed)::bigint AS failed,
       sum(prompt_tokens)::bigint AS prompt_tokens, sum(completion_tokens)::bigint AS completion_tokens,
       sum(cached_tokens)::bigint AS cached_tokens
FROM analytics.{table}
WHERE org_id = $1 AND bucket >= $2 AND bucket < $3
  AND ($4::text IS NULL OR model = $4) AND ($5::uuid IS NULL OR user_id = $5) AND ($6::uuid IS NULL OR key_id = $6)
GROUP BY 1 ORDER BY 1
"""

_OPEN = """
SELECT number - 1 AS index FROM unnest($1::uuid[], $2::integer[]) WITH ORDINALITY AS asked (request_id, line, number)
WHERE NOT EXISTS (SELECT FROM analytics.usage_seen s WHERE (s.request_id, s.line) = (asked.request_id, asked.line))
  AND NOT EXISTS (SELECT FROM analytics.quarantine q WHERE (q.request_id, q.line) = (asked.request_id, asked.line))
"""

_SEEN = """
SELECT s.request_id, s.line FROM analytics.usage_seen s
JOIN unnest($1::uuid[], $2::integer[]) AS asked (request_id, line) USING (request_id, line)
"""

_TOTALS = """
SELECT org_id, sum(requests)::bigint AS requests, sum(prompt_tokens + completion_tokens)::bigint AS tokens
FROM analytics.usage_daily WHERE org_id = ANY($1) AND bucket >= $2 GROUP BY org_id
"""

_DAYS = """
SELECT (bucket AT TIME ZONE 'UTC')::date AS day, sum(prompt_tokens + completion_tokens)::bigint AS tokens
FROM analytics.usage_daily
WHERE org_id = $1 AND ($2::uuid IS NULL OR user_id = $2) AND bucket >= $3 AND bucket < $4 GROUP BY 1
"""

_TOLD = """
SELECT request_id, max(line) AS line, bool_or(line = 1 AND lower_bound) AS lower_bound,
    sum(prompt_tokens)::bigint AS prompt, sum(completion_tokens)::bigint AS completion,
    sum(cached_tokens)::bigint AS cached
FROM analytics.usage_events WHERE request_id = ANY($1) GROUP BY request_id
"""


async def usage(principal: Principal, org_id: UUID, span: Span, group_by: Grouping, only: Filter) -> Usage:
    """An organisation's usage.

    Raises:
        NotFound: it is not the caller's organisation.
        BadRange: by the hour, and longer than three months.
    """
    scope = principal.within(org_id)
    if await tenant(org_id) is None:
        raise NotFound("no such organisation")
    if group_by is Grouping.HOUR and span.end - span.start > LONGEST_BY_HOUR:
        raise BadRange("by the hour, from and to may be three months apart at most; group by day for more")
    async with transaction(scope) as connection:
        rows = await _rows(connection, org_id, span, group_by, only)
        as_of = await connection.fetchval("SELECT max(seen_at) FROM analytics.usage_seen")
    items = [_item(row, group_by) for row in rows]
    return Usage(
        start=span.start, end=span.end, group_by=group_by, items=items, totals=_totals(items), data_as_of=as_of
    )


async def settled(places: Sequence[Place]) -> set[Place]:
    """Those that were taken in, or set aside in quarantine: the outbox need not keep them."""
    async with transaction(EVERYWHERE) as connection:
        rows = await connection.fetch(_OPEN, [place[0] for place in places], [place[1] for place in places])
    return set(places).difference(places[row["index"]] for row in rows)


async def seen(connection: Connection, places: Sequence[Place]) -> set[Place]:
    """Those that were taken in."""
    rows = await connection.fetch(_SEEN, [place[0] for place in places], [place[1] for place in places])
    return {(row["request_id"], row["line"]) for row in rows}


async def totals(connection: Connection, orgs: Sequence[UUID], since: datetime) -> dict[UUID, tuple[int, int]]:
    """Requests and tokens of organisations since the start of a day."""
    rows = await connection.fetch(_TOTALS, orgs, since)
    return {row["org_id"]: (row["requests"], row["tokens"]) for row in rows}


async def daily(org_id: UUID, user_id: UUID | None, start: datetime, end: datetime) -> dict[date, int]:
    """Tokens of each day (UTC) from midnight to before another, of an organisation or of one of its members."""
    async with transaction(Within(org_id)) as connection:
        rows = await connection.fetch(_DAYS, org_id, user_id, start, end)
    return {row["day"]: row["tokens"] for row in rows}


async def _rows(
    connection: Connection, org_id: UUID, span: Span, group_by: Grouping, only: Filter
) -> Sequence[Mapping[str, object]]:
    daily = span.of_days and group_by is not Grouping.HOUR
    by = "date_trunc('day', bucket, 'UTC')" if group_by is Grouping.DAY else _BY[group_by]
    sql = _USAGE.format(by=by, table="usage_daily" if daily else "usage_hourly")
    rows: Sequence[Mapping[str, object]] = await connection.fetch(
        sql, org_id, span.start, span.end, only.model, only.user_id, only.key_id
    )
    return rows


def _item(row: Mapping[str, object], group_by: Grouping) -> UsageItem:
    fields = dict(row)
    fields[_NAMES[group_by]] = fields.pop("group")
    item = msgspec.convert(fields, UsageItem)
    item.total_tokens = item.prompt_tokens + item.completion_tokens
    return item


def _totals(items: list[UsageItem]) -> Totals:
    names = Totals.__struct_fields__
    return Totals(**{name: sum(getattr(item, name) for item in items) for name in names})


async def told_so_far(requests: Sequence[UUID]) -> dict[UUID, Known]:
    """The lines of these requests so far, summed up, for telling a second truth from a contradiction.

    Raises:
        DatabaseDown: PostgreSQL does not answer.
    """
    if not requests:
        return {}
    async with transaction(EVERYWHERE) as connection:
        return {row["request_id"]: Known.of(row) for row in await connection.fetch(_TOLD, requests)}
