"""The oracle: what was really written to whom, a JSON line a request, on disk as soon as the request is over."""

from collections import deque
from pathlib import Path
from typing import BinaryIO

import msgspec

KEPT = 100_000


class Written(msgspec.Struct, kw_only=True):
    """One request, as the engine saw it. Times are Unix seconds."""

    request_id: str
    model: str
    path: str
    stream: bool
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    outcome: str = "refused"
    status: int = 200
    salt: str = ""
    started_at: float = 0
    ended_at: float = 0


class Oracle:
    """Keeps the last requests, and writes all of them."""

    def __init__(self, file: Path | None) -> None:
        self.entries: deque[Written] = deque(maxlen=KEPT)
        self._out: BinaryIO | None = file.open("ab", buffering=0) if file else None

    def note(self, written: Written) -> None:
        """A request is over."""
        self.entries.append(written)
        if self._out is not None:
            self._out.write(msgspec.json.encode(written) + b"\n")
