"""Reading API keys: one's own, or with the permission all of the organisation."""

from collections.abc import Collection, Sequence
from uuid import UUID

import msgspec
from piccolo.columns.combination import And, Where
from piccolo.query import Select

from ias.db import transaction
from ias.identity.access.domain import Permission, Principal
from ias.identity.api_keys.domain import ApiKey, KeyUse
from ias.identity.tables import ApiKeys, Users
from ias.paging import Page, decode_cursor, page
from ias.problems import NotFound
from ias.telemetry import now

MOST_CAPS = 100
_NEWEST = 100

_COLUMNS = (
    *(ApiKeys.id, ApiKeys.org_id, ApiKeys.user_id, ApiKeys.label, ApiKeys.prefix),
    *(ApiKeys.created_at, ApiKeys.expires_at, ApiKeys.revoked_at, ApiKeys.models, ApiKeys.monthly_tokens),
)


async def listed(principal: Principal, owner: UUID | None, cursor: str | None, limit: int) -> Page[ApiKey]:
    """Keys that the caller may see, newest first, of one `owner` where that is given."""
    query = _newest(principal, limit + 1)
    if owner is not None:
        query = query.where(ApiKeys.user_id == owner)
    after = decode_cursor(cursor)
    if after is not None:
        query = query.where(ApiKeys.id < after)
    async with transaction(principal):
        rows = await query
    return page(msgspec.convert(rows, list[ApiKey]), limit, lambda key: key.id)


async def working(principal: Principal, owner: UUID, limit: int) -> list[ApiKey]:
    """The newest keys of one owner that the caller may see and that work."""
    query = _newest(principal, limit).where(ApiKeys.user_id == owner).where(_works())
    async with transaction(principal):
        return msgspec.convert(await query, list[ApiKey])


async def one(principal: Principal, key_id: UUID) -> ApiKey:
    """One key.

    Raises:
        NotFound: there is none, or the caller may not see it.
    """
    query = ApiKeys.select(*_COLUMNS).where(ApiKeys.id == key_id)
    for condition in _visible(principal):
        query = query.where(condition)
    async with transaction(principal):
        row = await query.first()
    if row is None:
        raise NotFound("no such API key")
    return msgspec.convert(row, ApiKey)


async def own_caps(principal: Principal) -> list[tuple[UUID, str, int]]:
    """The caller's working keys that have a cap, the newest: id, label and tokens a month of each."""
    own = (ApiKeys.user_id == principal.user_id) & _works()
    query = ApiKeys.select(ApiKeys.id, ApiKeys.label, ApiKeys.monthly_tokens).order_by(ApiKeys.id, ascending=False)
    async with transaction(principal):
        rows = await query.where(own & ApiKeys.monthly_tokens.is_not_null()).limit(MOST_CAPS)
    return [(row["id"], row["label"], row["monthly_tokens"]) for row in rows]


async def owners(principal: Principal, keys: Sequence[ApiKey]) -> dict[UUID, str]:
    """The addresses of those whose keys these are."""
    async with transaction(principal):
        rows = await Users.select(Users.id, Users.email).where(Users.id.is_in([key.user_id for key in keys] or [None]))
    return {row["id"]: row["email"] for row in rows}


async def key_labels(principal: Principal, asked: Collection[UUID]) -> dict[UUID, str]:
    """What keys of the caller's organisation that they may see are called: those asked for, and the newest hundred."""
    by = principal.confined()
    async with transaction(by):
        rows = await _labels(by).order_by(ApiKeys.id, ascending=False).limit(_NEWEST)
        further = set(asked) - {row["id"] for row in rows}
        if further:
            rows += await _labels(by).where(ApiKeys.id.is_in(list(further)))
    return {row["id"]: row["label"] for row in rows}


async def with_use(keys: Sequence[ApiKey], use: KeyUse) -> Sequence[ApiKey]:
    """The same keys with their use, asked for at once."""
    known = await use([key.id for key in keys]) if keys else {}
    for key in keys:
        key.last_used_at, key.spent_tokens = known.get(key.id, (None, 0))
    return keys


def _newest(principal: Principal, limit: int) -> Select[ApiKeys]:
    query = ApiKeys.select(*_COLUMNS).order_by(ApiKeys.id, ascending=False).limit(limit)
    for condition in _visible(principal):
        query = query.where(condition)
    return query


def _works() -> And:
    return ApiKeys.revoked_at.is_null() & (ApiKeys.expires_at.is_null() | (ApiKeys.expires_at > now()))


def _visible(principal: Principal) -> list[Where]:
    conditions = []
    if not principal.everywhere:
        conditions.append(ApiKeys.org_id == principal.org_id)
    if not principal.may(Permission.KEYS_ANY):
        conditions.append(ApiKeys.user_id == principal.user_id)
    return conditions


def _labels(principal: Principal) -> Select[ApiKeys]:
    query = ApiKeys.select(ApiKeys.id, ApiKeys.label)
    for condition in _visible(principal):
        query = query.where(condition)
    return query
