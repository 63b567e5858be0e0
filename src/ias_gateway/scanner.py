"""What reads an engine's event stream as it passes, whichever endpoint it is of."""

from typing import Annotated, Protocol

import msgspec

Tokens = tuple[int, int, int]
"""Prompt, completion and cached tokens."""
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
"""A number of tokens that an engine may report; Redis counts in doubles."""
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What is raised for JSON that is none."""


class Scanner(Protocol):
    """Fed with the stream piece by piece; tells what of it goes on, and what it has reported.

    Attributes:
        done: the stream has told its end.
        error: the error that the engine put into its stream, as JSON; nothing passes after it.
        events: pieces of the answer that passed without a report of usage, its end among them.
    """

    done: bool
    error: bytes | None
    events: int

    def feed(self, data: bytes) -> bytes:
        """What of the stream may go on to the client now. Raises EventTooLong."""

    @property
    def tokens(self) -> Tokens | None:
        """Prompt, completion and cached tokens reported so far, None before the first report."""
