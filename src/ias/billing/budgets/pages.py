"""The HTML door of budgets: of an organisation, of each member, and of one."""

from typing import Final
from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath

from ias.billing.budgets import actions, queries
from ias.billing.budgets.domain import BudgetChanges, BudgetStanding, DailyUse, MemberBudget, month_of, stopped
from ias.billing.spend.domain import SpendBy
from ias.billing.spend.queries import spend
from ias.conditions import etag
from ias.console.forms import Form
from ias.console.visit import Visit
from ias.edge import Edge
from ias.identity import Permission, Principal, addresses, removed_users, requires
from ias.problems import Problem
from ias.telemetry import now

_BUDGET: Final = "billing/budgets/budget.html"
_SURE: Final = "billing/budgets/sure.html"
_MEMBER: Final = "billing/budgets/member.html"
_AMOUNTS: Final = ("monthly_tokens", "user_monthly_tokens")

Facts = dict[str, object]
"""What a template is told."""


async def provide_facts(
    principal: NamedDependency[Principal],
    org_id: FromPath[UUID],
    edge: NamedDependency[Edge],
    daily_use: NamedDependency[DailyUse],
) -> Facts:
    """The dependency `facts`: what is used of the organisation's budget, and of one's own."""
    standing = await queries.standing(principal, org_id, edge, daily_use)
    writes = principal.may(Permission.BUDGETS_WRITE)
    whose = await addresses(principal, list(standing.users)) if writes else {}
    own = principal.may(Permission.KEYS_CREATE)
    return {
        "standing": standing,
        "etag": etag(standing),
        "given": await queries.given(principal, org_id),
        "resets": month_of(now())[1],
        "mine": await queries.member_standing(principal, (org_id, principal.user_id), edge, daily_use) if own else None,
        "own": {user_id: whose[user_id] for user_id in standing.users if user_id in whose},
    }


class BudgetPages(Controller):
    """Tokens a month of the organisation of the page."""

    path = "/orgs/{org_id:uuid}/budget"
    include_in_schema = False
    dependencies = {"facts": Provide(provide_facts)}  # noqa: RUF012 - Litestar's own form

    @get(guards=[requires(Permission.BUDGETS_READ)])
    async def read(self, visit: NamedDependency[Visit], facts: NamedDependency[Facts]) -> Response[bytes]:
        """How much of the budget is gone, when it ends, and what that rests on."""
        return visit.show(_BUDGET, facts)

    @post(
        status_code=200,
        guards=[requires(Permission.BUDGETS_READ), requires(Permission.BUDGETS_WRITE), requires(Permission.USAGE_READ)],
    )
    async def change(
        self,
        visit: NamedDependency[Visit],
        principal: NamedDependency[Principal],
        org_id: FromPath[UUID],
        edge: NamedDependency[Edge],
        daily_use: NamedDependency[DailyUse],
    ) -> Response[bytes]:
        """Change the budget; where that stops somebody at once, only after they were named."""
        try:
            standing = await queries.standing(principal, org_id, edge, daily_use)
            asked = _changes(visit.form, standing)
            sure = visit.form.has("sure", "yes")
            if not sure and (stops := stopped(standing, await _used(principal, org_id), asked)):
                whose = await addresses(principal, stops.members)
                return visit.show(_SURE, {"standing": standing, "asked": asked, "stops": stops, "whose": whose})
            await actions.change(principal, org_id, asked, edge)
        except Problem as problem:
            facts = await provide_facts(principal, org_id, edge, daily_use)
            return visit.refused(problem).show(_BUDGET, facts)
        return visit.go(visit.path, "The budget is set; gateways go by it now.")


class MemberBudgetPages(Controller):
    """Tokens a month of one member."""

    path = "/orgs/{org_id:uuid}/members/{user_id:uuid}/budget"
    include_in_schema = False

    @get(guards=[requires(Permission.BUDGETS_READ), requires(Permission.BUDGETS_WRITE)])
    async def read(
        self,
        visit: NamedDependency[Visit],
        principal: NamedDependency[Principal],
        user_id: FromPath[UUID],
        edge: NamedDependency[Edge],
        daily_use: NamedDependency[DailyUse],
    ) -> Response[bytes]:
        """How much of it is gone, and the form to change it."""
        return await _member(visit, (principal, user_id), edge, daily_use)

    @post(status_code=200, guards=[requires(Permission.BUDGETS_READ), requires(Permission.BUDGETS_WRITE)])
    async def change(
        self,
        visit: NamedDependency[Visit],
        principal: NamedDependency[Principal],
        user_id: FromPath[UUID],
        edge: NamedDependency[Edge],
        daily_use: NamedDependency[DailyUse],
    ) -> Response[bytes]:
        """Give the member a budget of their own."""
        form = visit.form
        try:
            asked = form.made(MemberBudget) if form.text("monthly_tokens") else MemberBudget(monthly_tokens=None)
            await actions.change_member(principal, (_org(principal), user_id), asked, edge)
        except Problem as problem:
            return await _member(visit.refused(problem), (principal, user_id), edge, daily_use)
        return visit.go(visit.path.removesuffix("/budget"), "Their budget is set; gateways go by it now.")


async def _member(visit: Visit, whom: tuple[Principal, UUID], edge: Edge, daily_use: DailyUse) -> Response[bytes]:
    principal, user_id = whom
    standing = await queries.member_standing(principal, (_org(principal), user_id), edge, daily_use)
    whose = await addresses(principal, [user_id])
    values = {
        "standing": standing,
        "etag": etag(standing),
        "whose": whose[user_id],
        "user_id": user_id,
        "resets": month_of(now())[1],
    }
    return visit.show(_MEMBER, values)


async def _used(principal: Principal, org_id: UUID) -> dict[UUID, int]:
    """The tokens of each member this month."""
    items = (await spend(principal, org_id, None, SpendBy.USER)).items
    used = {item.user_id: item.total_tokens for item in items if isinstance(item.user_id, UUID)}
    gone = await removed_users(used)
    return {user_id: tokens for user_id, tokens in used.items() if user_id not in gone}


def _org(principal: Principal) -> UUID:
    """The organisation of the page, in which the principal acts."""
    if principal.org_id is None:
        raise LookupError("a page of an organisation has one")
    return principal.org_id


def _changes(form: Form, standing: BudgetStanding) -> BudgetChanges:
    """What the form asks for that is not so already, as what is asked for is given; an empty amount is none."""
    asked = form.made(BudgetChanges, **{name: None for name in _AMOUNTS if not form.text(name)})
    changed = {name: getattr(asked, name) for name in _AMOUNTS if getattr(asked, name) != getattr(standing, name)}
    return BudgetChanges(**changed)
