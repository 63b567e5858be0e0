"""The load: raw protocols on uvloop that read no more of an answer than where it ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import uniform
from time import perf_counter
from typing import cast

from bench.exchange import PATH

_HEAD_END = b"\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"
_GOOD = b"HTTP/1.1 200"
CONNECT_WITHIN_S = 10.0


class Target:
    """A proxy's port, and how it is asked."""

    def __init__(self, port: int, authorization: str = "") -> None:
        self.port = port
        self._authorization = f"authorization: Bearer {authorization}\r\n" if authorization else ""

    def request(self, body: bytes) -> bytes:
        """The bytes of a request."""
        head = (
            f"POST {PATH} HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\n{self._authorization}"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


@dataclass(frozen=True)
class Load:
    """What is asked over how many connections; `pause_s` at most passes between an answer and the next request."""

    target: Target
    body: bytes
    connections: int
    pause_s: float = 0.0


class Tally:
    """What came back. `first_s` are seconds to the first byte of the body, `whole_s` to the last."""

    def __init__(self) -> None:
        self.answers = 0
        self.events = 0
        self.failures = 0
        self.last_failure = b""
        self.first_s: list[float] = []
        self.whole_s: list[float] = []

    def fail(self, what: bytes) -> None:
        """Count an answer that is none."""
        self.failures += 1
        self.last_failure = what[:300]


class Caller(asyncio.Protocol):
    """One connection that asks again once it has been answered, until `stop`; within `pause_s` of it, at random."""

    __slots__ = (
        *("_begun", "_chunked", "_heading", "_mark", "_missing", "_pause_s", "_request", "_stopped", "_tail", "_tally"),
        *("_transport", "_waiting", "lost", "started"),
    )

    def __init__(self, request: bytes, tally: Tally, pause_s: float) -> None:
        loop = asyncio.get_running_loop()
        self.started: asyncio.Future[None] = loop.create_future()
        self.lost: asyncio.Future[None] = loop.create_future()
        self._request = request
        self._tally = tally
        self._pause_s = pause_s
        self._stopped = False
        self._mark = b""
        self._chunked = False
        self._missing = 0
        self._heading = self._waiting = True
        self._tail = b""
        self._begun = 0.0
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._stopped:
            self._tally.fail(f"the connection was closed: {exc}".encode())
        self.lost.set_result(None)

    def data_received(self, data: bytes) -> None:
        if self._heading and not self._head(data):
            return
        if self._waiting:
            self._waiting = False
            if not self.started.done():
                self.started.set_result(None)
            self._tally.first_s.append(perf_counter() - self._begun)
        if self._chunked:
            self._tally.events += data.count(b"data: ")
            self._tail = data[-5:] if len(data) >= 5 else (self._tail + data)[-5:]  # noqa: PLR2004 - the last chunk's length
            if self._tail == _LAST_CHUNK:
                self._answered()
            return
        self._missing -= len(data)
        if self._missing <= 0:
            self._answered()

    def stop(self) -> None:
        """Ask no more, and hang up."""
        self._stopped = True
        self._transport.abort()

    def _ask(self) -> None:
        if self._stopped:
            return
        self._heading = self._waiting = True
        self._tail = b""
        self._begun = perf_counter()
        self._transport.write(self._request)

    def _head(self, data: bytes) -> bool:
        """Read where the answer ends. Its head comes in one read, unless it is alone."""
        end = data.find(_HEAD_END)
        if end < 0 or not data.startswith(_GOOD):
            self._tally.fail(data)
            self.stop()
            return False
        if not self._mark and not self._chunked:
            self._learn(data[: end + 4])
        self._heading = False
        if self._chunked:
            return len(data) > end + 4
        at = data.index(self._mark) + len(self._mark)
        self._missing = end + 4 + int(data[at : data.index(b"\r", at)])
        return True

    def _learn(self, head: bytes) -> None:
        at = head.lower().find(b"content-length: ")
        self._chunked = at < 0
        self._mark = head[at : at + 16] if at >= 0 else b""

    def _answered(self) -> None:
        self._tally.answers += 1
        self._tally.whole_s.append(perf_counter() - self._begun)
        if not self._pause_s:
            self._ask()
        else:
            asyncio.get_running_loop().call_later(uniform(0, self._pause_s), self._ask)


@asynccontextmanager
async def calling(load: Load, tally: Tally) -> AsyncIterator[list[Caller]]:
    """Connections that keep asking; closed in the end.

    Raises:
        OSError: the proxy takes no connection.
        TimeoutError: it does not in time.
    """
    loop = asyncio.get_running_loop()
    request = load.target.request(load.body)
    callers: list[Caller] = []
    try:
        for _ in range(load.connections):
            async with asyncio.timeout(CONNECT_WITHIN_S):
                _, caller = await loop.create_connection(
                    lambda: Caller(request, tally, load.pause_s), "127.0.0.1", load.target.port
                )
            callers.append(caller)
        yield callers
    finally:
        for caller in callers:
            caller.stop()
        if callers:
            await asyncio.wait([caller.lost for caller in callers], timeout=CONNECT_WITHIN_S)
