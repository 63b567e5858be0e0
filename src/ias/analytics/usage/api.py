"""The JSON and CSV door of usage."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar import Controller, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import Stream

from ias.analytics.reading import TooMuch
from ias.analytics.usage import queries
from ias.analytics.usage.domain import SUMS, BadGrouping, Filter, Grouping, Groups, Usage, groups
from ias.analytics.usage.spans import UTC_ZONE, BadRange, Span, UnknownZone, span
from ias.analytics.usage.summing import Asked
from ias.identity import Permission, Principal, requires
from ias.problems import raising
from ias.sheet import provide_as_csv, sheet
from ias.telemetry import now

From = Annotated[
    datetime | None,
    QueryParameter(
        name="from", description="First hour, of the time zone if it has no offset; the month's if left out."
    ),
]
To = Annotated[
    datetime | None,
    QueryParameter(
        name="to", description="Before this hour, of the time zone where it has no offset; now where left out."
    ),
]
Zone = Annotated[str, QueryParameter(description="IANA time zone in which days begin, and times are answered.")]
GroupBy = Annotated[
    list[Grouping] | None,
    QueryParameter(
        name="group_by",
        description="What the items are of, day where left out: one of hour, day and month, up to two of the others.",
    ),
]


def provide_span(from_: From = None, to: To = None, timezone: Zone = UTC_ZONE) -> Span:
    """The dependency `within`: the span of time."""
    return span(from_, to, timezone, now())


def provide_filter(
    model: FromQuery[str | None] = None, user_id: FromQuery[UUID | None] = None, key_id: FromQuery[UUID | None] = None
) -> Filter:
    """The dependency `only`: one model, user or key."""
    return Filter(model, user_id, key_id)


def provide_asked(org_id: FromPath[UUID], within: NamedDependency[Span], only: NamedDependency[Filter]) -> Asked:
    """The dependency `asked` of an organisation's usage."""
    return Asked(org_id, within, only)


def provide_groups(within: NamedDependency[Span], group_by: GroupBy = None) -> Groups:
    """The dependency `by`: what is grouped by."""
    return groups(group_by or [Grouping.DAY], within)


WITHIN = {
    "within": Provide(provide_span, sync_to_thread=False),
    "as_csv": Provide(provide_as_csv, sync_to_thread=False),
}


class UsageApi(Controller):
    """What was used."""

    path = "/analytics"
    tags = ("analytics",)
    dependencies = {**WITHIN, "by": Provide(provide_groups, sync_to_thread=False)}  # noqa: RUF012 - Litestar's own form

    @get(
        "/orgs/{org_id:uuid}/usage",
        guards=[requires(Permission.USAGE_READ)],
        opt=raising(BadGrouping, BadRange, UnknownZone, TooMuch),
        dependencies={
            "only": Provide(provide_filter, sync_to_thread=False),
            "asked": Provide(provide_asked, sync_to_thread=False),
        },
    )
    async def usage(
        self,
        principal: NamedDependency[Principal],
        asked: NamedDependency[Asked],
        by: NamedDependency[Groups],
        as_csv: NamedDependency[bool],
    ) -> Usage | Stream:
        """Usage of an organisation from `from` to before `to`, in whole hours; this month so far if nothing is said."""
        return await _answer(principal, asked, by, as_csv=as_csv)

    @get(
        "/system/usage",
        guards=[requires(Permission.USAGE_PLATFORM)],
        opt=raising(BadGrouping, BadRange, UnknownZone, TooMuch),
    )
    async def platform(
        self,
        principal: NamedDependency[Principal],
        within: NamedDependency[Span],
        by: NamedDependency[Groups],
        as_csv: NamedDependency[bool],
    ) -> Usage | Stream:
        """Usage of the whole platform, by model and time."""
        return await _answer(principal, Asked(None, within), by, as_csv=as_csv)


async def _answer(principal: Principal, asked: Asked, by: Groups, *, as_csv: bool) -> Usage | Stream:
    if as_csv:
        return await sheet("usage", (*by.columns, *SUMS), queries.usage_rows(principal, asked, by))
    return await queries.usage(principal, asked, by)
