"""An organisation with all of its people, as something that is compared with what is wanted."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from ias.identity.members.domain import Role


class Standing(StrEnum):
    """Whether somebody has an account here, or is expected to take one."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    INVITED = "invited"


class Person(msgspec.Struct, frozen=True):
    """Somebody of an organisation; `id` is the user's, or the invite's of somebody who is only expected."""

    id: UUID
    email: str
    role: Role
    standing: Standing


class About(msgspec.Struct, frozen=True):
    """What an organisation says of itself."""

    description: str = ""
    cost_center: str = ""
    tags: dict[str, str] = {}


class Roster(msgspec.Struct, frozen=True):
    """An organisation; its people by their addresses, folded so that twins are one."""

    org_id: UUID
    name: str
    tag: str
    active: bool
    about: About
    people: Mapping[str, Person]


class Deed(msgspec.Struct, frozen=True):
    """A change that somebody made, out of the audit log."""

    actor_id: UUID | None
    actor: str
    action: str
    target_id: UUID | None
    after: dict[str, object]
    before: dict[str, object]
    at: datetime
    source: str


class Expected(msgspec.Struct, frozen=True):
    """Somebody who has not taken up the membership that waits for them, and the link to hand over."""

    email: str
    role: Role
    expires_at: datetime
    invite_url: str
