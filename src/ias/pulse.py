"""What a process of the monolith tells of itself: its release, how late its event loop is, its pools of connections."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from typing import Final

from prometheus_client import REGISTRY, Gauge, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from ias.db import ENGINE, Lookups

EVERY_S: Final = 1.0

BUILD = Gauge("ias_build_info", "1; which release runs.", ["version"])
LOOP_LAG = Gauge("ias_loop_lag_seconds", "How late the event loop was, at most, in the last half a minute.")
_REMEMBERED: Final = 30

# When each counter began doubles what is scraped, and nobody asks.
disable_created_metrics()  # type: ignore[no-untyped-call]  # prometheus_client
BUILD.labels(version("ias")).set(1)


class Pools(Collector):
    """The pools of this process, as they are when they are asked; nothing where none is open."""

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """What Prometheus reads."""
        said = "Connections of a pool to PostgreSQL, by whether they are at work."
        connections = GaugeMetricFamily("ias_pool_connections", said, labels=["pool", "state"])
        limit = GaugeMetricFamily("ias_pool_limit", "Connections that a pool may have.", labels=["pool"])
        for name, pool in {"transactions": ENGINE.pool, "lookups": Lookups.pool}.items():
            if pool is not None:
                idle = pool.get_idle_size()
                connections.add_metric([name, "idle"], idle)
                connections.add_metric([name, "in use"], pool.get_size() - idle)
                limit.add_metric([name], pool.get_max_size())
        yield connections
        yield limit


REGISTRY.register(Pools())


@asynccontextmanager
async def pulse() -> AsyncIterator[None]:
    """Feel the event loop's pulse inside the block."""
    feeling = asyncio.create_task(_feel())
    try:
        yield
    finally:
        feeling.cancel()
        with suppress(asyncio.CancelledError):
            await feeling


async def _feel() -> None:
    loop = asyncio.get_running_loop()
    lags = [0.0] * _REMEMBERED
    while True:
        due = loop.time() + EVERY_S
        await asyncio.sleep(EVERY_S)
        lags = [*lags[1:], max(0.0, loop.time() - due)]
        LOOP_LAG.set(max(lags))
