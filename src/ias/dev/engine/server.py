"""HTTP/1.1 on uvloop and httptools: requests of a connection one after another, with back-pressure both ways."""

import asyncio
import random
import socket
import struct
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol, cast

import httptools
import msgspec

JSON = b"application/json"
_ANSWER = b"HTTP/1.1 %d %b\r\ncontent-length: %d\r\n%bx-request-id: %b\r\n%b\r\n%b"
_STREAM = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nx-request-id: %b\r\n"
    b"transfer-encoding: chunked\r\n%b\r\n"
)
_CLOSE = b"connection: close\r\n"
_BAD = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\n\r\nInvalid HTTP"
_LAST = b"0\r\n\r\n"
_REASONS = {int(status): status.phrase.encode() for status in HTTPStatus}
_WAITING = 8
_RESET = struct.pack("ii", 1, 0)
_DRAIN_S = 0.002


class Request(msgspec.Struct):
    """A request that has come in whole. Its id is the client's `x-request-id`, or made up."""

    method: str
    path: str
    query: str
    request_id: str
    content_type: bytes
    keep_alive: bool
    body: bytes


class Job(Protocol):
    """A request that takes time."""

    def abandon(self) -> None:
        """The client has gone, or the engine stops."""

    def resume(self) -> None:
        """The client, which had read too slowly, has caught up."""


Handler = Callable[["Connection"], None]


class Connection(asyncio.Protocol):
    """One client's connection. The handler answers `request`; the next one waits until it has.

    Attributes:
        request: the request being answered.
        job: what answers it, if that takes time.
        paused: whether the client reads too slowly for more to be written.
    """

    request: Request

    def __init__(self, handler: Handler, connections: set["Connection"]) -> None:
        self.job: Job | None = None
        self.paused = False
        self._handler = handler
        self._connections = connections
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._busy = False
        self._waiting: deque[Request] = deque()
        self._head = b""
        self._keep_alive = True
        self.on_message_begin()

    @property
    def idle(self) -> bool:
        """Whether nothing is being answered."""
        return not self._busy

    # -- answering ---------------------------------------------------------------------------------------------------

    def answer(self, status: int, body: bytes, content_type: bytes = JSON, more: bytes = b"") -> None:
        """The whole answer; `more` are further header lines."""
        if body:
            more += b"content-type: %b\r\n" % content_type
        reason = _REASONS.get(status, b"Unknown")
        end = b"" if self.request.keep_alive else _CLOSE
        self._send(_ANSWER % (status, reason, len(body), more, self.request.request_id.encode(), end, body))
        self._next()

    def begin_stream(self) -> None:
        """The head of a stream. It goes out with the first write, or by itself with an empty one."""
        self._head = _STREAM % (self.request.request_id.encode(), b"" if self.request.keep_alive else _CLOSE)

    def write(self, frames: bytes, *, last: bool = False) -> None:
        """Framed events; the stream is over with the last ones."""
        head, self._head = self._head, b""
        self._send(head + frames + _LAST if last else head + frames)
        if last:
            self._next()

    def reset(self) -> None:
        """Break the connection, once what was written is with the kernel: the client reads that, then the reset."""
        transport = self._transport
        if transport is None:
            return
        if transport.get_write_buffer_size():
            asyncio.get_running_loop().call_later(_DRAIN_S, self.reset)
            return
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        transport.abort()

    def close(self) -> None:
        """Close, when all is written."""
        if self._transport is not None:
            self._transport.close()

    def _send(self, data: bytes) -> None:
        if self._transport is not None and data:
            self._transport.write(data)

    def _next(self) -> None:
        self.job = None
        if not self.request.keep_alive:
            self.close()
        elif self._waiting and self._transport is not None:
            self._transport.resume_reading()
            # Not at once: a client that sends many requests ahead would nest them all on the stack.
            asyncio.get_running_loop().call_soon(self._begin)
        else:
            self._busy = False

    def _begin(self) -> None:
        if self._transport is not None:
            self.request = self._waiting.popleft()
            self._handler(self)

    # -- asyncio -----------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._transport = None
        self._connections.discard(self)
        self._waiting.clear()
        job, self.job = self.job, None
        if job is not None:
            job.abandon()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if not self._busy:
                self._send(_BAD)
            self.close()

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        if self.job is not None:
            self.job.resume()

    # -- httptools ---------------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._url = b""
        self._id = b""
        self._type = b""
        self._parts: list[bytes] = []

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(name) == len(b"x-request-id"):
            lower = name.lower()
            if lower == b"x-request-id":
                self._id = value
            elif lower == b"content-type":
                self._type = value
        elif name.lower() == b"expect" and value.lower() == b"100-continue":
            self._send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_headers_complete(self) -> None:
        # Asked here: after the message llhttp always answers no.
        self._keep_alive = self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)

    def on_message_complete(self) -> None:
        path, _, query = self._url.decode(errors="replace").partition("?")
        identity = self._id.decode(errors="replace") or f"{random.getrandbits(128):032x}"
        parts, method = self._parts, self._parser.get_method().decode()
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        request = Request(method, path, query, identity, self._type, self._keep_alive, body)
        if not self._busy:
            self._busy = True
            self.request = request
            self._handler(self)
            return
        self._waiting.append(request)
        if len(self._waiting) >= _WAITING and self._transport is not None:
            self._transport.pause_reading()
