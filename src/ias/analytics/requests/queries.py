"""Reading what is known of requests."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

import msgspec

from ias.analytics.reading import AT_ONCE, Row, paged, reading
from ias.analytics.requests.detail import RequestDetail
from ias.analytics.requests.domain import (
    Filters,
    RequestPage,
    columns,
    request,
)
from ias.analytics.requests.positions import Position, decode_position, encode_position, position_of
from ias.analytics.usage.queries import fresh, scope_of
from ias.analytics.usage.rollups import FAILED, day_of
from ias.billing import lines_of
from ias.db import Connection
from ias.identity import Permission, Principal
from ias.problems import NotFound

_OWN: Final = """request_id, org_id, user_id, key_id, model, endpoint, streamed, outcome, status, estimated,
    lower_bound, queue_ms, first_token_ms, duration_ms, started_at, settled_at, gateway, replica"""
_TOKENS: Final = "prompt_tokens, completion_tokens, cached_tokens"

# Adjustments are seldom there: they are looked up for the requests of a page, by the key.
_LISTED = """
WITH page AS MATERIALIZED (
    SELECT {own}, {tokens} FROM analytics.usage_events WHERE line = 1 AND {conditions}
    ORDER BY started_at DESC, request_id DESC {limit}
)
SELECT {own}, prompt_tokens + more_prompt AS prompt_tokens, completion_tokens + more_completion AS completion_tokens,
    cached_tokens + more_cached AS cached_tokens
FROM page CROSS JOIN LATERAL (
    SELECT coalesce(sum(e.prompt_tokens), 0)::bigint AS more_prompt,
        coalesce(sum(e.completion_tokens), 0)::bigint AS more_completion,
        coalesce(sum(e.cached_tokens), 0)::bigint AS more_cached
    FROM analytics.usage_events e WHERE e.request_id = page.request_id AND e.line > 1
) AS more ORDER BY started_at DESC, request_id DESC
"""

# As the partial indexes have them.
_ERRORS = "(outcome IN ('upstream_failed', 'upstream_timeout', 'gateway_lost') OR status >= 400)"
_SLOW = "duration_ms >= 30000"
_SLOW_MS = 30_000
_BAD_REQUEST = 400
_DAY = timedelta(days=1)

_CALLED = """
SELECT min(bucket) AS first, max(bucket) AS last FROM analytics.{table}
WHERE model = $1 AND bucket >= $2 AND bucket < $3 {own}
"""


async def listed(principal: Principal, asked: Filters, cursor: str | None, limit: int) -> RequestPage:
    """Requests that the caller may see, newest first.

    Raises:
        NotFound: `asked.org_id` is not the caller's organisation.
        BadCursor: the cursor is not ours.
        TooMuch: it takes too long.
    """
    scope, position = await _scope(principal, asked), decode_position(cursor)
    async with reading(scope) as connection:
        narrowed = await _narrowed(connection, scope, asked)
        query = None if narrowed is None else _query(scope, narrowed, position, limit + 1)
        rows = [] if query is None else await connection.fetch(query[0], *query[1])
        as_of = await fresh(connection)
    items = [request(row, whole=_is_operator(principal)) for row in rows[:limit]]
    more = len(rows) > limit
    return RequestPage(items=items, next_cursor=encode_position(items[-1]) if more else None, data_as_of=as_of)


async def rows(principal: Principal, asked: Filters) -> AsyncIterator[Sequence[object]]:
    """All of them as rows of a table.

    Raises:
        NotFound: `asked.org_id` is not the caller's organisation.
        Unavailable: too many exports are under way.
    """
    scope, whole = await _scope(principal, asked), _is_operator(principal)

    async def page(connection: Connection, last: Row | None) -> Sequence[Row]:
        sql, arguments = _query(scope, asked, None if last is None else position_of(last), AT_ONCE)
        found: Sequence[Row] = await connection.fetch(sql, *arguments)
        return found

    async for row in paged(scope, page):
        found = request(row, whole=whole)
        yield [getattr(found, name) for name in columns(whole=whole)]


async def one(principal: Principal, request_id: UUID) -> RequestDetail:
    """One request and its ledger lines.

    Raises:
        NotFound: there is none, it is another organisation's, or it is too old.
    """
    asked = "request_id = $1" if principal.everywhere else "request_id = $1 AND org_id = $2"
    arguments = [request_id] if principal.everywhere else [request_id, principal.org_id]
    async with reading(principal) as connection:
        row = await connection.fetchrow(_sql(asked, "LIMIT 1"), *arguments)
    if row is None:
        raise NotFound("no such request; of one that is older than requests are kept, ask the ledger for its lines")
    found = request(row, whole=_is_operator(principal))
    return RequestDetail(**msgspec.structs.asdict(found), ledger=await lines_of(principal, request_id))


def columns_for(principal: Principal) -> Sequence[str]:
    """What a table of requests has for the caller."""
    return columns(whole=_is_operator(principal))


async def _narrowed(connection: Connection, scope: Principal, asked: Filters) -> Filters | None:
    """The same with no more days than those on which the model was called; None where it never was."""
    if asked.model is None:
        return asked
    table, own = ("platform_daily", "") if scope.org_id is None else ("model_daily", "AND org_id = $4")
    owner = [] if scope.org_id is None else [scope.org_id]
    days = (day_of(asked.since), asked.until)
    called = await connection.fetchrow(_CALLED.format(table=table, own=own), asked.model, *days, *owner)
    if called is None or called["first"] is None:
        return None
    since, until = max(asked.since, called["first"]), min(asked.until, called["last"] + _DAY)
    return msgspec.structs.replace(asked, since=since, until=until)


async def _scope(principal: Principal, asked: Filters) -> Principal:
    return principal if asked.org_id is None else await scope_of(principal, asked.org_id)


def _is_operator(principal: Principal) -> bool:
    return principal.may(Permission.USAGE_PLATFORM)


def _query(scope: Principal, asked: Filters, position: Position | None, limit: int) -> tuple[str, Sequence[object]]:
    wanted: list[tuple[str, object]] = [("started_at >= {}", asked.since), ("started_at < {}", asked.until)]
    named = (
        ("org_id = {}", scope.org_id),
        ("model = {}", asked.model),
        ("user_id = {}", asked.user_id),
        ("key_id = {}", asked.key_id),
        ("outcome = {}", asked.outcome and asked.outcome.value),
        ("status = {}", asked.status),
        ("duration_ms >= {}", asked.slower_than_ms),
    )
    wanted += [(condition, value) for condition, value in named if value is not None]
    conditions = [condition.format(f"${number}") for number, (condition, _) in enumerate(wanted, start=1)]
    arguments: list[object] = [value for _, value in wanted]
    if asked.errors or asked.outcome in FAILED or (asked.status or 0) >= _BAD_REQUEST:
        conditions.append(_ERRORS)
    if (asked.slower_than_ms or 0) >= _SLOW_MS:
        conditions.append(_SLOW)
    if position is not None:
        after = f"${len(arguments) + 1}", f"${len(arguments) + 2}"
        conditions += [f"started_at <= {after[0]}", f"(started_at, request_id) < ({after[0]}, {after[1]})"]
        arguments += position
    arguments.append(limit)
    return _sql(" AND ".join(conditions), f"LIMIT ${len(arguments)}"), arguments


def _sql(conditions: str, limit: str) -> str:
    return _LISTED.format(own=_OWN, tokens=_TOKENS, conditions=conditions, limit=limit)
