"""Reading who and what makes up usage, and how it changed."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from ias.analytics.reading import exported, reading
from ias.analytics.shares.domain import (
    COUNTED,
    Owner,
    Part,
    Shares,
    Sort,
    in_whole_days,
    in_whole_hours,
    part,
    rest_of,
)
from ias.analytics.usage.domain import SUMS, Filter, Grouping
from ias.analytics.usage.queries import fresh, scope_of
from ias.analytics.usage.sketch import Counts, performance
from ias.analytics.usage.sketch import added as together
from ias.analytics.usage.spans import UTC_ZONE, Span, previous
from ias.analytics.usage.spans import span as span_of
from ias.analytics.usage.summing import STORED, Asked, Query, added
from ias.db import Connection
from ias.identity import Principal

_ANYTHING: Final = Filter()
_FEW: Final = 5


class Question(msgspec.Struct, frozen=True):
    """Whose shares of what: of an organisation's usage, or with None of the platform's, of some of it or all.

    `timed` is whether it is asked how requests went, which takes longer than all else.
    """

    org_id: UUID | None
    span: Span
    owner: Owner
    sort: Sort = Sort.TOKENS
    only: Filter = _ANYTHING
    timed: bool = True

    @property
    def tells_performance(self) -> bool:
        """Whether it is known how requests went: that is counted by model, not by who called it."""
        return self.timed and self.owner is Owner.MODEL and self.only.user_id is None and self.only.key_id is None


_GROUPINGS = {Owner.MODEL: Grouping.MODEL, Owner.USER: Grouping.USER, Owner.KEY: Grouping.KEY}
_ORDERS = {
    Sort.TOKENS: "total_tokens DESC",
    Sort.CHANGE: "abs(total_tokens - previous_tokens) DESC",
    Sort.REQUESTS: "requests DESC",
    Sort.FAILED: "failed DESC",
}
COLUMNS: Final = (
    *SUMS,
    "share",
    "failed_share",
    "cached_share",
    "previous_requests",
    "previous_tokens",
    "change_tokens",
)
"""Of a table, after the owner."""

_WHOLE: Final = ", ".join(f"coalesce(sum({name}), 0)::bigint AS {name}" for name in COUNTED)
_EACH: Final = ", ".join(COUNTED)
_COMPARED = """
WITH groups AS (
    SELECT {owner} AS owner, {now}, coalesce(sum(requests) FILTER (WHERE NOT is_now), 0)::bigint AS previous_requests,
        coalesce(sum(prompt_tokens + completion_tokens) FILTER (WHERE NOT is_now), 0)::bigint AS previous_tokens
    FROM ({rows}) AS part GROUP BY 1
)
"""
_CHOSEN = """
, whole AS (SELECT NULL::{kind} AS owner, {whole} FROM groups)
(SELECT true AS is_whole, owner, {each} FROM whole)
UNION ALL (SELECT false, owner, {each} FROM groups ORDER BY {order}, owner LIMIT {limit})
"""
_ALL = """
SELECT owner, {each}, (SELECT coalesce(sum(total_tokens), 0)::bigint FROM groups) AS whole_tokens FROM groups
ORDER BY {order}, owner
"""
_COUNTS = """
SELECT model, number >> 32 AS code, sum(number & 4294967295)::bigint AS count
FROM ({rows}) AS part, unnest(part.counts) AS number GROUP BY 1, 2
"""


async def shares(principal: Principal, asked: Question, limit: int) -> Shares:
    """The first of them, and the others together.

    Raises:
        NotFound: it is not the caller's organisation.
        TooMuch: it takes too long.
    """
    scope = await scope_of(principal, asked.org_id)
    compared, query = _compared(asked)
    kind = "text" if asked.owner is Owner.MODEL else "uuid"
    numbers = {"limit": query.put(limit, "bigint"), "order": _ORDERS[asked.sort]}
    sql = compared + _CHOSEN.format(kind=kind, whole=_WHOLE, each=_EACH, **numbers)
    async with reading(scope) as connection:
        rows = await connection.fetch(sql, *query.arguments)
        counts = await _counts(connection, asked) if asked.tells_performance else None
        as_of = await fresh(connection)
    [whole] = [row for row in rows if row["is_whole"]]
    totals = part(_counted(whole), whole["total_tokens"])
    items = [_part(row, asked.owner, whole["total_tokens"]) for row in rows if not row["is_whole"]]
    if counts is not None:
        _tell_performance(totals, items, counts)
    there, span = ZoneInfo(asked.span.zone), _span(asked)
    before = previous(span)
    return Shares(
        start=span.start.astimezone(there),
        end=span.end.astimezone(there),
        previous_start=before.start.astimezone(there),
        previous_end=before.end.astimezone(there),
        timezone=asked.span.zone,
        sort=asked.sort,
        items=items,
        rest=rest_of(totals, items),
        totals=totals,
        data_as_of=as_of,
    )


async def this_month(
    principal: Principal, org_id: UUID | None, owner: Owner, moment: datetime, only: Filter = _ANYTHING
) -> Shares:
    """The first few of this month (UTC) so far, against the same part of the month before; `moment` is now.

    Raises:
        NotFound: it is not the caller's organisation.
        TooMuch: it takes too long.
    """
    asked = span_of(None, None, UTC_ZONE, moment)
    return await shares(principal, Question(org_id, asked, owner, only=only, timed=False), _FEW)


async def rows(principal: Principal, asked: Question) -> AsyncIterator[Sequence[object]]:
    """All of them as rows of a table: the owner, and `COLUMNS`.

    Raises:
        NotFound: it is not the caller's organisation.
        Unavailable: too many exports are under way.
    """
    scope = await scope_of(principal, asked.org_id)
    compared, query = _compared(asked)
    sql = compared + _ALL.format(each=_EACH, order=_ORDERS[asked.sort])
    async for row in exported(scope, sql, query.arguments):
        whole = row["whole_tokens"]
        made = _part(row, asked.owner, whole if isinstance(whole, int) else 0)
        yield [row["owner"], *(getattr(made, name) for name in COLUMNS)]


def _span(asked: Question) -> Span:
    return in_whole_days(asked.span) if asked.owner is Owner.ORGANISATION else asked.span


def _compared(asked: Question) -> tuple[str, Query]:
    """What is counted of each, now and before, as a common table expression `groups`."""
    query, span = Query(), _span(asked)
    parts = []
    for is_now, each in (("true", span), ("false", previous(span))):
        columns = f"{is_now} AS is_now, {asked.owner.value}, {STORED}"
        if asked.owner is Owner.ORGANISATION:
            parts.append(query.whole_days(each, columns))
        else:
            parts.append(query.rows(Asked(asked.org_id, each, asked.only), [_GROUPINGS[asked.owner]], None, columns))
    return _COMPARED.format(owner=asked.owner.value, now=added("is_now"), rows=" UNION ALL ".join(parts)), query


async def _counts(connection: Connection, asked: Question) -> dict[str, Counts]:
    """How requests went, by model."""
    query, span = Query(), in_whole_hours(asked.span)
    sql = _COUNTS.format(
        rows=query.rows(Asked(asked.org_id, span, asked.only), [Grouping.MODEL], None, "model, counts")
    )
    counts: dict[str, Counts] = {}
    for row in await connection.fetch(sql, *query.arguments):
        counts.setdefault(row["model"], Counts(int))[row["code"]] = row["count"]
    return counts


def _tell_performance(totals: Part, items: Sequence[Part], counts: Mapping[str, Counts]) -> None:
    totals.performance = performance(together(pair for each in counts.values() for pair in each.items()))
    for item in items:
        if isinstance(item.model, str):
            item.performance = performance(counts.get(item.model, Counts(int)))


def _counted(row: Mapping[str, object]) -> dict[str, object]:
    return {name: row[name] for name in COUNTED}


def _part(row: Mapping[str, object], owner: Owner, whole_tokens: int) -> Part:
    return part({**_counted(row), owner.value: row["owner"]}, whole_tokens)
