"""The HTML door of one's own account."""

from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from ias.console.visit import Visit
from ias.edge import Edge
from ias.identity.access.domain import Principal
from ias.identity.sessions import actions, queries
from ias.identity.sessions.domain import PasswordChange
from ias.problems import Problem

_ME = "identity/sessions/me.html"


class MePages(Controller):
    """One's own account."""

    path = "/me"
    include_in_schema = False

    @get()
    async def me(self, visit: NamedDependency[Visit], principal: NamedDependency[Principal]) -> Response[bytes]:
        """Who is logged in, and what they may do."""
        return await _page(visit, principal)

    @post(status_code=200)
    async def rename(self, visit: NamedDependency[Visit], principal: NamedDependency[Principal]) -> Response[bytes]:
        """Change one's own name."""
        try:
            await actions.rename(principal, visit.form.text("name"))
        except Problem as problem:
            return await _page(visit.refused(problem), principal)
        return visit.go("/me", "Your name is changed.")

    @post("/password", status_code=200)
    async def change_password(
        self, visit: NamedDependency[Visit], principal: NamedDependency[Principal], edge: NamedDependency[Edge]
    ) -> Response[bytes]:
        """Change one's own password; every other session ends."""
        sent = PasswordChange(visit.form.secret("current_password"), visit.form.secret("new_password"))
        try:
            await actions.change_password(edge, principal, sent)
        except Problem as problem:
            return await _page(visit.refused(problem), principal)
        return visit.go("/me", "Your password is changed. Every other session of yours has ended.")

    @post("/sessions/{session_id:uuid}/end", status_code=200)
    async def end_session(
        self, visit: NamedDependency[Visit], principal: NamedDependency[Principal], session_id: FromPath[UUID]
    ) -> Response[bytes]:
        """Log out somewhere else."""
        await actions.end(principal, session_id)
        return visit.go("/me", "That session has ended.")


async def _page(visit: Visit, principal: Principal) -> Response[bytes]:
    return visit.show(_ME, {"me": await queries.me(principal), "sessions": (await queries.live(principal)).items})
