"""W3C Trace Context: which trace a request belongs to, as the header `traceparent` says and is said on."""

import re
from typing import Final

import msgspec

HEADER: Final = "traceparent"
_FORM: Final = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED: Final = 1
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16


class Parent(msgspec.Struct, frozen=True):
    """The span that caused this request: ids in hexadecimal digits, and whether the trace is recorded."""

    trace: str
    span: str
    sampled: bool


def read_traceparent(value: bytes) -> Parent | None:
    """What a header says; None where it says nothing that can be read, which begins a trace anew."""
    form = _FORM.fullmatch(value)
    if form is None:
        return None
    version, trace, span, flags, more = form.groups()
    if version == b"ff" or (version == b"00" and more is not None):
        return None
    parent = Parent(trace.decode(), span.decode(), bool(int(flags, 16) & _SAMPLED))
    return None if parent.trace == _NO_TRACE or parent.span == _NO_SPAN else parent


def traceparent(trace: str, span: str) -> str:
    """The header of what a recorded span causes."""
    return f"00-{trace}-{span}-01"
