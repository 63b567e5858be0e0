"""An API key as people see it, before and after its token is gone, and the rules that it may have."""

from collections.abc import Awaitable, Callable, Collection
from datetime import datetime, timedelta
from typing import Annotated, Final
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from ias.problems import Conflict, FieldError, Problem

MOST_GRACE_S = 30 * 86_400
MOST_MODELS: Final = 100
"""Each is a field of the key's record in Redis."""
SHOWN: Final = 20
"""Names in a refusal."""
_NONE: Final = "name one at least, or null for every model; revoke the key where it is to call none"

Names = Annotated[
    list[Annotated[str, msgspec.Meta(max_length=128)]],
    # That there is one at least is only told here: `checked` refuses an empty list, and says what to do instead.
    msgspec.Meta(max_length=MOST_MODELS, extra_json_schema={"minItems": 1}),
]
MonthlyTokens = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]

KeyUse = Callable[[Collection[UUID]], Awaitable[dict[UUID, tuple[datetime, int]]]]
"""When each of these keys was last used and the tokens that it spent this month; one never used is left out."""
KnownModels = Callable[[UUID], Awaitable[list[str]]]
"""The names of the models that an organisation may call."""


class BadExpiry(Problem):
    """The expiry lies in the past."""

    title = "Bad expiry"


class UnknownModels(Problem):
    """A key cannot be given models that its organisation may not call."""

    title = "Unknown models"


class NewKey(msgspec.Struct, forbid_unknown_fields=True):
    """What is asked for. Without `expires_at` the key works until it is revoked.

    Attributes:
        models: the names of the models that it may call; null is every one that the organisation may.
        monthly_tokens: its cap, tokens a month; null is none.
    """

    label: str
    expires_at: datetime | None = None
    models: Names | None = None
    monthly_tokens: MonthlyTokens | None = None


class KeyChanges(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The rules that are to change; what is left out stays.

    Attributes:
        models: the names of the models that it may call; null is every one that the organisation may.
        monthly_tokens: its cap, tokens a month; null is none.
    """

    models: Names | UnsetType | None = UNSET
    monthly_tokens: MonthlyTokens | UnsetType | None = UNSET


class ApiKey(msgspec.Struct, kw_only=True):
    """A key.

    Attributes:
        prefix: the start of its token, to recognise it by.
        models: the names of the models that it may call; null is every one that the organisation may.
        monthly_tokens: its cap, tokens a month; null is none.
        last_used_at: when its last request was admitted, as far as the ledger has it; null where there was none.
        spent_tokens: what it spent this month (UTC), by the ledger.
    """

    id: UUID
    org_id: UUID
    user_id: UUID
    label: str
    prefix: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    models: list[str] | None = None
    monthly_tokens: int | None = None
    last_used_at: datetime | None = None
    spent_tokens: int = 0

    def lasting(self) -> object:
        """What only a change of the key changes: without its use, and without its token."""
        fields = {name: getattr(self, name) for name in ApiKey.__struct_fields__}
        return ApiKey(**{**fields, "last_used_at": None, "spent_tokens": 0})


class Rotation(msgspec.Struct, forbid_unknown_fields=True):
    """How long the old key still works beside the new one, in seconds; a day where nothing is said."""

    grace_s: Annotated[int, msgspec.Meta(ge=0, le=MOST_GRACE_S)] = 86_400


class KeyRevoked(Conflict):
    """The key works no more, so that there is nothing to rotate or to change."""

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
    if ended(key, now):
        raise KeyRevoked("this key works no more; issue a new one")
    end = now + timedelta(seconds=grace_s)
    return end if key.expires_at is None else min(end, key.expires_at)


def ended(key: ApiKey, now: datetime) -> bool:
    """Whether a key works no more."""
    return key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now)


def checked(asked: list[str] | None, known: Collection[str]) -> list[str] | None:
    """The models of a key, each once and in order.

    Raises:
        UnknownModels: none is named, or some are not among those that are `known`; names each.
    """
    if asked is None:
        return None
    if not asked:
        raise UnknownModels(f"models: {_NONE}", (FieldError("/models", _NONE),))
    some = sorted(known)
    others = f"{', '.join(some[:SHOWN])}{' and others' if len(some) > SHOWN else ''}" or "none yet"
    detail = f"no such model, or your organisation may not call it; it may call: {others}"
    faults = tuple(FieldError(f"/models/{place}", detail) for place, name in enumerate(asked) if name not in known)
    if faults:
        raise UnknownModels(f"models: {detail}", faults)
    return sorted(set(asked))


def changed(key: ApiKey, asked: KeyChanges, known: Collection[str], now: datetime) -> ApiKey:
    """A key with other rules; `known` are the models that its organisation may call now.

    Raises:
        KeyRevoked: it has ended already.
        UnknownModels: it is to call no models, or such as it could not yet call, and that are not known.
    """
    if ended(key, now):
        raise KeyRevoked("this key works no more; issue a new one")
    after = msgspec.structs.replace(key)
    if asked.models is not UNSET:
        after.models = checked(asked.models, {*known, *(key.models or ())})
    if asked.monthly_tokens is not UNSET:
        after.monthly_tokens = asked.monthly_tokens
    return after


def _bad(detail: str) -> BadExpiry:
    return BadExpiry(f"expires_at: {detail}", (FieldError("/expires_at", detail),))
