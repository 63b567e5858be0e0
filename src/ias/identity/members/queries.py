"""Reading members."""

from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from ias.db import lookup, transaction
from ias.identity.access.domain import Permission, Principal
from ias.identity.members.domain import Member, OpenInvite
from ias.identity.naming import containing
from ias.identity.orgs.domain import ManagedBy
from ias.identity.tables import Invites, Organizations, Users
from ias.paging import Page, decode_cursor, page
from ias.problems import NotFound

_COLUMNS = (Users.id, Users.org_id, Users.email, Users.name, Users.role, Users.status, Users.created_at)

_USERS: Final = "users"
"""What the list of members is called among the parts of a file."""
_INVITED = (
    *(Invites.id, Invites.org_id, Invites.email, Invites.role),
    *(Invites.invited_by, Invites.created_at, Invites.expires_at),
)

_SEEN = """
SELECT asked.id, greatest(done.created_at, browsers.seen_at) AS seen_at FROM unnest($1::uuid[]) AS asked (id)
LEFT JOIN LATERAL (
    SELECT created_at FROM identity.audit_log WHERE actor_id = asked.id ORDER BY id DESC LIMIT 1
) done ON true
LEFT JOIN LATERAL (
    SELECT max(seen_at) AS seen_at FROM identity.refresh_tokens WHERE user_id = asked.id AND revoked_at IS NULL
) browsers ON true
"""

_ADDRESSES = """
(SELECT id, email FROM identity.users WHERE org_id = $1 AND status <> 'removed' ORDER BY id DESC LIMIT 100)
UNION SELECT id, email FROM identity.users WHERE org_id = $1 AND id = ANY($2)
"""


async def listed(
    principal: Principal, org_id: UUID | None, cursor: str | None, limit: int, search: str = ""
) -> Page[Member]:
    """Members that the caller may see, newest first, of one organisation where `org_id` is given.

    `search` is a part of the name or of the address, whatever its case.

    Raises:
        NotFound: that organisation is not the caller's.
    """
    scope = principal if org_id is None else principal.within(org_id)
    query = Users.select(*_COLUMNS).where(Users.status != "removed").order_by(Users.id, ascending=False)
    if scope.org_id is not None:
        query = query.where(Users.org_id == scope.org_id)
    if search:
        part = containing(search)
        query = query.where(Users.name.ilike(part) | Users.email.ilike(part))
    after = decode_cursor(cursor)
    if after is not None:
        query = query.where(Users.id < after)
    async with transaction(scope):
        rows = await query.limit(limit + 1)
        files = await _files({row["org_id"] for row in rows if row["org_id"] is not None})
    members = [msgspec.convert({**row, "managed_by": files.get(row["org_id"])}, Member) for row in rows]
    return page(members, limit, lambda member: member.id)


async def seen(users: Collection[UUID]) -> dict[UUID, datetime]:
    """When each of these members was last here, by their browsers and the audit log; who asks may see it.

    Who never was is left out.
    """
    async with lookup() as connection:
        rows = await connection.fetch(_SEEN, list(users))
    return {row["id"]: row["seen_at"] for row in rows if row["seen_at"] is not None}


async def one(principal: Principal, user_id: UUID) -> Member:
    """One member.

    Raises:
        NotFound: there is none, or of another organisation.
    """
    query = Users.select(*_COLUMNS).where((Users.id == user_id) & (Users.status != "removed"))
    if not principal.everywhere:
        query = query.where(Users.org_id == principal.org_id)
    async with transaction(principal):
        row = await query.first()
        managed = None if row is None or row["org_id"] is None else await file_of(row["org_id"])
    if row is None:
        raise NotFound("no such user")
    return msgspec.convert({**row, "managed_by": managed}, Member)


async def file_of(org_id: UUID) -> ManagedBy | None:
    """The file in Git that lists an organisation's members, inside the caller's transaction; None without one."""
    return (await _files({org_id})).get(org_id)


async def _files(org_ids: set[UUID]) -> dict[UUID, ManagedBy]:
    """The same of those of these organisations that have one; only the line of the list is told."""
    if not org_ids:
        return {}
    here = Organizations.id.is_in(list(org_ids)) & Organizations.managed_by.is_not_null()
    rows = await Organizations.select(Organizations.id, Organizations.managed_by).where(here).output(load_json=True)
    told = {row["id"]: msgspec.convert(row["managed_by"], ManagedBy) for row in rows}
    return {
        org_id: msgspec.structs.replace(file, lines={_USERS: file.lines[_USERS]})
        for org_id, file in told.items()
        if _USERS in file.lines
    }


async def invited(principal: Principal, org_id: UUID | None, cursor: str | None, limit: int) -> Page[OpenInvite]:
    """Invites that are neither accepted nor withdrawn, newest first, of one organisation where `org_id` is given.

    Raises:
        NotFound: that organisation is not the caller's.
    """
    scope = principal if org_id is None else principal.within(org_id)
    query = Invites.select(*_INVITED).where(Invites.closed_at.is_null()).order_by(Invites.id, ascending=False)
    if scope.org_id is not None:
        query = query.where(Invites.org_id == scope.org_id)
    after = decode_cursor(cursor)
    if after is not None:
        query = query.where(Invites.id < after)
    async with transaction(scope):
        rows = await query.limit(limit + 1)
    return page(msgspec.convert(rows, list[OpenInvite]), limit, lambda invite: invite.id)


async def addresses(principal: Principal, asked: Collection[UUID]) -> dict[UUID, str]:
    """What members of the caller's organisation are called: those that are asked for, and the newest hundred.

    Who may not see members gets their own address alone.
    """
    if not principal.may(Permission.MEMBERS_READ):
        return {principal.user_id: principal.email}
    async with transaction(principal) as connection:
        rows = await connection.fetch(_ADDRESSES, principal.org_id, list(asked))
    return {row["id"]: row["email"] for row in rows}
