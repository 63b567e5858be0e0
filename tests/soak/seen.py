"""What a client saw of one request."""

from dataclasses import dataclass
from enum import StrEnum


class End(StrEnum):
    """How an answer ended."""

    WHOLE = "whole"
    ERROR = "error"
    """A stream's last event was an error."""
    CUT = "cut off"
    """The connection ended in the middle, or a stream ended with neither `[DONE]` nor an error."""
    GIVEN_UP = "given up"
    """By the client, on purpose."""
    UNREACHABLE = "unreachable"
    """There was no connection to be had."""
    DROPPED = "dropped"
    """The connection ended before anything of the answer."""
    SILENCE = "silence"
    """Nothing came for so long that the client went."""


@dataclass
class Seen:
    """Times are seconds since the soak began.

    Attributes:
        tokens: completion tokens that the answer reported; None where it did not.
        code: of the error, where there was one.
        retry_after: whether the answer said when to come back.
        told_once: whether it said not to repeat the request.
    """

    began: float
    ended: float = 0
    first: float | None = None
    status: int = 0
    end: End = End.UNREACHABLE
    tokens: int | None = None
    code: str | None = None
    retry_after: bool = False
    told_once: bool = False
    detail: str = ""
