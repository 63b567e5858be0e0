"""The JSON door of API keys."""

from uuid import UUID

from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from ias.conditions import Changed
from ias.edge import Edge
from ias.identity.access.domain import Permission, Principal
from ias.identity.access.guards import requires
from ias.identity.api_keys import actions, queries
from ias.identity.api_keys.actions import KeyBooks, SystemAdminsHoldNoKeys
from ias.identity.api_keys.domain import (
    ApiKey,
    BadExpiry,
    IssuedKey,
    KeyChanges,
    KeyRevoked,
    NewKey,
    Rotation,
    UnknownModels,
)
from ias.identity.naming import BadName
from ias.paging import DEFAULT_LIMIT, Limit, Page
from ias.problems import raising


class KeyApi(Controller):
    """Keys of the caller, and with `keys:any` of their organisation."""

    path = "/api-keys"
    tags = ("keys",)

    @post(
        guards=[requires(Permission.KEYS_CREATE)],
        opt=raising(BadExpiry, BadName, SystemAdminsHoldNoKeys, UnknownModels),
    )
    async def issue(
        self,
        principal: NamedDependency[Principal],
        data: JSONBody[NewKey],
        edge: NamedDependency[Edge],
        key_books: NamedDependency[KeyBooks],
    ) -> IssuedKey:
        """Issue a key for the caller. The token is in this answer and nowhere else."""
        return await actions.issue(principal, data, edge, key_books.models)

    @get(guards=[requires(Permission.KEYS_READ)])
    async def listed(
        self,
        principal: NamedDependency[Principal],
        key_books: NamedDependency[KeyBooks],
        user_id: FromQuery[UUID | None] = None,
        cursor: FromQuery[str | None] = None,
        limit: Limit = DEFAULT_LIMIT,
    ) -> Page[ApiKey]:
        """Keys that the caller may see, newest first."""
        page = await queries.listed(principal, user_id, cursor, limit)
        await queries.with_use(page.items, key_books.use)
        return page

    @get("/{key_id:uuid}", guards=[requires(Permission.KEYS_READ)])
    async def one(
        self, principal: NamedDependency[Principal], key_id: FromPath[UUID], key_books: NamedDependency[KeyBooks]
    ) -> ApiKey:
        """One key."""
        [key] = await queries.with_use([await queries.one(principal, key_id)], key_books.use)
        return key

    @patch(
        "/{key_id:uuid}",
        guards=[requires(Permission.KEYS_REVOKE)],
        opt=raising(Changed, KeyRevoked, UnknownModels),
    )
    async def change(
        self,
        principal: NamedDependency[Principal],
        key_id: FromPath[UUID],
        data: JSONBody[KeyChanges],
        edge: NamedDependency[Edge],
        key_books: NamedDependency[KeyBooks],
    ) -> ApiKey:
        """Change which models a key may call, and its cap; gateways go by it when this is answered."""
        changed = await actions.change(principal, key_id, data, edge, key_books)
        [key] = await queries.with_use([changed], key_books.use)
        return key

    @post("/{key_id:uuid}/rotate", guards=[requires(Permission.KEYS_CREATE)], opt=raising(Changed, KeyRevoked))
    async def rotate(
        self,
        principal: NamedDependency[Principal],
        key_id: FromPath[UUID],
        data: JSONBody[Rotation],
        edge: NamedDependency[Edge],
    ) -> IssuedKey:
        """Issue a key like this one, and let this one end after a grace period: a day, or none with 0."""
        return await actions.rotate(principal, key_id, data, edge)

    @delete("/{key_id:uuid}", status_code=200, guards=[requires(Permission.KEYS_REVOKE)])
    async def revoke(
        self,
        principal: NamedDependency[Principal],
        key_id: FromPath[UUID],
        edge: NamedDependency[Edge],
        key_books: NamedDependency[KeyBooks],
    ) -> ApiKey:
        """Revoke a key; the answer comes once the gateways turn it away, and says when it was last used."""
        [key] = await queries.with_use([await actions.revoke(principal, key_id, edge)], key_books.use)
        return key
