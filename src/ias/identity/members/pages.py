"""The HTML door of members and invites."""

from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath

from ias.conditions import etag
from ias.console.visit import Visit
from ias.edge import Edge
from ias.identity.access.domain import Permission, Principal
from ias.identity.access.guards import requires
from ias.identity.api_keys import queries as keys
from ias.identity.api_keys.actions import KeyBooks
from ias.identity.members import actions, invites, queries
from ias.identity.members.domain import MemberBooks, MemberChange, NewInvite, Role, Status
from ias.identity.sessions import actions as sessions
from ias.paging import DEFAULT_LIMIT, MAX_LIMIT
from ias.problems import Problem

_MEMBERS = "identity/members/members.html"
_INVITE = "identity/members/invite.html"
_INVITED = "identity/members/invited.html"
_MEMBER = "identity/members/member.html"
_SUSPEND = "identity/members/suspend.html"
_REMOVE = "identity/members/remove.html"

Facts = dict[str, object]
"""What a template is told."""


class MemberPages(Controller):
    """Members of the organisation of the page, and who is expected."""

    path = "/orgs/{org_id:uuid}/members"
    include_in_schema = False

    @get(guards=[requires(Permission.MEMBERS_READ), requires(Permission.USAGE_READ)])
    async def listed(
        self,
        visit: NamedDependency[Visit],
        principal: NamedDependency[Principal],
        org_id: FromPath[UUID],
        member_books: NamedDependency[MemberBooks],
    ) -> Response[bytes]:
        """Who belongs to it, newest first, and above them who is invited; each in pages of its own."""
        asked = visit.asked
        cursor, search = asked.text("cursor") or None, asked.text("search")
        page = await queries.listed(principal, org_id, cursor, DEFAULT_LIMIT, search)
        ids = [member.id for member in page.items]
        after = asked.text("invited") or None
        invited = await queries.invited(principal, org_id, after, DEFAULT_LIMIT)
        values = {
            "members": page.items,
            "older": page.next_cursor,
            "cursor": cursor,
            "search": search,
            "figures": await member_books(org_id, ids),
            "seen": await queries.seen(ids),
            "invites": [] if cursor or search else invited.items,
            "invited": after,
            "older_invites": invited.next_cursor,
        }
        return visit.show(_MEMBERS, values)

    @get("/invite", guards=[requires(Permission.MEMBERS_WRITE)])
    async def new(self, visit: NamedDependency[Visit]) -> Response[bytes]:
        """The form to invite somebody."""
        return visit.show(_INVITE)

    @post("/invite", status_code=200, guards=[requires(Permission.MEMBERS_WRITE)])
    async def invite(
        self, visit: NamedDependency[Visit], principal: NamedDependency[Principal], org_id: FromPath[UUID]
    ) -> Response[bytes]:
        """Invite somebody, or once more. The link is on this page and nowhere else."""
        form = visit.form
        try:
            asked = form.made(NewInvite, email=form.text("email"), org_id=org_id)
            made = await invites.invite(principal, asked)
        except Problem as problem:
            return visit.refused(problem).show(_INVITE)
        return visit.show(_INVITED, {"invite": made})

    @post("/invites/{invite_id:uuid}/withdraw", status_code=200, guards=[requires(Permission.MEMBERS_WRITE)])
    async def withdraw(
        self,
        visit: NamedDependency[Visit],
        principal: NamedDependency[Principal],
        org_id: FromPath[UUID],
        invite_id: FromPath[UUID],
    ) -> Response[bytes]:
        """Make an invite's link worthless."""
        await invites.withdraw(principal.confined(), invite_id)
        return visit.go(f"/orgs/{org_id}/members", "The invite is withdrawn; its link works no more.")


async def provide_facts(
    principal: NamedDependency[Principal],
    org_id: FromPath[UUID],
    user_id: FromPath[UUID],
    key_books: NamedDependency[KeyBooks],
    member_books: NamedDependency[MemberBooks],
) -> Facts:
    """The dependency `facts`: what every page of one member tells.

    Raises:
        NotFound: there is no such member of the organisation.
    """
    by = principal.confined()
    member = await queries.one(by, user_id)
    working = await keys.working(by, user_id, MAX_LIMIT)
    return {
        "member": member,
        "etag": etag(member),
        "figures": (await member_books(org_id, [user_id])).get(user_id),
        "seen": (await queries.seen([user_id])).get(user_id),
        "keys": await keys.with_use(working, key_books.use),
        "own": user_id == principal.user_id,
    }


class OneMemberPages(Controller):
    """One member, and what may be done with them."""

    path = "/orgs/{org_id:uuid}/members/{user_id:uuid}"
    include_in_schema = False
    dependencies = {"facts": Provide(provide_facts)}  # noqa: RUF012 - Litestar's own form
    guards = (requires(Permission.MEMBERS_READ), requires(Permission.KEYS_READ), requires(Permission.USAGE_READ))

    @get()
    async def one(
        self,
        visit: NamedDependency[Visit],
        facts: NamedDependency[Facts],
    ) -> Response[bytes]:
        """Who it is, what they use, and which keys they hold."""
        return visit.show(_MEMBER, facts)

    @post(status_code=200, guards=[requires(Permission.MEMBERS_WRITE)])
    async def change(
        self,
        visit: NamedDependency[Visit],
        principal: NamedDependency[Principal],
        user_id: FromPath[UUID],
        edge: NamedDependency[Edge],
        facts: NamedDependency[Facts],
    ) -> Response[bytes]:
        """Change the name or the role."""
        try:
            asked = visit.form.made(MemberChange, name=visit.form.text("name"))
            member = await actions.change(principal.confined(), user_id, asked, edge)
        except Problem as problem:
            return visit.refused(problem).show(_MEMBER, facts)
        said = "may manage the organisation" if member.role is Role.ORG_ADMIN else "uses models and keys of their own"
        return visit.go(visit.path, f"{member.name} is saved: {said}.")

    @get("/suspend", guards=[requires(Permission.MEMBERS_WRITE)])
    async def to_suspend(
        self,
        visit: NamedDependency[Visit],
        facts: NamedDependency[Facts],
    ) -> Response[bytes]:
        """Whether to suspend them, for browsers without JavaScript."""
        return visit.show(_SUSPEND, facts)

    @post("/suspend", status_code=200, guards=[requires(Permission.MEMBERS_WRITE)])
    async def suspend(
        self,
        visit: NamedDependency[Visit],
        principal: NamedDependency[Principal],
        user_id: FromPath[UUID],
        edge: NamedDependency[Edge],
    ) -> Response[bytes]:
        """Turn a member and their keys away until they are reinstated."""
        asked = MemberChange(status=Status.SUSPENDED)
        member = await actions.change(principal.confined(), user_id, asked, edge)
        back = visit.path.removesuffix("/suspend")
        return visit.go(back, f"{member.name} is suspended: sessions have ended, and gateways turn their keys away.")

    @post("/reinstate", status_code=200, guards=[requires(Permission.MEMBERS_WRITE)])
    async def reinstate(
        self,
        visit: NamedDependency[Visit],
        principal: NamedDependency[Principal],
        user_id: FromPath[UUID],
        edge: NamedDependency[Edge],
    ) -> Response[bytes]:
        """Let a suspended member in again."""
        member = await actions.change(principal.confined(), user_id, MemberChange(status=Status.ACTIVE), edge)
        return visit.go(visit.path.removesuffix("/reinstate"), f"{member.name} may log in again; their keys work.")

    @post("/reset-password", status_code=200, guards=[requires(Permission.PASSWORDS_RESET)])
    async def reset_password(
        self,
        visit: NamedDependency[Visit],
        principal: NamedDependency[Principal],
        user_id: FromPath[UUID],
        facts: NamedDependency[Facts],
    ) -> Response[bytes]:
        """Set the member's password; all of their sessions end."""
        try:
            await sessions.reset_password(principal.confined(), user_id, visit.form.secret("new_password"))
        except Problem as problem:
            return visit.refused(problem).show(_MEMBER, facts)
        return visit.go(visit.path.removesuffix("/reset-password"), "The password is set. Hand it over yourself.")

    @get("/remove", guards=[requires(Permission.MEMBERS_WRITE)])
    async def to_remove(
        self,
        visit: NamedDependency[Visit],
        facts: NamedDependency[Facts],
    ) -> Response[bytes]:
        """Whether to remove them, for browsers without JavaScript."""
        return visit.show(_REMOVE, facts)

    @post("/remove", status_code=200, guards=[requires(Permission.MEMBERS_WRITE)])
    async def remove(
        self,
        visit: NamedDependency[Visit],
        principal: NamedDependency[Principal],
        org_id: FromPath[UUID],
        user_id: FromPath[UUID],
        edge: NamedDependency[Edge],
    ) -> Response[bytes]:
        """Remove a member; the gateways turn their keys away by now."""
        await actions.remove(principal.confined(), user_id, edge)
        return visit.go(
            f"/orgs/{org_id}/members", "The member is removed; their keys are revoked, their sessions over."
        )
