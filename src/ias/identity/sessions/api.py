"""The JSON door of sessions and of one's own account."""

from uuid import UUID

from litestar import Controller, delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from ias.conditions import Changed
from ias.edge import Edge
from ias.identity.access.domain import Origin, Permission, Principal
from ias.identity.access.guards import PUBLIC, requires
from ias.identity.naming import BadName
from ias.identity.sessions import actions, queries
from ias.identity.sessions.domain import (
    AccountSuspended,
    BadCredentials,
    BadRefreshToken,
    Credentials,
    LiveSession,
    Me,
    PasswordChange,
    PasswordReset,
    Profile,
    RefreshToken,
    Session,
)
from ias.identity.sessions.passwords import TooManyLogins, WeakPassword
from ias.identity.sessions.throttle import TooManyAttempts
from ias.paging import Page
from ias.problems import NotFound, raising


class AuthApi(Controller):
    """Sessions."""

    path = "/auth"
    tags = ("auth",)

    @post(
        "/login",
        status_code=200,
        opt={PUBLIC: True, **raising(AccountSuspended, BadCredentials, TooManyAttempts, TooManyLogins)},
    )
    async def login(
        self, data: JSONBody[Credentials], origin: NamedDependency[Origin], edge: NamedDependency[Edge]
    ) -> Session:
        """Begin a session: an access token for an hour, a refresh token for seven days."""
        return await actions.login(data, origin, edge)

    @post("/refresh", status_code=200, opt={PUBLIC: True, **raising(BadRefreshToken)})
    async def refresh(self, data: JSONBody[RefreshToken], origin: NamedDependency[Origin]) -> Session:
        """Exchange a refresh token for the next pair. A refresh token works once."""
        return await actions.refresh(data.refresh_token, origin)

    @post("/logout", status_code=204)
    async def logout(self, principal: NamedDependency[Principal]) -> None:
        """End this session."""
        await actions.end(principal, principal.session_id)


class MeApi(Controller):
    """One's own account."""

    path = "/me"
    tags = ("auth",)

    @get()
    async def me(self, principal: NamedDependency[Principal]) -> Me:
        """Who is logged in, and what they may do."""
        return await queries.me(principal)

    @patch(opt=raising(BadName, Changed))
    async def rename(self, principal: NamedDependency[Principal], data: JSONBody[Profile]) -> Me:
        """Change one's own name."""
        return await actions.rename(principal, data.name)

    @put("/password", status_code=204, opt=raising(BadCredentials, TooManyAttempts, TooManyLogins, WeakPassword))
    async def change_password(
        self, principal: NamedDependency[Principal], edge: NamedDependency[Edge], data: JSONBody[PasswordChange]
    ) -> None:
        """Change one's own password; every other session ends."""
        await actions.change_password(edge, principal, data)

    @get("/sessions")
    async def sessions(self, principal: NamedDependency[Principal]) -> Page[LiveSession]:
        """Where one is logged in, the last seen first; 200 at most."""
        return await queries.live(principal)

    @delete("/sessions/{session_id:uuid}", opt=raising(NotFound))
    async def end_session(self, principal: NamedDependency[Principal], session_id: FromPath[UUID]) -> None:
        """Log out somewhere else, or here."""
        await actions.end(principal, session_id)


class PasswordApi(Controller):
    """Other people's passwords."""

    path = "/users/{user_id:uuid}/reset-password"
    tags = ("users",)

    @post(status_code=204, guards=[requires(Permission.PASSWORDS_RESET)], opt=raising(TooManyLogins, WeakPassword))
    async def reset(
        self, principal: NamedDependency[Principal], user_id: FromPath[UUID], data: JSONBody[PasswordReset]
    ) -> None:
        """Set somebody's password; all of their sessions end."""
        await actions.reset_password(principal, user_id, data.new_password)
