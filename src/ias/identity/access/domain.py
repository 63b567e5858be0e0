"""Permissions, and the principal who holds them. The code asks for permissions, never for roles."""

from enum import StrEnum
from typing import Protocol
from uuid import UUID

import msgspec

from ias.conditions import expect
from ias.problems import NotFound


class Permission(StrEnum):
    """What a handler can ask for. Which role has which is data, in `identity.role_permissions`."""

    ORGANISATIONS_ANY = "organisations:any"
    ORGANISATIONS_READ = "organisations:read"
    ORGANISATIONS_WRITE = "organisations:write"
    MEMBERS_READ = "members:read"
    MEMBERS_WRITE = "members:write"
    PASSWORDS_RESET = "passwords:reset"
    KEYS_CREATE = "keys:create"
    KEYS_READ = "keys:read"
    KEYS_REVOKE = "keys:revoke"
    KEYS_ANY = "keys:any"
    MODELS_READ = "models:read"
    MODELS_WRITE = "models:write"
    BUDGETS_READ = "budgets:read"
    BUDGETS_WRITE = "budgets:write"
    USAGE_READ = "usage:read"
    USAGE_PLATFORM = "usage:platform"
    AUDIT_READ = "audit:read"
    GITOPS_READ = "gitops:read"
    GITOPS_SYNC = "gitops:sync"
    GITOPS_WRITE = "gitops:write"


class Source(StrEnum):
    """By which door a change came in."""

    UI = "ui"
    CLI = "cli"
    API = "api"
    GIT = "git"
    SYSTEM = "system"


class Origin(msgspec.Struct, frozen=True):
    """Where a change comes from: the door, the request, what it takes the thing to be (`If-Match`), the address."""

    source: Source = Source.SYSTEM
    request_id: str = ""
    if_match: str = ""
    client: str = ""


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who does something without being logged in: the system itself, or somebody on the way in."""

    user_id: UUID | None = None
    email: str = "system"
    org_id: UUID | None = None
    origin: Origin = Origin()


class By(Protocol):
    """What the audit log wants to know of whoever did it; a Principal and an Actor have it."""

    @property
    def user_id(self) -> UUID | None:
        """Their id."""

    @property
    def email(self) -> str:
        """What they are called."""

    @property
    def org_id(self) -> UUID | None:
        """The organisation that it happens in."""

    @property
    def origin(self) -> Origin:
        """Door and request."""


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody logged in, as of this request; also the scope of their transactions (`ias.db.Scope`).

    Attributes:
        org_id: the organisation acted in; None for a system admin who acts for the platform.
        org_tag: the tag of their own organisation, empty for a system admin.
        session_id: the session, for ending it.
    """

    user_id: UUID
    email: str
    org_id: UUID | None
    org_tag: str
    permissions: frozenset[Permission]
    session_id: UUID
    origin: Origin = Origin()

    @property
    def everywhere(self) -> bool:
        """Whether rows of every organisation may be seen."""
        return Permission.ORGANISATIONS_ANY in self.permissions

    def may(self, permission: Permission) -> bool:
        """Whether they hold the permission."""
        return permission in self.permissions

    def within(self, org_id: UUID) -> "Principal":
        """The same person acting in this organisation, so that it is where the audit log finds it.

        Raises:
            NotFound: it is not their own, and they may not act in others.
        """
        if org_id != self.org_id and not self.everywhere:
            raise NotFound("no such organisation")
        return msgspec.structs.replace(self, org_id=org_id)

    def confined(self) -> "Principal":
        """The same person, who sees no organisation but the one that they act in: for pages, which are of one."""
        return msgspec.structs.replace(self, permissions=self.permissions - {Permission.ORGANISATIONS_ANY})

    def expects(self, thing: object) -> None:
        """Nothing, where the thing still is what they believe it to be; to be asked with its row locked.

        Raises:
            Changed: it is not.
        """
        expect(self.origin.if_match, thing)


def known(names: list[str]) -> frozenset[Permission]:
    """The permissions among these names; a name that only a newer release knows grants nothing."""
    return frozenset(permission for permission in Permission if permission.value in names)
