"""An engine's answer as it comes: a stream is pumped to the client by protocol callbacks, all else is collected."""

from collections.abc import Callable
from typing import Final

from ias.contract.usage import Outcome
from ias_gateway.clock import now
from ias_gateway.exchange import Exchange, Watcher
from ias_gateway.fiber import Pause
from ias_gateway.live import Meter
from ias_gateway.scanner import Scanner
from ias_gateway.sse import EventTooLong
from ias_gateway.upstream import Connection, Sink

MAX_COLLECTED_BYTES: Final = 64 * 1024 * 1024
PING_S = 15.0
_COMPLETED: Final = Outcome.COMPLETED
_OK: Final = 200


class Limits:
    """How long an answer may take, and a stream be silent before its client gets a `: ping`, in seconds."""

    __slots__ = ("first", "idle", "ping", "total")

    def __init__(self, first: float, idle: float, total: float, ping: float = PING_S) -> None:
        self.first = first
        self.idle = idle
        self.total = total
        self.ping = ping


class Reply(Sink, Watcher, Meter):
    """One attempt at an answer. `done` tells how it ended; the client has then had all but the end of the stream.

    Args:
        exchange: the client's request.
        head: response header lines of a stream; None where its client is to hear nothing yet, until `admitted`.
        scanner: reads the stream; None where the answer is not a stream.
        limits: how long it may take.
    """

    __slots__ = (
        *(
            "_answered",
            "_connection",
            "_exchange",
            "_head",
            "_held",
            "_last",
            "_limits",
            "_parts",
            "_paused_at",
            "_pinged",
            "_size",
        ),
        *("begun", "done", "first_at", "scanner", "sent", "stale", "started_at", "status", "tail"),
    )

    def __init__(self, exchange: Exchange, head: bytes | None, scanner: Scanner | None, limits: Limits) -> None:
        self.done: Pause[Outcome] = Pause()
        self.scanner = scanner
        self.status = 0
        self.tail = b""
        self.sent = False
        self.stale = False
        self.begun = False
        self.first_at: float | None = None
        self._answered: Callable[[], None] | None = None
        self._exchange = exchange
        self._head = head or b""
        self._held: list[bytes] | None = [] if head is None else None
        self._limits = limits
        self._connection: Connection | None = None
        self._parts: list[bytes] = []
        self._size = 0
        self.started_at = self._last = self._pinged = now()
        self._paused_at: float | None = None

    def through(self, connection: Connection, message: bytes, answered: Callable[[], None]) -> None:
        """Send the request. `answered` is called when a good answer begins."""
        self.sent = True
        self._answered = answered
        self.stale = connection.reused
        self._connection = connection
        self._exchange.watcher = self
        span = self._exchange.span
        connection.send(self, message if span is None else span.carried(message))

    @property
    def body(self) -> bytes:
        """What was collected."""
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)

    @property
    def tokens(self) -> tuple[int, int, int] | None:
        """Tokens reported so far on a stream."""
        return self.scanner.tokens if self.scanner is not None else None

    # -- the engine --------------------------------------------------------------------------------------------------

    def head(self, status: int, *, alone: bool) -> None:
        self.status = status
        if status != _OK:
            self.scanner = None
            self._last = now()
            return
        answered, self._answered = self._answered, None
        if answered is not None:
            answered()
        if alone:
            self._last = now()
            if self.scanner is not None:
                self._begin(b"")

    def data(self, data: bytes, *, last: bool) -> None:
        moment = self._last = now()
        if self.first_at is None:
            self.first_at = moment
        if self.scanner is None:
            self._collect(data)
            return
        try:
            out = self.scanner.feed(data)
        except EventTooLong:
            self.cut(Outcome.UPSTREAM_FAILED)
            return
        if last:
            # It leaves together with the end of the stream, as soon as the settlement is on its way.
            self.tail = out
        elif not self.begun:
            self._begin(out)
        elif out:
            self._exchange.write(out)

    def end(self) -> None:
        self._connection = None
        scanner = self.scanner
        whole = scanner is None or (scanner.done and scanner.error is None)
        self._finish(_COMPLETED if whole else Outcome.UPSTREAM_FAILED)

    def failed(self, reason: str) -> None:  # noqa: ARG002 - what went wrong shows in the outcome
        self._connection = None
        # A stream that has told its end is whole, however its connection ends.
        whole = self.scanner is not None and self.scanner.done
        self._finish(_COMPLETED if whole else Outcome.UPSTREAM_FAILED)

    # -- the client --------------------------------------------------------------------------------------------------

    def client_gone(self) -> None:
        self.cut(Outcome.CLIENT_ABORTED)

    def pause(self) -> None:
        self._paused_at = now()
        if self._connection is not None:
            self._connection.pause()

    def resume(self) -> None:
        self._paused_at = None
        self._last = now()
        if self._connection is not None:
            self._connection.resume()

    # -- the ledger --------------------------------------------------------------------------------------------------

    def cut(self, outcome: Outcome) -> None:
        """End it: the engine's connection is closed at once, so that it stops to generate."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abandon()
        self._finish(outcome)

    def look(self, now: float) -> None:
        """End it where it has taken too long, and break a long silence for the client."""
        limits = self._limits
        if self._paused_at is not None:
            # Its connection gives a client up that reads nothing.
            return
        waited = now - self._last
        first = limits.total if self.scanner is None else limits.first
        if now - self.started_at > limits.total or waited > (first if self.first_at is None else limits.idle):
            self.cut(Outcome.UPSTREAM_TIMEOUT)
        elif self.begun and waited > limits.ping and now - self._pinged > limits.ping:
            self._pinged = now
            self._exchange.write(b": ping\n\n")

    def admitted(self, head: bytes) -> None:
        """The client may hear of it from now on, under this head."""
        self._head = head
        held, self._held = self._held, None
        if not held:
            return
        if self.done.done:
            self.tail = b"".join(held) + self.tail
            return
        self._begin(b"".join(held))
        if self._paused_at is None and self._connection is not None:
            self._connection.resume()

    def _begin(self, first: bytes) -> None:
        if self.begun or self.done.done:
            return
        if self._held is not None:
            # No more than this is read ahead of the word that lets it go on.
            self._held.append(first)
            if self._connection is not None:
                self._connection.pause()
            return
        self.begun = True
        self._exchange.begin_stream(self._head, first)

    def finish_stream(self, last: bytes) -> None:
        """Write what is left of the stream, a last piece, and its end."""
        last = self.tail + last if last else self.tail
        if not self.begun:
            self.begun = True
            self._exchange.begin_stream(self._head, last, whole=True)
        else:
            self._exchange.end_stream(last)

    def _collect(self, data: bytes) -> None:
        self._size += len(data)
        self._parts.append(data)
        if self._size > MAX_COLLECTED_BYTES:
            self.cut(Outcome.UPSTREAM_FAILED)

    def _finish(self, outcome: Outcome) -> None:
        # The request refers to its reply, and must not be referred to by it: that would be for the collector.
        self._answered = None
        self.done.resolve(outcome)
