"""The HTML door of API keys."""

from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from ias.conditions import etag
from ias.console.visit import Visit
from ias.edge import Edge
from ias.identity.access.domain import Permission, Principal
from ias.identity.access.guards import requires
from ias.identity.api_keys import actions, queries
from ias.identity.api_keys.actions import KeyBooks
from ias.identity.api_keys.domain import ApiKey, IssuedKey, KeyChanges, NewKey, Rotation, ended
from ias.identity.repeats.actions import once
from ias.paging import DEFAULT_LIMIT
from ias.problems import Problem
from ias.settings import settings
from ias.telemetry import now

_KEYS = "identity/api_keys/keys.html"
_NEW = "identity/api_keys/new.html"
_KEY = "identity/api_keys/key.html"
_SHOWN = "identity/api_keys/shown.html"
_REVOKE = "identity/api_keys/revoke.html"


class KeyPages(Controller):
    """Keys of the caller, and with `keys:any` of the organisation of the page."""

    path = "/orgs/{org_id:uuid}/keys"
    include_in_schema = False
    guards = (requires(Permission.KEYS_READ),)

    @get(guards=[requires(Permission.KEYS_READ)])
    async def listed(
        self,
        visit: NamedDependency[Visit],
        principal: NamedDependency[Principal],
        key_books: NamedDependency[KeyBooks],
        cursor: FromQuery[str | None] = None,
    ) -> Response[bytes]:
        """The list, newest first."""
        by = principal.confined()
        page = await queries.listed(by, None, cursor, DEFAULT_LIMIT)
        await queries.with_use(page.items, key_books.use)
        values = {
            "keys": page.items,
            "owners": await queries.owners(by, page.items),
            "older": page.next_cursor,
            "cursor": cursor,
            "states": {key.id: state(key) for key in page.items},
        }
        return visit.show(_KEYS, values)

    @get("/new", guards=[requires(Permission.KEYS_CREATE)])
    async def new(
        self, visit: NamedDependency[Visit], principal: NamedDependency[Principal], key_books: NamedDependency[KeyBooks]
    ) -> Response[bytes]:
        """The form for a new one."""
        return await _form(visit, principal, key_books)

    @post(status_code=200, guards=[requires(Permission.KEYS_CREATE)])
    async def issue(
        self,
        visit: NamedDependency[Visit],
        principal: NamedDependency[Principal],
        edge: NamedDependency[Edge],
        key_books: NamedDependency[KeyBooks],
    ) -> Response[bytes]:
        """Issue a key. Its token is on this page and nowhere else."""
        form = visit.form
        try:
            asked = form.made(
                NewKey,
                label=form.text("label"),
                expires_at=form.moment("expires_at"),
                models=form.every("models") or None,
            )
            async with once(principal.user_id, form.text("once")):
                key = await actions.issue(principal, asked, edge, key_books.models)
        except Problem as problem:
            return await _form(visit.refused(problem), principal, key_books)
        return await _shown(visit, key, key_books)

    @get("/{key_id:uuid}", guards=[requires(Permission.KEYS_READ)])
    async def one(
        self,
        visit: NamedDependency[Visit],
        principal: NamedDependency[Principal],
        key_id: FromPath[UUID],
        key_books: NamedDependency[KeyBooks],
    ) -> Response[bytes]:
        """One key, and what may be done with it."""
        return await _one(_KEY, visit, principal, key_id, key_books)

    @post("/{key_id:uuid}", status_code=200, guards=[requires(Permission.KEYS_REVOKE)])
    async def change(
        self,
        visit: NamedDependency[Visit],
        principal: NamedDependency[Principal],
        key_id: FromPath[UUID],
        edge: NamedDependency[Edge],
        key_books: NamedDependency[KeyBooks],
    ) -> Response[bytes]:
        """Change which models a key may call, and its cap."""
        by, form = principal.confined(), visit.form
        try:
            uncapped = {} if form.text("monthly_tokens") else {"monthly_tokens": None}
            ticked = form.every("models")
            models = {"models": ticked} if ticked else await _unticked(by, key_id)
            asked = form.made(KeyChanges, **models, **uncapped)
            await actions.change(by, key_id, asked, edge, key_books)
        except Problem as problem:
            return await _one(_KEY, visit.refused(problem), principal, key_id, key_books)
        return visit.go(visit.path, "The key's rules are changed; gateways go by them now.")

    @get("/{key_id:uuid}/revoke", guards=[requires(Permission.KEYS_REVOKE)])
    async def asked(
        self,
        visit: NamedDependency[Visit],
        principal: NamedDependency[Principal],
        key_id: FromPath[UUID],
        key_books: NamedDependency[KeyBooks],
    ) -> Response[bytes]:
        """Whether to revoke it, for browsers without JavaScript."""
        return await _one(_REVOKE, visit, principal, key_id, key_books)

    @post("/{key_id:uuid}/revoke", status_code=200, guards=[requires(Permission.KEYS_REVOKE)])
    async def revoke(
        self,
        visit: NamedDependency[Visit],
        principal: NamedDependency[Principal],
        key_id: FromPath[UUID],
        edge: NamedDependency[Edge],
    ) -> Response[bytes]:
        """Revoke a key; the gateways turn it away by now."""
        key = await actions.revoke(principal.confined(), key_id, edge)
        return visit.go(f"/orgs/{key.org_id}/keys", f"“{key.label}” is revoked; the gateways turn it away.")

    @post("/{key_id:uuid}/rotate", status_code=200, guards=[requires(Permission.KEYS_CREATE)])
    async def rotate(
        self,
        visit: NamedDependency[Visit],
        principal: NamedDependency[Principal],
        key_id: FromPath[UUID],
        edge: NamedDependency[Edge],
        key_books: NamedDependency[KeyBooks],
    ) -> Response[bytes]:
        """Issue a key like this one, which ends after a while. The new token is on this page and nowhere else."""
        try:
            async with once(principal.user_id, visit.form.text("once")):
                key = await actions.rotate(principal, key_id, visit.form.made(Rotation), edge)
        except Problem as problem:
            return await _one(_KEY, visit.refused(problem), principal, key_id, key_books)
        return await _shown(visit, key, key_books)


def state(key: ApiKey) -> str:
    """What a page calls it: revoked, expired or active."""
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if ended(key, now()) else "active"


async def _unticked(by: Principal, key_id: UUID) -> dict[str, None]:
    """What no tick asks for: every model. A key that may call none, as releases before let one say, stays so."""
    key = await queries.one(by, key_id)
    return {} if key.models == [] else {"models": None}


async def _form(visit: Visit, principal: Principal, books: KeyBooks) -> Response[bytes]:
    models = [] if principal.org_id is None else await books.models(principal.org_id)
    return visit.show(_NEW, {"models": sorted(models)})


async def _one(template: str, visit: Visit, principal: Principal, key_id: UUID, books: KeyBooks) -> Response[bytes]:
    by = principal.confined()
    [key] = await queries.with_use([await queries.one(by, key_id)], books.use)
    values = {
        "key": key,
        "etag": etag(key),
        "state": state(key),
        "owner": (await queries.owners(by, [key])).get(key.user_id, "somebody who was removed"),
        "models": sorted({*await books.models(key.org_id), *(key.models or ())}),
        "own": key.user_id == principal.user_id,
    }
    return visit.show(template, values)


async def _shown(visit: Visit, key: IssuedKey, books: KeyBooks) -> Response[bytes]:
    models = key.models or sorted(await books.models(key.org_id))
    values = {"key": key, "base_url": f"{settings().gateway_url.rstrip('/')}/v1", "model": (models or [""])[0]}
    return visit.show(_SHOWN, values)
