"""What has ended is gone at once: the gateway's collector runs rarely, and what waits for it is memory that grows."""

import asyncio
import gc
from collections.abc import Iterator

import pytest

from ias_gateway import connection as client
from ias_gateway import upstream
from ias_gateway.arrival import Arrival
from ias_gateway.errors import ApiError
from ias_gateway.exchange import Exchange
from ias_gateway.head import Bounds
from ias_gateway.reply import Limits, Reply


class Transport(asyncio.Transport):
    """Takes all that is done to it."""

    def write(self, data: bytes) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def abort(self) -> None:
        pass

    def close(self) -> None:
        pass

    def write_eof(self) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass


class Server:
    """Answers whatever comes."""

    def __init__(self) -> None:
        self.connections: set[client.Connection] = set()
        self.draining = False
        self.bounds = Bounds(1000)

    def run(self, exchange: Exchange) -> None:
        exchange.answer(200, b"{}")

    def refuse(self, exchange: Exchange, error: ApiError) -> None:
        exchange.refuse(error)


class Sink:
    """Does not care."""

    def head(self, status: int, *, alone: bool) -> None:
        pass

    def data(self, data: bytes, *, last: bool) -> None:
        pass

    def end(self) -> None:
        pass

    def failed(self, reason: str) -> None:
        pass


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def living(kind: type) -> int:
    return sum(type(each) is kind for each in gc.get_objects())


@pytest.mark.parametrize(
    "sent", [b"GET /v1/models HTTP/1.1\r\nhost: a\r\n\r\n", b"GET /v1/models HTTP/1.1\r\n", b"nonsense\r\n\r\n", b""]
)
def test_a_clients_connection_that_has_ended_is_gone(sent: bytes) -> None:
    before = living(client.Connection), living(Arrival)
    one = client.Connection(Server())
    one.connection_made(Transport())
    if sent:
        one.data_received(sent)
    assert living(client.Connection) == before[0] + 1
    one.connection_lost(None)
    del one
    assert (living(client.Connection), living(Arrival)) == before


@pytest.mark.parametrize("got", [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", b"HTTP/1.1 200 OK\r\n", b""])
async def test_a_connection_to_an_engine_that_has_ended_is_gone(got: bytes) -> None:
    before = living(upstream.Connection)
    one = upstream.Connection(upstream.Pool("http://127.0.0.1:9"))
    one.connection_made(Transport())
    one.send(Sink(), b"")
    if got:
        one.data_received(got)
    one.connection_lost(None)
    del one
    assert living(upstream.Connection) == before


@pytest.mark.parametrize("status", [200, 503, 0])
async def test_a_reply_that_has_ended_does_not_refer_to_its_request(status: int) -> None:
    class Request:
        """Refers to its reply, as requests under way do."""

        def __init__(self) -> None:
            self.meter: Reply | None = None

        def let_go(self) -> None:
            pass

    before = living(Request)
    request = Request()
    connection = upstream.Connection(upstream.Pool("http://127.0.0.1:1"))
    connection.connection_made(Transport())
    request.meter = reply = Reply(Exchange(client.Connection(Server()), b"POST", b"/"), b"", None, Limits(1, 1, 1))
    reply.through(connection, b"", request.let_go)
    if status:
        reply.head(status, alone=True)
        reply.end()
    else:
        reply.failed("gone")
    del request, reply
    assert living(Request) == before
