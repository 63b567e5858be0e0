"""How a completion is written: the difference between one route and another, for what runs it."""

from collections.abc import Callable
from typing import Protocol

import msgspec

from ias.dev.engine.outline import Outline


class Script(Protocol):
    """The events of one stream, framed; each method is called once, `steps` with what follows the last ones."""

    def greeting(self) -> bytes:
        """What comes as soon as the request is taken on."""

    def opening(self) -> bytes:
        """What comes with the first token, before it."""

    def steps(self, first: int, end: int) -> bytes:
        """The tokens of all choices in these steps."""

    def closing(self) -> bytes:
        """What comes after the last token."""


class Manner(msgspec.Struct, frozen=True, kw_only=True):
    """How one route writes. A function gets the outline, the answer's id, and the time in Unix seconds.

    Attributes:
        identity: the answer's id, of the request's.
        body: the answer in one piece.
        script: the answer as a stream.
        whole: all of that stream at once, where that is quicker.
        broke: the events that tell of an error in the midst of a stream; none, where vLLM then just hangs up.
    """

    identity: Callable[[str], str]
    body: Callable[[Outline, str, int], bytes]
    script: Callable[[Outline, str, int], Script]
    whole: Callable[[Outline, str, int], bytes] | None = None
    broke: bytes = b""
