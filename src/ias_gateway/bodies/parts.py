"""Parts of a content: texts, and images where the model takes them.

An image is held as a number of tokens that the model's route says (`image_tokens`); what has no such price is refused.
"""

import re
from ipaddress import ip_address
from typing import Literal
from urllib.parse import urlsplit

from ias_gateway.bodies.prompts import size
from ias_gateway.bodies.shape import Strict
from ias_gateway.bodies.strict import JSON, BadBody

_DATA = re.compile(r"data:image/[a-z0-9.+-]{1,40};base64,", re.IGNORECASE)
_PLAIN = re.compile(r"[!-\[\]-~]+")
_NAME = re.compile(r"(?:[a-z0-9_-]+\.)+([a-z][a-z0-9-]*)")
_LOCAL = frozenset(("internal", "local", "localhost", "svc"))
_UNPRICED = "is not served: there is no price for it here. Send text and images alone."
_BAD_URL = "give an image as `data:image/…;base64,…` or as a public https:// address"


class Image(Strict):
    """Where an image is: `data:` or `https:`."""

    url: str
    detail: str | None = None


class Part(Strict):
    """One part of a content."""

    type: Literal["text", "refusal", "image_url", "input_audio", "file"]
    text: str | None = None
    refusal: str | None = None
    image_url: Image | None = None
    input_audio: JSON = None
    file: JSON = None
    prompt_cache_breakpoint: JSON = None


def check(parts: list[Part], place: str) -> None:
    """Refuse what cannot be priced, and parts that say one thing and hold another; leave out what is of no use.

    `place` is the field.

    Raises:
        BadBody: it names the part.
    """
    for number, part in enumerate(parts):
        where = f"{place}[{number}]"
        if part.input_audio is not None or part.file is not None or part.type in {"input_audio", "file"}:
            raise BadBody(f"{where}: `{part.type}` {_UNPRICED}", where)
        given = {name for name in ("text", "refusal", "image_url") if getattr(part, name) is not None}
        if given != {part.type}:
            raise BadBody(f"{where}: a part of type `{part.type}` has `{part.type}` and no other.", where)
        if part.image_url is not None:
            check_url(part.image_url.url, f"{where}.image_url.url")
        part.prompt_cache_breakpoint = None


def bound(parts: list[Part]) -> int:
    """Tokens of the texts at most, with what a template may put between them."""
    return sum(size(part.text or "") + size(part.refusal or "") + 1 for part in parts)


def images(parts: list[Part]) -> int:
    """How many images there are."""
    return sum(part.image_url is not None for part in parts)


def check_url(url: str, place: str) -> None:
    """Refuse what the engine would fetch from where no stranger may look.

    Raises:
        BadBody: it is neither a `data:` image nor an https address of a public host.
    """
    if _DATA.match(url) is None and not _public(url):
        raise BadBody(f"{place}: {_BAD_URL}.", place)


def _public(url: str) -> bool:
    """Whether this is an https address whose host is a public address, or a name that is not local on its face."""
    # Readers of addresses differ on what else stands in them.
    if _PLAIN.fullmatch(url) is None:
        return False
    try:
        address = urlsplit(url)
        host, _ = (address.hostname or "").rstrip("."), address.port
    except ValueError:
        return False
    if address.scheme != "https" or "@" in address.netloc:
        return False
    try:
        return ip_address(host).is_global
    except ValueError:
        # A number at the end is another spelling of an address: 127.1, 0x7f.1.
        found = _NAME.fullmatch(host)
        return found is not None and found[1] not in _LOCAL
