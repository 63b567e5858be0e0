"""The JSON door of API keys."""

from uuid import UUID

from litestar import Controller, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from ias.edge import Edge
from ias.identity.access.domain import Permission, Principal
from ias.identity.access.guards import requires
from ias.identity.api_keys import actions, queries
from ias.identity.api_keys.domain import ApiKey, IssuedKey, NewKey, Rotation
from ias.paging import DEFAULT_LIMIT, Limit, Page


class KeyApi(Controller):
    """Keys of the caller, and with `keys:any` of their organisation."""

    path = "/api-keys"
    tags = ("keys",)

    @post(guards=[requires(Permission.KEYS_CREATE)])
    async def issue(
        self, principal: NamedDependency[Principal], data: JSONBody[NewKey], edge: NamedDependency[Edge]
    ) -> IssuedKey:
        """Issue a key for the caller. The token is in this answer and nowhere else."""
        return await actions.issue(principal, data, edge)

    @get(guards=[requires(Permission.KEYS_READ)])
    async def listed(
        self,
        principal: NamedDependency[Principal],
        user_id: FromQuery[UUID | None] = None,
        cursor: FromQuery[str | None] = None,
        limit: Limit = DEFAULT_LIMIT,
    ) -> Page[ApiKey]:
        """Keys that the caller may see, newest first."""
        return await queries.listed(principal, user_id, cursor, limit)

    @get("/{key_id:uuid}", guards=[requires(Permission.KEYS_READ)])
    async def one(self, principal: NamedDependency[Principal], key_id: FromPath[UUID]) -> ApiKey:
        """One key."""
        return await queries.one(principal, key_id)

    @post("/{key_id:uuid}/rotate", guards=[requires(Permission.KEYS_CREATE)])
    async def rotate(
        self,
        principal: NamedDependency[Principal],
        key_id: FromPath[UUID],
        data: JSONBody[Rotation],
        edge: NamedDependency[Edge],
    ) -> IssuedKey:
        """Issue a key like this one, and let this one end after a grace period (a day; 0 ends it at once)."""
        return await actions.rotate(principal, key_id, data, edge)

    @delete("/{key_id:uuid}", status_code=200, guards=[requires(Permission.KEYS_REVOKE)])
    async def revoke(
        self, principal: NamedDependency[Principal], key_id: FromPath[UUID], edge: NamedDependency[Edge]
    ) -> ApiKey:
        """Revoke a key; the answer comes once the gateways turn it away."""
        return await actions.revoke(principal, key_id, edge)
