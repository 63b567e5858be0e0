"""One pipelined connection to Redis: commands of one loop turn leave in one write, answers are matched in order."""

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import cast
from urllib.parse import unquote, urlsplit

import hiredis

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

    A command that gets no answer within `timeout_s` fails with RedisDown, and so do all behind it: the connection is
    given up, since answers come in order.
    """

    def __init__(self, url: str, timeout_s: float, on_open: Callable[[], None]) -> None:
        self.connected = False
        self._address = urlsplit(url)
        self._timeout_s = timeout_s
        self._on_open = on_open
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._reader = hiredis.Reader()
        self._waiting: deque[tuple[float, Callback]] = deque()
        self._out: list[bytes] = []
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
        self.send(lambda reply: _resolve(future, reply), *command)
        return future

    def send(self, callback: Callback, *command: Argument) -> None:
        """Send a command; the callback gets the answer, or the exception in its place."""
        if not self.connected:
            callback(RedisDown("there is no connection to Redis"))
        else:
            self._send(callback, command)

    def _send(self, callback: Callback, command: tuple[Argument, ...]) -> None:
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(_pack(command))
        self._waiting.append((monotonic(), callback))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        waiting = self._waiting
        while True:
            reply = self._reader.gets()
            if reply is False:
                return
            waiting.popleft()[1](reply)

    def connection_lost(self, exc: Exception | None) -> None:
        self.connected = False
        self._transport = None
        self._out.clear()
        waiting, self._waiting = self._waiting, deque()
        for _, callback in waiting:
            callback(RedisDown(f"the connection to Redis was lost{f': {exc}' if exc else ''}"))
        self._lost.set()

    def _flush(self) -> None:
        out, self._out = self._out, []
        if self._transport is not None and out:
            self._transport.write(b"".join(out) if len(out) > 1 else out[0])

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
        if self._waiting and monotonic() - self._waiting[0][0] > self._timeout_s:
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
