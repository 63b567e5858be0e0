"""A client's connection, fed by hand: what is late, what is idle, what a refused client may still send."""

import asyncio
import re
from time import monotonic

import pytest

from ias_gateway.connection import BODY_TIMEOUT_S, HEAD_TIMEOUT_S, IDLE_TIMEOUT_S, LINGER_S, Connection
from ias_gateway.exchange import Exchange

REQUEST = b"POST /v1/completions HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}"


class Transport(asyncio.Transport):
    """Notes what is done to it."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.closed = self.ended = self.reading_paused = False

    def write(self, data: bytes) -> None:
        self.sent += data

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert (high, low) == (256 * 1024, None)

    def write_eof(self) -> None:
        self.ended = True

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        self.reading_paused = True

    def resume_reading(self) -> None:
        self.reading_paused = False


class Server:
    """Keeps the exchanges that were begun."""

    def __init__(self) -> None:
        self.connections: set[Connection] = set()
        self.draining = False
        self.max_body_bytes = 1000
        self.begun: list[Exchange] = []

    def run(self, exchange: Exchange) -> None:
        self.begun.append(exchange)


class Client:
    """A connection, its transport and its server."""

    def __init__(self) -> None:
        self.server, self.transport = Server(), Transport()
        self.connection = Connection(self.server)
        self.connection.connection_made(self.transport)

    def send(self, data: bytes) -> None:
        self.connection.data_received(data)

    def later(self, seconds: float) -> None:
        self.connection.overdue(monotonic() + seconds)

    def answered(self, place: int = -1) -> None:
        self.server.begun[place].answer(200, b"{}")

    @property
    def statuses(self) -> list[str]:
        return [status.decode() for status in re.findall(rb"HTTP/1\.1 (\d+) ", self.transport.sent)]


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.mark.parametrize(
    ("sent", "limit"), [(REQUEST[:20], HEAD_TIMEOUT_S), (REQUEST[:50], HEAD_TIMEOUT_S), (REQUEST[:-1], BODY_TIMEOUT_S)]
)
def test_a_request_that_does_not_arrive_in_time_is_a_408(client: Client, sent: bytes, limit: float) -> None:
    client.send(sent)
    client.later(limit - 1)
    assert client.statuses == []
    client.later(limit + 1)
    assert client.statuses == ["408"]


def test_so_it_is_with_the_second_request_of_a_connection(client: Client) -> None:
    client.send(REQUEST)
    client.answered()
    client.send(REQUEST[:40])
    client.later(HEAD_TIMEOUT_S + 1)
    assert client.statuses == ["200", "408"]


def test_a_connection_on_which_nothing_comes_is_closed_without_a_word(client: Client) -> None:
    client.later(HEAD_TIMEOUT_S + 1)
    assert client.transport.closed
    other = Client()
    other.send(REQUEST)
    other.answered()
    other.later(IDLE_TIMEOUT_S - 1)
    assert not other.transport.closed
    other.later(IDLE_TIMEOUT_S + 1)
    assert other.transport.closed
    assert other.statuses == ["200"]


def test_a_request_under_way_is_never_late(client: Client) -> None:
    client.send(REQUEST)
    client.later(10_000)
    assert not client.transport.closed


def test_a_refused_client_is_heard_out_for_a_moment_and_then_closed(client: Client) -> None:
    client.send(b"nonsense\r\n\r\n")
    assert client.statuses == ["400"]
    assert client.transport.ended
    assert not client.transport.closed
    client.send(REQUEST)
    client.later(LINGER_S + 1)
    assert client.transport.closed
    assert client.statuses == ["400"]
    assert client.server.begun == []


def test_many_requests_ahead_are_not_read_until_there_is_room(client: Client) -> None:
    client.send(REQUEST * 20)
    assert client.transport.reading_paused
    assert len(client.server.begun) == 1
    client.answered()
    assert not client.transport.reading_paused
    for place in range(1, 20):
        client.answered(place)
    assert client.statuses == ["200"] * 20


def test_a_client_that_goes_takes_what_it_asked_for_ahead_with_it(client: Client) -> None:
    client.send(REQUEST * 3)
    client.connection.connection_lost(None)
    assert client.server.begun[0].gone
    client.answered()
    assert len(client.server.begun) == 1
    assert client.server.connections == set()
    assert client.transport.sent == b""


def test_a_draining_server_closes_after_the_answer_and_says_so(client: Client) -> None:
    client.server.draining = True
    client.send(REQUEST)
    client.connection.close_idle()
    assert not client.transport.closed
    client.answered()
    assert b"connection: close" in client.transport.sent
    assert client.transport.closed


def test_an_idle_connection_of_a_draining_server_is_closed_at_once(client: Client) -> None:
    client.connection.close_idle()
    assert client.transport.closed
