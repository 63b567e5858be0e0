"""The JSON door of usage."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar import Controller, get
from litestar.params import FromPath, FromQuery, QueryParameter

from ias.analytics.usage import queries
from ias.analytics.usage.domain import Grouping, span
from ias.analytics.usage.queries import Filter, Usage
from ias.identity import Permission, Principal, requires
from ias.telemetry import now


class UsageApi(Controller):
    """What an organisation has used."""

    path = "/analytics/orgs/{org_id:uuid}"
    tags = ("analytics",)

    @get("/usage", guards=[requires(Permission.USAGE_READ)])
    async def usage(
        self,
        principal: Principal,
        org_id: FromPath[UUID],
        start: Annotated[datetime | None, QueryParameter(query="from")] = None,
        end: Annotated[datetime | None, QueryParameter(query="to")] = None,
        group_by: FromQuery[Grouping] = Grouping.DAY,
        model: FromQuery[str | None] = None,
        user_id: FromQuery[UUID | None] = None,
        key_id: FromQuery[UUID | None] = None,
    ) -> Usage:
        """Usage from `from` to before `to`, in whole hours (UTC); this month so far where nothing is said."""
        return await queries.usage(principal, org_id, span(start, end, now()), group_by, Filter(model, user_id, key_id))
