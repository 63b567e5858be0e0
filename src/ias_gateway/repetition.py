"""A head that comes again on its connection, the same to the byte but for the body's length: it is not parsed anew.

Clients repeat themselves. What is kept of a head are hashes of its two parts, so that no key stays in memory: SipHash
under this process's secret (PEP 456), 64 bits each. On a connection that a proxy shares, whoever wanted their head to
be taken for another one's would have to guess them.
"""

from typing import Final

from ias_gateway.admission import Caller, identify
from ias_gateway.errors import ApiError

_FIELD = b"\r\ncontent-length:"
_END = b"\r\n\r\n"
_DIGITS: Final = 15
_ZERO: Final = ord("0")
_NINE: Final = ord("9")
_RETURN: Final = ord("\r")


class Repetition:
    """A head that was parsed and found good, and who sent it.

    Attributes:
        path: what it asks for.
        caller: whose key was in it.
    """

    __slots__ = ("_after", "_before", "_longest", "_parts", "caller", "path")

    def __init__(self, head: bytes, length: tuple[int, int], longest: int, path: bytes, caller: Caller) -> None:
        self.path = path
        self.caller = caller
        start, end = length
        self._before = start
        self._after = len(head) - end
        self._longest = longest
        self._parts = hash(head[:start]), hash(head[end:])

    def body_at(self, read: bytes) -> int:
        """Where the body begins if this read is the head again and all of its body; else 0."""
        start = self._before
        length, end = _number(read, start)
        body = end + self._after
        if end == start or read[end] != _RETURN or not length == len(read) - body <= self._longest:
            return 0
        parts = self._parts
        return body if hash(read[:start]) == parts[0] and hash(read[end:body]) == parts[1] else 0


def _number(read: bytes, start: int) -> tuple[int, int]:
    """The number that stands there, and where something else follows; no number ends where it starts."""
    number, end, last = 0, start, min(len(read) - 1, start + _DIGITS)
    while end < last and _ZERO <= read[end] <= _NINE:
        number = number * 10 + read[end] - _ZERO
        end += 1
    return number, end


def repetition(read: bytes, body: bytes, path: bytes, authorization: bytes, longest: int) -> Repetition | None:
    """What to remember of a good POST, where this read was all of it and said how long its body is."""
    size = read.find(_END) + len(_END)
    head = read[:size]
    field = head.lower().find(_FIELD)
    if field < 0 or not read.startswith(b"POST ") or read[size:] != body:
        return None
    end = head.index(b"\r", field + len(_FIELD))
    value = head[field + len(_FIELD) : end].lstrip(b" \t")
    try:
        caller = identify(authorization)
    except ApiError:
        return None
    return Repetition(head, (end - len(value), end), longest, path, caller)
