"""Bodies that are coming, fed by hand: how much of them is taken in, and when it is given back."""

import pytest

from ias.contract import keys
from ias_gateway.arrival import Arrival
from ias_gateway.exchange import Exchange
from ias_gateway.head import OF_STRANGERS_BYTES, Bounds
from ias_gateway.room import LARGE_BYTES, MOST_BYTES, OF_SMALL_BYTES, Room
from ias_gateway.series import Tally

LENGTH = 2 * LARGE_BYTES
KEY = f"authorization: Bearer {keys.mint(keys.new_tag())}\r\n".encode()


class Taker:
    """Keeps what has come."""

    def __init__(self) -> None:
        self.whole: list[Exchange] = []

    def headed(self, exchange: Exchange, *, waiting: bool) -> None: ...

    def arrived(self, exchange: Exchange) -> None:
        self.whole.append(exchange)

    def write(self, data: bytes) -> None: ...

    def finished(self, exchange: Exchange) -> None: ...

    def abort(self) -> None: ...


class Here:
    """An arrival with its room."""

    def __init__(self) -> None:
        self.taker, self.shed = Taker(), Tally()
        self.bounds = Bounds(LENGTH)
        self.room = self.bounds.room = Room(self.shed)
        self.arrival = Arrival(self.taker, self.bounds)

    def begin(self, size: int, more: bytes = KEY) -> int | None:
        """Feed a head and so much of its body; the status that was refused with."""
        head = b"POST /v1/completions HTTP/1.1\r\nhost: a\r\n%bcontent-length: %d\r\n\r\n" % (more, LENGTH)
        return self.feed(head + b"x" * size)

    def feed(self, data: bytes) -> int | None:
        fault = self.arrival.feed(data)
        return None if fault is None else fault.status


@pytest.fixture
def here() -> Here:
    return Here()


def test_a_body_takes_room_until_it_is_complete(here: Here) -> None:
    assert here.begin(1000) is None
    assert here.room.taken == 1000
    assert here.feed(b"x" * 500) is None
    assert here.room.taken == 1500
    assert here.feed(b"x" * (LENGTH - 1500)) is None
    assert here.room.taken == 0
    assert len(here.taker.whole[0].body) == LENGTH


def test_a_body_that_comes_at_once_takes_none(here: Here) -> None:
    here.room.taken = MOST_BYTES + OF_SMALL_BYTES
    assert here.begin(LENGTH) is None
    assert (len(here.taker.whole), here.shed.count) == (1, 0)


def test_a_connection_that_is_lost_gives_its_room_back(here: Here) -> None:
    here.begin(1000)
    here.arrival.end()
    assert here.room.taken == 0


def test_what_cannot_be_read_gives_its_room_back_with_its_connection(here: Here) -> None:
    chunked = b"POST /v1/completions HTTP/1.1\r\nhost: a\r\n%btransfer-encoding: chunked\r\n\r\n" % KEY
    assert here.feed(chunked + b"1000\r\n" + b"x" * 4096 + b"\r\n") is None
    assert here.room.taken == 4096
    assert here.feed(b"no number\r\n") == 400
    here.arrival.end()
    assert here.room.taken == 0


def test_a_large_body_is_turned_away_where_the_room_is_taken_and_a_small_one_is_not(here: Here) -> None:
    here.room.taken = MOST_BYTES
    assert here.begin(LARGE_BYTES) is None
    assert here.feed(b"x") == 503
    assert (here.room.taken, here.shed.count) == (MOST_BYTES, 1)


def test_small_bodies_are_bounded_too(here: Here) -> None:
    here.room.taken = MOST_BYTES + OF_SMALL_BYTES - 1000
    assert here.begin(1000) is None
    assert here.feed(b"x") == 503


def test_who_shows_no_key_is_heard_for_a_little(here: Here) -> None:
    assert here.begin(0, more=b"") == 401
    here = Here()
    head = b"POST /v1/completions HTTP/1.1\r\nhost: a\r\n"
    assert here.feed(head + b"content-length: %d\r\n\r\n" % OF_STRANGERS_BYTES + b"x" * OF_STRANGERS_BYTES) is None
    assert here.taker.whole[0].caller is None
    assert here.feed(head + KEY + b"content-length: 2\r\n\r\n{}") is None
    assert here.taker.whole[1].caller is not None
