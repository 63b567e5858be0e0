"""What a policy changes of what is in force: a pure function of both."""

from collections.abc import Iterator
from typing import Final
from uuid import UUID

import msgspec
from msgspec import UNSET

from ias.billing.values import RateLimits, Terms
from ias.gitops.documents.domain import Document, UserWanted
from ias.identity.values import About, Person, Role, Roster, Standing, folded

BUDGETS: Final = ("monthly_tokens", "user_monthly_tokens")


class InForce(msgspec.Struct, frozen=True):
    """All of an organisation that a policy can speak of."""

    roster: Roster
    terms: Terms


class SetBudget(msgspec.Struct, frozen=True):
    """Tokens a month, of the organisation or of each member without a budget of their own."""

    name: str
    tokens: int | None


class SetMemberBudget(msgspec.Struct, frozen=True):
    """Tokens a month of one member; `own` False lets the organisation's rule hold again."""

    user_id: UUID
    before: int | None
    tokens: int | None
    own: bool


class SetLimits(msgspec.Struct, frozen=True):
    """How fast and how many at once."""

    limits: RateLimits


class SetModels(msgspec.Struct, frozen=True):
    """Which models may be called; None is every model."""

    models: tuple[str, ...] | None


class SetThresholds(msgspec.Struct, frozen=True):
    """At how many per cent alerts are raised."""

    thresholds: tuple[int, ...]


class Describe(msgspec.Struct, frozen=True):
    """What the organisation says of itself."""

    before: About
    about: About


class Expect(msgspec.Struct, frozen=True):
    """A membership that waits for somebody who has no account."""

    email: str
    role: Role


class Dismiss(msgspec.Struct, frozen=True):
    """Somebody is removed, or expected no more."""

    person: Person


class Regrade(msgspec.Struct, frozen=True):
    """Somebody gets another role."""

    person: Person
    role: Role


Step = SetBudget | SetMemberBudget | SetLimits | SetModels | SetThresholds | Describe | Expect | Dismiss | Regrade


class Change(msgspec.Struct, frozen=True):
    """One field: what it is, and what it will be; null is none, or nobody.

    Attributes:
        field: where it is in the file, such as `spec.users[ada@example.org].role`.
        target: the user's id, where it is about a member.
    """

    field: str
    before: object
    after: object
    target: UUID | None = None


_Planned = tuple[Step, tuple[Change, ...]]


class Plan(msgspec.Struct, frozen=True):
    """The steps that bring an organisation to a policy, each with what it changes."""

    parts: tuple[_Planned, ...]

    @property
    def changes(self) -> tuple[Change, ...]:
        """What changes, for people."""
        return tuple(change for _, several in self.parts for change in several)

    @property
    def steps(self) -> tuple[Step, ...]:
        """What changes it."""
        return tuple(step for step, _ in self.parts)


def plan(wanted: Document, now: InForce) -> Plan:
    """What brings an organisation to a policy. What the policy does not name stays as it is."""
    found = [*_about(wanted, now), *_budgets(wanted, now), *_limits(wanted, now), *_models(wanted, now)]
    return Plan((*found, *_thresholds(wanted, now), *_people(wanted, now)))


def _about(wanted: Document, now: InForce) -> Iterator[_Planned]:
    before, said = now.roster.about, wanted.metadata
    names = [name for name in About.__struct_fields__ if getattr(said, name) is not UNSET]
    after = msgspec.structs.replace(before, **{name: getattr(said, name) for name in names})
    changes = tuple(
        Change(f"metadata.{name}", getattr(before, name), getattr(after, name))
        for name in names
        if getattr(before, name) != getattr(after, name)
    )
    if changes:
        yield Describe(before, after), changes


def _budgets(wanted: Document, now: InForce) -> Iterator[_Planned]:
    budgets = wanted.spec.budgets
    if budgets is UNSET:
        return
    for name in BUDGETS:
        before, after = getattr(now.terms.budget, name), getattr(budgets, name)
        if after is not UNSET and after != before:
            yield SetBudget(name, after), (Change(f"spec.budgets.{name}", before, after),)


def _limits(wanted: Document, now: InForce) -> Iterator[_Planned]:
    rates = wanted.spec.rate_limits
    if rates is UNSET:
        return
    after = limits_after(wanted, now.terms)
    before = now.terms.limits
    names = [name for name in RateLimits.__struct_fields__ if getattr(before, name) != getattr(after, name)]
    changes = tuple(Change(f"spec.rate_limits.{name}", getattr(before, name), getattr(after, name)) for name in names)
    if changes:
        yield SetLimits(after), changes


def limits_after(wanted: Document, terms: Terms) -> RateLimits:
    """The limits with those that a policy names."""
    rates = wanted.spec.rate_limits
    if rates is UNSET:
        return terms.limits
    named = {name: value for name, value in msgspec.structs.asdict(rates).items() if value is not UNSET}
    return msgspec.structs.replace(terms.limits, **named)


def _models(wanted: Document, now: InForce) -> Iterator[_Planned]:
    said, before = wanted.spec.allowed_models, now.terms.models
    if said is UNSET:
        return
    after = None if said is None else tuple(sorted(said))
    if after != before:
        yield SetModels(after), (Change("spec.allowed_models", _listed(before), _listed(after)),)


def _listed(names: tuple[str, ...] | None) -> list[str] | None:
    return None if names is None else list(names)


def _thresholds(wanted: Document, now: InForce) -> Iterator[_Planned]:
    said, before = wanted.spec.alert_thresholds, now.terms.thresholds
    if said is UNSET:
        return
    after = tuple(sorted(each.percent for each in said))
    if after != before:
        yield SetThresholds(after), (Change("spec.alert_thresholds", list(before), list(after)),)


def _people(wanted: Document, now: InForce) -> Iterator[_Planned]:
    """Who comes and who gets more first, who gets less or goes last: so that an admin is there all the time."""
    said = wanted.spec.users
    if said is UNSET:
        return
    users = {folded(user.email): user for user in said}
    here = now.roster.people
    regraded = [each for twin, user in users.items() for each in _regraded(user, here.get(twin))]
    yield from (_expected(user) for twin, user in users.items() if twin not in here)
    yield from (each for each in regraded if isinstance(each[0], Regrade) and each[0].role is Role.ORG_ADMIN)
    yield from (each for each in regraded if isinstance(each[0], Regrade) and each[0].role is not Role.ORG_ADMIN)
    yield from (_dismissed(person) for twin, person in here.items() if twin not in users)
    for twin, user in users.items():
        person = here.get(twin)
        if person is not None and person.standing is not Standing.INVITED:
            yield from _own_budget(user, person, now.terms)


def _expected(user: UserWanted) -> _Planned:
    role = Role(user.role.value)
    return Expect(user.email, role), (Change(_of(user.email), None, {"role": role.value}),)


def _dismissed(person: Person) -> _Planned:
    before = {"role": person.role.value, "status": person.standing.value}
    return Dismiss(person), (Change(_of(person.email), before, None, person.id),)


def _regraded(user: UserWanted, person: Person | None) -> Iterator[_Planned]:
    role = Role(user.role.value)
    if person is not None and person.role is not role:
        change = Change(f"{_of(person.email)}.role", person.role.value, role.value, person.id)
        yield Regrade(person, role), (change,)


def _own_budget(user: UserWanted, person: Person, terms: Terms) -> Iterator[_Planned]:
    said, own = user.monthly_token_limit, person.id in terms.members
    before = terms.members.get(person.id)
    field = f"{_of(person.email)}.monthly_token_limit"
    if said is UNSET:
        if own:
            change = Change(field, before, "the organisation's rule", person.id)
            yield SetMemberBudget(person.id, before, None, own=False), (change,)
    elif not own or before != said:
        change = Change(field, before if own else "the organisation's rule", said, person.id)
        yield SetMemberBudget(person.id, before, said, own=True), (change,)


def _of(email: str) -> str:
    return f"spec.users[{email}]"
