"""The gate of pages: whose cookie it is, whether the form is from here, and what each page is told."""

from secrets import token_urlsafe
from typing import cast
from uuid import UUID

import msgspec
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult

from ias.console import tickets
from ias.console.forms import URLENCODED, Form, parsed
from ias.console.navigation import Entry
from ias.console.visit import SAID, THEMES, Visit, unpacked
from ias.identity.access.domain import Origin, Principal, Source
from ias.identity.access.guards import PUBLIC, Connection, origin_of
from ias.identity.access.queries import principal_of
from ias.identity.access.tokens import Access, NotAuthenticated
from ias.identity.browsers import actions, queries
from ias.identity.browsers.domain import is_to_be_noted
from ias.telemetry import now

SESSION = "session"
VISITOR = "visitor"
THEME = "theme"
POLL = "x-poll"
"""The header of what a page asks by itself, to stay fresh: nobody is there for it."""

PageRequest = Request[Principal, Origin, State]
AnyConnection = ASGIConnection[BaseRouteHandler, object, object, State]


class Browsers(AbstractAuthenticationMiddleware):
    """Puts the Principal behind a browser's cookie into the request."""

    async def authenticate_request(self, connection: Connection) -> AuthenticationResult:
        token = connection.cookies.get(tickets.cookie_name(SESSION), "")
        session = await queries.session(token) if token else None
        if session is None:
            raise NotAuthenticated("log in to see this page")
        origin = _origin(connection)
        principal = await principal_of(Access(session.user_id, session.family_id), origin)
        moment = now()
        if POLL not in connection.headers and is_to_be_noted(session, moment):
            await actions.note(session, moment)
        return AuthenticationResult(user=principal, auth=origin)


async def sent_from_here(connection: AnyConnection, handler: BaseRouteHandler) -> None:
    """A guard of every page: what changes something comes from a page of ours that the same browser was shown.

    Raises:
        ForeignForm: it does not.
    """
    if str(connection.scope.get("method")) in tickets.SAFE:
        return
    headers = connection.headers
    tickets.check_sender(headers.get("host", ""), headers.get("origin", ""), headers.get("sec-fetch-site", ""))
    sent = headers.get(tickets.HEADER, "")
    if not sent:
        sent = (await provide_form(cast("PageRequest", connection))).text(tickets.FIELD)
    cookie = VISITOR if handler.opt.get(PUBLIC) else SESSION
    tickets.check(connection.cookies.get(tickets.cookie_name(cookie), ""), sent)


async def provide_form(request: PageRequest) -> Form:
    """The dependency `form`: what was sent; empty where nothing was."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return parsed(await request.body()) if kind == URLENCODED else Form()


async def provide_principal(request: PageRequest, form: NamedDependency[Form]) -> Principal:
    """The dependency `principal`: in the organisation of the page; `if_match` of the form is what they saw.

    Raises:
        NotFound: the organisation is not theirs.
    """
    org_id = request.path_params.get("org_id")
    principal = request.user if org_id is None else request.user.within(cast("UUID", org_id))
    origin = msgspec.structs.replace(principal.origin, if_match=form.text("if_match"))
    return msgspec.structs.replace(principal, origin=origin)


def provide_origin(request: PageRequest) -> Origin:
    """The dependency `origin`, for pages that are open to everybody."""
    return _origin(cast("Connection", request))


async def provide_visit(
    request: PageRequest, form: NamedDependency[Form], navigation: NamedDependency[tuple[Entry, ...]]
) -> Visit:
    """The dependency `visit`.

    Raises:
        NotFound: there is no such organisation as the page is of.
    """
    visit = _visit(request, form)
    if request.route_handler.opt.get(PUBLIC):
        return _of_visitor(request, visit)
    principal = request.user
    asked = cast("UUID | None", request.path_params.get("org_id"))
    org_id = principal.org_id if asked is None else principal.within(asked).org_id
    who, org = await queries.around(principal, org_id)
    return msgspec.structs.replace(
        visit,
        csrf=tickets.proof(request.cookies[tickets.cookie_name(SESSION)]),
        who=who,
        org=org,
        permissions=frozenset(permission.value for permission in principal.permissions),
        entries=navigation,
    )


def _visit(request: PageRequest, form: Form) -> Visit:
    theme = request.cookies.get(tickets.cookie_name(THEME), THEMES[0])
    said = request.cookies.get(tickets.cookie_name(SAID), "")
    url = request.url
    return Visit(
        path=url.path,
        target=f"{url.path}?{url.query}" if url.query else url.path,
        csrf="",
        form=form,
        sent=request.method not in tickets.SAFE,
        theme=theme if theme in THEMES else THEMES[0],
        request_id=str(request.scope["state"].get("request_id", "")),
        block=request.headers.get("hx-target", ""),
        said=unpacked(said) if said else None,
        packs="gzip" in request.headers.get("accept-encoding", ""),
    )


def _of_visitor(request: PageRequest, visit: Visit) -> Visit:
    """Somebody who is not logged in, or need not be: their forms go with a cookie of its own."""
    secret, new = request.cookies.get(tickets.cookie_name(VISITOR), ""), token_urlsafe(32)
    cookies = () if secret else (tickets.cookie(VISITOR, new),)
    return msgspec.structs.replace(visit, csrf=tickets.proof(secret or new), cookies=cookies)


def _origin(connection: Connection) -> Origin:
    return msgspec.structs.replace(origin_of(connection), source=Source.UI, if_match="")
