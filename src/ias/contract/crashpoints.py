"""Named points at which a process kills itself when told to, so that tests see what it leaves behind.

`IAS_CRASHPOINT=after_settle` ends the process as `kill -9` does the first time it gets there, `after_settle:3` the
third time. See docs/reliability.md.
"""

import os
import signal
from enum import StrEnum


class Crashpoint(StrEnum):
    """The windows between two steps of a request's accounting; the first five are the gateway's, the others a worker's.

    Attributes:
        AFTER_RESERVE: Redis holds the tokens and has said so; the engine has the request where it was sent early.
        AFTER_DISPATCH: the engine has the request, and nothing of the answer was read; nor of Redis's, if sent early.
        AFTER_FIRST_CHUNK: the client has the first piece of a stream.
        BEFORE_SETTLE: the answer is complete, Redis was not told.
        AFTER_SETTLE: Redis was told, the client has no end of the answer yet.
        AFTER_PUBLISH: the broker has confirmed, the outbox entries are not acknowledged.
        BEFORE_COMMIT: a consumer's transaction is written but not committed.
        AFTER_COMMIT: it is committed, and the message not acknowledged.
    """

    AFTER_RESERVE = "after_reserve"
    AFTER_DISPATCH = "after_dispatch"
    AFTER_FIRST_CHUNK = "after_first_chunk"
    BEFORE_SETTLE = "before_settle"
    AFTER_SETTLE = "after_settle"
    AFTER_PUBLISH = "after_publish"
    BEFORE_COMMIT = "before_commit"
    AFTER_COMMIT = "after_commit"


_left: dict[Crashpoint, int] = {}


def checked(told: str) -> str:
    """The same text, where it is empty or names a point.

    Raises:
        ValueError: it does not; the message lists the points.
    """
    if told:
        _read(told)
    return told


def arm(told: str) -> Crashpoint | None:
    """Have this process end when it has reached the named point so many times; nothing for an empty text.

    Raises:
        ValueError: there is no such point.
    """
    _left.clear()
    if not told:
        return None
    point, times = _read(told)
    _left[point] = times
    return point


def reached(point: Crashpoint) -> None:
    """The process is at this point; it may end here."""
    if point not in _left:
        return
    _left[point] -= 1
    if _left[point] == 0:
        os.kill(os.getpid(), signal.SIGKILL)


def _read(told: str) -> tuple[Crashpoint, int]:
    name, mark, times = told.partition(":")
    if name not in set(Crashpoint) or (mark and not (times.isdecimal() and int(times))):
        raise ValueError(f"there is no crash point {told!r}: choose {', '.join(Crashpoint)}; `:3` for the third time")
    return Crashpoint(name), int(times) if mark else 1
