"""An entry of the audit log as people see it, and what it may be searched by."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import msgspec

from ias.identity.access.domain import Source

MASKED = "***"
"""What an entry says instead of a secret."""
_SECRET = ("password", "token", "secret", "hash", "fingerprint", "authorization")
"""What names of secrets end with; `monthly_tokens` and `input_rate` are none."""

_NAMES = ("label", "email", "name", "repository")
"""Fields that say what a thing is called."""


class Entry(msgspec.Struct, kw_only=True):
    """Somebody did something. `before` and `after` hold the fields that changed.

    `seq` numbers the entries of an organisation's chain from 1 without gaps; `hash` is SHA-256, in hexadecimal, over
    the hash of the entry before and this entry.
    """

    id: UUID
    org_id: UUID | None
    actor_id: UUID | None
    actor: str
    action: str
    target_id: UUID | None
    before: dict[str, object] | None
    after: dict[str, object] | None
    source: str
    request_id: str
    created_at: datetime
    seq: int
    hash: str


class Change(msgspec.Struct, frozen=True):
    """A field that somebody changed, as people read it; None where it was not there, or is no more."""

    field: str
    before: str | None
    after: str | None


class Fault(msgspec.Struct, kw_only=True):
    """An entry that is not as it was written, or the place where some are missing."""

    org_id: UUID | None
    seq: int
    entry_id: UUID | None
    detail: str


class Verification(msgspec.Struct, kw_only=True):
    """What checking the chains brought: how many entries of how many chains, and each fault; none where all is well."""

    chains: int
    entries: int
    faults: list[Fault]


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries: all that are given must hold; `since` is included, `until` is not.

    Attributes:
        actor: the address of whoever did it, or what an entry calls who has none.
    """

    org_id: UUID | None = None
    actor_id: UUID | None = None
    actor: str = ""
    action: str | None = None
    target_id: UUID | None = None
    source: Source | None = None
    since: datetime | None = None
    until: datetime | None = None


def masked(fields: Mapping[str, object]) -> dict[str, object]:
    """The fields, with nothing to be read of those whose name says that they are secret."""
    return {name: MASKED if name.lower().endswith(_SECRET) else value for name, value in fields.items()}


def changes(entry: Entry) -> tuple[Change, ...]:
    """The fields that differ before and after, those left empty aside; of secrets, that they were changed."""
    before, after = entry.before or {}, entry.after or {}
    return tuple(
        Change(name, _said(before, name), _said(after, name))
        for name in dict.fromkeys((*before, *after))
        if before.get(name) != after.get(name) or after.get(name) == MASKED
    )


def subject(entry: Entry) -> str:
    """What people call the thing that was changed, as far as the entry says so."""
    for fields in (entry.after or {}, entry.before or {}):
        for name in _NAMES:
            if isinstance(fields.get(name), str):
                return str(fields[name])
    return ""


def _said(fields: Mapping[str, object], name: str) -> str | None:
    if name not in fields:
        return None
    value = fields[name]
    if isinstance(value, list):
        return ", ".join(_plain(each) for each in value) or "nothing"
    return _plain(value)


def _plain(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
