"""The HTML door of limits: how fast and how many at once, and which models."""

from typing import Final
from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from ias.billing.catalogue import actions as catalogue
from ias.billing.catalogue.domain import ModelAccess
from ias.billing.catalogue.queries import access, given, offered
from ias.billing.limits import actions, queries
from ias.billing.policies.domain import RateLimits
from ias.billing.spend.domain import SpendBy
from ias.billing.spend.queries import spend
from ias.conditions import etag
from ias.console.forms import Form
from ias.console.visit import Visit
from ias.edge import Edge
from ias.identity import Permission, Principal, requires
from ias.problems import Problem

_LIMITS: Final = "billing/limits/limits.html"
_MODELS: Final = "billing/limits/models.html"
_ENDLESS: Final = (
    *("requests_per_second", "tokens_per_minute", "concurrency", "max_output_tokens"),
    *("user_requests_per_second", "user_tokens_per_minute", "user_concurrency"),
)
"""Limits that there may be none of."""


class LimitPages(Controller):
    """How fast and how many at once, of the organisation of the page and of each member."""

    path = "/orgs/{org_id:uuid}/budget/limits"
    include_in_schema = False

    @get(guards=[requires(Permission.BUDGETS_READ)])
    async def read(
        self, visit: NamedDependency[Visit], principal: NamedDependency[Principal], org_id: FromPath[UUID]
    ) -> Response[bytes]:
        """The limits in force."""
        return await _limits(visit, principal, org_id)

    @post(status_code=200, guards=[requires(Permission.BUDGETS_READ), requires(Permission.BUDGETS_WRITE)])
    async def put(
        self,
        visit: NamedDependency[Visit],
        principal: NamedDependency[Principal],
        org_id: FromPath[UUID],
        edge: NamedDependency[Edge],
    ) -> Response[bytes]:
        """Replace the limits; an empty one is none."""
        form = visit.form
        try:
            asked = form.made(RateLimits, **{name: None for name in _ENDLESS if not form.text(name)})
            await actions.put(principal, org_id, asked, edge)
        except Problem as problem:
            return await _limits(visit.refused(problem), principal, org_id)
        return visit.go(visit.path, "The limits are set; gateways go by them now.")


class AccessPages(Controller):
    """Which models the organisation of the page may call."""

    path = "/orgs/{org_id:uuid}/budget/models"
    include_in_schema = False
    guards = (requires(Permission.MODELS_READ), requires(Permission.USAGE_READ))

    @get(guards=[requires(Permission.BUDGETS_READ)])
    async def read(
        self, visit: NamedDependency[Visit], principal: NamedDependency[Principal], org_id: FromPath[UUID]
    ) -> Response[bytes]:
        """The models, and what is used of each."""
        return await _models(visit, principal, org_id)

    @post(status_code=200, guards=[requires(Permission.BUDGETS_WRITE)])
    async def allow(
        self,
        visit: NamedDependency[Visit],
        principal: NamedDependency[Principal],
        org_id: FromPath[UUID],
        edge: NamedDependency[Edge],
    ) -> Response[bytes]:
        """Say which models may be called."""
        try:
            await catalogue.allow(principal, org_id, _asked(visit.form), edge)
        except Problem as problem:
            return await _models(visit.refused(problem), principal, org_id)
        return visit.go(visit.path, "The models are set; gateways go by them now.")


async def _limits(visit: Visit, principal: Principal, org_id: UUID) -> Response[bytes]:
    limits = await queries.one(principal, org_id)
    values = {"limits": limits, "etag": etag(limits), "given": await queries.given(principal, org_id)}
    return visit.show(_LIMITS, values)


async def _models(visit: Visit, principal: Principal, org_id: UUID) -> Response[bytes]:
    allowed = await access(principal, org_id)
    used = await spend(principal, org_id, None, SpendBy.MODEL)
    sent = visit.form.problem is not None
    values = {
        "allowed": allowed,
        "etag": etag(allowed),
        "offered": await offered(principal, org_id),
        "given": await given(principal, org_id),
        "used": {item.model: item for item in used.items},
        "chosen": visit.form.every("models") if sent else allowed.models or [],
        "every": visit.form.has("every", "yes") if sent else allowed.models is None,
    }
    return visit.show(_MODELS, values)


def _asked(form: Form) -> ModelAccess:
    return ModelAccess(None if form.has("every", "yes") else form.every("models"))
