"""The gate of pages: who may open which without a permission, and that nothing is a page by mistake."""

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from ias.console.tickets import SAFE
from ias.identity.doors import PUBLIC, sent_from_here
from ias.web import pages, provided

OPEN = {"/login", "/accept-invite"}
FOR_EVERYBODY_LOGGED_IN = {"/", "/logout", "/me", "/me/password", "/me/sessions/{session_id:uuid}/end", "/theme"}


def handlers() -> list[tuple[str, HTTPRouteHandler]]:
    """Path and handler of every page."""
    app = Litestar([pages()], dependencies=provided(lambda: None), openapi_config=None)
    return [
        (route.path, handler)
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in {id(handler): handler for handler in route.route_handlers}.values()
        if handler.http_methods != {"OPTIONS"}
    ]


def test_only_who_is_on_the_way_in_needs_no_session() -> None:
    assert {path for path, handler in handlers() if handler.opt.get(PUBLIC)} == OPEN


def test_every_page_but_ones_own_account_asks_for_a_permission() -> None:
    unguarded = {path for path, handler in handlers() if len(handler.resolve_guards()) < 2}
    assert unguarded == OPEN | FOR_EVERYBODY_LOGGED_IN


def test_every_page_looks_at_where_a_form_comes_from_and_none_takes_other_methods() -> None:
    for path, handler in handlers():
        assert handler.resolve_guards()[0] is sent_from_here, path
        assert handler.http_methods <= SAFE | {"POST"}, path
