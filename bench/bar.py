"""The bar that the gateway has to clear, side by side in one run."""

from collections.abc import Callable, Mapping

import msgspec

Row = Mapping[str, float]
Rows = Mapping[str, Row]

OURS = "ias-gateway"
YARDSTICKS = ("nginx", "vllm-router")


class Demand(msgspec.Struct, frozen=True):
    """One demand: what was measured, and whether it is met; None where it could not be measured."""

    what: str
    limit: float
    measured: float | None
    met: bool | None


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
_FIXED: tuple[tuple[str, float, bool, Callable[[Row], float]], ...] = (
    ("one connection, p50 µs", 250, False, lambda row: row["unary_us_p50"]),
    ("KB resident an open stream", 12, False, lambda row: row["rss_kb_per_stream"]),
    ("requests/s a core (a second of CPU)", 20_000, True, lambda row: 1e6 / row["unary_cpu_us"]),
    ("1,000 streams: share of tokens in time", 0.99, True, lambda row: row["paced_many_delivered"]),
)


def demands(rows: Rows) -> list[Demand]:
    """Each demand, judged."""
    ratios = [_judge(ask.what, ask.at_most, ratio(rows, ask.figure, ask.peer), at_least=False) for ask in _RATIOS]
    fixed = [_judge(what, limit, _figure(rows, of), at_least=least) for what, limit, least, of in _FIXED]
    return ratios + fixed


def ratio(rows: Rows, figure: str, peer: str) -> float | None:
    """A figure of ours over a peer's."""
    ours, theirs = rows.get(OURS, {}).get(figure), rows.get(peer, {}).get(figure)
    return ours / theirs if ours is not None and ours >= 0 and theirs and theirs > 0 else None


def _figure(rows: Rows, of: Callable[[Row], float]) -> float | None:
    try:
        return of(rows[OURS])
    except KeyError:
        return None


def _judge(what: str, limit: float, measured: float | None, *, at_least: bool) -> Demand:
    if measured is None:
        return Demand(what, limit, None, None)
    return Demand(what, limit, measured, measured >= limit if at_least else measured <= limit)
