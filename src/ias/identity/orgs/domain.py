"""An organisation as people see it."""

from collections.abc import Awaitable, Callable, Collection
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from ias.problems import Conflict

Prepare = Callable[[UUID, str], Awaitable[None]]
"""Projects what other contexts know of a new organisation (id, tag): its limits and its models."""


class NameTaken(Conflict):
    """There is an organisation of this name, or of a twin of it in case or Unicode."""

    title = "Name is taken"


class Status(StrEnum):
    """Whether anything gets in."""

    ACTIVE = "active"
    SUSPENDED = "suspended"


class ManagedBy(msgspec.Struct, frozen=True, kw_only=True):
    """The file in Git that has an organisation's policy: what it names is changed there, and put back elsewhere.

    Attributes:
        lines: in which line each part begins that Git manages: `metadata`, `budgets`, `users`, `rate_limits`,
            `allowed_models`, `alert_thresholds`; others are the API's.
        suspended_until: until when Git is left aside, and changes elsewhere stay; null or past where it is not.
        suspended_reason: why.
    """

    repository: str
    branch: str
    path: str
    lines: dict[str, int]
    suspended_until: datetime | None = None
    suspended_reason: str = ""

    def said(self, moment: datetime, *parts: str) -> str:
        """For whoever is about to change one of these parts at this moment; empty where Git manages none of them."""
        found = next((self.lines[part] for part in parts if part in self.lines), None)
        if found is None:
            return ""
        where = f"managed by Git: {self.path}:{found} of {self.repository}"
        if self.suspended_until is None or self.suspended_until <= moment:
            return f"{where}; what is changed here is put back"
        return f"{where}; left aside until {self.suspended_until:%Y-%m-%d %H:%M} UTC ({self.suspended_reason})"


class Organisation(msgspec.Struct, kw_only=True):
    """A tenant. `tag` is what its key tokens begin with, `tags` are for people; `managed_by` is null without Git."""

    id: UUID
    name: str
    tag: str
    status: Status
    created_at: datetime
    description: str = ""
    cost_center: str = ""
    tags: dict[str, str] = {}
    managed_by: ManagedBy | None = None


class OrgFigures(msgspec.Struct, frozen=True):
    """What an organisation may use a month, in tokens, and used this month (UTC) by the ledger.

    Attributes:
        monthly_tokens: null is no budget.
        cost: money, exact.
    """

    monthly_tokens: int | None
    used_tokens: int
    requests: int
    cost: str


OrgBooks = Callable[[Collection[UUID]], Awaitable[dict[UUID, OrgFigures]]]
"""The figures of these organisations; who asks may see them."""


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """Which organisations: `search` is a part of the name, whatever its case, or all of the tag or the id."""

    search: str = ""
    state: Status | None = None


class Census(msgspec.Struct, frozen=True, kw_only=True):
    """Who and what an organisation has: members by whether they get in, invites that are open, keys that work."""

    active: int
    suspended: int
    invited: int
    keys: int


class NewOrganisation(msgspec.Struct, forbid_unknown_fields=True):
    """What is asked for; the same to rename one."""

    name: str
