"""A head that comes again is the same request as if it had been parsed; whatever differs is parsed."""

import pytest

from ias.contract import keys
from ias_gateway.arrival import Arrival
from ias_gateway.errors import ApiError
from ias_gateway.exchange import Exchange
from ias_gateway.head import Bounds
from ias_gateway.repetition import Repetition

MOST = 1000
TOKEN, OTHER = keys.mint("abcdefgh"), keys.mint("stuvwxyz")


class Taker:
    """Keeps what arrives."""

    def __init__(self) -> None:
        self.arrived_here: list[Exchange] = []

    def headed(self, exchange: Exchange, *, waiting: bool) -> None:
        pass

    def arrived(self, exchange: Exchange) -> None:
        self.arrived_here.append(exchange)

    def write(self, data: bytes) -> None:
        pass

    def finished(self, exchange: Exchange) -> None:
        pass

    def abort(self) -> None:
        pass


class Client:
    """A connection that has sent one request."""

    def __init__(self, first: bytes) -> None:
        self.taker = Taker()
        self.arrival = Arrival(self.taker, Bounds(MOST))
        assert self.arrival.feed(first) is None

    def again(self, data: bytes) -> Exchange | None:
        return self.arrival.repeated(data)

    def parsed(self, data: bytes) -> ApiError | None:
        return self.arrival.feed(data)


def post(body: bytes = b"{}", *, token: str = TOKEN, more: bytes = b"", length: bytes | None = None) -> bytes:
    said = b"%d" % len(body) if length is None else length
    return (
        b"POST /v1/completions?a=b HTTP/1.1\r\nhost: a\r\nauthorization: Bearer %b\r\nContent-Length:  %b\r\n%b\r\n%b"
        % (
            token.encode(),
            said,
            more,
            body,
        )
    )


def test_a_head_that_comes_again_is_the_same_request_with_another_body() -> None:
    client = Client(post())
    for size in (2, 0, 17, MOST, 9):
        exchange = client.again(post(b"x" * size))
        assert exchange is not None
        assert (exchange.method, exchange.path, exchange.body) == (b"POST", b"/v1/completions", b"x" * size)
        assert exchange.keep_alive
        assert exchange.caller is not None
        assert (exchange.caller.tag, exchange.caller.fingerprint) == ("abcdefgh", keys.fingerprint(TOKEN))


@pytest.mark.parametrize(
    "read",
    [
        post(token=OTHER),
        post(more=b"x: y\r\n"),
        post(more=b"connection: close\r\n"),
        post().replace(b"host: a", b"host: b"),
        post().replace(b"/v1/completions", b"/v1/chat/completions"),
        post()[:-1],
        post()[:40],
        post() + post(),
        post() + b"\r\n",
        post(length=b"3"),
        post(length=b"-2"),
        post(length=b"+2"),
        post(length=b""),
        post(length=b"2 2"),
        post(length=b"0" * 15 + b"2"),
        post(b"x" * (MOST + 1)),
        b"",
    ],
)
def test_whatever_differs_is_parsed(read: bytes) -> None:
    assert Client(post()).again(read) is None


@pytest.mark.parametrize(
    "first",
    [
        post(token="none"),
        post(length=b"2 "),
        post(more=b"connection: close\r\n"),
        post(more=b"expect: 100-continue\r\n"),
        post() + post(),
        b"\r\n" + post(),
        post().replace(b"POST", b"PUT"),
        b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\nhost: a\r\n\r\n",
    ],
)
def test_what_is_no_plain_post_of_a_known_caller_is_always_parsed(first: bytes) -> None:
    assert Client(first).again(first) is None


def test_a_request_in_pieces_is_not_remembered_and_what_follows_it_is_parsed() -> None:
    client = Client(post()[:50])
    assert client.again(post()) is None
    assert client.parsed(post()[50:]) is None
    assert client.again(post()) is None


def test_parsed_requests_and_repeated_ones_follow_each_other() -> None:
    client = Client(post())
    assert client.again(post(b"[]")) is not None
    assert client.again(post(token=OTHER)) is None
    assert client.parsed(post(token=OTHER)) is None
    repeated = client.again(post(b"[1]", token=OTHER))
    assert repeated is not None
    assert repeated.caller is not None
    assert repeated.caller.tag == "stuvwxyz"


def test_a_client_whose_heads_never_repeat_is_no_longer_compared() -> None:
    client = Client(post())
    for number in range(10):
        other = post(more=b"x: %d\r\n" % number)
        assert client.again(other) is None
        assert client.parsed(other) is None
    assert client.again(post(more=b"x: 9\r\n")) is None


def test_no_key_is_kept() -> None:
    client = Client(post())
    known = client.arrival._last
    assert isinstance(known, Repetition)
    kept = [getattr(known, name) for name in Repetition.__slots__]
    assert not [value for value in kept if TOKEN.encode()[-20:] in repr(value).encode()]
