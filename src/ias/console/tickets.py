"""Cookies, and the proof that a form was sent from a page of ours: a token made of the cookie that comes with it."""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from typing import Final
from urllib.parse import urlsplit

from litestar.datastructures import Cookie

from ias.problems import Problem
from ias.settings import settings

FIELD: Final = "csrf"
HEADER: Final = "x-csrf-token"
_PURPOSE: Final = b"ias console form"
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
    """The token that a form carries, for the cookie with this secret."""
    digest = hmac.digest(secret.encode(), _PURPOSE, hashlib.sha256)
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def check(secret: str, sent: str) -> None:
    """Nothing, where the token is this cookie's.

    Raises:
        ForeignForm: it is not.
    """
    if not secret or not hmac.compare_digest(proof(secret).encode(), sent.encode()):
        raise ForeignForm("this form has expired; open the page again, and send it from there")


def check_sender(host: str, origin: str, fetch_site: str) -> None:
    """Nothing, where browsers say that a page of this host sent the form; what says nothing is held to its token.

    Raises:
        ForeignForm: another site did.
    """
    own = {host, urlsplit(settings().api_url).netloc}
    foreign = origin != "" and urlsplit(origin).netloc not in own
    if foreign or fetch_site not in {"", "same-origin", "none"}:
        raise ForeignForm("this form was sent by another site; open the page here, and send it from there")


def own_path(path: str) -> str:
    """A path of this host to go to; the first page where it is anything else."""
    parts = urlsplit(path)
    strange = "\\" in path or any(ord(character) <= ord(" ") for character in path)
    own = path.startswith("/") and not path.startswith("//") and not parts.scheme and not parts.netloc
    return path if own and not strange else "/"
