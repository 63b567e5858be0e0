"""The oracle: what was really written to whom, a JSON line a request, on disk as soon as the request is over."""

import os
from collections import deque
from pathlib import Path

import msgspec

KEPT = 20_000


class Written(msgspec.Struct, kw_only=True):
    """One request, as the engine saw it. Times are Unix seconds.

    Attributes:
        number: counts the requests that are over, from 1; 0 while one runs.
        request_id: the client's `x-request-id`, or the one made up for it.
        prompt_tokens: tokens of the prompt, once anything was written that says so; 0 before.
        completion_tokens: tokens in the events, or in the body, that were handed to the socket.
        generated_tokens: tokens made, which for an answer in one piece may never have been written.
        cached_tokens: as reported.
        seconds: of a recording, as reported.
        outcome: running, finished, aborted (the client left), died, error, or refused.
        salt: the cache's salt.
    """

    request_id: str
    path: str
    started_at: float
    model: str = ""
    stream: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0
    generated_tokens: int = 0
    cached_tokens: int = 0
    seconds: int = 0
    outcome: str = "running"
    status: int = 200
    salt: str = ""
    ended_at: float = 0
    number: int = 0


class Oracle:
    """Keeps the last requests that are over, writes all of them to the log, and knows those that run."""

    def __init__(self, log: Path | None) -> None:
        self._entries: deque[Written] = deque(maxlen=KEPT)
        self._noted = 0
        self._live: dict[int, Written] = {}
        self._log = None if log is None else os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def begin(self, entry: Written) -> None:
        """A request runs."""
        self._live[id(entry)] = entry

    def end(self, entry: Written) -> None:
        """A request is over; its line is with the kernel when this returns."""
        self._live.pop(id(entry), None)
        self._noted += 1
        entry.number = self._noted
        self._entries.append(entry)
        if self._log is not None:
            os.write(self._log, msgspec.json.encode(entry) + b"\n")

    def live(self) -> list[Written]:
        """Requests that run now."""
        return list(self._live.values())

    def over(self, since: int) -> list[Written]:
        """Requests that are over, from number `since` on."""
        first = self._noted - len(self._entries) + 1
        return list(self._entries)[max(0, since - first) :]

    def clear(self) -> None:
        """Forget what is over. The log's file is left as it is."""
        self._entries.clear()
