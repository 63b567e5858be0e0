"""The HTML door of alerts: what was raised, and at which thresholds."""

import re
from typing import Final
from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from ias.billing.alerts import actions, queries
from ias.billing.alerts.domain import Thresholds
from ias.conditions import etag
from ias.console.visit import Visit
from ias.edge import Edge
from ias.identity import Permission, Principal, addresses, requires
from ias.paging import DEFAULT_LIMIT
from ias.problems import BadRequest, FieldError, Problem

_ALERTS: Final = "billing/alerts/alerts.html"
_MONTH: Final = re.compile(r"20\d\d-(0[1-9]|1[0-2])", re.ASCII)
_NUMBERS: Final = re.compile(r"[\s,;%]+")


class AlertPages(Controller):
    """Alerts about the budgets of the organisation of the page."""

    path = "/orgs/{org_id:uuid}/budget/alerts"
    include_in_schema = False
    guards = (requires(Permission.BUDGETS_READ),)

    @get(guards=[requires(Permission.BUDGETS_READ)])
    async def listed(
        self, visit: NamedDependency[Visit], principal: NamedDependency[Principal], org_id: FromPath[UUID]
    ) -> Response[bytes]:
        """The alerts, newest first, and the thresholds."""
        return await _alerts(visit, principal, org_id)

    @post(status_code=200, guards=[requires(Permission.BUDGETS_WRITE)])
    async def put_thresholds(
        self,
        visit: NamedDependency[Visit],
        principal: NamedDependency[Principal],
        org_id: FromPath[UUID],
        edge: NamedDependency[Edge],
    ) -> Response[bytes]:
        """Change at how many per cent alerts are raised."""
        form = visit.form
        try:
            sent = [part for part in _NUMBERS.split(form.text("thresholds")) if part]
            await actions.put_thresholds(principal, org_id, form.made(Thresholds, thresholds=sent), edge)
        except Problem as problem:
            return await _alerts(visit.refused(problem), principal, org_id)
        return visit.go(visit.path, "The thresholds are set; what is past a new one is told within seconds.")

    @post("/{alert_id:uuid}/acknowledge", status_code=200, guards=[requires(Permission.BUDGETS_WRITE)])
    async def acknowledge(
        self,
        visit: NamedDependency[Visit],
        principal: NamedDependency[Principal],
        org_id: FromPath[UUID],
        alert_id: FromPath[UUID],
    ) -> Response[bytes]:
        """Say that one knows."""
        await actions.acknowledge(principal, org_id, alert_id)
        return visit.go(f"/orgs/{org_id}/budget/alerts", "Noted: you know of it.")


async def _alerts(visit: Visit, principal: Principal, org_id: UUID) -> Response[bytes]:
    asked = visit.asked
    month, cursor = asked.text("month"), asked.text("cursor")
    if month and not _MONTH.fullmatch(month):
        said = "write a month, such as 2030-01"
        raise BadRequest(f"month: {said}", (FieldError("/month", said),))
    page = await queries.listed(principal, org_id, month.replace("-", "") or None, cursor or None, DEFAULT_LIMIT)
    thresholds = await queries.thresholds(principal, org_id)
    who = {user_id for alert in page.items for user_id in (alert.user_id, alert.acknowledged_by) if user_id}
    values = {
        "alerts": page.items,
        "older": page.next_cursor,
        "cursor": cursor,
        "month": month,
        "thresholds": thresholds,
        "etag": etag(thresholds),
        "whose": await addresses(principal, who),
    }
    return visit.show(_ALERTS, values)
