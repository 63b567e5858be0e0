"""The HTML door for whoever is on the way in or out: logging in, accepting an invite, logging out; light and dark."""

from contextlib import suppress
from typing import Annotated

from litestar import Controller, Request, Response, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter

from ias.console import tickets
from ias.console.visit import THEMES, Visit
from ias.edge import Edge, EdgeDown
from ias.identity.access.domain import Origin, Principal
from ias.identity.access.guards import PUBLIC
from ias.identity.browsers import actions as browsers
from ias.identity.browsers.door import SESSION, THEME
from ias.identity.members import invites
from ias.identity.members.domain import Acceptance
from ias.identity.playground.actions import give_up
from ias.identity.playground.holding import let_go
from ias.identity.sessions import actions
from ias.identity.sessions.domain import REFRESH_LIFETIME, Credentials
from ias.problems import Problem

_LOGIN = "identity/browsers/login.html"
_ACCEPT = "identity/browsers/accept.html"
_A_YEAR_S = 31_536_000

AnyRequest = Request[object, object, State]
Next = Annotated[str, QueryParameter(name="next")]
"""The path to go to after logging in."""


class EntryPages(Controller):
    """Logging in and out."""

    include_in_schema = False

    @get("/login", opt={PUBLIC: True})
    async def form(self, visit: NamedDependency[Visit], next_: Next = "/") -> Response[bytes]:
        """The form."""
        return visit.show(_LOGIN, {"next": tickets.own_path(next_)})

    @post("/login", opt={PUBLIC: True})
    async def login(
        self,
        request: AnyRequest,
        visit: NamedDependency[Visit],
        origin: NamedDependency[Origin],
        edge: NamedDependency[Edge],
    ) -> Response[bytes]:
        """Begin a session of this browser, and go where one wanted to."""
        form = visit.form
        there = tickets.own_path(form.text("next", "/"))
        try:
            session = await actions.login(Credentials(form.text("email"), form.secret("password")), origin, edge)
        except Problem as problem:
            return visit.refused(problem).show(_LOGIN, {"next": there})
        return await _entered(visit.go(there), session.refresh_token, request)

    @get("/accept-invite", opt={PUBLIC: True})
    async def invited(self, visit: NamedDependency[Visit], token: FromQuery[str] = "") -> Response[bytes]:
        """The form of somebody who was given a link."""
        return visit.show(_ACCEPT, {"token": token})

    @post("/accept-invite", opt={PUBLIC: True})
    async def accept(
        self,
        request: AnyRequest,
        visit: NamedDependency[Visit],
        origin: NamedDependency[Origin],
        edge: NamedDependency[Edge],
    ) -> Response[bytes]:
        """Become a member, and begin a session."""
        form, password = visit.form, visit.form.secret("password")
        try:
            member = await invites.accept(Acceptance(form.text("token"), form.text("name"), password), origin)
        except Problem as problem:
            return visit.refused(problem).show(_ACCEPT, {"token": form.text("token")})
        try:
            session = await actions.login(Credentials(member.email, password), origin, edge)
        except Problem:
            return visit.go("/login", "You are a member now; log in.")
        answer = visit.go("/", f"Welcome, {member.name}. You are a member now.")
        return await _entered(answer, session.refresh_token, request)

    @post("/logout")
    async def logout(
        self,
        request: AnyRequest,
        visit: NamedDependency[Visit],
        principal: NamedDependency[Principal],
        edge: NamedDependency[Edge],
    ) -> Response[bytes]:
        """End this browser's session, and with it the key that was made for its playground."""
        await actions.end(principal, principal.session_id)
        with suppress(EdgeDown):  # the worker tells gateways once Redis is back
            await give_up(principal, request.cookies, edge)
        answer = visit.go("/login", "You are logged out.", "plain")
        answer.set_cookie(tickets.cookie(SESSION, "", 0))
        answer.set_cookie(let_go())
        return answer


class FirstPages(Controller):
    """What has no organisation."""

    include_in_schema = False

    @get("/")
    async def first(self, visit: NamedDependency[Visit]) -> Response[bytes]:
        """One's own organisation; the platform, for system admins."""
        there = "/overview" if visit.org is None else f"/orgs/{visit.org.id}"
        return visit.go(there) if visit.said is None else visit.go(there, visit.said.text, visit.said.kind)

    @post("/theme")
    async def theme(self, visit: NamedDependency[Visit]) -> Response[bytes]:
        """Light, dark, or as the system has it."""
        asked = visit.form.text("theme")
        answer = visit.go(visit.form.text("next", "/"))
        answer.set_cookie(tickets.cookie(THEME, asked if asked in THEMES else THEMES[0], _A_YEAR_S))
        return answer


async def _entered(answer: Response[bytes], token: str, request: AnyRequest) -> Response[bytes]:
    """The answer with the cookie of a session that has just begun: whatever the browser had before is not it."""
    await browsers.keep_in_cookie(token, request.headers.get("user-agent", ""))
    answer.set_cookie(tickets.cookie(SESSION, token, int(REFRESH_LIFETIME.total_seconds())))
    return answer
