"""One request of a client, and the writer of its answer."""

from typing import Final, Protocol

from ias_gateway.admission import Caller
from ias_gateway.clock import now
from ias_gateway.errors import REASONS, ApiError
from ias_gateway.spans import Span

LAST_CHUNK: Final = b"0\r\n\r\n"
BARE_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    b"x-accel-buffering: no\r\n"
)
STREAM_HEAD: Final = BARE_HEAD + b"transfer-encoding: chunked\r\n"
_KNOWN: Final = 1024
_SIZES: Final = [b"%x" % size for size in range(_KNOWN)]
"""Of chunks as short as an event mostly is."""


class Watcher(Protocol):
    """Who has to know what the client's connection does while an exchange is open."""

    __slots__ = ()

    def client_gone(self) -> None:
        """The client closed the connection."""

    def pause(self) -> None:
        """The client reads too slowly."""

    def resume(self) -> None:
        """The client has caught up."""


class Wire(Protocol):
    """The client's connection, as an exchange uses it."""

    __slots__ = ()

    def write(self, data: bytes) -> None:
        """Write out at once."""

    def finished(self, exchange: "Exchange") -> None:
        """The answer is complete."""

    def abort(self) -> None:
        """Close without more ado."""


class Exchange:
    """One request and the writer of its answer.

    Attributes:
        bare: a stream has no chunks, and ends with the connection: it was asked for with HTTP/1.0.
    """

    __slots__ = (
        "_connection",
        "authorization",
        "bare",
        "body",
        "caller",
        "gone",
        "keep_alive",
        "method",
        "path",
        "refusal",
        "span",
        "started_at",
        "status",
        "watcher",
    )

    def __init__(self, connection: Wire, method: bytes, path: bytes) -> None:
        self.method = method
        self.path = path
        self.authorization = b""
        self.body = b""
        self.bare = False
        self.caller: Caller | None = None
        self.keep_alive = True
        self.gone = False
        self.refusal = ""
        self.span: Span | None = None
        self.status = 0
        self.started_at = now()
        self.watcher: Watcher | None = None
        self._connection = connection

    def answer(self, status: int, body: bytes, headers: bytes = b"", content_type: bytes = b"application/json") -> None:
        """The whole answer. `headers` are complete lines."""
        self.status = status
        if self.gone:
            return
        message = b"HTTP/1.1 %d %b\r\ncontent-type: %b\r\n%b%bcontent-length: %d\r\n\r\n%b" % (
            status,
            REASONS.get(status, b"Unknown"),
            content_type,
            headers,
            b"" if self.keep_alive else b"connection: close\r\n",
            len(body),
            b"" if self.method == b"HEAD" else body,
        )
        self._connection.write(message)
        self._connection.finished(self)

    def refuse(self, error: ApiError, headers: bytes = b"") -> None:
        """Answer with an error."""
        self.refusal = error.detail.code or error.detail.type
        extra = b"".join(b"%b: %b\r\n" % (name.encode(), value.encode()) for name, value in error.headers)
        self.answer(error.status, error.body, headers + extra)

    def begin_stream(self, headers: bytes, first: bytes = b"", *, whole: bool = False) -> None:
        """Send 200 and the head of an event stream, with what there is of it; `whole` where that is all."""
        self.status = 200
        if self.gone:
            return
        if self.bare:
            self._begin_bare(headers, first, whole=whole)
            return
        closing = b"" if self.keep_alive else b"connection: close\r\n"
        chunk = _chunk(first) if first else b""
        end = LAST_CHUNK if whole else b""
        self._connection.write(b"%b%b%b\r\n%b%b" % (STREAM_HEAD, headers, closing, chunk, end))
        if whole:
            self._connection.finished(self)

    def write(self, data: bytes) -> None:
        """A piece of the stream, written out at once."""
        if not self.gone:
            self._connection.write(data if self.bare else _chunk(data))

    def end_stream(self, last: bytes = b"") -> None:
        """The end of the stream, after a last piece."""
        if self.gone:
            return
        if self.bare:
            self._connection.write(last)
        else:
            self._connection.write(_chunk(last) + LAST_CHUNK if last else LAST_CHUNK)
        self._connection.finished(self)

    def _begin_bare(self, headers: bytes, first: bytes, *, whole: bool) -> None:
        self.keep_alive = False
        self._connection.write(b"%b%bconnection: close\r\n\r\n%b" % (BARE_HEAD, headers, first))
        if whole:
            self._connection.finished(self)

    def close(self) -> None:
        """Give the client up."""
        if not self.gone:
            self._connection.abort()


def _chunk(data: bytes) -> bytes:
    size = len(data)
    return b"%b\r\n%b\r\n" % (_SIZES[size] if size < _KNOWN else b"%x" % size, data)
