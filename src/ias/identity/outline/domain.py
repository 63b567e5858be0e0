"""What stands out: how many there are, what is missing, which keys end soon."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

SOON: Final = timedelta(days=7)
"""A key that ends within so long is told of, unless it was never to live longer, such as the playground's."""


class EndingKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that ends soon, and whose it is."""

    id: UUID
    label: str
    owner: str
    expires_at: datetime


class Outline(msgspec.Struct, frozen=True, kw_only=True):
    """An organisation's people and keys.

    Attributes:
        members: who may log in; they are counted for who may see everybody's keys.
        admins: those of them who may change it.
        keyless: those of them without a key that works.
        invited: invites that may still be accepted; lapsed: those that nobody accepted in time.
        keys: whether anybody ever made a key; own_keys: whether the caller did.
        ending: keys that end soon, the next first; of the caller alone, who may not see others'.
    """

    members: int
    admins: int
    keyless: int
    invited: int
    lapsed: int
    keys: bool
    own_keys: bool
    ending: list[EndingKey]


class PlatformOutline(msgspec.Struct, frozen=True, kw_only=True):
    """All organisations. `admins` is whether any of them has an admin, or somebody who was invited to be one."""

    organisations: int
    suspended: int
    admins: bool
