"""Watching a backlog drain: how fast, and with how much memory."""

import asyncio
import time
from collections.abc import Callable, Sequence

import asyncpg
import msgspec

from bench.backlog import QUEUES
from bench.ground import Ground, cpu_s, rss_mb
from ias.contract import admission
from ias.contract.usage import LEDGER_QUEUE
from ias.edge import Edge
from tests.services.process import Process

EVERY_S = 0.25
FIRST_S = 0.05
PATIENCE_S = 900.0

_BOOKED = "SELECT coalesce(sum(requests), 0)::bigint FROM billing.spend"
_COUNTED = "SELECT coalesce(sum(requests), 0)::bigint FROM analytics.usage_daily"


class Sample(msgspec.Struct):
    """The state of a drain, so many seconds after its first event. Memory is MiB; -1 where it was not looked at."""

    at_s: float
    booked: int
    counted: int
    outbox: int
    worker_mb: float
    redis_mb: float


class Drain(msgspec.Struct):
    """What a drain took. CPU is microseconds of one core for an event, of each program and its children."""

    name: str
    events: int
    seconds: float
    per_second: float
    consumer_us: float
    postgres_us: float
    rabbitmq_us: float
    redis_us: float
    worker_mb: tuple[float, float, float]
    """At the first event, at most, at the end."""
    redis_mb: tuple[float, float]
    """At the first event, at the end."""
    samples: list[Sample]


class Watch:
    """Looks at a drain."""

    def __init__(self, ground: Ground, connection: asyncpg.Connection, edge: Edge) -> None:
        self._ground = ground
        self._connection = connection
        self._edge = edge

    async def drain(
        self, name: str, count: int, queues: Sequence[str], start: Callable[[], Process], *, outbox: bool = False
    ) -> Drain:
        """Start a consumer and watch until it has everything.

        `count` events wait for it in each of the queues, or in the outboxes, which must then be empty at the end too.
        The clock runs from the first event that is committed: a start of Python is not what is measured.
        """
        before, process = await self._sample(0.0, None), start()
        began, cpu = await self._first(before, process)
        samples = [await self._sample(time.monotonic() - began, process)]
        while not _done(samples[-1], before, count, queues, outbox=outbox):
            await self._rest(process, EVERY_S)
            if time.monotonic() - began > PATIENCE_S:
                raise TimeoutError(f"{name}: {samples[-1]} after {PATIENCE_S:.0f} s")
            samples.append(await self._sample(time.monotonic() - began, process))
        used = [after - was for after, was in zip(self._cpu(process), cpu, strict=True)]
        process.terminate()
        return _drain(name, count, samples, used)

    async def _first(self, before: Sample, process: Process) -> tuple[float, list[float]]:
        """When the first event was committed, give or take a few hundredths, and the CPU that was used by then."""
        while True:
            moment, cpu = time.monotonic(), self._cpu(process)
            done = await self._connection.fetchval(_BOOKED) + await self._connection.fetchval(_COUNTED)
            if done > before.booked + before.counted:
                return moment, cpu
            await self._rest(process, FIRST_S)

    async def _sample(self, at_s: float, process: Process | None) -> Sample:
        info = await self._edge.redis.info("memory")
        tags = [org.tag for org in self._ground.organisations]
        left = await self._edge.calls([("XLEN", admission.outbox(tag)) for tag in tags])
        return Sample(
            at_s=round(at_s, 3),
            booked=await self._connection.fetchval(_BOOKED),
            counted=await self._connection.fetchval(_COUNTED),
            outbox=sum(int(str(length)) for length in left),
            worker_mb=-1 if process is None else round(rss_mb(process), 1),
            redis_mb=round(int(info["used_memory"]) / 2**20, 1),
        )

    def _cpu(self, process: Process) -> list[float]:
        rabbitmq = () if self._ground.rabbitmq is None else (self._ground.rabbitmq,)
        return [cpu_s(process), cpu_s(self._ground.postgres), cpu_s(*rabbitmq), cpu_s(self._ground.redis)]

    async def _rest(self, process: Process, seconds: float) -> None:
        if not process.running:
            raise RuntimeError(process.log.read_text(errors="replace")[-2000:])
        await asyncio.sleep(seconds)


def _least(sample: Sample, before: Sample, queues: Sequence[str]) -> int:
    """How many events every consumer has."""
    done = dict.fromkeys(QUEUES, sample.counted - before.counted)
    done[LEDGER_QUEUE] = sample.booked - before.booked
    return min(done[queue] for queue in queues)


def _done(sample: Sample, before: Sample, count: int, queues: Sequence[str], *, outbox: bool) -> bool:
    return _least(sample, before, queues) >= count and not (outbox and sample.outbox)


def _drain(name: str, count: int, samples: list[Sample], used: list[float]) -> Drain:
    seconds = samples[-1].at_s
    memory = [sample.worker_mb for sample in samples]
    return Drain(
        name,
        count,
        seconds,
        round(count / seconds, 0),
        *(round(cpu / count * 1e6, 1) for cpu in used),
        worker_mb=(memory[0], max(memory), memory[-1]),
        redis_mb=(samples[0].redis_mb, samples[-1].redis_mb),
        samples=samples,
    )
