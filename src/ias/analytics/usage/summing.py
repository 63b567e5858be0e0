"""The SQL that sums rollups up: which of them a question needs, and the parts of its span."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import msgspec
from msgspec import UNSET

from ias.analytics.usage.domain import OWNERS, SUMS, BadGrouping, Filter, Grouping, Groups
from ias.analytics.usage.spans import BadRange, Grain, Span, has_whole_hours, pieces
from ias.problems import FieldError

_ANYTHING: Final = Filter()
_STORED = [name for name in SUMS if name != "total_tokens"]
STORED: Final = ", ".join(_STORED)
"""The sums that rollups have."""

_PART = "SELECT {columns} FROM analytics.{table} WHERE {conditions} bucket >= {start} AND bucket < {end}"
_SUMS = "SELECT {columns} FROM ({rows}) AS part GROUP BY {groups} ORDER BY {groups}"


class Asked(msgspec.Struct, frozen=True):
    """What is summed up: an organisation's usage, or with None the platform's, in a span, of some of it or all."""

    org_id: UUID | None
    span: Span
    only: Filter = _ANYTHING


class Query:
    """SQL in the making, and its arguments."""

    def __init__(self) -> None:
        self.arguments: list[object] = []

    def put(self, value: object, kind: str) -> str:
        """What stands for an argument of this type."""
        self.arguments.append(value)
        return f"${len(self.arguments)}::{kind}"

    def rows(self, asked: Asked, owners: Sequence[Grouping], grain: Grain | None, columns: str) -> str:
        """A subquery: these columns of the rows of rollups that make up what is asked for."""
        tables = _tables(asked, owners)
        parts = [
            _PART.format(
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
        return _PART.format(columns=columns, table="model_daily", conditions="", start=start, end=end)

    def _conditions(self, asked: Asked) -> str:
        wanted = (
            ("org_id", asked.org_id, "uuid"),
            ("model", asked.only.model, "text"),
            ("user_id", asked.only.user_id, "uuid"),
            ("key_id", asked.only.key_id, "uuid"),
        )
        said = [f"{column} = {self.put(value, kind)}" for column, value, kind in wanted if value is not None]
        return "".join(f"{each} AND " for each in said)


def sums(asked: Asked, by: Groups) -> tuple[str, list[object]]:
    """The sums of each group, in the groups' order: a row has the groups' columns and `SUMS`."""
    query = Query()
    owners = [OWNERS[owner] for owner in by.owners]
    columns = ", ".join(["bucket", *owners, *_STORED])
    rows = query.rows(asked, by.owners, by.grain, columns)
    zone = query.put(asked.span.zone, "text") if by.grain is not None else ""
    start = [f"date_trunc('{by.grain}', bucket, {zone}) AS start"] if by.grain is not None else []
    order = ", ".join(str(number) for number in range(1, len(by.columns) + 1))
    sql = _SUMS.format(columns=", ".join([*start, *owners, added()]), rows=rows, groups=order)
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
    return ("usage_hourly", "usage_daily") if of_people or not whole else ("model_hourly", "model_daily")
