"""What the gateway says of itself as JSON lines."""

import contextlib
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from time import time
from typing import Final

import msgspec

from ias_gateway.account import request_line

_LEVELS = ("debug", "info", "warning", "error")
_INFO: Final = 1
_FLUSH_AT: Final = 200
_MOST_KEPT = 1000
"""Pieces of at most 4 KiB."""
PIECE_BYTES = 4096
"""PIPE_BUF of Linux: so much goes into a pipe whole, whatever other workers write to it at the same time."""

_encode = msgspec.json.Encoder(enc_hook=str).encode


class Log:
    """JSON lines on standard output; written on `flush`, when enough of them wait, and at once from warnings on."""

    def __init__(self, process: str, level: str) -> None:
        self._process, self._quoted = process, _encode(process)
        self._least = _LEVELS.index(level.lower()) if level.lower() in _LEVELS else 1
        self._lines: list[bytes] = []
        self._lost = 0

    def line(self, level: str, event: str, **fields: object) -> None:
        """Note an event."""
        if _LEVELS.index(level) < self._least:
            return
        self._lines.append(
            _encode({"time": time(), "level": level, "process": self._process, "event": event, **fields})
        )
        if level != "info" or len(self._lines) >= _FLUSH_AT:
            self.flush()

    def request(self, request_id: str, endpoint: str, status: int, seconds: float) -> None:
        """Note a request; what `line` would say, at a tenth of its cost."""
        if self._least <= _INFO:
            self._lines.append(request_line(self._quoted, request_id, endpoint, (status, seconds)))
            if len(self._lines) >= _FLUSH_AT:
                self.flush()

    def flush(self) -> None:
        """Write what waits; what cannot be written now is kept for a while, and requests go on."""
        if not self._lines:
            return
        lines, self._lines = self._lines, []
        waiting = pieces(lines)
        for piece in waiting:
            rest = _unwritten(piece)
            if rest:
                self._keep([rest, *waiting])
                return
        if self._lost:
            lost, self._lost = self._lost, 0
            self.line("warning", "log lines were lost", lost=lost)

    def _keep(self, unwritten: list[bytes]) -> None:
        """Keep what could not be written: the newest of it where it is much."""
        lost = unwritten[:-_MOST_KEPT]
        self._lost += sum(piece.count(b"\n") for piece in lost)
        self._lines = [piece.removesuffix(b"\n") for piece in unwritten[-_MOST_KEPT:]]


def never_wait() -> None:
    """Let a pipe that nobody reads take no more instead of keeping this process waiting."""
    with contextlib.suppress(OSError, ValueError):
        if stat.S_ISFIFO(os.fstat(sys.stdout.fileno()).st_mode):
            os.set_blocking(sys.stdout.fileno(), False)


def _unwritten(piece: bytes) -> bytes:
    """Write; answers what did not go: of a full disk or a pipe that is full or closed."""
    out = sys.stdout.buffer
    try:
        written: int | None = getattr(out, "raw", out).write(piece)
    except OSError:
        return piece
    return piece[written or 0 :]


def pieces(lines: Sequence[bytes]) -> Iterator[bytes]:
    """Whole lines, as many at a time as go into a pipe whole."""
    first, size = 0, 0
    for place, line in enumerate(lines):
        if size and size + len(line) + 1 > PIECE_BYTES:
            yield b"\n".join(lines[first:place]) + b"\n"
            first, size = place, 0
        size += len(line) + 1
    yield b"\n".join(lines[first:]) + b"\n"
