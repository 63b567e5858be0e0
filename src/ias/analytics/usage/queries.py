"""Reading usage out of the rollups, and how fresh it is."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, datetime
from functools import partial
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from ias.analytics.reading import exported, reading
from ias.analytics.usage import domain
from ias.analytics.usage.domain import MOST_ITEMS, SUMS, BadGrouping, Groups, Usage, UsageItem
from ias.analytics.usage.summing import Asked, sums
from ias.contract.amends import Known
from ias.db import EVERYWHERE, Connection, Within, transaction
from ias.identity import Principal, tenant
from ias.problems import NotFound
from ias.quarantine import Quarantine

Place = tuple[UUID, int]
"""Request and line."""

QUARANTINE = Quarantine("analytics", partial(transaction, EVERYWHERE))
"""What could not be taken in."""

_AS_OF = "SELECT max(seen_at) FROM analytics.usage_seen"

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
FROM analytics.org_daily WHERE org_id = ANY($1) AND bucket >= $2 GROUP BY org_id
"""

_DAYS = """
SELECT (bucket AT TIME ZONE 'UTC')::date AS day, sum(prompt_tokens + completion_tokens)::bigint AS tokens
FROM analytics.{table} WHERE org_id = $1 AND bucket >= $2 AND bucket < $3 {whose} GROUP BY 1
"""
_DAYS_OF_ALL = _DAYS.format(table="org_daily", whose="")
_DAYS_OF_ONE = _DAYS.format(table="usage_daily", whose="AND user_id = $4")

_EVER = "SELECT EXISTS (SELECT FROM analytics.{table} WHERE ($1::uuid IS NULL OR org_id = $1) {whose})"
_EVER_ANY = _EVER.format(table="org_daily", whose="")
_EVER_ONE = _EVER.format(table="usage_daily", whose="AND user_id = $2")

# By key first and by organisation then: distinct ones would be sorted.
_CALLERS = """
SELECT count(*) AS organisations, coalesce(sum(keys), 0)::bigint AS keys, coalesce(sum(requests), 0)::bigint AS requests
FROM (
    SELECT org_id, count(*) AS keys, sum(requests) AS requests FROM (
        SELECT org_id, key_id, sum(requests)::bigint AS requests FROM analytics.usage_daily
        WHERE model = $1 AND bucket >= $2 GROUP BY org_id, key_id HAVING sum(requests) > 0
    ) AS by_key GROUP BY org_id
) AS by_organisation
"""

_TOLD = """
SELECT request_id, max(line) AS line, bool_or(line = 1 AND lower_bound) AS lower_bound,
    sum(prompt_tokens)::bigint AS prompt, sum(completion_tokens)::bigint AS completion,
    sum(cached_tokens)::bigint AS cached
FROM analytics.usage_events WHERE request_id = ANY($1) GROUP BY request_id
"""


async def usage(principal: Principal, asked: Asked, by: Groups) -> Usage:
    """An organisation's usage, or the platform's.

    Raises:
        NotFound: it is not the caller's organisation.
        BadGrouping: that would be too many items.
        TooMuch: it takes too long.
    """
    scope = await scope_of(principal, asked.org_id)
    sql, arguments = sums(asked, by)
    async with reading(scope) as connection:
        rows = await connection.fetch(f"{sql} LIMIT {MOST_ITEMS + 1}", *arguments)
        as_of = await fresh(connection)
    if len(rows) > MOST_ITEMS:
        raise BadGrouping(f"more than {MOST_ITEMS} items: ask for a shorter time or fewer groups, or for text/csv")
    there = ZoneInfo(asked.span.zone)
    items = [_item(row, there) for row in rows]
    return Usage(
        start=asked.span.start.astimezone(there),
        end=asked.span.end.astimezone(there),
        timezone=asked.span.zone,
        group_by=by.said,
        items=items,
        totals=domain.totals(items),
        data_as_of=as_of,
    )


async def usage_rows(principal: Principal, asked: Asked, by: Groups) -> AsyncIterator[Sequence[object]]:
    """The same as rows of a table, with the columns of the groups and `SUMS`, however many they are.

    Raises:
        NotFound: it is not the caller's organisation.
        Unavailable: too many exports are under way.
    """
    scope, there = await scope_of(principal, asked.org_id), ZoneInfo(asked.span.zone)
    async for row in exported(scope, *sums(asked, by)):
        named = _named(row, there)
        yield [named[name] for name in (*by.columns, *SUMS)]


async def scope_of(principal: Principal, org_id: UUID | None) -> Principal:
    """Whose rows may be read for a question about this organisation, or about the platform.

    Raises:
        NotFound: it is not the caller's organisation.
    """
    if org_id is None:
        return principal
    scope = principal.within(org_id)
    if await tenant(org_id) is None:
        raise NotFound("no such organisation")
    return scope


async def fresh(connection: Connection) -> datetime | None:
    """When an event was last taken in; None where none ever was."""
    as_of: datetime | None = await connection.fetchval(_AS_OF)
    return as_of


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
        if user_id is None:
            rows = await connection.fetch(_DAYS_OF_ALL, org_id, start, end)
        else:
            rows = await connection.fetch(_DAYS_OF_ONE, org_id, start, end, user_id)
    return {row["day"]: row["tokens"] for row in rows}


async def ever_used(principal: Principal, org_id: UUID | None, user_id: UUID | None = None) -> bool:
    """Whether an organisation, or one of its members, ever sent a request; without an organisation, whether any did.

    Raises:
        NotFound: it is not the caller's organisation.
    """
    scope = await scope_of(principal, org_id)
    async with reading(scope) as connection:
        if user_id is None:
            found: bool = await connection.fetchval(_EVER_ANY, org_id)
        else:
            found = await connection.fetchval(_EVER_ONE, org_id, user_id)
    return found


async def callers(model: str, since: datetime) -> tuple[int, int, int]:
    """How many organisations and keys called the model of this name since that midnight (UTC), and how often.

    Raises:
        TooMuch: it takes too long.
    """
    async with reading(EVERYWHERE) as connection:
        row = await connection.fetchrow(_CALLERS, model, since)
    return (row["organisations"], row["keys"], row["requests"])


async def told_so_far(requests: Sequence[UUID]) -> dict[UUID, Known]:
    """The lines of these requests so far, summed up, for telling a second truth from a contradiction.

    Raises:
        DatabaseDown: PostgreSQL does not answer.
    """
    if not requests:
        return {}
    async with transaction(EVERYWHERE) as connection:
        return {row["request_id"]: Known.of(row) for row in await connection.fetch(_TOLD, requests)}


def _named(row: Mapping[str, object], there: ZoneInfo) -> dict[str, object]:
    """A row with its `start` in a time zone."""
    start = row.get("start")
    return {**row, **({"start": start.astimezone(there)} if isinstance(start, datetime) else {})}


def _item(row: Mapping[str, object], there: ZoneInfo) -> UsageItem:
    return msgspec.convert(_named(row, there), UsageItem)
