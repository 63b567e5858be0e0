"""What a fault proxy does to the connections that pass through it."""

from dataclasses import dataclass
from enum import Enum


class Way(Enum):
    """Which way bytes go."""

    UP = "from the client to the server"
    DOWN = "from the server to the client"


@dataclass
class Cut:
    """Breaks a connection where these bytes pass, so many times.

    Attributes:
        way: on which way they are looked for.
        answer_lost: they still arrive, and only what comes back does not; else they never do.
    """

    pattern: bytes
    way: Way = Way.UP
    answer_lost: bool = False
    times: int = 1
    done: int = 0


@dataclass
class Harm:
    """What is done to connections now.

    Attributes:
        latency_s: added on each way.
        blackhole: nothing passes, no connection breaks; what was sent meanwhile arrives afterwards.
        refuse: new connections are reset at once.
        slices: every byte is a segment of its own.
        truncate: so many bytes of a connection's answers pass, then it ends as if that were all.
        reset_after: so many bytes of a connection's answers pass, then it is reset.
    """

    latency_s: float = 0.0
    blackhole: bool = False
    refuse: bool = False
    slices: bool = False
    truncate: int | None = None
    reset_after: int | None = None
    cut: Cut | None = None
