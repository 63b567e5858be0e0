"""The bar that the gateway has to clear, side by side in one run."""

from collections.abc import Callable, Iterable, Mapping
from statistics import median, quantiles

import msgspec

Turns = Mapping[int, float]
"""A figure of a proxy by the turn that it is of."""
Row = Mapping[str, Turns]
Rows = Mapping[str, Row]

OURS = "ias-gateway"
YARDSTICKS = ("nginx", "vllm-router")


class Demand(msgspec.Struct, frozen=True):
    """One demand: what was measured, and whether it is met; None where it could not be measured.

    `measured` is the median over the turns, `middle` where the middle half of the turns lies.
    """

    what: str
    limit: float
    measured: float | None
    met: bool | None
    middle: tuple[float, float] | None = None


class Seen(msgspec.Struct, frozen=True):
    """What turns have in common: their median and their quartiles."""

    median: float
    middle: tuple[float, float]


class _Ratio(msgspec.Struct, frozen=True):
    what: str
    figure: str
    peer: str
    at_most: float


_RATIOS = (
    _Ratio("without streaming: CPU of vllm-router's", "unary_cpu_us", "vllm-router", 0.8),
    _Ratio("without streaming: CPU of nginx's", "unary_cpu_us", "nginx", 2.3),
    _Ratio("66-event burst: CPU of vllm-router's", "burst_cpu_us", "vllm-router", 0.25),
    _Ratio("200 streams, a token each 20 ms: CPU of vllm-router's", "paced_cpu_us_per_chunk", "vllm-router", 1.1),
    _Ratio("first token added, p50: of vllm-router's", "first_token_added_us_p50", "vllm-router", 1.15),
    _Ratio("first token added, p95: of vllm-router's", "first_token_added_us_p95", "vllm-router", 1.15),
)
_FIXED: tuple[tuple[str, float, bool, str, Callable[[float], float]], ...] = (
    ("one connection, p50 µs", 250, False, "unary_us_p50", float),
    ("KB resident an open stream", 12, False, "rss_kb_per_stream", float),
    ("requests/s a core (a second of CPU)", 20_000, True, "unary_cpu_us", lambda each_us: 1e6 / each_us),
    ("1,000 streams: share of tokens in time", 0.99, True, "paced_many_delivered", float),
)


def demands(rows: Rows) -> list[Demand]:
    """Each demand, judged."""
    ratios = [_judge(ask.what, ask.at_most, ratio(rows, ask.figure, ask.peer), at_least=False) for ask in _RATIOS]
    ours = rows.get(OURS, {})
    fixed = [
        _judge(what, limit, seen(map(of, ours.get(figure, {}).values())), at_least=least)
        for what, limit, least, figure, of in _FIXED
    ]
    return ratios + fixed


def ratio(rows: Rows, figure: str, peer: str) -> Seen | None:
    """A figure of ours over a peer's of the same turn, for what the machine's neighbours do changes with the turns."""
    ours, theirs = rows.get(OURS, {}).get(figure, {}), rows.get(peer, {}).get(figure, {})
    both = sorted(ours.keys() & theirs.keys())
    return seen(ours[turn] / theirs[turn] for turn in both if ours[turn] >= 0 and theirs[turn] > 0)


def seen(values: Iterable[float]) -> Seen | None:
    """The median and the quartiles; None of nothing."""
    ranked = sorted(values)
    if not ranked:
        return None
    if len(ranked) == 1:
        return Seen(ranked[0], (ranked[0], ranked[0]))
    low, _, high = quantiles(ranked, n=4, method="inclusive")
    return Seen(median(ranked), (low, high))


def _judge(what: str, limit: float, found: Seen | None, *, at_least: bool) -> Demand:
    if found is None:
        return Demand(what, limit, None, None)
    met = found.median >= limit if at_least else found.median <= limit
    return Demand(what, limit, found.median, met, found.middle)
