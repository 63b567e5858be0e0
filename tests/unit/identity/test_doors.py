"""The gate: everything asks for a token but a short named list, and almost everything for a permission."""

from litestar import Litestar
from litestar.di import Provide
from litestar.routes import HTTPRoute

from ias.identity.access.guards import PUBLIC
from ias.identity.doors import controllers, dependencies

OPEN = {"/auth/login", "/auth/refresh", "/users/accept-invite"}
FOR_EVERYBODY_LOGGED_IN = {"/auth/logout", "/me", "/me/password", "/me/sessions", "/me/sessions/{session_id:uuid}"}


def handlers() -> list[tuple[str, bool, bool]]:
    """Path, open to everybody, asks for a permission: of each handler."""
    given = {
        "edge": Provide(lambda: None, sync_to_thread=False),
        "key_books": Provide(lambda: None, sync_to_thread=False),
        "prepare": Provide(lambda: None, sync_to_thread=False),
    }
    app = Litestar(list(controllers), dependencies={**dependencies, **given}, openapi_config=None)
    return [
        (route.path, bool(handler.opt.get(PUBLIC)), bool(handler.resolve_guards()))
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in {id(handler): handler for handler in route.route_handlers}.values()
        if handler.http_methods != {"OPTIONS"}
    ]


def test_only_a_short_named_list_is_open_to_everybody() -> None:
    assert {path for path, is_open, _ in handlers() if is_open} == OPEN


def test_whatever_needs_a_token_needs_a_permission_but_ones_own_account() -> None:
    unguarded = {path for path, is_open, guarded in handlers() if not is_open and not guarded}
    assert unguarded == FOR_EVERYBODY_LOGGED_IN
