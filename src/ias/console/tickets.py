"""Cookies, and the proof that a form was sent from a page of ours: a token made of the cookie that comes with it."""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from secrets import token_bytes
from typing import Final
from urllib.parse import urlsplit

from litestar.datastructures import Cookie

from ias.problems import Problem
from ias.settings import settings

FIELD: Final = "csrf"
HEADER: Final = "x-csrf-token"
_PURPOSE: Final = b"ias console form"
_DIGEST_BYTES: Final = 32
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class ForeignForm(Problem):
    """What was sent does not come from a page of this console, or from one that was shown to somebody else."""

    status = 403
    title = "Form was refused"


def cookie_name(name: str) -> str:
    """A cookie's whole name; browsers take one with this prefix from this host alone, by https or from themselves."""
    return f"ias_{name}" if settings().plain_cookies else f"__Host-ias_{name}"


def cookie(name: str, value: str, max_age: int | None = None) -> Cookie:
    """A cookie of ours. Without `max_age` (seconds) it ends with the browser; 0 takes it away."""
    return Cookie(
        key=cookie_name(name),
        value=value,
        path="/",
        max_age=max_age,
        secure=not settings().plain_cookies,
        httponly=True,
        samesite="lax",
    )


def proof(secret: str) -> str:
    """The token that a form carries, for the cookie with this secret.

    It is another one each time, so that the size of a compressed page tells nothing of it (BREACH).
    """
    mask = token_bytes(_DIGEST_BYTES)
    return urlsafe_b64encode(mask + _masked(_digest(secret), mask)).decode()


def check(secret: str, sent: str) -> None:
    """Nothing, where the token is this cookie's.

    Raises:
        ForeignForm: it is not.
    """
    try:
        told = urlsafe_b64decode(sent.encode())
    except ValueError:
        told = b""
    mask, masked = told[:_DIGEST_BYTES], told[_DIGEST_BYTES:]
    own = len(masked) == _DIGEST_BYTES and hmac.compare_digest(_digest(secret), _masked(masked, mask))
    if not secret or not own:
        raise ForeignForm("this form has expired; open the page again, and send it from there")


def _digest(secret: str) -> bytes:
    return hmac.digest(secret.encode(), _PURPOSE, hashlib.sha256)


def _masked(of: bytes, mask: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(of, mask, strict=True))


def check_sender(host: str, origin: str, fetch_site: str) -> None:
    """Nothing, where browsers say that a page of this host sent the form; what says nothing is held to its token.

    Raises:
        ForeignForm: another site did.
    """
    own = {host, urlsplit(settings().api_url).netloc}
    foreign = origin != "" and _host(origin) not in own
    if foreign or fetch_site not in {"", "same-origin", "none"}:
        raise ForeignForm("this form was sent by another site; open the page here, and send it from there")


def own_path(path: str) -> str:
    """A path of this host to go to, in ASCII as headers are; the first page where it is anything else."""
    plain = all(" " < character <= "~" for character in path) and "\\" not in path
    return path if plain and path.startswith("/") and not path.startswith("//") else "/"


def _host(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None
