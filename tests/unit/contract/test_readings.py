"""What workers want read of engines, and what gateways read, through Redis."""

import msgspec
import pytest

from ias.contract import readings
from ias.contract.beats import PREFIX
from ias.contract.readings import Reading

ONE, TWO = Reading("http://b", 5.0, 1.0, 10, 4, 2), Reading("http://a", 6.0)


def test_what_is_wanted_is_read_again() -> None:
    assert readings.read_wanted(readings.want(["http://a", "http://b"])[2]) == ["http://a", "http://b"]


def test_nothing_is_wanted_where_nobody_asks_or_asks_otherwise() -> None:
    assert [readings.read_wanted(found) for found in (None, b"no json", b'{"urls": []}')] == [[], [], []]


def test_what_was_read_is_read_whether_a_client_gives_hashes_flat_or_as_maps() -> None:
    pairs = readings.tell([ONE, TWO])[2:]
    assert readings.read_readings([str(each).encode() if isinstance(each, str) else each for each in pairs]) == [
        TWO,
        ONE,
    ]
    assert readings.read_readings(dict(zip(pairs[::2], pairs[1::2], strict=True))) == [TWO, ONE]


def test_what_another_release_read_is_left_out() -> None:
    assert readings.read_readings([b"x", b"{}", b"y", b"no json"]) == []


@pytest.mark.parametrize(
    "absurd", [b'"at": 1e300', b'"at": 5, "started_at": 1e300', b'"at": 5, "requests": 9007199254740992']
)
def test_what_no_engine_can_have_counted_is_left_out_alone(absurd: bytes) -> None:
    told = msgspec.json.encode(ONE)
    found = readings.read_readings([b"x", b'{"url": "x", %b}' % absurd, b"http://b", told])
    assert found == [ONE]


def test_everything_lies_where_gateways_may_write_already() -> None:
    commands = (readings.WANTED, readings.READINGS, readings.want([]), readings.take_turn("x"), readings.forget(["x"]))
    assert all(str(command[1]).startswith(PREFIX) for command in (*commands, readings.tell([ONE])))
