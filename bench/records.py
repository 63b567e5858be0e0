"""What a run has seen: each figure by the turn that it is of, so that proxies can be compared turn by turn."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median

from bench.bar import Row
from bench.peers import Peer
from bench.phases import Figures

_ADDED = {
    "unary_us_p50": "unary_added_us_p50",
    "unary_us_p99": "unary_added_us_p99",
    "first_token_us_p50": "first_token_added_us_p50",
    "first_token_us_p95": "first_token_added_us_p95",
    "first_token_us_p99": "first_token_added_us_p99",
}
"""What is a latency, and what it is called less that of the engine without a proxy in the same turn."""


@dataclass(frozen=True)
class Effort:
    """How many turns with how long a look each; for the memory, how many rounds, how long, with how many streams."""

    turns: int
    look: float
    rounds: int
    seconds: float
    streams: int


@dataclass
class Record:
    """All that was seen of one proxy: each figure by its turn, and by phase why some are missing."""

    peer: Peer
    figures: dict[str, dict[int, float]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    waits: dict[str, int] = field(default_factory=dict)
    """By phase, the turn before which a slow one is not asked again."""

    def note(self, turn: int, figures: Figures) -> None:
        """Take in what a phase found in a turn."""
        for name, value in figures.items():
            self.figures.setdefault(name, {})[turn] = value

    def medians(self) -> dict[str, float]:
        """The median of each figure over its turns."""
        return {name: median(turns.values()) for name, turns in self.figures.items()}


@dataclass
class Results:
    """The records of the proxies that ran, and why others did not."""

    records: dict[str, Record] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def leave_out(self, name: str, why: str) -> None:
        """This one cannot be had here."""
        self.absent[name] = why
        del self.records[name]

    def rows(self) -> dict[str, Row]:
        """Of each proxy its figures, turn by turn."""
        return {name: record.figures for name, record in self.records.items()}

    def medians(self) -> dict[str, dict[str, float]]:
        """Of each proxy the medians."""
        return {name: record.medians() for name, record in self.records.items()}


def added(figures: Mapping[str, float], direct: Mapping[str, float]) -> Figures:
    """What a proxy's latencies of a turn are over the engine's of that turn."""
    return {more: figures[name] - direct[name] for name, more in _ADDED.items() if name in figures and name in direct}
