"""How the processes are while they are soaked: memory, descriptors, tasks, the loop's lag, counters that only rise."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from time import monotonic

import httpx
import psutil

from tests.soak.place import Place

EVERY_S = 1.0
REQUESTS = "ias_gateway_requests_total"


@dataclass
class Samples:
    """Series by process and pid, or by metric: pairs of seconds since the beginning and a value."""

    rss_kb: dict[tuple[str, int], list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    metrics: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    descriptors: dict[int, int] = field(default_factory=dict)
    """Of the gateway's workers, when last looked at."""

    def falls(self) -> int:
        """How often the sum of requests fell."""
        return sum(later < earlier for (_, earlier), (_, later) in pairwise(self.metrics[REQUESTS]))


async def sample(place: Place, samples: Samples, began: float) -> None:
    """Look now and then, until cancelled."""
    async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
        while True:
            await look(place, samples, monotonic() - began, client)
            await asyncio.sleep(EVERY_S)


async def look(place: Place, samples: Samples, now: float, client: httpx.AsyncClient) -> None:
    """Look once."""
    for name, process in processes(place):
        try:
            samples.rss_kb[name, process.pid].append((now, process.memory_info().rss / 1024))
            if name.startswith("gateway worker"):
                samples.descriptors[process.pid] = process.num_fds()
        except psutil.NoSuchProcess:
            continue
    for name, value in (await metrics(place, client)).items():
        samples.metrics[name].append((now, value))


def processes(place: Place) -> Iterator[tuple[str, psutil.Process]]:
    """The product's processes that live now, each worker of the gateway on its own."""
    for name in ("api", "worker", "gateway"):
        child = place.product.processes[name].child
        try:
            process = psutil.Process(child.pid if child else 0)
            yield name, process
            if name == "gateway":
                # In the order in which they were started.
                inner = sorted(process.children(), key=lambda each: each.pid)
                yield from ((f"gateway worker {place_of}", each) for place_of, each in enumerate(inner))
        except psutil.NoSuchProcess:
            continue


async def metrics(place: Place, client: httpx.AsyncClient) -> dict[str, float]:
    """The gateway's metrics, summed over labels; none where it does not answer."""
    try:
        text = (await client.get(f"{place.product.metrics_url}/metrics")).text
    except httpx.HTTPError:
        return {}
    sums: dict[str, float] = defaultdict(float)
    for line in text.splitlines():
        if not line.startswith("#"):
            sample_name, _, value = line.rpartition(" ")
            sums[sample_name.partition("{")[0]] += float(value)
    return sums


def slope(series: list[tuple[float, float]]) -> float:
    """The rise a second of the line through the points with the least squares."""
    number = len(series)
    if number < 2:
        return 0.0
    mean_x = sum(x for x, _ in series) / number
    mean_y = sum(y for _, y in series) / number
    spread = sum((x - mean_x) ** 2 for x, _ in series)
    return sum((x - mean_x) * (y - mean_y) for x, y in series) / spread if spread else 0.0
