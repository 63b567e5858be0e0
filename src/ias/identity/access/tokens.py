"""Access tokens: JWT, one algorithm, every claim required."""

from base64 import urlsafe_b64encode
from datetime import datetime, timedelta
from functools import cache
from uuid import UUID

import jwt
import msgspec

from ias.problems import Problem

ALGORITHM = "HS256"
ISSUER = "ias"
AUDIENCE = "ias-api"
LIFETIME = timedelta(hours=1)
MAX_LENGTH = 4096

_REQUIRED = ["exp", "iat", "sub", "aud", "iss", "typ", "sid"]
_TYPE = "access"


class NotAuthenticated(Problem):
    """No token, or one that does not hold; log in again."""

    status = 401
    title = "Not authenticated"


class Access(msgspec.Struct, frozen=True):
    """Whom a token speaks for, and of which session it is."""

    user_id: UUID
    session_id: UUID


def issue(access: Access, secret: str, now: datetime) -> str:
    """A token that works for an hour from `now`."""
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "typ": _TYPE,
        "sub": str(access.user_id),
        "sid": str(access.session_id),
        "iat": now,
        "exp": now + LIFETIME,
    }
    return jwt.encode(claims, secret, ALGORITHM)


def read(token: str, secret: str) -> Access:
    """Whom the token speaks for.

    Raises:
        NotAuthenticated: it is forged, expired, incomplete or of another kind.
    """
    if len(token) > MAX_LENGTH:
        raise NotAuthenticated("this is not an access token; log in again")
    try:
        claims: dict[str, object] = jwt.decode(
            token, _key(secret), [ALGORITHM], options={"require": _REQUIRED}, audience=AUDIENCE, issuer=ISSUER
        )
        access = Access(UUID(str(claims["sub"])), UUID(str(claims["sid"])))
    except jwt.ExpiredSignatureError:
        raise NotAuthenticated("the access token has expired; refresh it or log in again") from None
    except (jwt.InvalidTokenError, ValueError):
        raise NotAuthenticated("the access token does not hold; log in again") from None
    if claims["typ"] != _TYPE:
        raise NotAuthenticated("this is not an access token; log in again")
    return access


@cache
def _key(secret: str) -> jwt.PyJWK:
    """The secret as a key that is looked at once: PyJWT takes a plain one for a certificate at each token, in vain."""
    return jwt.PyJWK.from_dict({"kty": "oct", "k": urlsafe_b64encode(secret.encode()).decode()}, ALGORITHM)
