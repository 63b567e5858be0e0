"""The JSON door of budgets."""

from uuid import UUID

from litestar import Controller, get, patch, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from ias.billing.budgets import actions, queries
from ias.billing.budgets.domain import (
    BudgetChanges,
    BudgetStanding,
    DailyUse,
    MemberBudget,
    MemberStanding,
    OwnLimits,
)
from ias.billing.policies.domain import AboveCeiling
from ias.conditions import Changed
from ias.edge import Edge
from ias.identity import Permission, Principal, requires
from ias.problems import NotFound, raising


class OwnLimitsApi(Controller):
    """What applies to oneself."""

    path = "/me/limits"
    tags = ("auth",)

    @get(opt=raising(NotFound))
    async def read(self, principal: NamedDependency[Principal], edge: NamedDependency[Edge]) -> OwnLimits:
        """Every limit that applies to the caller, and what is used of the month's tokens."""
        return await queries.own_limits(principal, edge)


class BudgetApi(Controller):
    """Tokens a month of an organisation and of its members."""

    path = "/organizations/{org_id:uuid}"
    tags = ("organizations",)

    @get("/budget", guards=[requires(Permission.BUDGETS_READ)])
    async def read(
        self,
        principal: NamedDependency[Principal],
        org_id: FromPath[UUID],
        edge: NamedDependency[Edge],
        daily_use: NamedDependency[DailyUse],
    ) -> BudgetStanding:
        """The budget, how much of it is gone this month, and on which day it ends if that goes on."""
        return await queries.standing(principal, org_id, edge, daily_use)

    @patch("/budget", guards=[requires(Permission.BUDGETS_WRITE)], opt=raising(AboveCeiling, Changed))
    async def change(
        self,
        principal: NamedDependency[Principal],
        org_id: FromPath[UUID],
        data: JSONBody[BudgetChanges],
        edge: NamedDependency[Edge],
        daily_use: NamedDependency[DailyUse],
    ) -> BudgetStanding:
        """Change the budget; what is used stays used.

        The `monthly_tokens` that a system admin sends are also the most that the organisation may set.
        """
        await actions.change(principal, org_id, data, edge)
        return await queries.standing(principal, org_id, edge, daily_use)

    @get("/users/{user_id:uuid}/budget", guards=[requires(Permission.BUDGETS_READ)])
    async def read_member(
        self,
        principal: NamedDependency[Principal],
        org_id: FromPath[UUID],
        user_id: FromPath[UUID],
        edge: NamedDependency[Edge],
        daily_use: NamedDependency[DailyUse],
    ) -> MemberStanding:
        """A member's budget, their own or that of every member, and where it goes; members see their own only."""
        return await queries.member_standing(principal, (org_id, user_id), edge, daily_use)

    @put("/users/{user_id:uuid}/budget", guards=[requires(Permission.BUDGETS_WRITE)], opt=raising(Changed))
    async def change_member(
        self,
        principal: NamedDependency[Principal],
        org_id: FromPath[UUID],
        user_id: FromPath[UUID],
        data: JSONBody[MemberBudget],
        edge: NamedDependency[Edge],
    ) -> MemberBudget:
        """Give a member a budget of their own; null is none."""
        await actions.change_member(principal, (org_id, user_id), data, edge)
        return data
