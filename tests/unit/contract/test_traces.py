"""Reading and writing `traceparent`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ias.contract import conventions
from ias.contract.traces import Parent, read_traceparent, traceparent

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def test_what_is_written_is_read_again() -> None:
    assert read_traceparent(traceparent(TRACE, SPAN).encode()) == Parent(TRACE, SPAN, sampled=True)


@pytest.mark.parametrize(("flags", "sampled"), [("00", False), ("01", True), ("02", False), ("03", True)])
def test_the_flag_says_whether_it_is_recorded(flags: str, sampled: bool) -> None:
    assert read_traceparent(f"00-{TRACE}-{SPAN}-{flags}".encode()) == Parent(TRACE, SPAN, sampled=sampled)


def test_a_later_version_may_say_more() -> None:
    assert read_traceparent(f"cc-{TRACE}-{SPAN}-01-more".encode()) == Parent(TRACE, SPAN, sampled=True)


@pytest.mark.parametrize(
    "value",
    [
        "",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\r\nx: y",
    ],
)
def test_what_cannot_be_read_says_nothing(value: str) -> None:
    assert read_traceparent(value.encode()) is None


@given(st.binary(max_size=80))
def test_no_header_is_too_odd(value: bytes) -> None:
    parent = read_traceparent(value)
    assert parent is None or len(parent.trace) == 32


def test_an_endpoint_without_a_word_of_the_conventions_is_called_by_its_own() -> None:
    assert conventions.operation("/v1/chat/completions") == "chat"
    assert conventions.operation("/v1/rerank") == "rerank"
