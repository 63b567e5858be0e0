"""The engine's HTTP port: httptools on uvloop, one request at a time on each connection."""

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

import httptools

from ias.dev.engine import shapes

_JSON = b"application/json"
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n%btransfer-encoding: chunked\r\n\r\n"
)
_REASONS = {
    200: b"OK",
    400: b"Bad Request",
    404: b"Not Found",
    500: b"Internal Server Error",
    503: b"Service Unavailable",
}


class Ongoing(Protocol):
    """A request that takes time."""

    def stop(self) -> None:
        """The client has gone."""

    def pause(self) -> None:
        """The client reads too slowly."""

    def resume(self) -> None:
        """It has caught up."""


Handler = Callable[["Connection"], None]


class Connection(asyncio.Protocol):
    """One client's connection, and its request: `method`, `path`, `body`, `request_id`."""

    def __init__(self, handler: Handler) -> None:
        self.method = b""
        self.path = ""
        self.body = b""
        self.request_id = ""
        self.ongoing: Ongoing | None = None
        self.gone = False
        self._handler = handler
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._parts: list[bytes] = []
        self._url = b""
        self._streaming = False
        self._keep_alive = True
        self._waiting: list[bytes] = []

    # -- answers -----------------------------------------------------------------------------------------------------

    def answer(self, status: int, body: bytes, content_type: bytes = _JSON) -> None:
        """The whole answer."""
        head = b"HTTP/1.1 %d %b\r\ncontent-type: %b\r\n%bcontent-length: %d\r\n\r\n"
        reason = _REASONS.get(status, b"Unknown")
        self._send(head % (status, reason, content_type, self._id_line(), len(body)) + body)
        self._next()

    def refuse(self, status: int, message: str, kind: str, param: str | None = None) -> None:
        """An error in vLLM's shape."""
        self.answer(status, shapes.error(status, message, kind, param))

    def begin_stream(self) -> None:
        """Status and head of a stream."""
        self._streaming = True
        self._waiting.append(_STREAM_HEAD % self._id_line())
        asyncio.get_running_loop().call_soon(self._flush_head)

    def write(self, data: bytes) -> None:
        """A piece of the stream; the head goes with the first one."""
        self._waiting.append(b"%x\r\n%b\r\n" % (len(data), data))
        self._flush_head()

    def end_stream(self) -> None:
        """The end of the stream."""
        self._streaming = False
        self._send(b"0\r\n\r\n")
        self._next()

    def die(self) -> None:
        """Reset the connection."""
        if self._transport is not None:
            self._transport.abort()

    # -- asyncio -----------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._transport = None
        self.gone = True
        ongoing, self.ongoing = self.ongoing, None
        if ongoing is not None:
            ongoing.stop()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.die()

    def pause_writing(self) -> None:
        if self.ongoing is not None:
            self.ongoing.pause()

    def resume_writing(self) -> None:
        if self.ongoing is not None:
            self.ongoing.resume()

    # -- httptools ---------------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._parts = []
        self._url = b""
        self.request_id = ""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"x-request-id":
            self.request_id = value.decode()

    def on_headers_complete(self) -> None:
        self._keep_alive = self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)

    def on_message_complete(self) -> None:
        self.body = b"".join(self._parts)
        self.method = self._parser.get_method()
        self.path = self._url.partition(b"?")[0].decode()
        self._handler(self)

    def _next(self) -> None:
        self.ongoing = None
        if not self._keep_alive and self._transport is not None:
            self._transport.close()

    def _flush_head(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._send(b"".join(waiting))

    def _send(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _id_line(self) -> bytes:
        return b"x-request-id: %b\r\n" % self.request_id.encode() if self.request_id else b""
