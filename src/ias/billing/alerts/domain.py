"""An alert as people see it; when it is raised, and when it is over.

An alert is raised once for a budget, threshold and month. It holds until the budget is changed so far that the
threshold is no longer passed; then it is cleared, and passing the threshold of the new amount raises another.
"""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final
from uuid import UUID

import msgspec

from ias.billing.policies.domain import Budget
from ias.identity.values import ManagedBy
from ias.problems import FieldError, Problem

Threshold = Annotated[int, msgspec.Meta(ge=1, le=100)]
"""Per cent of a budget."""

DEFAULT_THRESHOLDS: Final = (80, 90, 100)
MOST_THRESHOLDS: Final = 10
WHOLE: Final = 100
NEAR: Final = 90
"""From this per cent on, a request refused for want of budget is what the threshold of 100 tells."""
LATE: Final = timedelta(days=2)
"""How long a month that is over is still watched: so long Redis knows its requests."""


class BadThresholds(Problem):
    """Thresholds that no alerts can be raised by."""

    title = "Bad thresholds"


class Thresholds(msgspec.Struct, forbid_unknown_fields=True):
    """At how many per cent of a budget alerts are raised: 1 to 10 different whole numbers from 1 to 100."""

    thresholds: list[Threshold]


class ThresholdsInForce(Thresholds, kw_only=True):
    """At how many per cent of a budget alerts are raised.

    `managed_by` is the file in Git that puts back what is changed elsewhere, as far as it has lines for it; it may be
    sent back with the rest, and changes nothing.
    """

    managed_by: ManagedBy | None = None

    def lasting(self) -> Thresholds:
        """The thresholds themselves."""
        return Thresholds(thresholds=self.thresholds)


class Scope(StrEnum):
    """Whose budget an alert is about."""

    ORGANISATION = "organisation"
    USER = "user"


class Alert(msgspec.Struct, kw_only=True):
    """A budget's use has passed a threshold.

    Attributes:
        user_id: the member whose budget it is; null where it is the organisation's.
        period: the month, YYYYMM (UTC).
        limit_tokens: the budget when the alert was raised; `used_tokens`: what was used of it then.
        refused: whether it was raised since a request was refused: too little was left, the use being just below 100 %.
        cleared_at: when a changed budget left the threshold behind; null while the alert holds.
    """

    id: UUID
    scope: Scope
    user_id: UUID | None
    threshold: int
    period: str
    used_tokens: int
    limit_tokens: int
    refused: bool
    raised_at: datetime
    cleared_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: UUID | None


class Use(msgspec.Struct, frozen=True):
    """What is used of a budget in a month; `refused` is the amount that it was when a request found too little left."""

    used: int
    refused: int | None = None


class Rules(msgspec.Struct, frozen=True):
    """An organisation's budgets and thresholds, and when any of them was last changed (None: never)."""

    budget: Budget
    members: Mapping[UUID, int | None]
    thresholds: tuple[int, ...]
    changed_at: datetime | None

    @property
    def limits_members(self) -> bool:
        """Whether any member has a budget."""
        return self.budget.user_monthly_tokens is not None or any(limit is not None for limit in self.members.values())

    def limit_of(self, user_id: UUID | None) -> int | None:
        """Tokens a month, of the organisation (None) or a member; None is no budget."""
        if user_id is None:
            return self.budget.monthly_tokens
        return self.members.get(user_id, self.budget.user_monthly_tokens)


class Mark(msgspec.Struct, frozen=True):
    """What is raised once a month: a threshold of a budget, the organisation's where `user_id` is None."""

    org_id: UUID
    user_id: UUID | None
    threshold: int


class Passing(msgspec.Struct, frozen=True):
    """A threshold that is passed: of which amount, at which use, and whether for want of room rather than by use."""

    mark: Mark
    limit: int
    used: int
    refused: bool


class Plan(msgspec.Struct, frozen=True):
    """Alerts to raise, and those to clear."""

    raised: tuple[Passing, ...]
    cleared: tuple[Mark, ...]


def check_thresholds(asked: Thresholds) -> tuple[int, ...]:
    """The thresholds in their order.

    Raises:
        BadThresholds: there are none or too many, or one is there twice.
    """
    thresholds = asked.thresholds
    if not 1 <= len(thresholds) <= MOST_THRESHOLDS or len(set(thresholds)) < len(thresholds):
        said = f"must be 1 to {MOST_THRESHOLDS} different whole numbers from 1 to 100, such as [80, 90, 100]"
        raise BadThresholds(f"thresholds {said}", (FieldError("/thresholds", said),))
    return tuple(sorted(thresholds))


def watched(moment: datetime) -> tuple[str, ...]:
    """The months, YYYYMM, whose use may still grow: this one, and at its beginning the one before."""
    start = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    months = (start,) if moment - start > LATE else (start, start - timedelta(days=1))
    return tuple(f"{month:%Y%m}" for month in months)


def plan(
    uses: Mapping[UUID, Mapping[UUID | None, Use]], rules: Mapping[UUID, Rules], in_force: Mapping[Mark, int]
) -> Plan:
    """What to do about these organisations. `in_force`: the alerts that hold, and the amounts they were raised by."""
    found = [passing for org_id in uses for passing in _passed(org_id, uses[org_id], rules[org_id])]
    raised = tuple(passing for passing in found if passing.mark not in in_force)
    still = {passing.mark for passing in found}
    cleared = (
        mark
        for mark, limit in in_force.items()
        if mark not in still and mark.org_id in rules and rules[mark.org_id].limit_of(mark.user_id) != limit
    )
    return Plan(raised, tuple(cleared))


def without(removed: Collection[UUID], planned: Plan, in_force: Mapping[Mark, int]) -> Plan:
    """The same once these members were removed: nothing is raised about them, and what holds of them is cleared."""
    raised = tuple(passing for passing in planned.raised if passing.mark.user_id not in removed)
    cleared = tuple(mark for mark in planned.cleared if mark.user_id not in removed)
    return Plan(raised, (*cleared, *(mark for mark in in_force if mark.user_id in removed)))


def plan_late(
    uses: Mapping[UUID, Mapping[UUID | None, Use]],
    rules: Mapping[UUID, Rules],
    in_force: Mapping[Mark, int],
    began: datetime,
) -> Plan:
    """The same for a month that is over since `began`, as far as nothing was changed since; nothing is cleared."""
    same = {org_id: rule for org_id, rule in rules.items() if rule.changed_at is None or rule.changed_at < began}
    raised = plan({org_id: uses[org_id] for org_id in uses if org_id in same}, same, in_force).raised
    return Plan(raised, ())


def _passed(org_id: UUID, uses: Mapping[UUID | None, Use], rules: Rules) -> Iterator[Passing]:
    lowest = min(rules.thresholds)
    for user_id, use in uses.items():
        limit = rules.limit_of(user_id)
        if limit is None or use.used * WHOLE < min(lowest, NEAR) * limit:
            continue
        for threshold in rules.thresholds:
            by_use = use.used > 0 and use.used * WHOLE >= threshold * limit
            refused = threshold == WHOLE and use.refused == limit and use.used * WHOLE >= NEAR * limit
            if by_use or refused:
                yield Passing(Mark(org_id, user_id, threshold), limit, use.used, not by_use)
