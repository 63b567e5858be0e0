"""The HTML door of the playground's key: made for an hour, or one of the caller's, and let go."""

from litestar import Controller, Request, Response, post
from litestar.datastructures import State
from litestar.di import NamedDependency

from ias.console.visit import Visit
from ias.contract.keys import tag_of
from ias.edge import Edge
from ias.identity.access.domain import Permission, Principal
from ias.identity.access.guards import requires
from ias.identity.api_keys.actions import KeyBooks
from ias.identity.playground.actions import give_up, make
from ias.identity.playground.holding import hold, let_go

PageRequest = Request[Principal, object, State]


class PlaygroundKeyPages(Controller):
    """The key that the playground calls models with."""

    path = "/orgs/{org_id:uuid}/playground/key"
    include_in_schema = False
    guards = (requires(Permission.KEYS_REVOKE),)

    @post(status_code=200, guards=[requires(Permission.KEYS_CREATE)])
    async def make(
        self,
        request: PageRequest,
        visit: NamedDependency[Visit],
        principal: NamedDependency[Principal],
        edge: NamedDependency[Edge],
        key_books: NamedDependency[KeyBooks],
    ) -> Response[bytes]:
        """Issue a key for an hour, and hold it in place of the one before."""
        held = await make(principal, request.cookies, edge, key_books.models)
        answer = visit.go(visit.path.removesuffix("/key"), "A key for the next hour is made; ask the first question.")
        answer.set_cookie(held)
        return answer

    @post("/own", status_code=200, guards=[requires(Permission.KEYS_CREATE)])
    async def use_own(
        self,
        request: PageRequest,
        visit: NamedDependency[Visit],
        principal: NamedDependency[Principal],
        edge: NamedDependency[Edge],
    ) -> Response[bytes]:
        """Hold a key that the caller has; whether it works, the gateway says."""
        token, there = visit.form.text("api_key"), visit.path.removesuffix("/key/own")
        if tag_of(token.encode()) != principal.org_tag:
            return visit.go(there, "This is no key of your organisation; copy all of it, from ias_ to its end.", "bad")
        await give_up(principal, request.cookies, edge)
        answer = visit.go(there, "The playground calls with this key for the next hour.")
        answer.set_cookie(hold(principal, token))
        return answer

    @post("/drop", status_code=200)
    async def drop(
        self,
        request: PageRequest,
        visit: NamedDependency[Visit],
        principal: NamedDependency[Principal],
        edge: NamedDependency[Edge],
    ) -> Response[bytes]:
        """Let the key go; one that was made for this is revoked."""
        await give_up(principal, request.cookies, edge)
        answer = visit.go(visit.path.removesuffix("/key/drop"), "The playground has forgotten its key.")
        answer.set_cookie(let_go())
        return answer
