"""The JSON door of usage."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar import Controller, get
from litestar.di import Provide
from litestar.params import FromPath, FromQuery, QueryParameter

from ias.analytics.usage import queries
from ias.analytics.usage.domain import Filter, Grouping, Span, Usage, span
from ias.identity import Permission, Principal, requires
from ias.telemetry import now

From = Annotated[
    datetime | None, QueryParameter(name="from", description="First hour (UTC); the month's where left out.")
]
To = Annotated[datetime | None, QueryParameter(name="to", description="Before this hour (UTC); now where left out.")]


def provide_span(from_: From = None, to: To = None) -> Span:
    """The dependency `asked`: the span of time."""
    return span(from_, to, now())


def provide_filter(
    model: FromQuery[str | None] = None, user_id: FromQuery[UUID | None] = None, key_id: FromQuery[UUID | None] = None
) -> Filter:
    """The dependency `only`: one model, user or key."""
    return Filter(model, user_id, key_id)


ASKED = {
    "asked": Provide(provide_span, sync_to_thread=False),
    "only": Provide(provide_filter, sync_to_thread=False),
}


class UsageApi(Controller):
    """What an organisation has used."""

    path = "/analytics/orgs/{org_id:uuid}"
    tags = ("analytics",)

    @get("/usage", guards=[requires(Permission.USAGE_READ)], dependencies=ASKED)
    async def usage(
        self,
        principal: Principal,
        org_id: FromPath[UUID],
        asked: Span,
        only: Filter,
        group_by: FromQuery[Grouping] = Grouping.DAY,
    ) -> Usage:
        """Usage from `from` to before `to`, in whole hours (UTC); this month so far where nothing is said."""
        return await queries.usage(principal, org_id, asked, group_by, only)
