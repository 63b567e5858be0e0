"""A connection to an engine, fed by hand: what it hands on, and when it goes back to its pool."""

import asyncio

import pytest

from ias_gateway.upstream import Connection, Pool

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nabcd"


class Transport(asyncio.Transport):
    """Notes what is done to it."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.reading = True
        self.aborted = False
        self.closing = False

    def write(self, data: bytes) -> None:
        self.sent += data

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.closing

    def abort(self) -> None:
        self.aborted = True


class Sink:
    """Notes what it is told; pauses the connection at every piece where its reader is slow."""

    def __init__(self, connection: Connection, *, slow: bool = False) -> None:
        self.told: list[object] = []
        self.lasts: list[bool] = []
        self.connection = connection
        self.slow = slow

    def head(self, status: int, *, alone: bool) -> None:  # noqa: ARG002 - what an upstream.Sink is told
        self.told.append(status)

    def data(self, data: bytes, *, last: bool = False) -> None:
        self.told.append(data)
        self.lasts.append(last)
        if self.slow:
            self.connection.pause()

    def end(self) -> None:
        self.told.append("end")

    def failed(self, reason: str) -> None:
        assert reason
        self.told.append("failed")


@pytest.fixture
async def connection() -> Connection:
    connection = Connection(Pool("http://engine:8000/prefix/"))
    connection.connection_made(Transport())
    return connection


def send(connection: Connection, *, slow: bool = False) -> Sink:
    sink = Sink(connection, slow=slow)
    connection.send(sink, b"request")
    return sink


def transport(connection: Connection) -> Transport:
    made = connection._transport
    assert isinstance(made, Transport)
    return made


async def test_an_answer_is_told_in_order_and_the_connection_is_used_again(connection: Connection) -> None:
    for _ in range(2):
        sink = send(connection)
        connection.data_received(ANSWER)
        assert sink.told == [200, b"abcd", "end"]
        assert connection._pool.idle() is connection
    assert connection.reused
    assert transport(connection).sent == b"request" * 2


async def test_an_answer_may_come_byte_by_byte(connection: Connection) -> None:
    sink = send(connection)
    for byte in ANSWER:
        connection.data_received(bytes([byte]))
    assert sink.told == [200, b"a", b"b", b"c", b"d", "end"]
    assert sink.lasts == [False, False, False, True]


async def test_all_chunks_of_one_read_are_handed_on_together(connection: Connection) -> None:
    sink = send(connection)
    connection.data_received(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n")
    assert sink.told == [200, b"abc", "end"]


async def test_a_connection_whose_last_read_found_its_client_too_slow_reads_again(connection: Connection) -> None:
    sink = send(connection, slow=True)
    connection.data_received(ANSWER)
    assert sink.told[-1] == "end"
    assert transport(connection).reading


async def test_a_connection_that_the_engine_will_close_is_not_kept(connection: Connection) -> None:
    sink = send(connection)
    connection.data_received(ANSWER.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
    assert sink.told[-1] == "end"
    assert transport(connection).aborted
    assert not connection._pool._idle


async def test_a_lost_connection_fails_what_waits_and_leaves_the_pool(connection: Connection) -> None:
    sink = send(connection)
    connection.data_received(ANSWER[:-1])
    connection.connection_lost(None)
    assert sink.told == [200, b"abc", "failed"]
    idle = Connection(connection._pool)
    idle.connection_made(Transport())
    connection._pool.rest(idle)
    idle.connection_lost(OSError())
    assert not connection._pool._idle


async def test_what_is_not_http_fails_once(connection: Connection) -> None:
    sink, made = send(connection), transport(connection)
    connection.data_received(b"nonsense\r\n\r\n")
    connection.connection_lost(None)
    assert sink.told == ["failed"]
    assert made.aborted


@pytest.mark.parametrize("behind", [b"junk", ANSWER, b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n"])
async def test_what_is_behind_an_answer_is_nobodys(connection: Connection, behind: bytes) -> None:
    sink = send(connection)
    connection.data_received(ANSWER + behind)
    assert sink.told == [200, b"abcd", "end"]
    assert transport(connection).aborted
    assert not connection._pool._idle


async def test_what_announces_an_answer_is_none(connection: Connection) -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
    for reads in ([early + ANSWER], [early, ANSWER]):
        sink = send(connection)
        for read in reads:
            connection.data_received(read)
        assert sink.told == [200, b"abcd", "end"]
    assert connection.reused


async def test_an_engine_that_switches_protocols_has_failed(connection: Connection) -> None:
    sink = send(connection)
    connection.data_received(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nabc")
    assert sink.told == ["failed"]


async def test_what_comes_unasked_closes_the_connection(connection: Connection) -> None:
    connection.data_received(ANSWER)
    assert transport(connection).aborted


async def test_a_pool_that_is_closed_hands_out_nothing_that_is_closing(connection: Connection) -> None:
    send(connection)
    connection.data_received(ANSWER)
    connection._pool.close()
    assert transport(connection).aborted
    assert not connection._pool._idle


async def test_a_request_carries_our_id_and_nothing_of_the_clients(connection: Connection) -> None:
    message = connection._pool.message(b"/v1/completions", b"application/json", "id-1", b"{}")
    head, _, body = message.partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"POST /prefix/v1/completions HTTP/1.1",
        b"host: engine:8000",
        b"x-request-id: id-1",
        b"accept-encoding: identity",
        b"content-type: application/json",
        b"content-length: 2",
    ]
    assert body == b"{}"


async def test_what_is_sent_on_a_connection_that_is_closing_fails_at_once(connection: Connection) -> None:
    transport = Transport()
    connection.connection_made(transport)
    transport.closing = True
    assert send(connection).told == ["failed"]
    assert transport.sent == b""
