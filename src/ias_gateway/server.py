"""Listens for clients, and runs one fiber per request."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from time import monotonic

from uuid_utils import uuid7

from ias_gateway import errors
from ias_gateway.connection import Connection, Owner
from ias_gateway.errors import ApiError
from ias_gateway.exchange import Exchange
from ias_gateway.fiber import Fiber
from ias_gateway.head import Bounds
from ias_gateway.shedding import Shedding

LOOK_S = 0.05
Handler = Callable[[Exchange], Coroutine[None, None, None]]
Note = Callable[[Exchange, str], None]
Failed = Callable[[Exchange, Exception], None]


class Server(Owner):
    """Listens, and runs `handler` as one fiber per request.

    Args:
        handler: answers a request.
        bounds: what is taken in.
        shedding: turns new requests away where there are too many.
        note: told of each request that the handler does not see, with its id.
        failed: told of each request whose handler failed.
    """

    def __init__(
        self,
        handler: Handler,
        bounds: Bounds,
        *,
        shedding: Shedding | None = None,
        note: Note | None = None,
        failed: Failed | None = None,
    ) -> None:
        self.connections: set[Connection] = set()
        self.draining = False
        self.bounds = bounds
        self.exchanges: dict[Fiber, Exchange] = {}
        self._ended = asyncio.Event()
        self._closed = False
        self._handler = handler
        self._shedding = shedding
        self._note = note
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._listener: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def listen(self, host: str, port: int, *, reuse_port: bool = False) -> None:
        """Begin to accept connections; with `reuse_port` beside other processes that listen there.

        Raises:
            OSError: the address cannot be had.
        """
        self._listener = await self._loop.create_server(
            lambda: Connection(self), host, port, backlog=4096, reuse_port=reuse_port
        )
        self._look()

    def run(self, exchange: Exchange) -> None:
        """Start the handler on a request, or turn it away."""
        if self._shedding is not None and self._shedding.turns_away(len(self.exchanges)):
            self.refuse(exchange, errors.busy())
            return
        if self._closed:
            exchange.keep_alive = False
            self.refuse(exchange, errors.restarting())
            return
        fiber = Fiber(self._handler(exchange), self._over)
        self.exchanges[fiber] = exchange
        fiber.resume()

    def refuse(self, exchange: Exchange, error: ApiError) -> None:
        """Answer a request that the handler shall not see."""
        request_id = str(uuid7())
        exchange.refuse(error, b"x-request-id: %b\r\n" % request_id.encode())
        if self._note is not None:
            self._note(exchange, request_id)

    async def drain(self, within: float) -> bool:
        """Accept nothing more, and wait for what is open. Answers whether all of it ended in time."""
        self.draining = True
        if self._listener is not None:
            self._listener.close()
        for connection in tuple(self.connections):
            connection.close_idle()
        ended = await self.ended(within)
        self._closed = True
        return ended

    async def ended(self, within: float) -> bool:
        """Wait until all requests have ended, also those that are still coming. Answers whether they have, in time."""
        until = self._loop.time() + within
        while (busy := self._busy()) and self._loop.time() < until:
            self._ended.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), min(LOOK_S, max(0.0, until - self._loop.time())))
        return not busy

    def _busy(self) -> bool:
        return bool(self.exchanges) or any(connection.busy for connection in self.connections)

    def close(self) -> None:
        """Close everything."""
        if self._timer is not None:
            self._timer.cancel()
        if self._shedding is not None:
            self._shedding.close()
        for connection in tuple(self.connections):
            connection.close_idle()

    def _over(self, fiber: Fiber) -> None:
        exchange = self.exchanges.pop(fiber)
        if fiber.error is not None and self._failed is not None:
            self._failed(exchange, fiber.error)
        if self.draining and not self.exchanges:
            self._ended.set()

    def _look(self) -> None:
        now = monotonic()
        for connection in tuple(self.connections):
            connection.overdue(now)
        self._timer = self._loop.call_later(1.0, self._look)
