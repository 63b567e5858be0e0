"""Carrying out the steps of a plan, inside a transaction, by the faces of identity and billing."""

from collections.abc import Sequence
from uuid import UUID

from msgspec import UNSET

from ias.billing import (
    BudgetChanges,
    ModelAccess,
    take_back,
    write_access,
    write_budget,
    write_limits,
    write_member_budgets,
    write_thresholds,
)
from ias.db import Connection
from ias.gitops.plans.domain import (
    Describe,
    Dismiss,
    Expect,
    Regrade,
    SetBudget,
    SetLimits,
    SetMemberBudget,
    SetModels,
    SetThresholds,
    Step,
)
from ias.identity import describe, dismiss, expect_person, hold_people, regrade
from ias.identity.values import Principal


async def carry_out(connection: Connection, by: Principal, org_id: UUID, steps: Sequence[Step]) -> None:
    """Do them in their order.

    Raises:
        Problem: one cannot be done; then none is.
    """
    if any(isinstance(step, Expect | Dismiss | Regrade) for step in steps):
        known = [step.person.id for step in steps if isinstance(step, Dismiss | Regrade)]
        await hold_people(connection, org_id, known)
    own: dict[UUID, tuple[int | None, int | None]] = {}
    for step in steps:
        if isinstance(step, Expect | Dismiss | Regrade | Describe):
            await _person(connection, by, step)
        elif isinstance(step, SetMemberBudget):
            own |= {step.user_id: (step.before, step.tokens)} if step.own else {}
            if not step.own:
                await take_back(by, (org_id, step.user_id), step.before)
        else:
            await _term(connection, by, org_id, step)
    if own:
        await write_member_budgets(connection, by, org_id, own)


async def _person(connection: Connection, by: Principal, step: Expect | Dismiss | Regrade | Describe) -> None:
    match step:
        case Expect():
            await expect_person(connection, by, step.email, step.role)
        case Dismiss():
            await dismiss(connection, by, step.person)
        case Regrade():
            await regrade(connection, by, step.person, step.role)
        case Describe():
            await describe(connection, by, step.before, step.about)


async def _term(
    connection: Connection,
    by: Principal,
    org_id: UUID,
    step: SetBudget | SetLimits | SetModels | SetThresholds,
) -> None:
    match step:
        case SetBudget():
            whole = step.name == "monthly_tokens"
            changes = BudgetChanges(
                monthly_tokens=step.tokens if whole else UNSET, user_monthly_tokens=UNSET if whole else step.tokens
            )
            await write_budget(by, org_id, changes)
        case SetLimits():
            await write_limits(by, org_id, step.limits)
        case SetModels():
            await write_access(by, org_id, ModelAccess(None if step.models is None else list(step.models)))
        case SetThresholds():
            await write_thresholds(connection, by, org_id, step.thresholds)
