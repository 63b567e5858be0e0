"""A member and an invite as people see them, and what may not be done to the last admin."""

from collections.abc import Awaitable, Callable, Collection
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import msgspec

from ias.identity.orgs.domain import ManagedBy
from ias.problems import Conflict, Problem

INVITE_LIFETIME = timedelta(days=7)


class Role(StrEnum):
    """The sets of permissions that there are."""

    SYSTEM_ADMIN = "system-admin"
    ORG_ADMIN = "org-admin"
    ORG_USER = "org-user"


class Status(StrEnum):
    """What may be asked for; removing is a verb of its own."""

    ACTIVE = "active"
    SUSPENDED = "suspended"


class CannotGrant(Problem):
    """Nobody becomes a system admin through the API."""

    status = 403
    title = "Role cannot be granted"


class LastAdmin(Conflict):
    """The organisation, or the platform, would have no admin left."""

    title = "Last admin"


class InviteGone(Problem):
    """The invite was used, replaced or withdrawn, or has expired."""

    status = 410
    title = "Invite is gone"


class InviteForSomebodyElse(Problem):
    """The invite is for another address."""

    status = 403
    title = "Invite for another address"


class Member(msgspec.Struct, kw_only=True):
    """A user. `org_id` is null for system admins.

    `managed_by` is the file in Git that lists the organisation's members, and puts back what is changed elsewhere.
    """

    id: UUID
    org_id: UUID | None
    email: str
    name: str
    role: Role
    status: str
    created_at: datetime
    managed_by: ManagedBy | None = None

    def lasting(self) -> object:
        """What only a change of the member changes."""
        return msgspec.structs.replace(self, managed_by=None)


class MemberFigures(msgspec.Struct, frozen=True):
    """What a member may use a month, in tokens, and used this month (UTC) by the ledger, as other contexts know it.

    Attributes:
        monthly_tokens: null is no budget.
        own: whether the budget is the member's, and not that of every member.
        cost: money, exact.
    """

    monthly_tokens: int | None
    own: bool
    used_tokens: int
    cost: str


MemberBooks = Callable[[UUID, Collection[UUID]], Awaitable[dict[UUID, MemberFigures]]]
"""The figures of these members of an organisation; who asks may see them."""


class MemberChange(msgspec.Struct, forbid_unknown_fields=True):
    """What may be changed of a member; what is left out stays."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    role: Role | msgspec.UnsetType = msgspec.UNSET
    status: Status | msgspec.UnsetType = msgspec.UNSET


class NewInvite(msgspec.Struct, forbid_unknown_fields=True):
    """Who is invited. A system admin says into which organisation."""

    email: str
    role: Role = Role.ORG_USER
    org_id: UUID | None = None


class OpenInvite(msgspec.Struct, kw_only=True):
    """An invite that has been neither accepted nor withdrawn; past `expires_at` it cannot be accepted any more."""

    id: UUID
    org_id: UUID
    email: str
    role: Role
    invited_by: UUID
    created_at: datetime
    expires_at: datetime


class Invite(OpenInvite, kw_only=True):
    """An invite, with the link to hand over; link and token are in this answer and nowhere else.

    `managed_by` is the file in Git that lists the organisation's members: who is not in it is invited in vain.
    """

    token: str
    invite_url: str
    managed_by: ManagedBy | None = None


class Acceptance(msgspec.Struct, forbid_unknown_fields=True):
    """What an invited person sends. Where `email` is given it must be the address that was invited."""

    token: str
    name: str
    password: str
    email: str | None = None


def changed(before: Member, change: MemberChange) -> dict[str, str]:
    """The fields that really change.

    Raises:
        CannotGrant: the role would become, or cease to be, that of a system admin.
    """
    asked = {name: str(value) for name, value in msgspec.structs.asdict(change).items() if value is not msgspec.UNSET}
    new = {name: value for name, value in asked.items() if value != getattr(before, name)}
    if "role" in new and Role.SYSTEM_ADMIN in (before.role, Role(new["role"])):
        raise CannotGrant("role: nobody becomes a system admin through the API, nor ceases to be one")
    return new


def loses_admin(before: Member, new: dict[str, str]) -> bool:
    """Whether these new values make an active admin one less."""
    if before.role is Role.ORG_USER or before.status != Status.ACTIVE:
        return False
    return new.get("role", before.role) != before.role or new.get("status", before.status) != before.status
