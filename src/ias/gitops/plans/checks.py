"""What stands against a policy: what the platform did not give, and what is held until a system admin approves."""

from collections.abc import Collection, Iterator
from typing import Final

import msgspec
from msgspec import UNSET

from ias.billing.values import AboveCeiling, check_ceiling, check_limits, within
from ias.gitops.documents.domain import Document
from ias.gitops.documents.faults import Fault, meant, shown
from ias.gitops.plans.domain import (
    Dismiss,
    InForce,
    Plan,
    Regrade,
    SetBudget,
    SetLimits,
    SetModels,
    Step,
    limits_after,
)
from ias.identity.values import Role, Standing
from ias.problems import Problem

_MODELS: Final = "spec.allowed_models"
REWRITTEN: Final = "the history was rewritten: the commit in force is not among those before this one"
UNTOLD: Final = "its history cannot be checked: whether the commit in force is among those before this one"


def refused(wanted: Document, now: InForce, models: Collection[str], lines: dict[str, int]) -> tuple[Fault, ...]:
    """What of a policy cannot be put into force: it is above the platform's ceiling, or names what is not there."""
    said = [*_above_budget(wanted, now), *_above_limits(wanted, now), *_unknown(wanted, now, models)]
    return tuple(Fault(lines.get(section, 0), 1, path, detail) for section, path, detail in said)


def possible(plan: Plan, faults: Collection[Fault]) -> Plan:
    """The plan but for the steps that these faults are about."""
    paths = {fault.path for fault in faults}
    return Plan(tuple(part for part in plan.parts if _path(part[0]) not in paths))


def taking_nobody(plan: Plan) -> Plan:
    """The plan but for the steps by which somebody goes, or has another role."""
    return Plan(tuple(part for part in plan.parts if not isinstance(part[0], Dismiss | Regrade)))


def _path(step: Step) -> str:
    """What a fault that a step meets is about; empty where it meets none."""
    match step:
        case SetBudget(name=name):
            return f"spec.budgets.{name}"
        case SetLimits():
            return "spec.rate_limits"
        case SetModels():
            return _MODELS
        case _:
            return ""


def _above_budget(wanted: Document, now: InForce) -> Iterator[tuple[str, str, str]]:
    budgets, most = wanted.spec.budgets, now.terms.ceiling.monthly_tokens
    if budgets is not UNSET and budgets.monthly_tokens is not UNSET and not within(most, budgets.monthly_tokens):
        said = f"is above the platform's ceiling of {most}; ask a system admin for more"
        yield "budgets", "spec.budgets.monthly_tokens", said


def _above_limits(wanted: Document, now: InForce) -> Iterator[tuple[str, str, str]]:
    if wanted.spec.rate_limits is UNSET:
        return
    after = limits_after(wanted, now.terms)
    try:
        check_ceiling(now.terms.ceiling.limits, after)
        check_limits(after)
    except AboveCeiling as problem:
        said = f"is above the platform's ceiling: {problem.detail}; ask a system admin for more"
        yield "rate_limits", "spec.rate_limits", said
    except Problem as problem:
        yield "rate_limits", "spec.rate_limits", problem.detail


def _unknown(wanted: Document, now: InForce, models: Collection[str]) -> Iterator[tuple[str, str, str]]:
    said, given = wanted.spec.allowed_models, now.terms.ceiling.models
    if said is UNSET:
        return
    if said is None:
        if given is not None:
            yield (
                "allowed_models",
                _MODELS,
                f"the platform gave {', '.join(sorted(given)) or 'none'}; name some of these",
            )
        return
    known = sorted(models if given is None else given)
    for name in said:
        if name not in known:
            yield "allowed_models", _MODELS, f"{shown(name)} is no model that may be called here; {meant(name, known)}"


def holds(plan: Plan, now: InForce, *, follows: bool | None) -> tuple[str, ...]:
    """Why a plan waits for a system admin; nothing where it does not.

    `follows` says whether the commit in force is in the history of the one that this plan is of; None: nobody knows.
    """
    gone = {step.person.id for step in plan.steps if isinstance(step, Dismiss)}
    members = [person for person in now.roster.people.values() if person.standing is not Standing.INVITED]
    leaving = sum(person.id in gone for person in members)
    said = []
    if _leaves_no_admin(plan, now):
        said.append("no admin who has an account would be left")
    if leaving * 2 > len(members):
        said.append(f"{leaving} of {len(members)} members would be removed, which is more than half")
    if not follows:
        said.append(UNTOLD if follows is None else REWRITTEN)
    return tuple(said)


def _leaves_no_admin(plan: Plan, now: InForce) -> bool:
    admins = {
        each.id for each in now.roster.people.values() if _is_admin(each.role) and each.standing is Standing.ACTIVE
    }
    active = {each.id for each in now.roster.people.values() if each.standing is Standing.ACTIVE}
    if not admins:
        return False
    for step in plan.steps:
        if isinstance(step, Dismiss):
            admins.discard(step.person.id)
        elif isinstance(step, Regrade) and step.person.id in active:
            (admins.add if _is_admin(step.role) else admins.discard)(step.person.id)
    return not admins


def _is_admin(role: Role) -> bool:
    return role is Role.ORG_ADMIN


class Blocked(msgspec.Struct, frozen=True):
    """Who can ask no more from the moment that the policy is in force.

    Attributes:
        who: an address, or `everybody`.
        why: in words, with the figures that it rests on.
        used_tokens: what they used of it this month.
    """

    who: str
    why: str
    used_tokens: int
