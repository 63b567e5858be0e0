"""Where the parts of a chart lie: geometry alone, in units of its view box, so that no style is needed."""

from collections.abc import Mapping, Sequence
from math import ceil, log10

import msgspec

SERIES = 8
"""Colours that there are; further series are told together."""
OTHERS = "others"
_GAP = 0.25


class Bar(msgspec.Struct, frozen=True):
    """A part of a column: where it lies, what it is of."""

    x: float
    y: float
    width: float
    height: float
    series: int
    name: str
    value: float


class Column(msgspec.Struct, frozen=True):
    """A column: its bars from below, and the whole as people read it."""

    label: str
    x: float
    width: float
    total: float
    bars: tuple[Bar, ...]


class Tick(msgspec.Struct, frozen=True):
    """A line across: how high, and for how much."""

    y: float
    value: float


class Stacked(msgspec.Struct, frozen=True):
    """A chart of stacked columns."""

    width: float
    height: float
    names: tuple[str, ...]
    columns: tuple[Column, ...]
    ticks: tuple[Tick, ...]


def stacked(
    labels: Sequence[str], series: Mapping[str, Sequence[float]], width: float = 800, height: float = 240
) -> Stacked:
    """Columns of these labels, one on another. What is beyond eight series is one, the smallest together.

    Args:
        labels: of the columns, from left to right.
        series: the values of each, one for each label.
        width: of the view box, without what stands beside it.
        height: likewise.
    """
    kept = _kept(series)
    top = _ceiling(max((sum(values) for values in zip(*kept.values(), strict=True)), default=0))
    room = width / max(len(labels), 1)
    columns = []
    for place, label in enumerate(labels):
        x, wide, below, bars = place * room + room * _GAP / 2, room * (1 - _GAP), 0.0, list[Bar]()
        for number, (name, values) in enumerate(kept.items()):
            tall = values[place] / top * height
            bars.append(Bar(_cut(x), _cut(height - below - tall), _cut(wide), _cut(tall), number, name, values[place]))
            below += tall
        total = sum(bar.value for bar in bars)
        columns.append(Column(label, _cut(x), _cut(wide), total, tuple(bar for bar in bars if bar.value)))
    ticks = tuple(Tick(_cut(height - height * part / 4), top * part / 4) for part in range(5))
    return Stacked(width, height, tuple(kept), tuple(columns), ticks)


def sparkline(values: Sequence[float], width: float = 120, height: float = 28) -> str:
    """The points of a line through these values, for a `polyline`; empty for fewer than two."""
    if len(values) < 2:  # noqa: PLR2004 - a line has two ends
        return ""
    top, step = max(*values, 1e-9), width / (len(values) - 1)
    # A unit is left at either end, for the line is as broad.
    return " ".join(f"{_cut(n * step)},{_cut(1 + (height - 2) * (1 - each / top))}" for n, each in enumerate(values))


def _kept(series: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """The largest first, and the rest together."""
    ordered = sorted(series.items(), key=lambda item: -sum(item[1]))
    room = SERIES if len(ordered) <= SERIES else SERIES - 1
    kept = {name: list(values) for name, values in ordered[:room]}
    if ordered[room:]:
        kept[OTHERS] = [sum(values) for values in zip(*(values for _, values in ordered[room:]), strict=True)]
    return kept


def _ceiling(most: float) -> float:
    """The next of 1, 2, 4, 5, 10 and their tens, so that quarters are read easily."""
    if most <= 0:
        return 1.0
    ten: float = 10.0 ** (ceil(log10(most)) - 1)
    return next(step * ten for step in (1, 2, 4, 5, 8, 10, 20) if step * ten >= most)


def _cut(value: float) -> float:
    return round(value, 2)
