"""The SQL that sums rollups up: which of them a question needs, and the parts of its span."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import msgspec
from msgspec import UNSET

from ias.analytics.usage.domain import OWNERS, SUMS, BadGrouping, Filter, Grouping, Groups
from ias.analytics.usage.spans import BadRange, Grain, Span, cuts, has_whole_hours, pieces
from ias.problems import FieldError

_ANYTHING: Final = Filter()
_STORED = [name for name in SUMS if name != "total_tokens"]
STORED: Final = ", ".join(_STORED)
"""The sums that rollups have."""

# A day's sums stand for its noon, which is in the day and month of a time zone in which most of the day is.
_PART = """
SELECT {bucket} AS bucket, {columns} FROM analytics.{table} WHERE {conditions} bucket >= {start} AND bucket < {end}
"""
_NOON = "bucket + INTERVAL '12 hours'"
# What of a day is in another day or month there is taken from where its noon is, and given to where it is itself. Each
# cut is looked up by itself (`OFFSET 0`): the planner would rather read all of the organisation's rows once.
_MOVED = """
SELECT CASE WHEN sign > 0 THEN first ELSE noon END AS bucket, {columns}
FROM unnest({starts}, {ends}, {noons}) AS cut (first, past, noon)
CROSS JOIN LATERAL (
    SELECT {owners} {added} FROM (
        SELECT * FROM analytics.{table} WHERE {conditions} bucket >= cut.first AND bucket < cut.past OFFSET 0
    ) AS fine {grouped}
) AS moved CROSS JOIN (VALUES (1), (-1)) AS signs (sign)
"""
_TIMED = """
SELECT date_trunc('{grain}', bucket, {zone}) AS start, {owner} AS owner,
    sum(prompt_tokens + completion_tokens)::bigint AS tokens
FROM ({rows}) AS part GROUP BY 1, 2 HAVING sum(prompt_tokens + completion_tokens) <> 0
"""
_TOKENS: Final = ("prompt_tokens", "completion_tokens")
_SUMS = "SELECT {columns} FROM ({rows}) AS part GROUP BY {groups} HAVING {some} ORDER BY {groups}"


class Asked(msgspec.Struct, frozen=True):
    """What is summed up: an organisation's usage, or with None the platform's, in a span, of some of it or all."""

    org_id: UUID | None
    span: Span
    only: Filter = _ANYTHING


class Query:
    """SQL in the making, its arguments, and a condition more of what is read from now on, with its AND."""

    def __init__(self) -> None:
        self.arguments: list[object] = []
        self.also = ""

    def put(self, value: object, kind: str) -> str:
        """What stands for an argument of this type."""
        self.arguments.append(value)
        return f"${len(self.arguments)}::{kind}"

    def rows(self, asked: Asked, owners: Sequence[Grouping], grain: Grain | None, columns: str) -> str:
        """A subquery: these columns of the rows of rollups that make up what is asked for."""
        tables = _tables(asked, owners)
        parts = [
            _PART.format(
                bucket=_NOON if piece.daily else "bucket",
                columns=columns,
                table=tables[piece.daily],
                conditions=self._conditions(asked),
                start=self.put(piece.start, "timestamptz"),
                end=self.put(piece.end, "timestamptz"),
            )
            for piece in pieces(asked.span, grain)
        ]
        return " UNION ALL ".join(parts)

    def whole_days(self, asked: Span, columns: str) -> str:
        """The same of all organisations together, for a span of whole days (UTC)."""
        start, end = self.put(asked.start, "timestamptz"), self.put(asked.end, "timestamptz")
        places = {"bucket": "bucket", "table": "org_daily", "conditions": ""}
        return _PART.format(columns=columns, start=start, end=end, **places)

    def moved(self, asked: Asked, by: Groups, names: Sequence[str] = _STORED) -> str:
        """More such rows, of owners and these sums: what of whole days (UTC) is moved into the day or month there."""
        found = cuts(asked.span, by.grain)
        if not found:
            return ""
        owners = [OWNERS[owner] for owner in by.owners]
        starts, ends, noons = (
            self.put([getattr(cut, name) for cut in found], "timestamptz[]") for name in ("start", "end", "noon")
        )
        return " UNION ALL " + _MOVED.format(
            columns=", ".join([*owners, *(f"sign * {name}" for name in names)]),
            owners="".join(f"{owner}, " for owner in owners),
            grouped=f"GROUP BY {', '.join(owners)}" if owners else "",
            added=", ".join(f"sum({name})::bigint AS {name}" for name in names),
            table=_tables(asked, by.owners)[False],
            conditions=self._conditions(asked),
            starts=starts,
            ends=ends,
            noons=noons,
        )

    def _conditions(self, asked: Asked) -> str:
        wanted = (
            ("org_id", asked.org_id, "uuid"),
            ("model", asked.only.model, "text"),
            ("user_id", asked.only.user_id, "uuid"),
            ("key_id", asked.only.key_id, "uuid"),
        )
        said = [f"{column} = {self.put(value, kind)}" for column, value, kind in wanted if value is not None]
        return "".join(f"{each} AND " for each in said) + self.also


def sums(asked: Asked, by: Groups) -> tuple[str, list[object]]:
    """The sums of each group, in the groups' order: a row has the groups' columns and `SUMS`."""
    query = Query()
    owners = [OWNERS[owner] for owner in by.owners]
    columns = ", ".join([*owners, *_STORED])
    rows = query.rows(asked, by.owners, by.grain, columns) + query.moved(asked, by)
    zone = query.put(asked.span.zone, "text") if by.grain is not None else ""
    start = [f"date_trunc('{by.grain}', bucket, {zone}) AS start"] if by.grain is not None else []
    order = ", ".join(str(number) for number in range(1, len(by.columns) + 1))
    # All of a group may have been moved elsewhere.
    some = " OR ".join(f"sum({name}) <> 0" for name in _STORED)
    sql = _SUMS.format(columns=", ".join([*start, *owners, added()]), rows=rows, groups=order, some=some)
    return sql, query.arguments


def over_time(asked: Asked, grain: Grain, owner: Grouping, kept: Sequence[object]) -> tuple[str, list[object]]:
    """Tokens over time: `start`, `owner`, `tokens`; of those that are `kept`, and of all together as NULL's.

    Of all is read from where owners are not told apart: those that are kept have few rows, and the others many.
    """
    query, column = Query(), OWNERS[owner]
    zone = query.put(asked.span.zone, "text")
    whole = query.rows(asked, (), grain, ", ".join(_TOKENS)) + query.moved(asked, Groups((), grain), _TOKENS)
    query.also = f"{column} = ANY({query.put(list(kept), 'text[]' if owner is Grouping.MODEL else 'uuid[]')}) AND "
    rows = query.rows(asked, (owner,), grain, ", ".join((column, *_TOKENS)))
    rows += query.moved(asked, Groups((owner,), grain), _TOKENS)
    parts = ((f"{column}::text", rows), ("NULL", whole))
    sql = " UNION ALL ".join(_TIMED.format(grain=grain, zone=zone, owner=of, rows=each) for of, each in parts)
    return sql, query.arguments


def added(where: str = "", prefix: str = "") -> str:
    """The sums of a group, of all its rows or of some."""
    some = f" FILTER (WHERE {where})" if where else ""
    each = [f"coalesce(sum({name}){some}, 0)::bigint AS {prefix}{name}" for name in _STORED]
    whole = f"coalesce(sum(prompt_tokens + completion_tokens){some}, 0)::bigint AS {prefix}total_tokens"
    return ", ".join([*each, whole])


def _tables(asked: Asked, owners: Sequence[Grouping]) -> tuple[str, str]:
    """The rollups by parts of a day and by the day that know as much as must be known, and no more."""
    whole = has_whole_hours(asked.span)
    of_people = {*owners} - {Grouping.MODEL} or asked.only.user_id or asked.only.key_id
    if asked.org_id is None:
        if of_people:
            said = "the platform's usage is summed by model; ask an organisation's for its users and keys"
            raise BadGrouping(f"group_by: {said}", (FieldError(UNSET, said, parameter="group_by"),))
        if not whole:
            said = (
                "the platform's usage is summed by whole hours of UTC: choose a time zone that is whole hours from it"
            )
            raise BadRange(f"timezone: {said}", (FieldError(UNSET, said, parameter="timezone"),))
        return "platform_hourly", "platform_daily"
    if of_people:
        return "usage_hourly", "usage_daily"
    of_models = owners or asked.only.model is not None
    return "model_hourly" if whole else "model_quarters", "model_daily" if of_models else "org_daily"
