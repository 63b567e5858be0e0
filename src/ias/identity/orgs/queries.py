"""Reading organisations."""

from collections.abc import Collection
from uuid import UUID

import msgspec
from piccolo.custom_types import Combinable

from ias.db import lookup, transaction
from ias.identity.access.domain import Principal
from ias.identity.naming import containing
from ias.identity.orgs.domain import Census, Organisation, Search
from ias.identity.tables import Organizations
from ias.paging import Page, decode_cursor, page
from ias.problems import NotFound

_COLUMNS = (
    *(Organizations.id, Organizations.name, Organizations.tag),
    *(Organizations.status, Organizations.created_at),
    *(Organizations.description, Organizations.cost_center, Organizations.tags, Organizations.managed_by),
)

_EVERYTHING = Search()
_CENSUS = """
SELECT count(*) FILTER (WHERE status = 'active') AS active, count(*) FILTER (WHERE status = 'suspended') AS suspended,
       (SELECT count(*) FROM identity.invites
        WHERE org_id = $1 AND closed_at IS NULL AND expires_at > now()) AS invited,
       (SELECT count(*) FROM identity.api_keys
        WHERE org_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())) AS keys
FROM identity.users WHERE org_id = $1
"""
_HEADS = """
SELECT org_id, count(*) AS members FROM identity.users WHERE org_id = ANY($1) AND status <> 'removed' GROUP BY org_id
"""


async def listed(
    principal: Principal, cursor: str | None, limit: int, search: Search = _EVERYTHING
) -> Page[Organisation]:
    """Organisations that the caller may see, newest first: their own, or all."""
    query = Organizations.select(*_COLUMNS).where(Organizations.status != "removed").output(load_json=True)
    if not principal.everywhere:
        query = query.where(Organizations.id == principal.org_id)
    for condition in _conditions(search):
        query = query.where(condition)
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


async def census(org_id: UUID) -> Census:
    """Who and what an organisation has; who asks may see it."""
    async with lookup() as connection:
        row = await connection.fetchrow(_CENSUS, org_id)
    return msgspec.convert(dict(row), Census)


async def heads(orgs: Collection[UUID]) -> dict[UUID, int]:
    """How many members these organisations have; those that have none are left out."""
    async with lookup() as connection:
        rows = await connection.fetch(_HEADS, list(orgs))
    return {row["org_id"]: row["members"] for row in rows}


def _conditions(search: Search) -> list[Combinable]:
    conditions: list[Combinable] = []
    if search.state is not None:
        conditions.append(Organizations.status == search.state.value)
    if search.search:
        named = Organizations.name.ilike(containing(search.search)) | (Organizations.tag == search.search)
        conditions.append(named | (Organizations.id == _id(search.search)))
    return conditions


def _id(text: str) -> UUID:
    """The id that it is; where it is none, that of nothing."""
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)
