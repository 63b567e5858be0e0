"""Logging in, going on, logging out, and setting passwords."""

from uuid import UUID

import asyncpg
import msgspec

from ias.db import EVERYWHERE, transaction, uuid7
from ias.edge import Edge
from ias.identity.access import tokens
from ias.identity.access.domain import Actor, Origin, Principal
from ias.identity.audit.actions import record
from ias.identity.audit.domain import MASKED
from ias.identity.naming import MAX_ADDRESS, clean_name, folded
from ias.identity.sessions.domain import (
    FORGOTTEN_AFTER,
    REFRESH_LIFETIME,
    AccountSuspended,
    BadCredentials,
    BadRefreshToken,
    Credentials,
    Me,
    PasswordChange,
    Session,
    digest,
    new_secret,
)
from ias.identity.sessions.passwords import hashed, hashed_anew, matches, outdated
from ias.identity.sessions.queries import account
from ias.identity.sessions.throttle import Guess, attempt, succeeded
from ias.identity.tables import RefreshTokens, Users
from ias.problems import NotFound
from ias.settings import settings
from ias.telemetry import now

_KNOWN = """
SELECT u.id, u.email, u.org_id, u.password_hash,
       u.status = 'active' AND coalesce(o.status, 'active') = 'active' AS welcome
FROM identity.users u LEFT JOIN identity.organizations o ON o.id = u.org_id
WHERE u.email_folded = $1 AND u.status <> 'removed'
"""
_PRESENTED = """
SELECT t.id, t.family_id, t.user_id, t.org_id, t.expires_at, t.used_at, t.revoked_at, u.email,
       u.status = 'active' AND coalesce(o.status, 'active') = 'active' AS welcome
FROM identity.refresh_tokens t
JOIN identity.users u ON u.id = t.user_id LEFT JOIN identity.organizations o ON o.id = t.org_id
WHERE t.token_hash = $1 AND NOT t.browser
"""
# Whoever begins, continues or ends sessions of somebody has that person's row first: what one ends, no other continues.
_OWNER = """
SELECT id FROM identity.users
WHERE id = (SELECT user_id FROM identity.refresh_tokens WHERE token_hash = $1) FOR NO KEY UPDATE
"""
_PERSON = "SELECT status, password_hash FROM identity.users WHERE id = $1 FOR NO KEY UPDATE"
_LIVE, _ENDED, _PASSWORD = {"session": "live"}, {"session": "ended"}, {"password": MASKED}


async def login(sent: Credentials, origin: Origin, edge: Edge) -> Session:
    """Begin a session.

    Raises:
        BadCredentials: unknown address or wrong password.
        AccountSuspended: only somebody else can lift that.
        TooManyAttempts: the password was tried too often.
        TooManyLogins: come back later.
    """
    known = await _known(sent.email)
    guess = Guess(sent.email, origin.client, None if known is None else known["password_hash"])
    await attempt(edge, guess)
    user = await _verified(sent.password, known)
    family, refresh_token = uuid7(), ""
    by = Actor(user_id=user["id"], email=user["email"], org_id=user["org_id"], origin=origin)
    while not (refresh_token := await _begun(by, sent.password, user["password_hash"], family)):
        user = await _verified(sent.password, await _known(sent.email))
    await succeeded(edge, guess)
    return _session(user["id"], family, refresh_token)


async def refresh(token: str, origin: Origin) -> Session:
    """Exchange a refresh token for the next one. Using one twice ends the session: one of the two was a thief.

    Raises:
        BadRefreshToken: log in again.
    """
    moment, refresh_token = now(), ""
    async with transaction(EVERYWHERE) as connection:
        await connection.execute(_OWNER, digest(token))
        row = await connection.fetchrow(_PRESENTED, digest(token))
        if row is None or row["revoked_at"] is not None or row["expires_at"] <= moment or not row["welcome"]:
            raise BadRefreshToken("this refresh token does not hold; log in again")
        by = Actor(user_id=row["user_id"], email=row["email"], org_id=row["org_id"], origin=origin)
        family = row["family_id"]
        if row["used_at"] is not None:
            await _end_family(row["user_id"], family)
            await record(by, "session.reuse_detected", family, _LIVE, _ENDED)
        else:
            await RefreshTokens.update({RefreshTokens.used_at: moment}).where(RefreshTokens.id == row["id"])
            refresh_token = await _next_token(by, family)
            await record(by, "session.refreshed", family, _LIVE, _LIVE)
    if not refresh_token:
        raise BadRefreshToken("this refresh token was used before, so the session was ended; log in again")
    return _session(row["user_id"], family, refresh_token)


async def end(principal: Principal, session_id: UUID) -> None:
    """End a session of the caller's; its access tokens stop working too.

    Raises:
        NotFound: they have no such session, or it has ended.
    """
    async with transaction(EVERYWHERE) as connection:
        await connection.execute(_PERSON, principal.user_id)
        if not await _end_family(principal.user_id, session_id) and session_id != principal.session_id:
            raise NotFound("no such session of yours")
        await record(principal, "session.ended", session_id, _LIVE, _ENDED)


async def rename(principal: Principal, name: str) -> Me:
    """Change one's own name.

    Raises:
        Changed: the account is not what the caller believes it to be.
    """
    clean = clean_name(name, "/name")
    async with transaction(EVERYWHERE) as connection:
        await connection.execute(_PERSON, principal.user_id)
        before = await account(connection, principal)
        principal.expects(before)
        await Users.update({Users.name: clean}).where(Users.id == principal.user_id)
        await record(principal, "user.renamed", principal.user_id, {"name": before.name}, {"name": clean})
    return msgspec.structs.replace(before, name=clean)


async def change_password(edge: Edge, principal: Principal, change: PasswordChange) -> None:
    """Change one's own password; every other session ends. The current one is guessed at no more often than at a login.

    Raises:
        TooManyAttempts: it was tried too often.
        BadCredentials: the current password is wrong.
        WeakPassword: the new one cannot be taken.
    """
    async with transaction(EVERYWHERE):
        row = await Users.select(Users.password_hash).where(Users.id == principal.user_id).first()
    guess = Guess(principal.email, principal.origin.client, None if row is None else row["password_hash"])
    await attempt(edge, guess)
    if row is None or not await matches(change.current_password, row["password_hash"]):
        raise BadCredentials("current_password: this is not your password")
    await succeeded(edge, guess)
    password = await hashed(change.new_password, (principal.email,), "/new_password")
    async with transaction(EVERYWHERE) as connection:
        person = await connection.fetchrow(_PERSON, principal.user_id)
        if person is None or (person["status"], person["password_hash"]) != ("active", row["password_hash"]):
            raise BadCredentials("current_password: it was changed meanwhile; log in again")
        await Users.update({Users.password_hash: password}).where(Users.id == principal.user_id)
        await end_sessions(principal.user_id, but=principal.session_id)
        await record(principal, "password.changed", principal.user_id, _PASSWORD, _PASSWORD)


async def reset_password(principal: Principal, user_id: UUID, password: str) -> None:
    """Set somebody's password and end all of their sessions.

    Raises:
        NotFound: there is no such user.
        WeakPassword: it cannot be taken.
    """
    async with transaction(principal):
        there = (Users.id == user_id) & (Users.status != "removed")
        row = await Users.select(Users.email, Users.org_id).where(there).first()
    if row is None:
        raise NotFound("no such user")
    digested = await hashed(password, (row["email"],), "/new_password")
    by = principal if row["org_id"] is None else principal.within(row["org_id"])
    async with transaction(principal):
        await Users.update({Users.password_hash: digested}).where(Users.id == user_id)
        await end_sessions(user_id)
        await record(by, "password.reset", user_id, _PASSWORD, _PASSWORD)


async def end_sessions(user_id: UUID, but: UUID | None = None) -> None:
    """End a user's sessions, to be called inside a transaction; the one called `but` goes on."""
    theirs = (RefreshTokens.user_id == user_id) & RefreshTokens.revoked_at.is_null()
    theirs = theirs if but is None else theirs & (RefreshTokens.family_id != but)
    await RefreshTokens.update({RefreshTokens.revoked_at: now()}).where(theirs)


async def forget_sessions() -> None:
    """Delete the refresh tokens of sessions that ended so long ago that nobody asks about them."""
    async with transaction(EVERYWHERE):
        await RefreshTokens.delete().where(RefreshTokens.expires_at < now() - FORGOTTEN_AFTER)


async def _known(email: str) -> asyncpg.Record | None:
    """Whose address it is."""
    async with transaction(EVERYWHERE) as connection:
        return await connection.fetchrow(_KNOWN, folded(email.strip()[:MAX_ADDRESS]))


async def _verified(password: str, user: asyncpg.Record | None) -> asyncpg.Record:
    """Whoever it is, where they know the password."""
    if not await matches(password, None if user is None else user["password_hash"]) or user is None:
        raise BadCredentials("e-mail address or password is wrong")
    if not user["welcome"]:
        raise AccountSuspended("this account or its organisation is suspended; ask an admin")
    return user


async def _begun(by: Actor, password: str, verified: str, family: UUID) -> str:
    """The first refresh token of a session; empty where the account is not what it was when it was verified."""
    anew = await hashed_anew(password) if outdated(verified) else verified
    async with transaction(EVERYWHERE) as connection:
        person = await connection.fetchrow(_PERSON, by.user_id)
        if person is None or (person["status"], person["password_hash"]) != ("active", verified):
            return ""
        if anew != verified:
            await Users.update({Users.password_hash: anew}).where(Users.id == by.user_id)
        token = await _next_token(by, family)
        await record(by, "session.started", family, after=_LIVE)
    return token


async def _next_token(by: Actor, family: UUID) -> str:
    token, moment = new_secret(), now()
    await RefreshTokens(
        org_id=by.org_id,
        user_id=by.user_id,
        family_id=family,
        token_hash=digest(token),
        created_at=moment,
        expires_at=moment + REFRESH_LIFETIME,
    ).save()
    return token


async def _end_family(user_id: UUID, family: UUID) -> bool:
    alive = (RefreshTokens.family_id == family) & RefreshTokens.revoked_at.is_null()
    ended = RefreshTokens.update({RefreshTokens.revoked_at: now()}).where(alive & (RefreshTokens.user_id == user_id))
    return bool(await ended.returning(RefreshTokens.id))


def _session(user_id: UUID, family: UUID, refresh_token: str) -> Session:
    access = tokens.issue(tokens.Access(user_id, family), settings().jwt_secret.get_secret_value(), now())
    return Session(access, refresh_token, int(tokens.LIFETIME.total_seconds()))
