"""Reading API keys: one's own, or with the permission all of the organisation."""

from uuid import UUID

import msgspec
from piccolo.columns.combination import Where

from ias.db import transaction
from ias.identity.access.domain import Permission, Principal
from ias.identity.api_keys.domain import ApiKey
from ias.identity.tables import ApiKeys
from ias.paging import Page, decode_cursor, page
from ias.problems import NotFound

_COLUMNS = (
    *(ApiKeys.id, ApiKeys.org_id, ApiKeys.user_id, ApiKeys.label, ApiKeys.prefix),
    *(ApiKeys.created_at, ApiKeys.expires_at, ApiKeys.revoked_at),
)


async def listed(principal: Principal, owner: UUID | None, cursor: str | None, limit: int) -> Page[ApiKey]:
    """Keys that the caller may see, newest first, of one `owner` where that is given."""
    query = ApiKeys.select(*_COLUMNS).order_by(ApiKeys.id, ascending=False).limit(limit + 1)
    for condition in _visible(principal):
        query = query.where(condition)
    if owner is not None:
        query = query.where(ApiKeys.user_id == owner)
    after = decode_cursor(cursor)
    if after is not None:
        query = query.where(ApiKeys.id < after)
    async with transaction(principal):
        rows = await query
    return page(msgspec.convert(rows, list[ApiKey]), limit, lambda key: key.id)


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


def _visible(principal: Principal) -> list[Where]:
    conditions = []
    if not principal.everywhere:
        conditions.append(ApiKeys.org_id == principal.org_id)
    if not principal.may(Permission.KEYS_ANY):
        conditions.append(ApiKeys.user_id == principal.user_id)
    return conditions
