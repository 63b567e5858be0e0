"""Settlements that Redis has confirmed and the ledger has not: kept, since Redis may lose what it has confirmed."""

from collections import deque
from collections.abc import Collection, Sequence
from typing import Final

MAX_KEPT: Final = 200_000
"""Settlements kept at most; with more, the newest live in Redis alone."""
_DASH: Final = 13
"""Where it stands in an entry's name: milliseconds, dash, number. They have 13 digits until the year 2286."""


class Kept:
    """What is kept of each organisation, by its tag, in the order of its outbox.

    Attributes:
        count: of all organisations together.
    """

    def __init__(self) -> None:
        self.count = 0
        self._kept: dict[str, deque[tuple[str, str, bytes]]] = {}

    @property
    def tags(self) -> Collection[str]:
        """Of the organisations of which there is any."""
        return self._kept.keys()

    def keep(self, tag: str, entry: str, request_id: str, packed: bytes) -> None:
        """Keep a request's settlement, which made this entry of the outbox."""
        if self.count >= MAX_KEPT or not entry:
            return
        kept = self._kept.get(tag)
        if kept is None:
            kept = self._kept[tag] = deque()
        kept.append((entry, request_id, packed))
        self.count += 1

    def take(self, tag: str) -> Sequence[tuple[str, str, bytes]]:
        """All of an organisation, as entry, request and settlement; it is kept no longer."""
        kept = self._kept.pop(tag, None)
        if kept is None:
            return ()
        self.count -= len(kept)
        return kept

    def oldest_ms(self, tag: str) -> int | None:
        """When the first of an organisation was settled, in Unix milliseconds."""
        kept = self._kept.get(tag)
        return _parts(kept[0][0])[0] if kept else None

    def let_go(self, tag: str, first: str) -> None:
        """Forget what is older than the first entry that the outbox still has, all of it where it has none."""
        kept = self._kept.get(tag)
        if kept is None:
            return
        while kept and (not first or _before(kept[0][0], first)):
            kept.popleft()
            self.count -= 1
        if not kept:
            del self._kept[tag]


def _before(entry: str, other: str) -> bool:
    """Whether an entry was made before another one."""
    if len(entry) == len(other) and entry[_DASH : _DASH + 1] == "-" == other[_DASH : _DASH + 1]:
        return entry < other
    return _parts(entry) < _parts(other)


def _parts(entry: str) -> tuple[int, int]:
    milliseconds, _, number = entry.partition("-")
    return int(milliseconds), int(number)
