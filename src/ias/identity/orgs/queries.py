"""Reading organisations."""

from uuid import UUID

import msgspec

from ias.db import transaction
from ias.identity.access.domain import Principal
from ias.identity.orgs.domain import Organisation
from ias.identity.tables import Organizations
from ias.paging import Page, decode_cursor, page
from ias.problems import NotFound

_COLUMNS = (
    *(Organizations.id, Organizations.name, Organizations.tag),
    *(Organizations.status, Organizations.created_at),
    *(Organizations.description, Organizations.cost_center, Organizations.tags, Organizations.managed_by),
)


async def listed(principal: Principal, cursor: str | None, limit: int) -> Page[Organisation]:
    """Organisations that the caller may see, newest first: their own, or all."""
    query = Organizations.select(*_COLUMNS).where(Organizations.status != "removed").output(load_json=True)
    if not principal.everywhere:
        query = query.where(Organizations.id == principal.org_id)
    after = decode_cursor(cursor)
    if after is not None:
        query = query.where(Organizations.id < after)
    async with transaction(principal):
        rows = await query.order_by(Organizations.id, ascending=False).limit(limit + 1)
    return page(msgspec.convert(rows, list[Organisation]), limit, lambda org: org.id)


async def one(principal: Principal, org_id: UUID) -> Organisation:
    """One organisation.

    Raises:
        NotFound: there is none, or it is not the caller's.
    """
    async with transaction(principal.within(org_id)):
        row = await (
            Organizations.select(*_COLUMNS)
            .where((Organizations.id == org_id) & (Organizations.status != "removed"))
            .first()
            .output(load_json=True)
        )
    if row is None:
        raise NotFound("no such organisation")
    return msgspec.convert(row, Organisation)
