"""A client's connection, fed by hand: what is late, what is idle, what a refused client may still send."""

import asyncio
import re
from time import monotonic

import pytest

from ias_gateway.connection import IDLE_S, LINGER_S, Connection
from ias_gateway.errors import ApiError
from ias_gateway.exchange import Exchange
from ias_gateway.head import UNHURRIED_S, Bounds

HEAD_S, BODY_S, STALLED_S = 10.0, 30.0, 30.0
MOST = 100_000
REQUEST = b"POST /v1/completions HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}"


class Transport(asyncio.Transport):
    """Notes what is done to it."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.closed = self.aborted = self.ended = self.reading_paused = False

    def write(self, data: bytes) -> None:
        self.sent += data

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert (high, low) == (256 * 1024, None)

    def write_eof(self) -> None:
        self.ended = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    def pause_reading(self) -> None:
        self.reading_paused = True

    def resume_reading(self) -> None:
        self.reading_paused = False


class Server:
    """Keeps the exchanges that were begun."""

    def __init__(self) -> None:
        self.connections: set[Connection] = set()
        self.draining = False
        self.bounds = Bounds(MOST)
        self.begun: list[Exchange] = []

    def run(self, exchange: Exchange) -> None:
        self.begun.append(exchange)

    def refuse(self, exchange: Exchange, error: ApiError) -> None:
        exchange.refuse(error)


class Watcher:
    """Notes what the client does."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def client_gone(self) -> None:
        self.told.append("gone")

    def pause(self) -> None:
        self.told.append("pause")

    def resume(self) -> None:
        self.told.append("resume")


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
    ("sent", "limit"), [(b"P", HEAD_S), (REQUEST[:20], HEAD_S), (REQUEST[:50], HEAD_S), (REQUEST[:-1], UNHURRIED_S)]
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
    client.later(HEAD_S + 1)
    assert client.statuses == ["200", "408"]


def test_a_connection_on_which_nothing_comes_is_closed_without_a_word(client: Client) -> None:
    client.later(HEAD_S + 1)
    assert client.transport.closed
    other = Client()
    other.send(REQUEST)
    other.answered()
    other.later(IDLE_S - 1)
    assert not other.transport.closed
    other.later(IDLE_S + 1)
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


def begin(length: int) -> bytes:
    return b"POST /v1/completions HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % length


def test_a_body_must_come_at_a_kilobyte_a_second_and_be_there_in_time(client: Client) -> None:
    client.send(begin(MOST) + b"x" * 20_000)
    client.later(19)
    assert client.statuses == []
    client.later(20.5)
    assert client.statuses == ["408"]
    other = Client()
    other.send(begin(MOST) + b"x" * 90_000)
    other.later(BODY_S - 1)
    assert other.statuses == []
    other.later(BODY_S + 1)
    assert other.statuses == ["408"]


def test_a_body_behind_a_request_under_way_has_its_time_once_that_is_answered(client: Client) -> None:
    client.send(REQUEST + begin(10))
    client.later(BODY_S + 1)
    assert client.statuses == []
    client.answered()
    client.later(BODY_S + 1)
    assert client.statuses == ["200", "408"]


@pytest.mark.parametrize(
    "unending",
    [
        b"GET / HTTP/1.1\r\nhost: a\r\nx: ",
        b"GET /",
        REQUEST[:-2].replace(b"content-length: 2", b"transfer-encoding: chunked") + b"1;",
        REQUEST[:-2].replace(b"content-length: 2", b"transfer-encoding: chunked") + b"0\r\nx: ",
    ],
    ids=["a field", "a path", "an extension of a chunk", "a field behind the body"],
)
def test_what_has_no_end_is_refused_before_it_is_kept(client: Client, unending: bytes) -> None:
    client.send(unending)
    for _ in range(40):
        client.send(b"x" * 1000)
    assert client.statuses == ["431"]


def test_a_large_body_may_come_in_small_pieces(client: Client) -> None:
    client.send(begin(MOST))
    for _ in range(MOST // 100):
        client.send(b"x" * 100)
    assert client.server.begun[0].body == b"x" * MOST


def test_requests_ahead_are_not_read_once_their_bodies_are_more_than_one_may_be(client: Client) -> None:
    client.send(REQUEST)
    for _ in range(2):
        assert not client.transport.reading_paused
        client.send(begin(60_000) + b"x" * 60_000)
    assert client.transport.reading_paused
    client.answered()
    assert not client.transport.reading_paused
    client.answered(1)
    client.answered(2)
    assert client.statuses == ["200"] * 3


def test_a_client_that_reads_nothing_is_given_up_and_its_request_told(client: Client) -> None:
    client.send(REQUEST)
    watcher = client.server.begun[0].watcher = Watcher()
    client.connection.pause_writing()
    client.later(STALLED_S - 1)
    assert not client.transport.aborted
    client.connection.resume_writing()
    client.connection.pause_writing()
    client.later(STALLED_S + 1)
    assert client.transport.aborted
    client.connection.connection_lost(None)
    assert watcher.told == ["pause", "resume", "pause", "gone"]


def test_a_client_that_reads_again_is_kept(client: Client) -> None:
    client.send(REQUEST)
    client.connection.pause_writing()
    client.connection.resume_writing()
    client.later(STALLED_S + 1)
    assert not client.transport.aborted


def test_a_client_that_does_not_read_the_end_is_not_waited_for_without_end(client: Client) -> None:
    client.send(REQUEST.replace(b"host: a", b"host: a\r\nconnection: close"))
    client.answered()
    assert client.transport.closed
    client.later(STALLED_S - 1)
    assert not client.transport.aborted
    client.later(STALLED_S + 1)
    assert client.transport.aborted


def test_answers_do_not_pile_up_for_a_client_that_asks_and_does_not_read(client: Client) -> None:
    client.send(REQUEST)
    client.connection.pause_writing()
    client.answered()
    client.send(REQUEST * 20)
    assert len(client.server.begun) == 1
    assert client.transport.reading_paused
    client.connection.resume_writing()
    assert len(client.server.begun) == 2
    assert not client.transport.reading_paused
    for place in range(1, 21):
        client.answered(place)
    assert client.statuses == ["200"] * 21


class Prompt(Server):
    """Answers each request before it returns."""

    def run(self, exchange: Exchange) -> None:
        self.begun.append(exchange)
        exchange.answer(200, b"%d" % len(self.begun))


def test_as_many_requests_as_fit_into_one_read_are_answered_in_order() -> None:
    server, transport = Prompt(), Transport()
    connection = Connection(server)
    connection.connection_made(transport)
    connection.data_received(REQUEST * 3000)
    assert re.findall(rb"\r\n\r\n(\d+)", transport.sent) == [b"%d" % place for place in range(1, 3001)]
