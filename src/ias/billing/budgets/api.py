"""The JSON door of budgets."""

from uuid import UUID

from litestar import Controller, get, patch, put
from litestar.params import FromPath, JSONBody

from ias.billing.budgets import actions, queries
from ias.billing.budgets.actions import BudgetChanges, MemberBudget
from ias.billing.budgets.queries import BudgetStanding
from ias.edge import Edge
from ias.identity import Permission, Principal, requires


class BudgetApi(Controller):
    """Tokens a month of an organisation and of its members."""

    path = "/organizations/{org_id:uuid}"
    tags = ("organizations",)

    @get("/budget", guards=[requires(Permission.BUDGETS_READ)])
    async def read(self, principal: Principal, org_id: FromPath[UUID], edge: Edge) -> BudgetStanding:
        """The budget, and how much of it is gone this month."""
        return await queries.standing(principal, org_id, edge)

    @patch("/budget", guards=[requires(Permission.BUDGETS_WRITE)])
    async def change(
        self, principal: Principal, org_id: FromPath[UUID], data: JSONBody[BudgetChanges], edge: Edge
    ) -> BudgetStanding:
        """Change the budget; what is used stays used."""
        await actions.change(principal, org_id, data, edge)
        return await queries.standing(principal, org_id, edge)

    @put("/users/{user_id:uuid}/budget", guards=[requires(Permission.BUDGETS_WRITE)])
    async def change_member(
        self,
        principal: Principal,
        org_id: FromPath[UUID],
        user_id: FromPath[UUID],
        data: JSONBody[MemberBudget],
        edge: Edge,
    ) -> MemberBudget:
        """Give a member a budget of their own; null is none."""
        await actions.change_member(principal, (org_id, user_id), data, edge)
        return data
