"""Changing budgets. What is used of a month is not touched by it; gateways go by it when these return."""

from collections.abc import Mapping
from uuid import UUID

import msgspec
from msgspec import UNSET
from piccolo.columns import Column

from ias.billing.budgets.domain import BudgetChanges, MemberBudget, terms_of_member
from ias.billing.policies.domain import AboveCeiling, Budget, within
from ias.billing.policies.projection import project_policy
from ias.billing.policies.queries import budget_ceiling, budget_of, hold, member_budgets
from ias.billing.tables import Budgets, UserBudgets
from ias.db import Connection, transaction
from ias.edge import Edge
from ias.identity import Principal, is_member, owe, paid, record, record_all, tenant
from ias.problems import FieldError, NotFound
from ias.telemetry import now

_PUT_MEMBERS = """
INSERT INTO billing.user_budgets (org_id, user_id, monthly_tokens)
SELECT $1, * FROM unnest($2::uuid[], $3::bigint[])
ON CONFLICT (org_id, user_id) DO UPDATE SET monthly_tokens = excluded.monthly_tokens, updated_at = now()
"""
_AMOUNTS = {"monthly_tokens": Budgets.monthly_tokens, "user_monthly_tokens": Budgets.user_monthly_tokens}


async def change(principal: Principal, org_id: UUID, changes: BudgetChanges, edge: Edge) -> Budget:
    """Change an organisation's budget.

    Raises:
        NotFound: it is not the caller's organisation.
        AboveCeiling: it is more than the platform gave, and the caller acts for the organisation only.
        EdgeDown: the change holds, but Redis does not know of it yet; the worker keeps trying.
    """
    by, org = principal.within(org_id), await tenant(org_id, removed_too=False)
    if org is None:
        raise NotFound("no such organisation")
    async with transaction(by) as connection:
        await hold(connection, org_id)
        budget = await write_budget(by, org_id, changes)
        debt = await owe(org_id)
    await project_policy(org, edge)
    await paid(debt)
    return budget


async def write_budget(by: Principal, org_id: UUID, changes: BudgetChanges) -> Budget:
    """Change an organisation's budget inside a transaction that holds its policy; raises as `change`."""
    asked = {name: value for name, value in msgspec.structs.asdict(changes).items() if value is not UNSET}
    before = await budget_of(org_id)
    by.expects(before)
    ceiling = await _ceiling(by, org_id, changes)
    budget = msgspec.structs.replace(before, **asked)
    row = Budgets(
        org_id=org_id,
        monthly_tokens=budget.monthly_tokens,
        user_monthly_tokens=budget.user_monthly_tokens,
        ceiling_tokens=ceiling,
        updated_at=now(),
    )
    await Budgets.insert(row).on_conflict(
        target=Budgets.org_id,
        action="DO UPDATE",
        values=[*(_AMOUNTS[name] for name in asked), Budgets.updated_at, *_given(by)],
    )
    was = {name: value for name, value in msgspec.structs.asdict(before).items() if name in asked}
    await record(by, "budget.changed", org_id, was, asked)
    return budget


async def change_member(principal: Principal, member: tuple[UUID, UUID], budget: MemberBudget, edge: Edge) -> None:
    """Give a member, that is an organisation's id and a user's, a budget of their own.

    Raises:
        NotFound: it is not the caller's organisation, or the user is not of it.
        Changed: their budget is not what the caller believes it to be.
        EdgeDown: the change holds, but Redis does not know of it yet; the worker keeps trying.
    """
    org_id, user_id = member
    by, org = principal.within(org_id), await tenant(org_id, removed_too=False)
    if org is None or not await is_member(org_id, user_id):
        raise NotFound("no such member")
    async with transaction(by) as connection:
        await hold(connection, org_id)
        users = await member_budgets(org_id)
        by.expects(terms_of_member(await budget_of(org_id), users, user_id))
        await write_member_budgets(connection, by, org_id, {user_id: (users.get(user_id), budget.monthly_tokens)})
        debt = await owe(org_id)
    await project_policy(org, edge)
    await paid(debt)


async def write_member_budgets(
    connection: Connection, by: Principal, org_id: UUID, changes: Mapping[UUID, tuple[int | None, int | None]]
) -> None:
    """Give members, each with the budget before and after, budgets of their own, inside such a transaction."""
    await connection.execute(_PUT_MEMBERS, org_id, list(changes), [after for _, after in changes.values()])
    entries = [
        (user_id, {"monthly_tokens": before}, {"monthly_tokens": after}) for user_id, (before, after) in changes.items()
    ]
    await record_all(by, "user_budget.changed", entries)


async def take_back(by: Principal, member: tuple[UUID, UUID], before: int | None) -> None:
    """Let the organisation's rule hold for a member again, inside such a transaction."""
    org_id, user_id = member
    await UserBudgets.delete().where((UserBudgets.org_id == org_id) & (UserBudgets.user_id == user_id))
    await record(by, "user_budget.removed", user_id, before={"monthly_tokens": before})


def _given(by: Principal) -> list[Column]:
    """Only the platform writes a ceiling that is there already."""
    return [Budgets.ceiling_tokens] if by.everywhere else []


async def _ceiling(by: Principal, org_id: UUID, changes: BudgetChanges) -> int | None:
    """The ceiling from now on: what the platform gives is one, and what an organisation gives itself stays below it."""
    ceiling = await budget_ceiling(org_id)
    if changes.monthly_tokens is UNSET:
        return ceiling
    if by.everywhere:
        return changes.monthly_tokens
    if not within(ceiling, changes.monthly_tokens):
        said = f"the platform gave {ceiling}; ask a system admin for more"
        raise AboveCeiling(f"monthly_tokens: {said}", (FieldError("/monthly_tokens", said),))
    return ceiling
