"""A request that is traced: its spans, and how OTLP writes them as JSON.

There is a span of the request, whose parent is the client's, and one of each attempt at an engine, which is the parent
of the engine's own. Only who is sampled pays for any of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from random import getrandbits
from time import time_ns
from typing import Final

import msgspec

from ias.contract import conventions
from ias.contract.traces import HEADER, Parent, traceparent

SERVER: Final = 2
CLIENT: Final = 3
_ERROR: Final = 2
_FAULT: Final = 500
_FIELD: Final = HEADER.encode()

Attributes = Mapping[str, str | int]
_TAKEN_BACK: Final[Attributes] = {conventions.OUTCOME: "withdrawn"}
"""What is said of an attempt whose request was not let in, or not as it was sent: nothing is wrong with its engine."""

_encode = msgspec.json.Encoder().encode


class Span:
    """A request that is traced, until it has ended."""

    __slots__ = ("_attempts", "_began", "_known", "_parent", "_span", "trace")

    def __init__(self, parent: Parent | None) -> None:
        self.trace = _random(128) if parent is None else parent.trace
        self._parent = "" if parent is None else parent.span
        self._span = _random(64)
        self._began = time_ns()
        self._attempts: list[tuple[str, int, bool]] = []
        self._known: Attributes = {}

    def carried(self, message: bytes) -> bytes:
        """A request to an engine, with the header that makes the engine's spans part of this attempt."""
        self._attempts.append((_random(64), time_ns(), False))
        header = traceparent(self.trace, self._attempts[-1][0]).encode()
        first, end, rest = message.partition(b"\r\n")
        return b"%b%b%b: %b%b%b" % (first, end, _FIELD, header, end, rest)

    def withdrawn(self) -> None:
        """The last attempt was taken back before its request was let in."""
        span, began, _ = self._attempts[-1]
        self._attempts[-1] = span, began, True

    def settled(self, facts: bytes, known: Attributes) -> bytes:
        """The facts of a request, which say what it belongs to. `known` is what its span shall say."""
        self._known = known
        return b'%b,"traceparent":"%b"}' % (facts[:-1], traceparent(self.trace, self._span).encode())

    def ended(self, about: tuple[str, str], request_id: str, status: int) -> list["Written"]:
        """Its spans, now that it is over. `about` is the method and the route."""
        now, (method, route) = time_ns(), about
        named: Attributes = {
            conventions.METHOD: method,
            conventions.ROUTE: route,
            conventions.STATUS: status,
            conventions.REQUEST_ID: request_id,
        }
        whole = Written(
            self.trace,
            self._span,
            self._parent,
            f"{method} {route}",
            SERVER,
            str(self._began),
            str(now),
            _attributes(named),
            _status(status),
        )
        return [whole, *self._of_attempts(now, route, status)]

    def _of_attempts(self, now: int, route: str, status: int) -> Iterable["Written"]:
        ends = [*(began for _, began, _ in self._attempts[1:]), now][: len(self._attempts)]
        operation = conventions.operation(route)
        name = f"{operation} {self._known.get(conventions.REQUEST_MODEL, '')}".strip()
        named = {conventions.OPERATION: operation, conventions.PROVIDER: conventions.VLLM, **self._known}
        for (span, began, taken_back), ended in zip(self._attempts, ends, strict=True):
            last = ended == now
            yield Written(
                self.trace,
                span,
                self._span,
                name,
                CLIENT,
                str(began),
                str(ended),
                _attributes(_TAKEN_BACK if taken_back else named if last else {}),
                _status(0 if taken_back else status if last else _FAULT),
            )


class _Value(msgspec.Struct, omit_defaults=True, rename="camel"):
    string_value: str | None = None
    int_value: str | None = None


class _Attribute(msgspec.Struct):
    key: str
    value: _Value


class _Status(msgspec.Struct, omit_defaults=True):
    code: int = 0


class Written(msgspec.Struct, rename="camel"):
    """A span, as OTLP has it."""

    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    kind: int
    start_time_unix_nano: str
    end_time_unix_nano: str
    attributes: list[_Attribute]
    status: _Status


class _Scope(msgspec.Struct):
    name: str


class _Scoped(msgspec.Struct):
    scope: _Scope
    spans: Sequence[Written]


class _Resource(msgspec.Struct):
    attributes: list[_Attribute]


class _Of(msgspec.Struct, rename="camel"):
    resource: _Resource
    scope_spans: list[_Scoped]


class _Export(msgspec.Struct, rename="camel"):
    resource_spans: list[_Of]


def export(process: Attributes, spans: Sequence[Written]) -> bytes:
    """The body of an export; `process` says whose spans they are."""
    scoped = _Scoped(_Scope("ias_gateway"), spans)
    return _encode(_Export([_Of(_Resource(_attributes(process)), [scoped])]))


def _attributes(named: Attributes) -> list[_Attribute]:
    return [
        _Attribute(key, _Value(int_value=str(value)) if isinstance(value, int) else _Value(string_value=value))
        for key, value in named.items()
    ]


def _status(status: int) -> _Status:
    return _Status(_ERROR) if status >= _FAULT else _Status()


def _random(bits: int) -> str:
    """An id, in hexadecimal digits; 0 would be none."""
    return f"{getrandbits(bits) or 1:0{bits // 4}x}"
