"""An organisation as people see it."""

from collections.abc import Awaitable, Callable
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


class Organisation(msgspec.Struct, kw_only=True):
    """A tenant. `tag` is what its key tokens begin with."""

    id: UUID
    name: str
    tag: str
    status: Status
    created_at: datetime


class NewOrganisation(msgspec.Struct, forbid_unknown_fields=True):
    """What is asked for; the same to rename one."""

    name: str
