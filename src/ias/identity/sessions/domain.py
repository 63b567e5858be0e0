"""Passwords that may be chosen, and what the doors of sessions take and give."""

import hashlib
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from ias.problems import Problem

REFRESH_LIFETIME = timedelta(days=7)
IDLE = timedelta(hours=12)
"""How long a browser may stay away. Its session ends as every one does, seven days after it began."""
FORGOTTEN_AFTER = timedelta(days=30)
"""How long after it has expired a refresh token that is used again is still told from an unknown one."""
MIN_PASSWORD = 12
MAX_PASSWORD_BYTES = 72
"""bcrypt reads no further."""


class Credentials(msgspec.Struct, forbid_unknown_fields=True):
    """What is sent to log in."""

    email: str
    password: str


class RefreshToken(msgspec.Struct, forbid_unknown_fields=True):
    """What is sent to go on, or to end the session."""

    refresh_token: str


class Session(msgspec.Struct, frozen=True):
    """A session's tokens; `expires_in` is the access token's lifetime in seconds."""

    access_token: str
    refresh_token: str
    expires_in: int
    token_type: str = "Bearer"  # noqa: S105 - the scheme, not a secret


class PasswordChange(msgspec.Struct, forbid_unknown_fields=True):
    """One's own new password, and the one until now."""

    current_password: str
    new_password: str


class PasswordReset(msgspec.Struct, forbid_unknown_fields=True):
    """Somebody else's new password."""

    new_password: str


class Profile(msgspec.Struct, forbid_unknown_fields=True):
    """What one may change of oneself."""

    name: str


class Me(msgspec.Struct, frozen=True):
    """Whoever is logged in, and what they may do."""

    id: UUID
    email: str
    name: str
    role: str
    org_id: UUID | None
    org_name: str | None
    permissions: list[str]


class LiveSession(msgspec.Struct, frozen=True):
    """Where somebody is logged in.

    Attributes:
        id: of the session; whoever ends it is logged out there.
        begun_at: when they logged in.
        seen_at: when it was last gone on with: a browser's visit, to five minutes, or the exchange of a refresh token.
        browser: whether it is of the console's pages.
        agent: what the browser says that it is; empty for others.
        current: whether it is the one that asks.
    """

    id: UUID
    begun_at: datetime
    seen_at: datetime
    browser: bool
    agent: str
    current: bool


def new_secret() -> str:
    """A token of 256 random bits, for refresh tokens and invites."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """SHA-256 of such a token, in hexadecimal: the only thing of it that is stored."""
    return hashlib.sha256(secret.encode()).hexdigest()


def fits(password: str) -> bool:
    """Whether bcrypt can tell this password from others: at most 72 bytes of UTF-8, none of them NUL."""
    return "\0" not in password and len(password.encode()) <= MAX_PASSWORD_BYTES


def faults(password: str) -> tuple[str, ...]:
    """Why this cannot be a new password; empty where it can."""
    rules: tuple[tuple[bool, str], ...] = (
        (len(password) >= MIN_PASSWORD, f"must be at least {MIN_PASSWORD} characters long"),
        (fits(password), f"must be at most {MAX_PASSWORD_BYTES} bytes long in UTF-8, without NUL"),
        (_has(password, str.isupper), "must have an upper-case letter in it"),
        (_has(password, str.islower), "must have a lower-case letter in it"),
        (_has(password, str.isdigit), "must have a digit in it"),
        (_has(password, _is_symbol), "must have a symbol in it"),
    )
    return tuple(said for held, said in rules if not held)


def _has(password: str, kind: Callable[[str], bool]) -> bool:
    return any(map(kind, password))


def _is_symbol(character: str) -> bool:
    return not character.isalnum() and not character.isspace()


class BadCredentials(Problem):
    """Unknown address or wrong password; which of them is not said."""

    status = 401
    title = "Bad credentials"


class BadRefreshToken(Problem):
    """The refresh token is unknown, expired, ended or was used before."""

    status = 401
    title = "Bad refresh token"


class AccountSuspended(Problem):
    """The password is right, but the account or its organisation is suspended."""

    status = 403
    title = "Account suspended"
