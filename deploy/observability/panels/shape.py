"""A dashboard as it is written down here: rows of panels, each with a sentence, a unit and its queries."""

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["lines", "areas", "number", "bars"]
"""Lines and areas show how it was; a number and bars (the largest first) show how it is."""

WINDOW: Final = "[$__rate_interval]"


@dataclass(frozen=True)
class Panel:
    """One panel. `queries` maps a legend, in Grafana's form, to PromQL; `width` is of 24, `bad` where it turns red."""

    title: str
    said: str
    unit: str
    queries: dict[str, str]
    kind: Kind = "lines"
    width: int = 8
    bad: float | None = None
    below: bool = False
    """Whether what is below `bad` is what is bad."""
    signed: bool = False
    """Whether it may be below 0."""


@dataclass(frozen=True)
class Row:
    """Panels under a title."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Variable:
    """A choice at the top: the values of a label of a metric."""

    name: str
    label: str
    metric: str
    title: str


@dataclass(frozen=True)
class Board:
    """A dashboard. Its `uid` is part of its address, and of its file's name."""

    uid: str
    title: str
    said: str
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...] = ()


def rate(series: str, by: str = "") -> str:
    """By how much it grows in a second, of all processes together; `by` names labels with commas between."""
    return f"sum{f' by ({by})' if by else ''} (rate({series}{WINDOW}))"


def quantile(share: float, histogram: str, by: str = "") -> str:
    """Below which a share of what a histogram saw was; `histogram` may have a selector."""
    name, brace, selector = histogram.partition("{")
    return (
        f"histogram_quantile({share}, {rate(f'{name}_bucket{brace}{selector}', ', '.join(filter(None, ('le', by))))})"
    )


def worst(series: str, by: str = "") -> str:
    """What several workers tell of the same thing is told once: the largest."""
    return f"max{f' by ({by})' if by else ''} ({series})"


def least(series: str, by: str = "") -> str:
    """The same where the smallest is the bad one."""
    return f"min{f' by ({by})' if by else ''} ({series})"
