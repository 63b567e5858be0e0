"""An API key as people see it, before and after its token is gone."""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

import msgspec

from ias.problems import Conflict, FieldError, Problem

MOST_GRACE_S = 30 * 86_400


class BadExpiry(Problem):
    """The expiry lies in the past."""

    title = "Bad expiry"


class NewKey(msgspec.Struct, forbid_unknown_fields=True):
    """What is asked for. Without `expires_at` the key works until it is revoked."""

    label: str
    expires_at: datetime | None = None


class ApiKey(msgspec.Struct, kw_only=True):
    """A key. `prefix` is the start of its token, to recognise it by."""

    id: UUID
    org_id: UUID
    user_id: UUID
    label: str
    prefix: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


class Rotation(msgspec.Struct, forbid_unknown_fields=True):
    """How long the old key still works beside the new one, in seconds; a day where nothing is said."""

    grace_s: Annotated[int, msgspec.Meta(ge=0, le=MOST_GRACE_S)] = 86_400


class KeyRevoked(Conflict):
    """The key works no more, so that there is nothing to rotate."""

    title = "Key is revoked"


class IssuedKey(ApiKey, kw_only=True):
    """A key with its token, which is in this answer and nowhere else."""

    token: str


def expiry(asked: datetime | None, now: datetime) -> datetime | None:
    """The moment a new key ends.

    Raises:
        BadExpiry: it has no time zone, or it is not in the future.
    """
    if asked is None:
        return None
    if asked.tzinfo is None:
        raise _bad("must say its time zone, such as 2030-01-31T00:00:00Z")
    if asked <= now:
        raise _bad("must be in the future")
    return asked


def after_grace(key: ApiKey, grace_s: int, now: datetime) -> datetime:
    """The moment a rotated key ends: after the grace period, or when it would have ended anyway.

    Raises:
        KeyRevoked: it has ended already.
    """
    if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now):
        raise KeyRevoked("this key works no more; issue a new one")
    end = now + timedelta(seconds=grace_s)
    return end if key.expires_at is None else min(end, key.expires_at)


def _bad(detail: str) -> BadExpiry:
    return BadExpiry(f"expires_at: {detail}", (FieldError("/expires_at", detail),))
