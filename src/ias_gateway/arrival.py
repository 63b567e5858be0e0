"""A client's requests as they arrive, without I/O: fed with bytes, strict about them, one request after the other."""

from time import monotonic
from typing import Final, Protocol

import httptools

from ias_gateway.admission import identify
from ias_gateway.errors import ApiError, busy
from ias_gateway.exchange import Exchange, Wire
from ias_gateway.head import (
    MAX_FIELDS,
    MAX_HEAD_BYTES,
    OF_STRANGERS_BYTES,
    SINGLE,
    Bounds,
    body_too_large,
    head_too_large,
    too_slow,
)
from ias_gateway.repetition import Repetition, repetition

TRACEPARENT: Final = b"traceparent"
_ONCE: Final = frozenset((b"expect", TRACEPARENT))
"""With these a head is not known again: the client waits, or says something else each time."""
_OLD: Final = "1.0"
_MAY_DIFFER: Final = 4
"""Heads that may follow that are not the last one again, before it is no longer asked whether they are."""


class Taker(Wire, Protocol):
    """Who takes the requests."""

    __slots__ = ()

    def headed(self, exchange: Exchange, *, waiting: bool) -> None:
        """A head has come and is good; `waiting` for leave to send its body."""

    def arrived(self, exchange: Exchange) -> None:
        """A whole request has come."""


class Arrival:
    """What has come of a request. After a fault nothing more may be fed.

    Attributes:
        coming: the request whose head has come and whose body has not.
    """

    __deletable__ = ("_parser", "_taker")  # mypyc's leave for `del`
    __slots__ = (
        *("_body", "_bounds", "_due", "_fields", "_head_size", "_headed", "_headers", "_parser", "_refusal", "_taker"),
        *("_differed", "_last", "_longest", "_read", "_stranger", "_taken", "_unread", "_url", "_weighed", "coming"),
    )

    def __init__(self, taker: Taker, bounds: Bounds) -> None:
        self.coming: Exchange | None = None
        self._taker = taker
        self._bounds = bounds
        self._parser = httptools.HttpRequestParser(self)
        self._refusal: ApiError | None = None
        self._last: Repetition | None = None
        self._read = b""
        self._differed = self._taken = 0
        self.on_message_begin()
        self._headed = True

    def repeated(self, data: bytes) -> Exchange | None:
        """The request that this read is, where its head is the last one's again; else it is to be fed."""
        last = self._last
        if last is None or self.coming is not None or not self._headed:
            return None
        at = last.body_at(data)
        if at == 0:
            self._last = None
            self._differed += 1
            return None
        exchange = Exchange(self._taker, b"POST", last.path)
        exchange.caller = last.caller
        exchange.body = data[at:]
        if self._bounds.traced is not None:
            exchange.span = self._bounds.traced(b"")
        return exchange

    def feed(self, data: bytes) -> ApiError | None:
        """Take what has come; answers what is wrong with it, None where nothing is."""
        heading, coming = not self._headed, self.coming
        if self._differed < _MAY_DIFFER and not heading and coming is None:
            self._read = data
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            return ApiError(400, "This server does not switch protocols.")
        except httptools.HttpParserError:
            return self._refusal or ApiError(400, "The request is not HTTP/1.1.")
        finally:
            self._read = b""
        if self._body and not self._take_in():
            return busy()
        if (heading and not self._headed) or (coming is not None and self.coming is coming):
            return self._weigh(len(data))
        return None

    def end(self) -> None:
        """Nothing more will be fed. Parser, taker and this know each other: all would wait for the collector."""
        self.coming = None
        self._give_back()
        del self._parser, self._taker

    @property
    def begun(self) -> bool:
        """Whether a request has begun to come and is not complete."""
        return self.coming is not None or not self._headed

    def late(self, now: float) -> bool:
        """Whether the request that has begun should have come by now, or comes too slowly."""
        coming = self.coming
        return now > self._due or (coming is not None and too_slow(now - coming.started_at, len(self._body)))

    def on_message_begin(self) -> None:
        self._url = b""
        self._fields = self._head_size = self._unread = self._weighed = 0
        self._headers: dict[bytes, bytes] = {}
        self._headed = False
        self._body: bytes | bytearray = b""
        self._stranger: ApiError | None = None
        self._due = monotonic() + self._bounds.head_s

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields += 1
        if self._fields > MAX_FIELDS:
            raise self._fault(ApiError(431, f"The request has more than {MAX_FIELDS} header fields."))
        self._count(len(name) + len(value))
        name = name.lower()
        if name in SINGLE:
            if name in self._headers and name != TRACEPARENT:
                raise self._fault(ApiError(400, f"The request has more than one {name.decode()} header."))
            self._headers[name] = b"" if name in self._headers else value

    def on_headers_complete(self) -> None:
        self._headed = True
        self._unread = 0
        headers, parser, bounds = self._headers, self._parser, self._bounds
        self.coming = exchange = Exchange(self._taker, parser.get_method(), self._url.partition(b"?")[0])
        exchange.authorization = headers.get(b"authorization", b"")
        if bounds.traced is not None:
            exchange.span = bounds.traced(headers.get(TRACEPARENT, b""))
        # Asked here: after the message it answers no.
        exchange.keep_alive = parser.should_keep_alive()
        exchange.bare = parser.get_http_version() == _OLD
        fault = bounds.fault_of(exchange.method, exchange.path, headers)
        if fault is not None:
            raise self._fault(fault)
        self._longest = bounds.longest(exchange.path)
        if bounds.room is not None:
            self._look_at_key(exchange)
        self._due = exchange.started_at + bounds.body_s
        self._taker.headed(exchange, waiting=headers.get(b"expect", b"").lower() == b"100-continue")

    def on_body(self, body: bytes) -> None:
        if not self._body:
            self._body = body
        elif isinstance(self._body, bytes):
            self._body = bytearray(self._body + body)
        else:
            self._body += body
        if len(self._body) > self._longest:
            raise self._fault(self._stranger or body_too_large(self._longest))

    def on_message_complete(self) -> None:
        exchange = self.coming
        if exchange is None:
            return
        exchange.body = bytes(self._body)
        if self._taken:
            self._give_back()
        if self._read and exchange.keep_alive and not exchange.bare and b"content-length" in self._headers:
            known = repetition(self._read, exchange.body, exchange.path, exchange.authorization, self._longest)
            self._last = known if _ONCE.isdisjoint(self._headers) else None
        # An open stream keeps nothing of its head.
        self.coming, self._body, self._url, self._headers = None, b"", b"", {}
        self._taker.arrived(exchange)

    def _look_at_key(self, exchange: Exchange) -> None:
        """See who calls before the body comes. A stranger's small request is refused by who answers its path."""
        try:
            exchange.caller = identify(exchange.authorization)
        except ApiError as error:
            if int(self._headers.get(b"content-length", b"0")) > OF_STRANGERS_BYTES:
                raise self._fault(error) from None
            self._stranger, self._longest = error, OF_STRANGERS_BYTES

    def _take_in(self) -> bool:
        """Whether there is room for what has come of a body that is not complete."""
        room, size = self._bounds.room, len(self._body)
        if room is not None:
            if not room.take(size - self._taken, size):
                self._give_back()
                return False
            self._taken = size
        return True

    def _give_back(self) -> None:
        if self._taken and self._bounds.room is not None:
            self._bounds.room.give_back(self._taken)
        self._taken, self._body = 0, b""

    def _count(self, size: int) -> None:
        """Bound what was parsed of a head, all of which may have come in one read."""
        self._head_size += size
        if self._head_size > MAX_HEAD_BYTES:
            raise self._fault(head_too_large())

    def _weigh(self, size: int) -> ApiError | None:
        """Bound what was read and led to nothing: a field without end, in a head or behind a body."""
        grew = len(self._body) > self._weighed
        self._unread = 0 if grew else self._unread + size
        self._weighed = len(self._body)
        return head_too_large() if self._unread > MAX_HEAD_BYTES else None

    def _fault(self, error: ApiError) -> ApiError:
        self._refusal = error
        self._give_back()
        return error
