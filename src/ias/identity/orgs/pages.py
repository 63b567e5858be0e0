"""The HTML door of organisations."""

from typing import Final
from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath

from ias.conditions import etag
from ias.console.visit import Visit
from ias.edge import Edge
from ias.identity.access.domain import Permission, Principal
from ias.identity.access.guards import requires
from ias.identity.audit.domain import Filters
from ias.identity.audit.queries import listed as audited
from ias.identity.orgs import actions, queries
from ias.identity.orgs.domain import NewOrganisation, OrgBooks, Prepare, Search, Status
from ias.problems import BadRequest, FieldError, Problem

_LIST = "identity/orgs/list.html"
_NEW = "identity/orgs/new.html"
_ONE = "identity/orgs/administration.html"
_SUSPEND = "identity/orgs/suspend.html"
_REMOVE = "identity/orgs/remove.html"

_AT_ONCE: Final = 25
"""So many are on a page: what each used this month is summed up for it."""

Facts = dict[str, object]
"""What a template is told."""


class OrganisationPages(Controller):
    """All organisations, for those who run the platform."""

    path = "/orgs"
    include_in_schema = False
    guards = (requires(Permission.ORGANISATIONS_READ),)

    @get(guards=[requires(Permission.ORGANISATIONS_ANY)])
    async def listed(
        self,
        visit: NamedDependency[Visit],
        principal: NamedDependency[Principal],
        org_books: NamedDependency[OrgBooks],
    ) -> Response[bytes]:
        """The list, newest first."""
        asked = visit.asked
        cursor, search = asked.text("cursor") or None, asked.made(Search)
        page = await queries.listed(principal, cursor, _AT_ONCE, search)
        ids = [org.id for org in page.items]
        values = {
            "orgs": page.items,
            "older": page.next_cursor,
            "cursor": cursor,
            "search": search,
            "figures": await org_books(ids),
            "heads": await queries.heads(ids),
        }
        return visit.show(_LIST, values)

    @get("/new", guards=[requires(Permission.ORGANISATIONS_WRITE)])
    async def new(self, visit: NamedDependency[Visit]) -> Response[bytes]:
        """The form for a new one."""
        return visit.show(_NEW)

    @post(status_code=200, guards=[requires(Permission.ORGANISATIONS_WRITE)])
    async def create(
        self,
        visit: NamedDependency[Visit],
        principal: NamedDependency[Principal],
        edge: NamedDependency[Edge],
        prepare: NamedDependency[Prepare],
    ) -> Response[bytes]:
        """Create an organisation."""
        asked = NewOrganisation(visit.form.text("name"))
        try:
            org = await actions.create(principal, asked, edge, prepare)
        except Problem as problem:
            return visit.refused(problem).show(_NEW)
        return visit.go(f"/orgs/{org.id}/administration", f"“{org.name}” is there. Invite its first admin.")


async def provide_facts(
    principal: NamedDependency[Principal], org_id: FromPath[UUID], org_books: NamedDependency[OrgBooks]
) -> Facts:
    """The dependency `facts`: what every page that administers an organisation tells.

    Raises:
        NotFound: there is none.
    """
    org = await queries.one(principal, org_id)
    suspended = org.status is Status.SUSPENDED
    why = Filters(org_id=org_id, action="organisation.suspended")
    return {
        "org": org,
        "etag": etag(org),
        "census": await queries.census(org_id),
        "figures": (await org_books([org_id]))[org_id],
        "suspension": next(iter((await audited(principal, why, None, 1)).items), None) if suspended else None,
    }


class AdministrationPages(Controller):
    """One organisation, for those who run the platform."""

    path = "/orgs/{org_id:uuid}/administration"
    include_in_schema = False
    guards = (requires(Permission.ORGANISATIONS_READ), requires(Permission.AUDIT_READ))
    dependencies = {"facts": Provide(provide_facts)}  # noqa: RUF012 - Litestar's own form

    @get(guards=[requires(Permission.ORGANISATIONS_WRITE)])
    async def one(self, visit: NamedDependency[Visit], facts: NamedDependency[Facts]) -> Response[bytes]:
        """Who and what it has, what it uses, and what may be done with it."""
        return visit.show(_ONE, facts)

    @post(status_code=200, guards=[requires(Permission.ORGANISATIONS_WRITE)])
    async def rename(
        self,
        visit: NamedDependency[Visit],
        principal: NamedDependency[Principal],
        org_id: FromPath[UUID],
        facts: NamedDependency[Facts],
    ) -> Response[bytes]:
        """Give it another name."""
        try:
            org = await actions.rename(principal, org_id, NewOrganisation(visit.form.text("name")))
        except Problem as problem:
            return visit.refused(problem).show(_ONE, facts)
        return visit.go(visit.path, f"It is called “{org.name}” now.")

    @get("/suspend", guards=[requires(Permission.ORGANISATIONS_WRITE)])
    async def to_suspend(self, visit: NamedDependency[Visit], facts: NamedDependency[Facts]) -> Response[bytes]:
        """Whether to suspend it, and why."""
        return visit.show(_SUSPEND, facts)

    @post("/suspend", status_code=200, guards=[requires(Permission.ORGANISATIONS_WRITE)])
    async def suspend(
        self,
        visit: NamedDependency[Visit],
        principal: NamedDependency[Principal],
        org_id: FromPath[UUID],
        edge: NamedDependency[Edge],
        facts: NamedDependency[Facts],
    ) -> Response[bytes]:
        """Let nothing of it in."""
        try:
            org = await actions.set_status(principal, org_id, Status.SUSPENDED, edge, visit.form.text("reason"))
        except Problem as problem:
            return visit.refused(problem).show(_SUSPEND, facts)
        return visit.go(f"/orgs/{org_id}/administration", f"“{org.name}” is suspended; gateways turn it away.")

    @post("/resume", status_code=200, guards=[requires(Permission.ORGANISATIONS_WRITE)])
    async def resume(
        self,
        visit: NamedDependency[Visit],
        principal: NamedDependency[Principal],
        org_id: FromPath[UUID],
        edge: NamedDependency[Edge],
    ) -> Response[bytes]:
        """Let it in again."""
        org = await actions.set_status(principal, org_id, Status.ACTIVE, edge)
        return visit.go(f"/orgs/{org_id}/administration", f"“{org.name}” is back: its keys work, its members log in.")

    @get("/remove", guards=[requires(Permission.ORGANISATIONS_WRITE)])
    async def to_remove(self, visit: NamedDependency[Visit], facts: NamedDependency[Facts]) -> Response[bytes]:
        """Whether to remove it."""
        return visit.show(_REMOVE, facts)

    @post("/remove", status_code=200, guards=[requires(Permission.ORGANISATIONS_WRITE)])
    async def remove(
        self,
        visit: NamedDependency[Visit],
        principal: NamedDependency[Principal],
        org_id: FromPath[UUID],
        edge: NamedDependency[Edge],
        facts: NamedDependency[Facts],
    ) -> Response[bytes]:
        """Remove it, where its name was written to say that this is meant."""
        name = (await queries.one(principal, org_id)).name
        if visit.form.text("name") != name:
            said = "write the name of the organisation as it stands above"
            return visit.refused(BadRequest(said, (FieldError("/name", said),))).show(_REMOVE, facts)
        await actions.remove(principal, org_id, edge)
        return visit.go("/orgs", f"“{name}” is removed. What it used stays in the books.")
