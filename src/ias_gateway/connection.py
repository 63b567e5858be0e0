"""One client's HTTP/1.1 connection: strict about what comes in, one exchange at a time."""

import asyncio
from collections import deque
from time import monotonic
from typing import Protocol, cast

import httptools

from ias_gateway.errors import ApiError
from ias_gateway.exchange import Exchange
from ias_gateway.head import MAX_HEAD_BYTES, READ, body_too_large, fault_of, head_too_large

MAX_FIELDS = 100
HEAD_TIMEOUT_S = 10.0
BODY_TIMEOUT_S = 30.0
IDLE_TIMEOUT_S = 75.0
LINGER_S = 2.0
"""How long what a refused client still sends is read and dropped: closed at once, it would never see the answer."""
MAX_PIPELINED = 16
WRITE_BUFFER = 256 * 1024
_NEVER = float("inf")


class Owner(Protocol):
    """The server that a connection belongs to."""

    connections: set["Connection"]
    draining: bool
    max_body_bytes: int

    def run(self, exchange: Exchange) -> None:
        """Start to answer a request."""


class Connection(asyncio.Protocol):
    """One client's connection: parses requests, runs the handler on them one after another."""

    __slots__ = (
        "__weakref__",
        "_active",
        "_body",
        "_deadline",
        "_fields",
        "_head_bytes",
        "_head_size",
        "_headed",
        "_headers",
        "_length",
        "_lingering",
        "_next",
        "_parser",
        "_queue",
        "_refusal",
        "_server",
        "_transport",
        "_url",
    )

    def __init__(self, server: Owner) -> None:
        self._server = server
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._queue: deque[Exchange] = deque()
        self._active: Exchange | None = None
        self._deadline = monotonic() + HEAD_TIMEOUT_S
        self._next: Exchange | None = None
        self._refusal: ApiError | None = None
        self._lingering = False
        self.on_message_begin()

    # -- asyncio -----------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER)
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._transport = None
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
        if not self._headed:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(ApiError(400, "This server does not switch protocols."))
        except httptools.HttpParserError:
            self._refuse(self._refusal or ApiError(400, "The request is not HTTP/1.1."))
        else:
            if not self._headed and self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(head_too_large())

    def pause_writing(self) -> None:
        if self._active is not None and self._active.watcher is not None:
            self._active.watcher.pause()

    def resume_writing(self) -> None:
        if self._active is not None and self._active.watcher is not None:
            self._active.watcher.resume()

    # -- httptools ---------------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._url = b""
        self._fields = 0
        self._head_bytes = self._head_size = 0
        self._headers: dict[bytes, bytes] = {}
        self._headed = False
        self._length = 0
        self._body: list[bytes] = []
        self._next = None
        self._deadline = monotonic() + HEAD_TIMEOUT_S

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields += 1
        if self._fields > MAX_FIELDS:
            raise self._fault(ApiError(431, f"The request has more than {MAX_FIELDS} header fields."))
        self._count(len(name) + len(value))
        name = name.lower()
        if name in READ:
            if name in self._headers:
                raise self._fault(ApiError(400, f"The request has more than one {name.decode()} header."))
            self._headers[name] = value

    def on_headers_complete(self) -> None:
        self._headed = True
        headers = self._headers
        exchange = Exchange(self, self._parser.get_method(), self._url.partition(b"?")[0])
        exchange.authorization = headers.get(b"authorization", b"")
        exchange.keep_alive = self._parser.should_keep_alive() and not self._server.draining
        self._next = exchange
        fault = fault_of(self._url, headers, self._server.max_body_bytes)
        if fault is not None:
            raise self._fault(fault)
        if headers.get(b"expect", b"").lower() == b"100-continue" and self._active is None:
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._deadline = monotonic() + BODY_TIMEOUT_S

    def on_body(self, body: bytes) -> None:
        self._length += len(body)
        if self._length > self._server.max_body_bytes:
            raise self._fault(body_too_large(self._server.max_body_bytes))
        self._body.append(body)

    def on_message_complete(self) -> None:
        exchange = self._next
        if exchange is None:
            return
        exchange.body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._next, self._body = None, []
        self._deadline = _NEVER
        if self._active is None:
            self._start(exchange)
            return
        self._queue.append(exchange)
        if len(self._queue) >= MAX_PIPELINED and self._transport is not None:
            self._transport.pause_reading()

    # -- the exchange ------------------------------------------------------------------------------------------------

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
            self._deadline = monotonic() + LINGER_S
        elif not exchange.keep_alive or self._server.draining:
            transport.close()
        elif self._queue:
            self._start(self._queue.popleft())
            transport.resume_reading()
        else:
            self._deadline = monotonic() + IDLE_TIMEOUT_S

    def abort(self) -> None:
        """Close without more ado."""
        if self._transport is not None:
            self._transport.abort()

    def overdue(self, now: float) -> None:
        """Close where a request does not come to its end in time, and where nothing comes."""
        if now <= self._deadline or self._active is not None:
            return
        begun = ((self._head_size or self._head_bytes) and not self._headed) or self._next is not None
        if begun and not self._lingering:
            self._refuse(ApiError(408, "The request did not arrive in time."))
        elif self._transport is not None:
            self._transport.close()

    def close_idle(self) -> None:
        """Close where no exchange is open."""
        if self._active is None and self._next is None and self._transport is not None:
            self._transport.close()

    def _start(self, exchange: Exchange) -> None:
        self._active = exchange
        self._server.run(exchange)

    def _count(self, size: int) -> None:
        """Bound what was parsed of a head: `_head_bytes` does not know of heads that come in one read."""
        self._head_size += size
        if self._head_size > MAX_HEAD_BYTES:
            raise self._fault(head_too_large())

    def _fault(self, error: ApiError) -> ApiError:
        self._refusal = error
        return error

    def _refuse(self, error: ApiError) -> None:
        """Answer what cannot be read, and close: nothing behind it can be trusted."""
        self._deadline = _NEVER
        self._lingering = True
        if self._active is not None:
            self._active.keep_alive = False
            self._queue.clear()
            return
        exchange = self._next or Exchange(self, b"", b"")
        self._next = None
        exchange.keep_alive = False
        exchange.refuse(error)
