"""The results as text for a terminal: one table, and the bar."""

from collections.abc import Mapping, Sequence
from statistics import median

from bench.bar import OURS, YARDSTICKS, Demand, Rows, Seen, Turns, ratio

_LINES = (
    ("unary_cpu_us", "64 connections: CPU µs a request"),
    ("unary_rps", "  requests/s"),
    ("unary_core_share", "  share of its core"),
    ("unary_1_cpu_us", "1 connection: CPU µs a request"),
    ("unary_1_rps", "  requests/s"),
    ("unary_us_p50", "  p50 µs"),
    ("unary_added_us_p50", "  added, p50 µs"),
    ("unary_added_us_p99", "  added, p99 µs"),
    ("large_cpu_us", "64 KB prompt: CPU µs a request"),
    ("large_rps", "  requests/s"),
    ("burst_cpu_us", "66-event burst: CPU µs a request"),
    ("burst_cpu_us_per_chunk", "  CPU µs a chunk"),
    ("paced_cpu_us_per_chunk", "200 streams, 20 ms: CPU µs a chunk"),
    ("paced_many_cpu_us_per_chunk", "1,000 streams (--streams), 20 ms: CPU µs a chunk"),
    ("paced_many_delivered", "  share of tokens in time"),
    ("first_token_added_us_p50", "first token added, p50 µs"),
    ("first_token_added_us_p95", "  p95 µs"),
    ("first_token_added_us_p99", "  p99 µs"),
    ("rss_kb_per_stream", "KB an open stream"),
    ("rss_idle_kb", "KB without a stream"),
)


def table(rows: Rows) -> str:
    """A column for each proxy with its medians, then ours over the yardsticks' turn by turn."""
    against = [peer for peer in YARDSTICKS if peer in rows and OURS in rows]
    lines = [["", *rows, *(f"ours/{peer}" for peer in against)]]
    for figure, what in _LINES:
        values = [_number(_median(row.get(figure))) for row in rows.values()]
        lines.append([what, *values, *(_number(_of(ratio(rows, figure, peer))) for peer in against)])
    return _columns(lines)


def verdict(demands: Sequence[Demand]) -> str:
    """The bar, and whether it is met."""
    words = {True: "met", False: "MISSED", None: "not measured"}
    lines = [["the bar", "limit", "measured", "half of the turns", ""]]
    lines += [
        [each.what, _number(each.limit), _number(each.measured), _between(each.middle), words[each.met]]
        for each in demands
    ]
    return _columns(lines)


def gaps(absent: Mapping[str, str], missing: Mapping[str, Mapping[str, str]]) -> str:
    """What could not be measured, and why."""
    lines = [f"{name} is absent: {why}" for name, why in absent.items()]
    lines += [f"{name}, {phase}: {why}" for name, phases in missing.items() for phase, why in phases.items()]
    return "\n".join(lines)


def _median(turns: Turns | None) -> float | None:
    return median(turns.values()) if turns else None


def _of(found: Seen | None) -> float | None:
    return found.median if found else None


def _between(middle: tuple[float, float] | None) -> str:
    return f"{_number(middle[0])} to {_number(middle[1])}" if middle else "-"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2  # noqa: PLR2004 - three figures are plenty
    return f"{value:,.{digits}f}"


def _columns(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width) for place, (cell, width) in _placed(line, widths)
        )
        for line in lines
    )


def _placed(line: Sequence[str], widths: Sequence[int]) -> enumerate[tuple[str, int]]:
    return enumerate(zip(line, widths, strict=True))
