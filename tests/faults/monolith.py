"""What is done to worker and api, to PostgreSQL and RabbitMQ, and to the way there."""

import asyncio
import random
import signal
from functools import partial

import aio_pika

from ias.contract.crashpoints import Crashpoint
from ias.contract.usage import ANALYTICS_QUEUE, LEDGER_QUEUE
from tests.faults.harms import Cut
from tests.faults.load import Load
from tests.faults.matrix import Fault
from tests.faults.rig import Rig

KILLS = 5
DIES_WITHIN_S = 60.0
CUTS = 5
DOWN_S = 15.0
BROKER = ("rabbitmq",)


async def killed_at_random(name: str, rig: Rig, load: Load) -> None:
    dice = random.Random(5)
    for _ in range(KILLS):
        await asyncio.sleep(dice.uniform(0.1, 0.8))
        rig.process(name).kill()
        await asyncio.to_thread(rig.restart, name)


async def killed_at(point: Crashpoint, rig: Rig, load: Load) -> None:
    """It kills itself the third time that it is there."""
    await asyncio.to_thread(rig.process("worker").end)
    rig.begin("worker", IAS_CRASHPOINT=f"{point}:3")
    await load.until(lambda: rig.ended("worker"), DIES_WITHIN_S)
    await asyncio.to_thread(rig.restart, "worker")


async def worker_stopped(rig: Rig, load: Load) -> None:
    rig.process("worker").signal(signal.SIGSTOP)
    try:
        await asyncio.sleep(5)
    finally:
        rig.process("worker").signal(signal.SIGCONT)


async def part_killed(part: str, gone_s: float, rig: Rig, load: Load) -> None:
    await asyncio.to_thread(rig.parts[part].kill)
    await asyncio.sleep(gone_s)
    await asyncio.to_thread(rig.parts[part].start)


async def broker_wiped(rig: Rig, load: Load) -> None:
    await asyncio.to_thread(rig.parts["rabbitmq"].wipe)
    await asyncio.to_thread(rig.parts["rabbitmq"].start)


async def queues_deleted(rig: Rig, load: Load) -> None:
    async with await aio_pika.connect(rig.parts["rabbitmq"].url) as connection:
        channel = await connection.channel()
        for queue in (LEDGER_QUEUE, ANALYTICS_QUEUE):
            await channel.queue_delete(queue)


async def cut(link: str, pattern: bytes, answer_lost: bool, rig: Rig, load: Load) -> None:
    """A connection of the worker breaks where this passes, several times."""
    one = Cut(pattern, answer_lost=answer_lost, times=CUTS)
    with rig.links[link].doing(cut=one):
        await load.until(lambda: one.done >= CUTS, 90)


async def silent(link: str, rig: Rig, load: Load) -> None:
    with rig.links[link].doing(blackhole=True):
        await asyncio.sleep(5)


async def redis_and_broker_down(rig: Rig, load: Load) -> None:
    """At the same moment: what is settled then is with the gateways alone."""
    parts = [rig.parts[name] for name in ("redis", "rabbitmq") if name in rig.parts]
    await asyncio.gather(*(asyncio.to_thread(part.kill) for part in parts))
    await asyncio.sleep(1)
    await asyncio.gather(*(asyncio.to_thread(part.start) for part in parts))


FAULTS = (
    *(Fault(f"worker: kill -9 {point}", partial(killed_at, point), BROKER) for point in (Crashpoint.AFTER_PUBLISH,)),
    *(Fault(f"worker: kill -9 {point}", partial(killed_at, point)) for point in list(Crashpoint)[6:]),
    Fault(f"worker: kill -9, {KILLS} times at random", partial(killed_at_random, "worker")),
    Fault("worker: SIGSTOP 5 s, SIGCONT", worker_stopped),
    Fault("api: kill -9", partial(killed_at_random, "api")),
    Fault("PostgreSQL: kill -9", partial(part_killed, "postgres", 0.5)),
    Fault(f"PostgreSQL: down for {DOWN_S:.0f} s", partial(part_killed, "postgres", DOWN_S)),
    Fault("worker to PostgreSQL: cut at COMMIT", partial(cut, "worker postgres", b"COMMIT", False)),
    Fault("worker to PostgreSQL: answer to COMMIT lost", partial(cut, "worker postgres", b"COMMIT", True)),
    Fault("worker to PostgreSQL: silent for 5 s", partial(silent, "worker postgres")),
    Fault("worker to Redis: silent for 5 s", partial(silent, "worker redis")),
    Fault("RabbitMQ: kill -9", partial(part_killed, "rabbitmq", 0.5), BROKER),
    Fault("RabbitMQ: data deleted", broker_wiped, BROKER),
    Fault("RabbitMQ: queues deleted", queues_deleted, BROKER),
    Fault("worker to RabbitMQ: confirm lost", partial(cut, "worker rabbitmq", b"usage.recorded.v1", True), BROKER),
    Fault("worker to RabbitMQ: silent for 5 s", partial(silent, "worker rabbitmq"), BROKER),
    Fault("Redis and RabbitMQ: kill -9 at once", redis_and_broker_down),
)
