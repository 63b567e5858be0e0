"""How requests went, counted so that counts of hours, days and organisations can be added: outcomes, times, speeds.

A time falls into a bin of a logarithmic histogram, as in DDSketch (Masson, Rim and Lee, VLDB 2019, doi
10.14778/3352063.3352135): bin i holds the values above g^(i-1) and up to g^i, with g = (1+a)/(1-a), and tells of all of
them as 2g^i/(g+1), which is wrong by the share a of the value at most. Bins are added, so that a percentile of many
rows is as exact as that of one; averages of percentiles are none. Values of 1 and less share bin 0.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from enum import IntEnum
from math import ceil, log
from typing import Final

import msgspec

from ias.contract.usage import Outcome, UsageRecorded

ACCURACY: Final = 0.05
"""a: by how much of itself a value may be told wrong."""
GAMMA: Final = (1 + ACCURACY) / (1 - ACCURACY)
LAST: Final = 255
"""The bin of everything beyond g^254, which is 10^11."""
SLOWEST: Final = 10.0
"""Speeds are counted in tenths of a token a second, so that those below 1 are told apart too."""

_PER_E = 1 / log(GAMMA)
_MOST = GAMMA ** (LAST - 1)
_SHIFT = 8
_COUNT_BITS = 32
_COUNT = (1 << _COUNT_BITS) - 1

Counts = defaultdict[int, int]
"""How many requests, by code: what was measured (`Measure`), times 256, plus the bin or the outcome's number."""


class Measure(IntEnum):
    """What is counted of a request. The numbers are in the database and never change."""

    OUTCOME = 0
    FIRST_TOKEN = 1
    DURATION = 2
    QUEUE = 3
    SPEED = 4


OUTCOMES: Final = {
    Outcome.COMPLETED: 0,
    Outcome.REJECTED: 1,
    Outcome.CLIENT_ABORTED: 2,
    Outcome.UPSTREAM_FAILED: 3,
    Outcome.UPSTREAM_TIMEOUT: 4,
    Outcome.CUT: 5,
    Outcome.DRAINED: 6,
    Outcome.GATEWAY_LOST: 7,
}
"""The bins of `Measure.OUTCOME`, which are in the database and never change."""

_FIRST_TOKEN = Measure.FIRST_TOKEN << _SHIFT
_DURATION = Measure.DURATION << _SHIFT
_QUEUE = Measure.QUEUE << _SHIFT
_SPEED = Measure.SPEED << _SHIFT


class Percentiles(msgspec.Struct, kw_only=True, frozen=True):
    """What so many of a hundred requests did not exceed, each at most 5 % off; null where nothing was measured.

    `count` is of how many requests it was measured.
    """

    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    count: int


class Performance(msgspec.Struct, kw_only=True, frozen=True):
    """How requests went.

    Attributes:
        outcomes: how many ended how; what never happened is left out.
        first_token_ms: from arrival to the first token, of streams.
        duration_ms: from arrival to the end of the answer.
        queue_ms: from arrival to dispatch.
        tokens_per_second: of streams, after the first token; here `p99` is what one of a hundred was faster than.
    """

    outcomes: dict[Outcome, int]
    first_token_ms: Percentiles
    duration_ms: Percentiles
    queue_ms: Percentiles
    tokens_per_second: Percentiles


def rate(tokens: int, first_token_ms: float | None, duration_ms: float | None) -> float | None:
    """Tokens a second after the first one, the inverse of what vLLM's benchmarks call time per output token.

    None where there is no time, or fewer than two tokens.
    """
    if first_token_ms is None or duration_ms is None or tokens <= 1 or duration_ms <= first_token_ms:
        return None
    return (tokens - 1) * 1000 / (duration_ms - first_token_ms)


def count(counts: Counts, event: UsageRecorded) -> None:
    """Add a request's first line to the counts."""
    first, whole = event.first_token_ms, event.duration_ms
    counts[OUTCOMES[event.outcome]] += 1
    if whole is not None:
        counts[_DURATION + bin_of(whole)] += 1
    if first is not None and event.streamed:
        counts[_FIRST_TOKEN + bin_of(first)] += 1
        per_second = rate(event.completion_tokens, first, whole)
        if per_second is not None:
            counts[_SPEED + bin_of(per_second * SLOWEST)] += 1
    if event.queue_ms is not None:
        counts[_QUEUE + bin_of(event.queue_ms)] += 1


def bin_of(value: float) -> int:
    """The bin that a value falls into."""
    if value <= 1:
        return 0
    return ceil(log(value) * _PER_E) if value < _MOST else LAST


def value_of(number: int) -> float:
    """What a bin tells of the values in it."""
    return 2 * GAMMA**number / (GAMMA + 1) if number else 1.0


def written(counts: Mapping[int, int]) -> list[int]:
    """Counts as the database has them: code and count in one number, in which the same code may come again."""
    return [code << _COUNT_BITS | number for code, number in counts.items()]


def added(counts: Iterable[tuple[int, int]]) -> Counts:
    """Counts of the same code as one."""
    whole = Counts(int)
    for code, number in counts:
        whole[code] += number
    return whole


def read(numbers: Iterable[int]) -> Counts:
    """What `written` wrote, once or more."""
    return added((number >> _COUNT_BITS, number & _COUNT) for number in numbers)


def performance(counts: Mapping[int, int]) -> Performance:
    """What counts say to people."""
    outcomes = {outcome: counts[number] for outcome, number in OUTCOMES.items() if number in counts}
    return Performance(
        outcomes=outcomes,
        first_token_ms=_percentiles(counts, Measure.FIRST_TOKEN),
        duration_ms=_percentiles(counts, Measure.DURATION),
        queue_ms=_percentiles(counts, Measure.QUEUE),
        tokens_per_second=_percentiles(counts, Measure.SPEED, SLOWEST),
    )


def quantile(bins: Mapping[int, int], share: float) -> float | None:
    """The value of which so large a share of all are not greater (the nearest rank); None of nothing."""
    rank, seen = max(1, ceil(share * sum(bins.values()))), 0
    for number in sorted(bins):
        seen += bins[number]
        if seen >= rank:
            return value_of(number)
    return None


def _percentiles(counts: Mapping[int, int], measure: Measure, unit: float = 1.0) -> Percentiles:
    bins = {code & LAST: number for code, number in counts.items() if code >> _SHIFT == measure}

    def told(share: float) -> float | None:
        value = quantile(bins, share)
        return None if value is None else float(f"{value / unit:.4g}")

    return Percentiles(p50=told(0.5), p90=told(0.9), p95=told(0.95), p99=told(0.99), count=sum(bins.values()))
