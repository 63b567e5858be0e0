"""The two HTTP parsers, fed by hand, and what they made of it."""

import asyncio
from typing import cast

from ias_gateway import connection, upstream
from ias_gateway.errors import ApiError
from ias_gateway.exchange import Exchange
from ias_gateway.head import Bounds

MOST = 2000
Request = tuple[bytes, bytes, bytes, bytes]
"""Method, path, authorization and body."""


class _Transport(asyncio.Transport):
    """Takes what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.over = False

    def write(self, data: bytes) -> None:
        self.sent += data

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """There is no buffer."""

    def write_eof(self) -> None:
        self.over = True

    def close(self) -> None:
        self.over = True

    def is_closing(self) -> bool:
        return False

    def abort(self) -> None:
        self.over = True

    def pause_reading(self) -> None:
        """The feeder does not stop."""

    def resume_reading(self) -> None:
        """It has not stopped."""


class _Server:
    """Answers at once."""

    def __init__(self) -> None:
        self.connections: set[connection.Connection] = set()
        self.draining = False
        self.bounds = Bounds(MOST)
        self.told: list[Request] = []

    def run(self, exchange: Exchange) -> None:
        self.told.append((exchange.method, exchange.path, exchange.authorization, exchange.body))
        exchange.answer(200, b"{}")

    def refuse(self, exchange: Exchange, error: ApiError) -> None:
        exchange.refuse(error)


def requests(reads: list[bytes]) -> tuple[list[Request], bool]:
    """The requests that these reads are, and whether the connection is closed after them."""
    server, transport = _Server(), _Transport()
    client = connection.Connection(server)
    client.connection_made(transport)
    for read in reads:
        if transport.over:
            break
        if read:
            client.data_received(read)
    client.overdue(0.0)
    client.connection_lost(None)
    return server.told, transport.over


class _Pool:
    """Notes what comes back."""

    def __init__(self) -> None:
        self.kept = False

    def rest(self, _: upstream.Connection) -> None:
        self.kept = True

    def forget(self, _: upstream.Connection) -> None:
        """Nothing is kept."""


class _Sink:
    """Notes an answer."""

    def __init__(self) -> None:
        self.status = 0
        self.body = b""
        self.endings: list[str] = []

    def head(self, status: int, *, alone: bool) -> None:  # noqa: ARG002 - what an upstream.Sink is told
        assert not self.endings
        self.status = status

    def data(self, data: bytes, *, last: bool) -> None:  # noqa: ARG002 - `end` follows
        assert not self.endings
        self.body += data

    def end(self) -> None:
        self.endings.append("end")

    def failed(self, reason: str) -> None:
        assert reason
        self.endings.append("failed")


def answers(reads: list[bytes]) -> tuple[int, bytes, list[str]]:
    """The status, body and ending that these reads are, if the engine closes after them."""
    pool, sink = _Pool(), _Sink()
    replica = upstream.Connection(cast("upstream.Pool", pool))
    replica.connection_made(_Transport())
    replica.send(sink, b"")
    for read in reads:
        if sink.endings:
            break
        if read:
            replica.data_received(read)
    replica.connection_lost(None)
    assert len(sink.endings) == 1
    if sink.endings == ["failed"]:
        return 0, b"", sink.endings
    return sink.status, sink.body, sink.endings
