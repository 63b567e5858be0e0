"""What was seen of requests from outside: by the clients, and in Redis while they ran."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import redis.asyncio as aioredis
from redis.exceptions import RedisError

EVERY_S = 0.05


@dataclass
class Witness:
    """Everything that the books must not contradict.

    Attributes:
        admitted: requests that were let in: the client had 200, or Redis held a reservation.
        seen: tokens that a client read of a request, at least.
        delays_ms: of a stream, between two of its tokens.
        lied: requests of which the engine may have reported another usage than it wrote.
        bare: answers of 5xx that did not say when to come back.
        samples: how often Redis was looked into.
        overshoot: most tokens by which use and reservations passed a budget.
    """

    admitted: set[str] = field(default_factory=set)
    seen: Counter[str] = field(default_factory=Counter)
    delays_ms: dict[str, int] = field(default_factory=dict)
    lied: set[str] = field(default_factory=set)
    bare: list[str] = field(default_factory=list)
    samples: int = 0
    overshoot: int = 0

    def admit(self, request: str, delay_ms: int | None) -> None:
        """A client was answered with 200; `delay_ms` is None where that is no stream."""
        self.admitted.add(request)
        if delay_ms is not None:
            self.delays_ms[request] = delay_ms

    def look(self, limit: int | None, used: int, held: int) -> None:
        """One look at a budget."""
        self.samples += 1
        if limit is not None:
            self.overshoot = max(self.overshoot, used + held - limit)


@asynccontextmanager
async def watching(redis_url: str, limits: Mapping[str, int | None], witness: Witness) -> AsyncIterator[None]:
    """Look into Redis all the time while the block runs; `limits` are the budgets by the organisation's tag."""
    client = aioredis.from_url(redis_url, decode_responses=True, socket_timeout=2, socket_connect_timeout=1)
    over = asyncio.Event()
    task = asyncio.create_task(_watch(client, limits, witness, over))
    try:
        yield
    finally:
        # Not cancelled: a client of Redis that waits for an answer may take that for a timeout, and go on.
        over.set()
        await task
        await client.aclose()


async def _watch(
    client: aioredis.Redis, limits: Mapping[str, int | None], witness: Witness, over: asyncio.Event
) -> None:
    while not over.is_set():
        for tag, limit in limits.items():
            with suppress(RedisError, OSError):
                await _look(client, tag, limit, witness)
        await asyncio.sleep(EVERY_S)


async def _look(client: aioredis.Redis, tag: str, limit: int | None, witness: Witness) -> None:
    month = await _month(client)
    pipeline = client.pipeline(transaction=True)
    pipeline.hmget(f"{{o:{tag}}}:bud:{month}", "used", "resv")
    pipeline.zrange(f"{{o:{tag}}}:resv", 0, -1)
    (used, held), reserved = await pipeline.execute()
    witness.look(limit, int(used or 0), int(held or 0))
    witness.admitted.update(reserved)


async def budget(client: aioredis.Redis, tag: str) -> tuple[int, int]:
    """Used and held tokens of an organisation this month."""
    used, held = await client.hmget(f"{{o:{tag}}}:bud:{await _month(client)}", "used", "resv")
    return int(used or 0), int(held or 0)


async def _month(client: aioredis.Redis) -> str:
    seconds, _ = await client.time()
    return f"{datetime.fromtimestamp(seconds, UTC):%Y%m}"
