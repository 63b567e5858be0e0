"""The JSON door of members and invites."""

from uuid import UUID

from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from ias.conditions import Changed
from ias.edge import Edge
from ias.identity.access.domain import Origin, Permission, Principal
from ias.identity.access.guards import PUBLIC, requires
from ias.identity.members import actions, invites, queries
from ias.identity.members.actions import AddressTaken
from ias.identity.members.domain import (
    Acceptance,
    CannotGrant,
    Invite,
    InviteForSomebodyElse,
    InviteGone,
    LastAdmin,
    Member,
    MemberChange,
    NewInvite,
    OpenInvite,
)
from ias.identity.members.invites import WhichOrganisation
from ias.identity.naming import BadName
from ias.identity.sessions.passwords import TooManyLogins, WeakPassword
from ias.paging import DEFAULT_LIMIT, Limit, Page
from ias.problems import NotFound, raising


class MemberApi(Controller):
    """Members of the caller's organisation; of any, for system admins."""

    path = "/users"
    tags = ("users",)

    @post(
        "/invite",
        guards=[requires(Permission.MEMBERS_WRITE)],
        opt=raising(AddressTaken, BadName, CannotGrant, NotFound, WhichOrganisation),
    )
    async def invite(self, principal: NamedDependency[Principal], data: JSONBody[NewInvite]) -> Invite:
        """Invite an address. The link is in this answer and nowhere else; hand it over yourself."""
        return await invites.invite(principal, data)

    @get("/invites", guards=[requires(Permission.MEMBERS_READ)], opt=raising(NotFound))
    async def invited(
        self,
        principal: NamedDependency[Principal],
        org_id: FromQuery[UUID | None] = None,
        cursor: FromQuery[str | None] = None,
        limit: Limit = DEFAULT_LIMIT,
    ) -> Page[OpenInvite]:
        """Invites that are neither accepted nor withdrawn, newest first; their links are not shown again."""
        return await queries.invited(principal, org_id, cursor, limit)

    @delete("/invites/{invite_id:uuid}", guards=[requires(Permission.MEMBERS_WRITE)])
    async def withdraw(self, principal: NamedDependency[Principal], invite_id: FromPath[UUID]) -> None:
        """Withdraw an invite: its link works no more."""
        await invites.withdraw(principal, invite_id)

    @post(
        "/accept-invite",
        opt={
            PUBLIC: True,
            **raising(AddressTaken, BadName, InviteForSomebodyElse, InviteGone, TooManyLogins, WeakPassword),
        },
    )
    async def accept(self, data: JSONBody[Acceptance], origin: NamedDependency[Origin]) -> Member:
        """Become a member by the token of an invite."""
        return await invites.accept(data, origin)

    @get(guards=[requires(Permission.MEMBERS_READ)], opt=raising(NotFound))
    async def listed(
        self,
        principal: NamedDependency[Principal],
        org_id: FromQuery[UUID | None] = None,
        search: FromQuery[str] = "",
        cursor: FromQuery[str | None] = None,
        limit: Limit = DEFAULT_LIMIT,
    ) -> Page[Member]:
        """Members that the caller may see, newest first."""
        return await queries.listed(principal, org_id, cursor, limit, search)

    @get("/{user_id:uuid}", guards=[requires(Permission.MEMBERS_READ)])
    async def one(self, principal: NamedDependency[Principal], user_id: FromPath[UUID]) -> Member:
        """One member."""
        return await queries.one(principal, user_id)

    @patch(
        "/{user_id:uuid}",
        guards=[requires(Permission.MEMBERS_WRITE)],
        opt=raising(BadName, CannotGrant, Changed, LastAdmin),
    )
    async def change(
        self,
        principal: NamedDependency[Principal],
        user_id: FromPath[UUID],
        data: JSONBody[MemberChange],
        edge: NamedDependency[Edge],
    ) -> Member:
        """Change a member's name, role or status."""
        return await actions.change(principal, user_id, data, edge)

    @delete("/{user_id:uuid}", guards=[requires(Permission.MEMBERS_WRITE)], opt=raising(Changed, LastAdmin))
    async def remove(
        self, principal: NamedDependency[Principal], user_id: FromPath[UUID], edge: NamedDependency[Edge]
    ) -> None:
        """Remove a member: sessions end, and the gateways turn their keys away before this is answered."""
        await actions.remove(principal, user_id, edge)
