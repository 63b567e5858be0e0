"""ETags, and changing a thing only where it still is what the caller saw (RFC 9110, `If-Match`)."""

import hashlib
from typing import Protocol, runtime_checkable

import msgspec

from ias.problems import Problem

_ENCODE = msgspec.json.Encoder(order="deterministic").encode
_LENGTH = 32
ANY = "*"


class Changed(Problem):
    """The thing is not what the caller believes it to be: read it again, and decide anew."""

    status = 412
    title = "Changed meanwhile"


@runtime_checkable
class Moving(Protocol):
    """A representation of which a part moves by itself, such as what is used of a budget."""

    def lasting(self) -> object:
        """The part that only a change of the thing itself changes."""


def etag(thing: object) -> str:
    """A strong entity tag: equal for equal representations, quoted."""
    lasting = thing.lasting() if isinstance(thing, Moving) else thing
    return f'"{hashlib.sha256(_ENCODE(lasting)).hexdigest()[:_LENGTH]}"'


def expect(if_match: str, thing: object) -> None:
    """Nothing, where the header `If-Match` is empty or names this thing as it is; call it with the thing locked.

    Raises:
        Changed: it names another state of it.
    """
    if not if_match or if_match.strip() == ANY:
        return
    # Weak tags never match: RFC 9110, section 13.1.1.
    if etag(thing) not in {part.strip() for part in if_match.split(",")}:
        raise Changed("it was changed after you read it; read it again, and send the new ETag as If-Match")
