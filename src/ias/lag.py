"""How long after its settlement each stage was done with an event, counted by the batch."""

from bisect import bisect_left
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from prometheus_client import REGISTRY
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from ias.telemetry import now

BOUNDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Seconds."""


class Lags(Collector):
    """A histogram for each stage. The client library's own takes several microseconds for each event."""

    def __init__(self) -> None:
        self._counts: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}

    def observe(self, stage: str, settled_at: Iterable[datetime]) -> None:
        """A stage is done, now, with events that were settled then."""
        moment, total = now().timestamp(), 0.0
        counts = self._counts.setdefault(stage, [0] * (len(BOUNDS) + 1))
        for settled in settled_at:
            lag = max(0.0, moment - settled.timestamp())
            counts[bisect_left(BOUNDS, lag)] += 1
            total += lag
        self._sums[stage] = self._sums.get(stage, 0.0) + total

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """What Prometheus reads."""
        family = HistogramMetricFamily(
            "ias_usage_lag_seconds", "From settlement in Redis until a stage was done with it.", labels=["stage"]
        )
        for stage, counts in self._counts.items():
            family.add_metric([stage], _cumulative(counts), self._sums[stage])
        yield family


LAGS: Final = Lags()
REGISTRY.register(LAGS)


def _cumulative(counts: list[int]) -> list[tuple[str, float]]:
    buckets: list[tuple[str, float]] = []
    seen = 0
    for bound, count in zip((*map(str, BOUNDS), "+Inf"), counts, strict=True):
        seen += count
        buckets.append((bound, float(seen)))
    return buckets
