"""An answer of Redis that a fiber waits for, and why there may be none."""

import asyncio
from collections.abc import Callable
from typing import Protocol

import hiredis

from ias_gateway.clock import now
from ias_gateway.fiber import Pause

Reply = object
Callback = Callable[[Reply], None]


class RedisDown(Exception):
    """Redis does not answer in time, or the connection is gone."""


class RedisRefused(RedisDown):
    """Redis answered with an error: it is loading, cannot write, or lacks the Function library."""


def resolve(future: asyncio.Future[Reply], reply: Reply) -> None:
    """Tell an answer, or the exception in its place, to who waits for it with asyncio."""
    if future.done():
        return
    if isinstance(reply, hiredis.ReplyError):
        future.set_exception(RedisRefused(str(reply)))
    elif isinstance(reply, Exception):
        future.set_exception(reply)
    else:
        future.set_result(reply)


class Listener(Protocol):
    """Who is told the answer to a command: a class of its own is told without a closure made for it."""

    __slots__ = ()

    def answered(self, reply: Reply) -> None:
        """Take the answer, or the exception in its place."""


class Then(Listener):
    """A function that is told."""

    __slots__ = ("_callback",)

    def __init__(self, callback: Callback) -> None:
        self._callback = callback

    def answered(self, reply: Reply) -> None:
        self._callback(reply)


class Asked(Pause[Reply], Listener):
    """The answer to a command, for a fiber; one that comes after it was given up goes to `late`."""

    __slots__ = ("_late", "since")

    def __init__(self, late: Listener | None) -> None:
        super().__init__()
        self.since = now()
        self._late = late

    def answered(self, reply: Reply) -> None:
        if self.done:
            if self._late is not None:
                self._late.answered(reply)
        elif isinstance(reply, list) or not isinstance(reply, Exception):  # a list is told from all else at once
            self.resolve(reply)
        else:
            self.fail(RedisRefused(str(reply)) if isinstance(reply, hiredis.ReplyError) else reply)


class Asking(Protocol):
    """Who is asked or told about organisations, for each request: what keeps it is called without looking it up."""

    __slots__ = ()

    def ask(self, tag: str, packed: bytes, late: Listener | None = None) -> Asked:
        """The answer to a packed command, for a fiber; one that comes after it was given up goes to `late`.

        Raises:
            RedisDown: there is no connection, no answer in time, or a refusal.
        """

    def write(self, tag: str, listener: Listener, packed: bytes, *, last: bool = False) -> None:
        """Send a command that `pack` made; the listener is told the answer, or the exception in its place.

        One that is `last` may leave after what is written elsewhere in this turn of the loop; handed over it is before.
        """

    def flushed(self, tag: str) -> Pause[None]:
        """Wait until what was written for an organisation has been handed to the kernel."""
