"""The JSON door of alerts."""

from typing import Annotated
from uuid import UUID

from litestar import Controller, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from ias.billing.alerts import actions, queries
from ias.billing.alerts.domain import Alert, BadThresholds, ThresholdsInForce
from ias.conditions import Changed
from ias.edge import Edge
from ias.identity import Permission, Principal, requires
from ias.paging import DEFAULT_LIMIT, Limit, Page
from ias.problems import raising

Month = Annotated[
    str | None, QueryParameter(pattern="^20[0-9]{2}(0[1-9]|1[0-2])$", description="A month, YYYYMM (UTC).")
]
"""The query parameter `period`."""


class AlertApi(Controller):
    """Alerts about the budgets of an organisation and of its members."""

    path = "/organizations/{org_id:uuid}"
    tags = ("organizations",)

    @get("/alerts", guards=[requires(Permission.BUDGETS_READ)])
    async def listed(
        self,
        principal: NamedDependency[Principal],
        org_id: FromPath[UUID],
        period: Month = None,
        cursor: FromQuery[str | None] = None,
        limit: Limit = DEFAULT_LIMIT,
    ) -> Page[Alert]:
        """Alerts, newest first, of one month, YYYYMM, or of all; members see the organisation's and their own."""
        return await queries.listed(principal, org_id, period, cursor, limit)

    @post("/alerts/{alert_id:uuid}/acknowledge", status_code=200, guards=[requires(Permission.BUDGETS_WRITE)])
    async def acknowledge(
        self, principal: NamedDependency[Principal], org_id: FromPath[UUID], alert_id: FromPath[UUID]
    ) -> Alert:
        """Say that you know of an alert; once is enough."""
        return await actions.acknowledge(principal, org_id, alert_id)

    @get("/alert-thresholds", guards=[requires(Permission.BUDGETS_READ)])
    async def thresholds(self, principal: NamedDependency[Principal], org_id: FromPath[UUID]) -> ThresholdsInForce:
        """At how many per cent of a budget alerts are raised."""
        return await queries.thresholds(principal, org_id)

    @put("/alert-thresholds", guards=[requires(Permission.BUDGETS_WRITE)], opt=raising(BadThresholds, Changed))
    async def put_thresholds(
        self,
        principal: NamedDependency[Principal],
        org_id: FromPath[UUID],
        data: JSONBody[ThresholdsInForce],
        edge: NamedDependency[Edge],
    ) -> ThresholdsInForce:
        """Change them; what is past a new one is told within seconds."""
        return await actions.put_thresholds(principal, org_id, data.lasting(), edge)
