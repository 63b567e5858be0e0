"""Putting a policy into force for one organisation, and keeping it up: one transaction, then the projection."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import asyncpg
import msgspec
from loguru import logger

from ias.billing import hold, model_names, project_policy, terms_of
from ias.db import Connection, Within, transaction
from ias.edge import Edge
from ias.gitops.documents.domain import Document
from ias.gitops.documents.faults import Fault, whole
from ias.gitops.plans.checks import holds, possible, refused, taking_nobody
from ias.gitops.plans.domain import (
    Dismiss,
    InForce,
    Plan,
    SetBudget,
    SetLimits,
    SetMemberBudget,
    SetModels,
    SetThresholds,
    Step,
    plan,
)
from ias.gitops.reconciler import books
from ias.gitops.reconciler.domain import Bound, Offer, acting
from ias.gitops.reconciler.drift import drifted
from ias.gitops.reconciler.steps import carry_out
from ias.gitops.repositories.domain import path_of
from ias.identity import (
    Tenant,
    deeds,
    hold_organisation,
    owe,
    paid,
    project_organisation,
    revoke_keys,
    rosters,
    say_managed,
)
from ias.identity.values import ManagedBy, Principal
from ias.problems import Problem

_BESIDE: Final = "what was changed beside Git is not put back"
_NOT_STORED: Final = "has something in it that the database does not take; is there a character that nobody sees?"


class Done(msgspec.Struct, frozen=True):
    """What a turn changed of an organisation; `debt` is crossed out once Redis knows of it."""

    tenant: Tenant
    steps: tuple[Step, ...]
    debt: UUID | None

    @property
    def routes_too(self) -> bool:
        """Whether its models are others now."""
        return any(isinstance(step, SetModels) for step in self.steps)


async def put_into_force(tenant: Tenant, bound: Bound, offer: Offer | None, edge: Edge) -> Done | None:
    """Put an offer into force, or keep up what is; None where there was nothing to do or others are at it.

    Gateways know of budgets, limits and members when this returns. Where `Done.routes_too`, the caller is to project
    the routes and to cross out the debt.

    Raises:
        EdgeDown: the change holds, but Redis did not confirm yet; the worker keeps trying.
    """
    try:
        done = await _changed(tenant, bound, offer)
    except Problem as problem:
        # What the plan did not foresee: nothing was changed, and the file's owner reads why.
        logger.warning("the policy of {} was not put into force: {}", tenant.id, problem.detail)
        if offer is not None:
            await _note_refusal(tenant, bound, offer, (whole(problem.detail),))
        return None
    except (asyncpg.DataError, UnicodeError):
        logger.exception("the policy of {} has something that the database does not take", tenant.id)
        if offer is not None:
            await _note_refusal(tenant, bound, msgspec.structs.replace(offer, document=None), (whole(_NOT_STORED),))
        return None
    if done is not None and done.steps:
        await _project(done, edge)
    return done


async def _changed(tenant: Tenant, bound: Bound, offer: Offer | None) -> Done | None:
    author = offer.author if offer is not None else "policy in force"
    by = acting(bound, tenant.tag, offer.commit if offer is not None else bound.applied_commit, author)
    async with transaction(by) as connection:
        now = await books.locked(connection, tenant.id)
        if now is None or not now.is_still(bound) or now.suspended:
            return None
        if not await hold_organisation(connection, tenant.id):
            return None
        await hold(connection, tenant.id)
        in_force = await _in_force(connection, tenant.id)
        steps = await _offered(connection, by, now, offer, in_force) if offer is not None else None
        if steps is None:
            steps = await _kept_up(connection, by, now, in_force, alone=offer is None)
        debt = await owe(tenant.id) if steps else None
    return Done(tenant, steps, debt)


async def _in_force(connection: Connection, org_id: UUID) -> InForce:
    return InForce((await rosters(connection, [org_id]))[org_id], (await terms_of(connection, [org_id]))[org_id])


async def _offered(
    connection: Connection, by: Principal, bound: Bound, offer: Offer, in_force: InForce
) -> tuple[Step, ...] | None:
    """The steps that put the offer into force; None where it is not."""
    faults: Sequence[Fault] = offer.faults
    if offer.document is None:
        await books.refused(connection, bound, offer, faults, ())
        return None
    faults = refused(offer.document, in_force, await _models(connection, offer.document), offer.lines)
    planned = plan(offer.document, in_force)
    approved = bound.approved_commit == offer.commit
    reasons = () if approved else holds(planned, in_force, follows=offer.follows)
    if faults or reasons:
        await books.refused(connection, bound, offer, faults, reasons)
        return None
    await _note_written_over(connection, bound, in_force, planned)
    await carry_out(connection, by, in_force.roster.org_id, planned.steps)
    await books.applied(connection, in_force.roster.org_id, offer)
    await say_managed(connection, in_force.roster.org_id, _managed(bound, offer, in_force.roster.name))
    await books.ran(connection, in_force.roster.org_id, offer, planned.changes)
    return planned.steps


async def _note_written_over(connection: Connection, bound: Bound, in_force: InForce, planned: Plan) -> None:
    """Note who had changed, beside what is still in force, that which a newer commit sets."""
    if bound.applied is None:
        return
    fields, org_id = {change.field for change in planned.changes}, in_force.roster.org_id
    beside = [change for change in plan(bound.applied, in_force).changes if change.field in fields]
    found = drifted(beside, await deeds(connection, org_id, await books.in_force_since(connection, org_id)))
    await books.note_drift(connection, org_id, bound.applied_commit, found)


async def _models(connection: Connection, wanted: Document) -> set[str]:
    """The models that there are, where a policy names any."""
    return set((await model_names(connection)).values()) if wanted.spec.allowed_models else set()


def _managed(bound: Bound, offer: Offer, name: str) -> ManagedBy:
    return ManagedBy(repository=bound.repository, branch=bound.branch, path=path_of(name), lines=offer.lines)


async def _kept_up(
    connection: Connection, by: Principal, bound: Bound, in_force: InForce, *, alone: bool
) -> tuple[Step, ...]:
    """Put back what was changed beside Git, as far as the platform still gives it; who did it is noted.

    What would be held of a commit is held here too. `alone`: nothing newer was looked at that the status is about.
    """
    if bound.applied is None:
        return ()
    org_id, document = in_force.roster.org_id, bound.applied
    planned = plan(document, in_force)
    faults = refused(document, in_force, await _models(connection, document), {})
    approved = bound.approved_commit == bound.applied_commit
    reasons = () if approved else holds(planned, in_force, follows=True)
    planned = possible(taking_nobody(planned) if reasons else planned, faults)
    offer = Offer(
        commit=bound.applied_commit,
        blob=bound.applied_blob,
        author="",
        subject="put back what was changed beside Git",
        document=document,
        lines={},
    )
    if alone:
        await _note_standing(connection, bound, offer, faults, reasons)
    if planned.steps:
        since = await books.in_force_since(connection, org_id)
        await carry_out(connection, by, org_id, planned.steps)
        found = drifted(planned.changes, await deeds(connection, org_id, since))
        await books.note_drift(connection, org_id, bound.applied_commit, found)
        await books.ran(connection, org_id, offer, planned.changes)
    return planned.steps


async def _note_standing(
    connection: Connection, bound: Bound, offer: Offer, faults: Sequence[Fault], reasons: Sequence[str]
) -> None:
    """Note that what is in force is not kept up, as the platform no longer gives it or it waits; or that it is."""
    current = bound.blob_seen == bound.applied_blob
    if reasons or (faults and current):
        said = [f"{_BESIDE}: {reason}" for reason in reasons]
        await books.refused(connection, bound, msgspec.structs.replace(offer, document=None), faults, said)
    elif current and bound.state in {"invalid", "held"}:
        await books.passed(connection, [bound], bound.applied_commit)


async def _note_refusal(tenant: Tenant, before: Bound, offer: Offer, faults: Sequence[Fault]) -> None:
    async with transaction(Within(tenant.id)) as connection:
        bound = await books.locked(connection, tenant.id)
        if bound is not None and bound.is_still(before):
            await books.refused(connection, bound, offer, faults, ())


async def _project(done: Done, edge: Edge) -> None:
    """What was changed, at once; who is removed is turned away before anything else is looked at."""
    for step in done.steps:
        if isinstance(step, Dismiss):
            await revoke_keys(done.tenant, step.person.id, edge)
    if any(isinstance(step, Dismiss) for step in done.steps):
        await project_organisation(done.tenant.id, edge)
    if any(isinstance(step, SetBudget | SetMemberBudget | SetLimits | SetThresholds) for step in done.steps):
        await project_policy(done.tenant, edge)
    if not done.routes_too and done.debt is not None:
        await paid(done.debt)
