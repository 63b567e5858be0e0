"""A binding as people see it, and what may be asked of one."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final
from uuid import UUID

import msgspec
from msgspec import Meta

from ias.gitops.documents.faults import Fault
from ias.gitops.plans.domain import Change
from ias.identity.values import Expected
from ias.problems import Conflict, FieldError, NotFound, Problem

LONGEST: Final = timedelta(days=30)
"""Git can be left aside for so long; who needs more disables it."""
_Secret = Annotated[str, Meta(max_length=20_000)]


class State(StrEnum):
    """How a binding stands. But for `in-force` and `waiting`, the last good policy stays in force."""

    WAITING = "waiting"
    IN_FORCE = "in-force"
    INVALID = "invalid"
    HELD = "held"
    MISSING = "missing"


class NotManaged(NotFound):
    """No repository is bound to this organisation."""


class NothingHeld(Conflict):
    """This commit is not the one that waits for approval."""

    title = "Nothing to approve"


class BadSuspension(Problem):
    """Git is left aside for a while, not for ever."""

    title = "Bad suspension"


class NotSigned(Problem):
    """The webhook is not signed with the platform's secret."""

    status = 401
    title = "Not signed"


class NewBinding(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The repository whose file `orgs/<the organisation's name>/org.yaml` is to be its policy.

    Attributes:
        token: for https; ssh_key, known_hosts: for ssh. Kept sealed, shown to nobody; left out, those that the
            repository has already stay.
    """

    repository: Annotated[str, Meta(min_length=1, max_length=1000)]
    branch: Annotated[str, Meta(min_length=1, max_length=200)] = "main"
    token: _Secret = ""
    ssh_key: _Secret = ""
    known_hosts: _Secret = ""


class Suspension(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Why Git is left aside, and until when."""

    reason: Annotated[str, Meta(min_length=1, max_length=500)]
    until: datetime


class Approval(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The commit, in full, that is let through."""

    commit: Annotated[str, Meta(pattern="^[0-9a-f]{40}([0-9a-f]{24})?$")]


class Suspended(msgspec.Struct, frozen=True, kw_only=True):
    """Git is left aside: nothing is taken from it, and changes by the API stay."""

    until: datetime
    reason: str
    by: str


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """How an organisation's binding stands.

    Attributes:
        path: its file; `lines` are those of the parts that the policy in force has.
        commit: the newest commit that was looked at; `applied_commit`: the one in force.
        error: why the repository could not be fetched.
        faults: what is wrong with the newest file; held_for: why it waits for a system admin.
        expected: who is to join, with the links to hand over.
    """

    org_id: UUID
    repository: str
    branch: str
    path: str
    state: State
    commit: str
    applied_commit: str
    applied_at: datetime | None
    applied_by: str
    lines: dict[str, int]
    fetched_at: datetime | None
    error: str
    faults: list[Fault]
    held_for: list[str]
    suspended: Suspended | None
    expected: list[Expected]
    enabled_by: str
    enabled_at: datetime


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """A change by pages, CLI or API of what Git manages; it was put back."""

    id: UUID
    field: str
    wanted: object
    found: object
    commit: str
    changed_by: str
    changed_at: datetime
    source: str
    restored_at: datetime


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What Git changed at one time."""

    id: UUID
    commit: str
    author: str
    subject: str
    changes: list[Change]
    ran_at: datetime


def check_suspension(asked: Suspension, moment: datetime) -> None:
    """Nothing, if Git may be left aside so long.

    Raises:
        BadSuspension: it may not.
    """
    if asked.until.tzinfo is None:
        raise _bad_suspension("until", "must say its time zone, such as 2026-01-31T13:00:00Z")
    if not moment < asked.until <= moment + LONGEST:
        raise _bad_suspension("until", f"must lie ahead, by {LONGEST.days} days at most; disable Git to be without it")
    if not asked.reason.strip():
        raise _bad_suspension("reason", "must say why")


def _bad_suspension(field: str, said: str) -> BadSuspension:
    return BadSuspension(f"{field}: {said}", (FieldError(f"/{field}", said),))
