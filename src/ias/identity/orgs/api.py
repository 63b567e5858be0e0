"""The JSON door of organisations."""

from typing import Annotated
from uuid import UUID

from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from ias.conditions import Changed
from ias.edge import Edge
from ias.identity.access.domain import Permission, Principal
from ias.identity.access.guards import requires
from ias.identity.naming import BadName
from ias.identity.orgs import actions, queries
from ias.identity.orgs.domain import NameTaken, NewOrganisation, Organisation, Prepare, Search, Status
from ias.paging import DEFAULT_LIMIT, Limit, Page
from ias.problems import raising

State = Annotated[Status | None, QueryParameter(name="state", description="Only in this state.")]
"""The query parameter `state`."""


class OrganisationApi(Controller):
    """Organisations: one's own; all, for system admins."""

    path = "/organizations"
    tags = ("organizations",)

    @post(guards=[requires(Permission.ORGANISATIONS_WRITE)], opt=raising(BadName, NameTaken))
    async def create(
        self,
        principal: NamedDependency[Principal],
        data: JSONBody[NewOrganisation],
        edge: NamedDependency[Edge],
        prepare: NamedDependency[Prepare],
    ) -> Organisation:
        """Create an organisation."""
        return await actions.create(principal, data, edge, prepare)

    @get(guards=[requires(Permission.ORGANISATIONS_READ)])
    async def listed(
        self,
        principal: NamedDependency[Principal],
        search: FromQuery[str] = "",
        state_: State = None,
        cursor: FromQuery[str | None] = None,
        limit: Limit = DEFAULT_LIMIT,
    ) -> Page[Organisation]:
        """Organisations that the caller may see, newest first."""
        return await queries.listed(principal, cursor, limit, Search(search=search, state=state_))

    @get("/{org_id:uuid}", guards=[requires(Permission.ORGANISATIONS_READ)])
    async def one(self, principal: NamedDependency[Principal], org_id: FromPath[UUID]) -> Organisation:
        """One organisation."""
        return await queries.one(principal, org_id)

    @patch(
        "/{org_id:uuid}", guards=[requires(Permission.ORGANISATIONS_WRITE)], opt=raising(BadName, Changed, NameTaken)
    )
    async def rename(
        self, principal: NamedDependency[Principal], org_id: FromPath[UUID], data: JSONBody[NewOrganisation]
    ) -> Organisation:
        """Give an organisation another name."""
        return await actions.rename(principal, org_id, data)

    @delete("/{org_id:uuid}", guards=[requires(Permission.ORGANISATIONS_WRITE)], opt=raising(Changed))
    async def remove(
        self, principal: NamedDependency[Principal], org_id: FromPath[UUID], edge: NamedDependency[Edge]
    ) -> None:
        """Remove an organisation with its members and keys; usage and audit log stay."""
        await actions.remove(principal, org_id, edge)

    @post(
        "/{org_id:uuid}/suspend",
        status_code=200,
        guards=[requires(Permission.ORGANISATIONS_WRITE)],
        opt=raising(BadName, Changed),
    )
    async def suspend(
        self,
        principal: NamedDependency[Principal],
        org_id: FromPath[UUID],
        edge: NamedDependency[Edge],
        reason: FromQuery[str] = "",
    ) -> Organisation:
        """Let nothing of an organisation in; the answer comes once the gateways turn it away."""
        return await actions.set_status(principal, org_id, Status.SUSPENDED, edge, reason)

    @post(
        "/{org_id:uuid}/resume",
        status_code=200,
        guards=[requires(Permission.ORGANISATIONS_WRITE)],
        opt=raising(BadName, Changed),
    )
    async def resume(
        self,
        principal: NamedDependency[Principal],
        org_id: FromPath[UUID],
        edge: NamedDependency[Edge],
        reason: FromQuery[str] = "",
    ) -> Organisation:
        """Let a suspended organisation in again."""
        return await actions.set_status(principal, org_id, Status.ACTIVE, edge, reason)
