"""HTTP/1.1 towards the engines: one keep-alive pool per replica, the last used connection first.

A connection tells its sink what comes, read by read: all chunks of one read are handed on together.
"""

import asyncio
from typing import Final, Protocol, cast
from urllib.parse import SplitResult, urlsplit

import httptools

from ias_gateway.addresses import STRICT, Addresses
from ias_gateway.tls import client_context

READ_BUFFER = 256 * 1024
CONNECT_TIMEOUT_S = 5.0
_FINAL: Final = 200
"""Statuses below this announce an answer, and are none."""


class Sink(Protocol):
    """Who reads an answer. Exactly one of `end` and `failed` is called, last."""

    __slots__ = ()

    def head(self, status: int, *, alone: bool) -> None:
        """The status has come; the body follows at once, or later where the head came alone."""

    def data(self, data: bytes, *, last: bool) -> None:
        """A piece of the body; after the last one `end` follows at once."""

    def end(self) -> None:
        """The answer is complete."""

    def failed(self, reason: str) -> None:
        """The connection could not be had, or was lost before the answer was complete."""


class Connection(asyncio.Protocol):
    """One connection to a replica; idle where it has no sink."""

    __deletable__ = ("_parser",)  # mypyc's leave for `del`
    __slots__ = (
        *("_complete", "_headed", "_keep_alive", "_parser", "_parts", "_paused", "_pool", "_status", "_transport"),
        *("closed", "on_body", "reused", "sink"),
    )

    def __init__(self, pool: "Pool") -> None:
        self.sink: Sink | None = None
        self.closed = False
        self.reused = False
        self._pool = pool
        self._transport: asyncio.Transport | None = None
        self._parts: list[bytes] = []
        # What the parser calls for each chunk, without a frame of our own between.
        self.on_body = self._parts.append
        self._parser = httptools.HttpResponseParser(self)
        self._headed = False
        self._complete = False
        self._keep_alive = False
        self._paused = False
        self._status = 0

    def send(self, sink: Sink, message: bytes) -> None:
        """Send a request; its answer goes to the sink."""
        self.sink = sink
        self._headed = self._complete = False
        if self._transport is None or self._transport.is_closing():
            self.sink = None
            sink.failed("the connection was closed")
        else:
            self._transport.write(message)

    def abandon(self) -> None:
        """Close at once and tell nobody: the engine stops to generate when it sees that."""
        self.sink = None
        if self._transport is not None:
            self._transport.abort()

    def pause(self) -> None:
        """Stop to read: the client is slower than the engine."""
        if self._transport is not None and not self.closed:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self._paused and self._transport is not None and not self.closed:
            self._paused = False
            self._transport.resume_reading()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._transport = None
        # It knows this object: both would wait for the garbage collector.
        del self._parser
        self._pool.forget(self)
        sink, self.sink = self.sink, None
        if sink is not None:
            sink.failed(f"the connection was lost{f': {exc}' if exc else ''}")

    def data_received(self, data: bytes) -> None:
        sink = self.sink
        if sink is None:
            self.abandon()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self._complete:
                self.abandon()
                sink.failed(f"the answer is not HTTP: {error}")
                return
            # It is whole; what is behind it is nobody's.
            self._keep_alive = False
        parts = self._parts
        if self._headed:
            self._headed = False
            sink.head(self._status, alone=not parts and not self._complete)
        if parts:
            piece = parts[0] if len(parts) == 1 else b"".join(parts)
            parts.clear()
            sink.data(piece, last=self._complete)
        if self._complete:
            self._finish(sink)

    def _finish(self, sink: Sink) -> None:
        if self.sink is None:
            return
        self.sink = None
        if self._keep_alive and not self.closed:
            if self._paused:
                self.resume()  # the client was too slow for the last read
            self._pool.rest(self)
        else:
            self.abandon()
        sink.end()

    def on_headers_complete(self) -> None:
        if self._complete:
            raise ValueError("there is more than one answer")
        self._status = self._parser.get_status_code()
        # Asked here: llhttp clears its flags once the message is complete, and then always answers no.
        self._keep_alive = self._parser.should_keep_alive()
        self._headed = self._status >= _FINAL

    def on_message_complete(self) -> None:
        self._complete = self._status >= _FINAL


class Pool:
    """The connections to one replica, `http://host:port` or `https://host:port`, with an optional path before `/v1`.

    Args:
        base_url: where the replica is.
        addresses: looks its name up, and refuses where it must not lead.
    """

    def __init__(self, base_url: str, addresses: Addresses = STRICT) -> None:
        address = urlsplit(base_url)
        self._addresses = addresses
        self._tls = client_context() if address.scheme == "https" else None
        self._host = address.hostname or "127.0.0.1"
        self._port = address.port or (443 if self._tls else 80)
        self._prefix, self._host_header = _prefix_and_host(address)
        self._idle: list[Connection] = []
        self._loop = asyncio.get_running_loop()
        self.opened = 0

    def idle(self) -> Connection | None:
        """A connection that is ready to send on, None where there is none."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed:
                return connection
        return None

    async def open(self) -> Connection:
        """A new connection.

        Raises:
            OSError: the replica does not take connections.
            TimeoutError: it did not answer in `CONNECT_TIMEOUT_S`.
        """
        # In a task: what has a time limit needs one.
        return await self._loop.create_task(self._open())

    async def _open(self) -> Connection:
        self.opened += 1
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            return await self._connect(await self._addresses.lookup(self._host, self._port))

    async def _connect(self, addresses: list[str]) -> Connection:
        """The first that takes a connection of these addresses, not of whatever the name leads to by now."""
        failure = OSError("there is no address")
        name = self._host if self._tls else None
        for address in addresses:
            try:
                _, connection = await self._loop.create_connection(
                    lambda: Connection(self), address, self._port, ssl=self._tls, server_hostname=name
                )
            except OSError as error:
                failure = error
            else:
                return connection
        raise failure

    def message(self, path: bytes, content_type: bytes, request_id: str, body: bytes) -> bytes:
        """A whole request. Nothing of the client's headers is in it."""
        return (
            b"POST %b%b HTTP/1.1\r\nhost: %b\r\nx-request-id: %b\r\naccept-encoding: identity\r\n"
            b"content-type: %b\r\ncontent-length: %d\r\n\r\n%b"
            % (self._prefix, path, self._host_header, request_id.encode(), content_type, len(body), body)
        )

    def rest(self, connection: Connection) -> None:
        """Keep a connection for the next request."""
        connection.reused = True
        self._idle.append(connection)

    def forget(self, connection: Connection) -> None:
        """A connection was closed."""
        if connection in self._idle:
            self._idle.remove(connection)

    def close(self) -> None:
        """Close what is idle."""
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.abandon()


def question(base_url: str, path: bytes) -> bytes:
    """A whole GET of a path beside `/v1` of a replica."""
    prefix, host = _prefix_and_host(urlsplit(base_url))
    return b"GET %b%b HTTP/1.1\r\nhost: %b\r\naccept-encoding: identity\r\n\r\n" % (prefix, path, host)


def _prefix_and_host(address: SplitResult) -> tuple[bytes, bytes]:
    return address.path.rstrip("/").encode(), address.netloc.rpartition("@")[2].encode()
