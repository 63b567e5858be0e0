"""Reading members."""

from uuid import UUID

import msgspec

from ias.db import transaction
from ias.identity.access.domain import Principal
from ias.identity.members.domain import Member, OpenInvite
from ias.identity.tables import Invites, Users
from ias.paging import Page, decode_cursor, page
from ias.problems import NotFound

_COLUMNS = (Users.id, Users.org_id, Users.email, Users.name, Users.role, Users.status, Users.created_at)

_INVITED = (
    *(Invites.id, Invites.org_id, Invites.email, Invites.role),
    *(Invites.invited_by, Invites.created_at, Invites.expires_at),
)


async def listed(principal: Principal, org_id: UUID | None, cursor: str | None, limit: int) -> Page[Member]:
    """Members that the caller may see, newest first, of one organisation where `org_id` is given.

    Raises:
        NotFound: that organisation is not the caller's.
    """
    scope = principal if org_id is None else principal.within(org_id)
    query = Users.select(*_COLUMNS).where(Users.status != "removed").order_by(Users.id, ascending=False)
    if scope.org_id is not None:
        query = query.where(Users.org_id == scope.org_id)
    after = decode_cursor(cursor)
    if after is not None:
        query = query.where(Users.id < after)
    async with transaction(scope):
        rows = await query.limit(limit + 1)
    return page(msgspec.convert(rows, list[Member]), limit, lambda member: member.id)


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
    if row is None:
        raise NotFound("no such user")
    return msgspec.convert(row, Member)


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
