"""A database, a Redis and perhaps a broker of a test's own, and workers on them."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import httpx

from ias.contract import beats
from ias.contract.admission import LIBRARY_VERSION
from ias.contract.beats import Beat
from ias.edge import Edge
from tests.integration.billing.doors import environment, only
from tests.integration.billing.ground import Ground, Org, opened
from tests.product.processes import Product

PATIENCE_S = 60.0

_folders = count(1)


@dataclass
class Place:
    """Where workers are started."""

    folder: Path
    ground: Ground
    database_url: str
    redis_url: str
    amqp_url: str | None

    def worker(self, **settings: str) -> AbstractContextManager[Product]:
        """A worker, ready; it is ended with SIGTERM."""
        home = self.folder / f"worker-{next(_folders)}"
        home.mkdir()
        return only("worker", home, self.environment() | settings)

    def environment(self) -> dict[str, str]:
        """What a process is told; its ports are its own."""
        return environment(self.database_url, self.redis_url, self.amqp_url)

    async def counts(self, org: Org) -> tuple[object, ...]:
        """Lines in the ledger, events in analytics, settlements in the outbox."""
        lines = await self.ground.value("SELECT count(*) FROM billing.ledger_lines WHERE org_id = $1", org.id)
        rows = await self.ground.value("SELECT count(*) FROM analytics.usage_events WHERE org_id = $1", org.id)
        return lines, rows, await org.waiting()

    async def booked(self, org: Org, ids: list[str]) -> None:
        """Wait until all is booked and the outbox empty; then each id must be there once and all sums equal."""

        async def whole() -> bool:
            return await self.counts(org) == (len(ids), len(ids), 0)

        try:
            await until(whole)
        except TimeoutError:
            raise AssertionError(f"{await self.counts(org)} of {len(ids)}") from None
        lines = await self.ground.rows("SELECT request_id::text FROM billing.ledger_lines WHERE org_id = $1", org.id)
        assert sorted(str(row[0]) for row in lines) == sorted(ids)
        assert len(set(await self.sums(org))) == 1

    async def sums(self, org: Org) -> list[object]:
        """Tokens by the lines, the spend, the hours and the days."""
        tables = ("billing.ledger_lines", "billing.spend", "analytics.usage_hourly", "analytics.usage_daily")
        sql = "SELECT sum(prompt_tokens + completion_tokens) FROM {} WHERE org_id = $1"
        return [await self.ground.value(sql.format(table), org.id) for table in tables]


@asynccontextmanager
async def a_place(folder: Path, database_url: str, redis_url: str, amqp_url: str | None) -> AsyncIterator[Place]:
    """On these services, where a gateway seems to live, with a clock that is an hour fast: nobody has to repeat it."""
    async with opened(database_url, redis_url) as ground:
        await say(ground.edge, at=time.time() + 3600)
        yield Place(folder, ground, database_url, redis_url, amqp_url)


async def say(edge: Edge, name: str = "gw", at: float = 0.0, **more: object) -> None:
    """Say what a gateway says of itself."""
    said = {"name": name, "state": "serves", "release": "0", "library": LIBRARY_VERSION, "started_at": 0.0, "at": at}
    await edge.call(beats.beat(Beat(**(said | more))))


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what must come to be."""
    async with asyncio.timeout(PATIENCE_S):
        while not await condition():  # noqa: ASYNC110 - what it waits for happens in other processes
            await asyncio.sleep(0.05)


def metric(worker: Product, name: str) -> float:
    """A figure of a worker's metrics."""
    lines = httpx.get(f"{worker.worker_url}/metrics").text.splitlines()
    [value] = [line.split(" ")[1] for line in lines if line.startswith(f"{name} ")]
    return float(value)
