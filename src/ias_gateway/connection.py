"""One client's HTTP/1.1 connection: one exchange at a time, and patience that ends."""

import asyncio
from collections import deque
from typing import Final, Protocol, cast

from ias_gateway.arrival import Arrival, Taker
from ias_gateway.clock import now
from ias_gateway.errors import ApiError
from ias_gateway.exchange import Exchange
from ias_gateway.head import Bounds

IDLE_S: Final = 75.0
LINGER_S = 2.0
"""How long what a refused client still sends is read and dropped: closed at once, it would never see the answer."""
MAX_PIPELINED = 16
WRITE_BUFFER = 256 * 1024


class Owner(Protocol):
    """The server that a connection belongs to."""

    connections: set["Connection"]
    draining: bool
    bounds: Bounds

    def run(self, exchange: Exchange) -> None:
        """Start to answer a request."""

    def refuse(self, exchange: Exchange, error: ApiError) -> None:
        """Answer what cannot be read."""


class Connection(asyncio.Protocol, Taker):
    """One client's connection: takes requests as they arrive, runs the handler on them one after another."""

    __slots__ = (
        *(
            "__weakref__",
            "_active",
            "_arrival",
            "_closing",
            "_deadline",
            "_going_on",
            "_lingering",
            "_queue",
            "_ready",
            "_server",
        ),
        *("_stalled_at", "_transport"),
    )

    def __init__(self, server: Owner) -> None:
        self._server = server
        self._arrival = Arrival(self, server.bounds)
        self._transport: asyncio.Transport | None = None
        self._queue: deque[Exchange] = deque()
        self._active: Exchange | None = None
        self._ready: Exchange | None = None
        self._deadline = now() + server.bounds.head_s
        self._closing = self._lingering = self._going_on = False
        self._stalled_at: float | None = None

    # -- asyncio -----------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER)
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._transport = None
        self._arrival.end()
        self._server.connections.discard(self)
        self._queue.clear()
        exchange, self._active = self._active, None
        if exchange is not None:
            exchange.gone = True
            if exchange.watcher is not None:
                exchange.watcher.client_gone()

    def data_received(self, data: bytes) -> None:
        if self._lingering:
            return
        if self._active is None and self._stalled_at is None:
            again = self._arrival.repeated(data)
            if again is not None:
                again.keep_alive = not self._server.draining
                self._active = again
                self._server.run(again)
                return
        fault = self._arrival.feed(data)
        if fault is not None:
            self._refuse(fault)
        ready, self._ready = self._ready, None
        if ready is not None:
            # Not from within the parser: the handler runs at once, and may answer at once.
            self._server.run(ready)

    def pause_writing(self) -> None:
        self._stalled_at = now()
        if self._active is not None and self._active.watcher is not None:
            self._active.watcher.pause()

    def resume_writing(self) -> None:
        self._stalled_at = None
        if self._active is None:
            self._go_on()
        elif self._active.watcher is not None:
            self._active.watcher.resume()

    # -- requests ----------------------------------------------------------------------------------------------------

    def headed(self, exchange: Exchange, *, waiting: bool) -> None:
        """A head has come: say so to a client that waits for that, but not into an answer."""
        exchange.keep_alive = exchange.keep_alive and not self._server.draining
        if waiting and self._active is None:
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def arrived(self, exchange: Exchange) -> None:
        """A request has come: start it, or let it wait for those before it, and for the client to read."""
        if self._active is None and self._stalled_at is None:
            self._active = self._ready = exchange
            return
        self._queue.append(exchange)
        ahead = sum(len(waiting.body) for waiting in self._queue)
        many = len(self._queue) >= MAX_PIPELINED or ahead > self._server.bounds.max_body_bytes
        if many and self._transport is not None:
            self._transport.pause_reading()

    def _go_on(self) -> None:
        """Start the next request, where one waits and the client reads."""
        # In a loop: each of many requests may be answered at once, and its end calls this anew.
        if self._going_on:
            return
        self._going_on = True
        while self._active is None and self._queue and self._stalled_at is None and self._transport is not None:
            self._transport.resume_reading()
            self._active = self._queue.popleft()
            self._server.run(self._active)
        self._going_on = False

    def _refuse(self, error: ApiError) -> None:
        """Answer what cannot be read, and close: nothing behind it can be trusted."""
        self._lingering = True
        if self._active is not None:
            self._active.keep_alive = False
            self._queue.clear()
            return
        exchange = self._arrival.coming or Exchange(self, b"", b"")
        exchange.keep_alive = False
        self._server.refuse(exchange, error)

    # -- answers -----------------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Write out at once."""
        if self._transport is not None:
            self._transport.write(data)

    def finished(self, exchange: Exchange) -> None:
        """The answer of the active exchange is complete: go on with the next one."""
        self._active = None
        transport = self._transport
        if transport is None:
            return
        if self._lingering:
            transport.write_eof()
            self._deadline = now() + LINGER_S
        elif not exchange.keep_alive or (self._server.draining and not self._queue):
            self._close(transport)
        else:
            self._deadline = now() + IDLE_S
            if self._queue:
                self._go_on()

    def abort(self) -> None:
        """Close without more ado."""
        if self._transport is not None:
            self._transport.abort()

    # -- patience ----------------------------------------------------------------------------------------------------

    def overdue(self, now: float) -> None:
        """Close where a request does not come to its end in time, where nothing comes, and where nothing is read."""
        transport = self._transport
        if transport is None:
            return
        if self._stalled_at is not None and now - self._stalled_at > self._server.bounds.stalled_s:
            transport.abort()
        elif self._active is None:
            self._look(transport, now)

    @property
    def busy(self) -> bool:
        """Whether a request is coming, waits or is answered."""
        return self._arrival.begun or bool(self._queue) or self._active is not None

    def close_idle(self) -> None:
        """Close where no request is coming or open."""
        if not self.busy and self._transport is not None:
            self._close(self._transport)

    def _look(self, transport: asyncio.Transport, now: float) -> None:
        if self._arrival.begun and not self._lingering and not self._closing:
            if self._arrival.late(now):
                self._refuse(ApiError(408, "The request did not arrive in time."))
        elif now > self._deadline:
            if self._closing:
                transport.abort()
            else:
                self._close(transport)

    def _close(self, transport: asyncio.Transport) -> None:
        """Close once the client has read everything, or is given up."""
        transport.close()
        self._closing = True
        self._deadline = now() + self._server.bounds.stalled_s
