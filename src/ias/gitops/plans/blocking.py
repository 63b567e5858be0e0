"""Whom a policy blocks from the moment that it is in force, by what was used this month."""

from collections.abc import Iterator, Mapping, Sequence
from uuid import UUID

from msgspec import UNSET

from ias.billing.values import Terms, Use
from ias.gitops.documents.domain import Document
from ias.gitops.plans.checks import Blocked
from ias.gitops.plans.domain import InForce
from ias.identity.values import Person, Standing, folded


def blocked(wanted: Document, now: InForce, uses: Sequence[Use]) -> tuple[Blocked, ...]:
    """Whom it blocks who is not blocked already."""
    return (
        *_everybody(wanted, now, uses),
        *_gone(wanted, now, uses),
        *_members(wanted, now, uses),
        *_of_models(wanted, now, uses),
    )


def _everybody(wanted: Document, now: InForce, uses: Sequence[Use]) -> Iterator[Blocked]:
    budgets = wanted.spec.budgets
    after = UNSET if budgets is UNSET else budgets.monthly_tokens
    used, before = sum(use.tokens for use in uses), now.terms.budget.monthly_tokens
    if after is not UNSET and _spent(used, after) and not _spent(used, before):
        yield Blocked("everybody", f"the organisation has used {used:,} of {after:,} tokens this month", used)


def _gone(wanted: Document, now: InForce, uses: Sequence[Use]) -> Iterator[Blocked]:
    for person in now.roster.people.values():
        if person.standing is Standing.ACTIVE and not stays(wanted, person):
            yield Blocked(person.email, "is removed, and their keys with them", _used(uses, person.id))


def _members(wanted: Document, now: InForce, uses: Sequence[Use]) -> Iterator[Blocked]:
    for person in _staying(wanted, now):
        before, after = limit_before(now.terms, person.id), limit_after(wanted, now.terms, person)
        used = _used(uses, person.id)
        if after is not None and _spent(used, after) and not _spent(used, before):
            yield Blocked(person.email, f"has used {used:,} of {after:,} tokens this month", used)


def _of_models(wanted: Document, now: InForce, uses: Sequence[Use]) -> Iterator[Blocked]:
    said, before = wanted.spec.allowed_models, now.terms.models
    if said is UNSET or said is None:
        return
    for person in _staying(wanted, now):
        for use in uses:
            could = before is None or use.model in before
            if use.user_id == person.id and use.tokens > 0 and could and use.model not in said:
                yield Blocked(person.email, f"calls {use.model}, which is allowed no more", use.tokens)


def stays(wanted: Document, person: Person) -> bool:
    """Whether somebody is still of the organisation."""
    users = wanted.spec.users
    return users is UNSET or any(folded(user.email) == folded(person.email) for user in users)


def limit_before(terms: Terms, user_id: UUID) -> int | None:
    """A member's tokens a month as they are."""
    return terms.members.get(user_id, terms.budget.user_monthly_tokens)


def limit_after(wanted: Document, terms: Terms, person: Person) -> int | None:
    """A member's tokens a month by a policy."""
    budgets, users = wanted.spec.budgets, wanted.spec.users
    rule = terms.budget.user_monthly_tokens
    if budgets is not UNSET and budgets.user_monthly_tokens is not UNSET:
        rule = budgets.user_monthly_tokens
    if users is UNSET:
        return terms.members.get(person.id, rule)
    own = next((user.monthly_token_limit for user in users if folded(user.email) == folded(person.email)), UNSET)
    return rule if own is UNSET else own


def _staying(wanted: Document, now: InForce) -> list[Person]:
    active = (person for person in now.roster.people.values() if person.standing is Standing.ACTIVE)
    return [person for person in active if stays(wanted, person)]


def _used(uses: Sequence[Use], user_id: UUID) -> int:
    return sum(use.tokens for use in uses if use.user_id == user_id)


def _spent(used: int, limit: int | None) -> bool:
    return limit is not None and used >= limit


def limits_of(wanted: Document, now: InForce) -> Mapping[UUID, int | None]:
    """The tokens a month by a policy of everybody who stays."""
    people = now.roster.people.values()
    return {person.id: limit_after(wanted, now.terms, person) for person in people if stays(wanted, person)}
