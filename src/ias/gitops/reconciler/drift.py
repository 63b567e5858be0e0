"""Who changed what Git manages: each field that differs, and the entry of the audit log that says who."""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from ias.gitops.plans.domain import Change
from ias.identity.values import Deed

_ACTIONS: Final = {
    "metadata": ("organisation.",),
    "spec.budgets": ("budget.",),
    "spec.rate_limits": ("limits.",),
    "spec.allowed_models": ("allowed_models.",),
    "spec.alert_thresholds": ("alert_thresholds.",),
    "spec.users": ("user.", "user_budget.", "invite."),
}
"""What the audit log calls changes of each part."""
_MEMBERSHIP: Final = frozenset({"user.created", "user.invited", "user.removed", "invite.withdrawn"})


class Drifted(msgspec.Struct, frozen=True):
    """A field that somebody changed, and how."""

    change: Change
    deed: Deed


def drifted(changes: Sequence[Change], deeds: Sequence[Deed]) -> tuple[Drifted, ...]:
    """The changes that put back what people changed; others follow from something else, such as an accepted invite.

    `deeds` are what people did since the policy was put into force, newest first.
    """
    return tuple(Drifted(change, deed) for change in changes for deed in _of(change, deeds))


def _of(change: Change, deeds: Sequence[Deed]) -> Iterator[Deed]:
    """The newest deed that explains a change, if there is one."""
    section, name = _section(change.field)
    for deed in deeds:
        if deed.action.startswith(_ACTIONS[section]) and _explains(deed, change, name):
            yield deed
            return


def _section(field: str) -> tuple[str, str]:
    """The part of the file that a field is of, and its own name there."""
    section = next(each for each in _ACTIONS if field.startswith(each))
    return section, field.removeprefix(section).lstrip(".")


def _explains(deed: Deed, change: Change, name: str) -> bool:
    fields = {**deed.before, **deed.after}
    if not change.field.startswith("spec.users"):
        return not name or name in fields
    if change.field.endswith("].monthly_token_limit"):
        return deed.action.startswith("user_budget.") and deed.target_id == change.target
    if change.field.endswith("].role"):
        return "role" in fields and deed.target_id == change.target
    if deed.action not in _MEMBERSHIP:
        return False
    email = change.field.partition("[")[2].rpartition("]")[0]
    theirs = {str(each.get("email", "")).casefold() for each in (deed.before, deed.after)}
    return deed.target_id == change.target or email.casefold() in theirs
