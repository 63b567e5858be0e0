"""One pipelined connection to Redis: answers are matched in order.

What is written in one turn of the loop leaves together: uvloop gathers it.
"""

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import cast
from urllib.parse import unquote, urlsplit

import hiredis

from ias_gateway.fiber import Pause

Reply = object
Argument = str | bytes | int
Callback = Callable[[Reply], None]

_pack: Callable[[tuple[Argument, ...]], bytes] = hiredis.pack_command  # type: ignore[assignment]
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 1.0
_WATCH_EVERY_S = 0.05


class RedisDown(Exception):
    """Redis does not answer in time, or the connection is gone."""


class RedisRefused(RedisDown):
    """Redis answered with an error: it is loading, cannot write, or lacks the Function library."""


class Redis(asyncio.Protocol):
    """Keeps one connection open, again and again. `on_open` is called after each success.

    Where Redis says nothing for `timeout_s` though something is asked, the connection is given up, and all that waits
    fails with RedisDown.
    """

    def __init__(self, url: str, timeout_s: float, on_open: Callable[[], None]) -> None:
        self.connected = False
        self._address = urlsplit(url)
        self._timeout_s = timeout_s
        self._on_open = on_open
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._reader = hiredis.Reader()
        self._waiting: deque[Callback] = deque()
        self._spoke_at = 0.0
        self._silent = 0
        self._keeper: asyncio.Task[None] | None = None
        self._lost = asyncio.Event()

    def start(self) -> None:
        """Begin to connect, and keep connecting whenever the connection is lost."""
        self._keeper = self._loop.create_task(self._keep())

    async def close(self) -> None:
        """Close for good; what still waits fails."""
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        if self._transport is not None:
            self._transport.abort()

    def call(self, *command: Argument) -> asyncio.Future[Reply]:
        """The answer to a command.

        Raises:
            RedisDown: when awaited, where there is no connection, no answer in time, or a refusal.
        """
        future: asyncio.Future[Reply] = self._loop.create_future()
        self.send(lambda reply: _resolve(future, reply), command)
        return future

    async def ask(self, command: tuple[Argument, ...]) -> Reply:
        """The answer to a command, for a fiber.

        Raises:
            RedisDown: there is no connection, no answer in time, or a refusal.
        """
        pause: Pause[Reply] = Pause()
        self.send(pause.resolve, command)
        reply = await pause
        if isinstance(reply, Exception):
            raise RedisRefused(str(reply)) if isinstance(reply, hiredis.ReplyError) else reply
        return reply

    def send(self, callback: Callback, command: tuple[Argument, ...]) -> None:
        """Send a command; the callback gets the answer, or the exception in its place."""
        if not self.connected:
            callback(RedisDown("there is no connection to Redis"))
        else:
            self._send(callback, command)

    def _send(self, callback: Callback, command: tuple[Argument, ...]) -> None:
        if not self._waiting:
            self._spoke_at = monotonic()
        self._waiting.append(callback)
        if self._transport is not None:
            self._transport.write(_pack(command))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        self._spoke_at = monotonic()
        waiting = self._waiting
        while True:
            reply = self._reader.gets()
            if reply is False:
                return
            waiting.popleft()(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        self.connected = False
        self._transport = None
        waiting, self._waiting = self._waiting, deque()
        for callback in waiting:
            callback(RedisDown(f"the connection to Redis was lost{f': {exc}' if exc else ''}"))
        self._lost.set()

    async def _keep(self) -> None:
        pause = _FIRST_PAUSE_S
        while True:
            try:
                await self._connect()
            except (OSError, RedisDown, TimeoutError):
                self._drop()
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_S)
                continue
            pause = _FIRST_PAUSE_S
            self._on_open()
            while not self._lost.is_set():
                self._give_up_when_late()
                await asyncio.sleep(_WATCH_EVERY_S)

    async def _connect(self) -> None:
        self._lost.clear()
        self._reader = hiredis.Reader()
        address = self._address
        tls = ssl.create_default_context() if address.scheme == "rediss" else None
        host, port = address.hostname or "127.0.0.1", address.port or 6379
        opening = self._loop.create_connection(lambda: self, host, port, ssl=tls)
        await asyncio.wait_for(opening, 1.0)
        for greeting in self._greetings():
            future: asyncio.Future[Reply] = self._loop.create_future()
            self._send(lambda reply, future=future: _resolve(future, reply), greeting)  # type: ignore[misc]
            await asyncio.wait_for(future, 1.0)
        self.connected = True

    def _greetings(self) -> list[tuple[str, ...]]:
        """What has to succeed before the connection is used; PING fails while Redis loads or cannot write."""
        address = self._address
        greetings: list[tuple[str, ...]] = []
        if address.password:
            user = (unquote(address.username),) if address.username else ()
            greetings.append(("AUTH", *user, unquote(address.password)))
        if address.path.strip("/"):
            greetings.append(("SELECT", address.path.strip("/")))
        return [*greetings, ("PING",)]

    def _give_up_when_late(self) -> None:
        # Late twice running: after a pause of this process, what has come is read before it is judged.
        late = self._waiting and monotonic() - self._spoke_at > self._timeout_s
        self._silent = self._silent + 1 if late else 0
        if self._silent > 1:
            self._drop()

    def _drop(self) -> None:
        self.connected = False
        if self._transport is not None:
            self._transport.abort()


def _resolve(future: asyncio.Future[Reply], reply: Reply) -> None:
    if future.done():
        return
    if isinstance(reply, hiredis.ReplyError):
        future.set_exception(RedisRefused(str(reply)))
    elif isinstance(reply, Exception):
        future.set_exception(reply)
    else:
        future.set_result(reply)
