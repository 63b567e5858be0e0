"""The key that a browser's playground calls models with: sealed in a cookie that scripts cannot read.

It opens for the session that it was sealed in, and for the organisation of that key; nothing of it is stored here.
"""

import time
from collections.abc import Mapping
from typing import Final
from uuid import UUID

import msgspec
from litestar.datastructures import Cookie

from ias.console import tickets
from ias.console.sealed import seal, unseal
from ias.contract.keys import display_prefix
from ias.identity.access.domain import Principal

COOKIE: Final = "playground"
HELD_S: Final = 3600
"""So long a key is held, and one that is made for it works."""


class HeldKey(msgspec.Struct, frozen=True):
    """A key of the playground.

    Attributes:
        key_id: its id, where it was made for the playground; None where it is one of the caller's.
        instead: the one in whose place it was made.
        ends_at: Unix seconds.
    """

    token: str
    session_id: UUID
    org_id: UUID
    ends_at: float
    key_id: UUID | None = None
    instead: UUID | None = None

    @property
    def prefix(self) -> str:
        """What may be shown of it."""
        return display_prefix(self.token)


def hold(principal: Principal, token: str, key_id: UUID | None = None, instead: UUID | None = None) -> Cookie:
    """The cookie of a key from now on."""
    org_id = principal.org_id or UUID(int=0)
    held = HeldKey(token, principal.session_id, org_id, time.time() + HELD_S, key_id, instead)
    return hold_sealed(seal(msgspec.json.encode(held), COOKIE))


def hold_sealed(value: str) -> Cookie:
    """The cookie of a key that was sealed before."""
    return tickets.cookie(COOKIE, value, HELD_S)


def let_go() -> Cookie:
    """What takes the cookie away."""
    return tickets.cookie(COOKIE, "", 0)


def held_key(cookies: Mapping[str, str], principal: Principal) -> HeldKey | None:
    """The key of this session's playground; None where there is none, or it has ended."""
    opened = unseal(cookies.get(tickets.cookie_name(COOKIE), ""), COOKIE)
    if opened is None:
        return None
    held = msgspec.json.decode(opened, type=HeldKey)
    is_theirs = (held.session_id, held.org_id) == (principal.session_id, principal.org_id)
    return held if is_theirs and held.ends_at > time.time() else None
