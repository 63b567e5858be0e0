"""What leaves on a connection to Redis, and when it counts as handed over.

What nothing was sent before leaves at once: there is nobody to wait for. While answers are awaited, the commands of a
loop turn leave in one write.
"""

import asyncio
import socket
from typing import Final, cast

from ias_gateway.fiber import Pause

_AT_ONCE_BYTES: Final = 65_536
"""What a socket takes that has nothing to send; more is handed over by `_flush`, which sees whether it was."""
_FLUSH_AGAIN_S: Final = 0.001
_LEVEL: Final = socket.IPPROTO_TCP
_CORK: Final = cast("int", getattr(socket, "TCP_CORK", 0))
"""Linux's, see tcp(7): the kernel keeps what is written and sends it when this is taken back, or the socket is closed,
also where that is because its process was killed. 0 elsewhere."""
_HANDED_OVER: Final[Pause[None]] = Pause()
_HANDED_OVER.resolve(None)


class Outlet:
    """Where the commands of one connection after another leave."""

    __slots__ = ("_after", "_loop", "_out", "_socket", "_transport")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._socket: socket.socket | None = None
        self._out: list[bytes] = []
        self._after: list[Pause[None]] = []

    @property
    def there(self) -> bool:
        """Whether there is a connection."""
        return self._transport is not None

    def open(self, transport: asyncio.Transport) -> None:
        """Take a new connection."""
        self._transport = transport
        own = transport.get_extra_info("socket")
        # uvloop's stand-in for a socket makes a new one for each option that is set.
        self._socket = socket.fromfd(own.fileno(), own.family, own.type) if _CORK and own is not None else None

    def shut(self) -> None:
        """The connection is gone."""
        self._transport = None
        taken, self._socket = self._socket, None
        if taken is not None:
            taken.close()

    def abort(self) -> None:
        """Give the connection up."""
        if self._transport is not None:
            self._transport.abort()

    def write(self, packed: bytes, *, soon: bool, last: bool) -> None:
        """Hand a command over.

        Args:
            packed: the command, in Redis's protocol.
            soon: whether it leaves at once, if no others wait for the end of this turn of the loop.
            last: whether it may leave after what is written elsewhere in this turn of the loop. The kernel has it
                before all that; but whom it wakes does not take the others' processor.
        """
        if soon and not self._out and self._transport is not None and len(packed) <= _AT_ONCE_BYTES:
            if last and self._socket is not None:
                self._socket.setsockopt(_LEVEL, _CORK, 1)
                self._loop.call_soon(self._push)
            self._transport.write(packed)
            return
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(packed)

    @property
    def handed_over(self) -> bool:
        """Whether the kernel has all that was written."""
        return not self._out and (self._transport is None or not self._transport.get_write_buffer_size())

    def flushed(self) -> Pause[None]:
        """Wait until what was written has been handed to the kernel."""
        if self.handed_over:
            return _HANDED_OVER
        pause: Pause[None] = Pause()
        if not self._out and not self._after:
            self._loop.call_soon(self._flush)
        self._after.append(pause)
        return pause

    def _push(self) -> None:
        if self._socket is not None:
            self._socket.setsockopt(_LEVEL, _CORK, 0)

    def _flush(self) -> None:
        out, self._out = self._out, []
        after, self._after = self._after, []
        if self._transport is not None:
            if out:
                self._transport.write(b"".join(out))
            if after and self._transport.get_write_buffer_size():
                # Redis does not read: the kernel has not all of it yet.
                self._after = [*after, *self._after]
                self._loop.call_later(_FLUSH_AGAIN_S, self._flush)
                return
        for pause in after:
            pause.resolve(None)
