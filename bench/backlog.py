"""A backlog of usage: events as gateways settle them, put into the queue, or into the outboxes in Redis."""

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import aio_pika

from bench.ground import Ground, today
from ias.bus import Bus
from ias.contract import admission
from ias.contract.usage import (
    ANALYTICS_QUEUE,
    EXCHANGE,
    LEDGER_QUEUE,
    ROUTING_KEY,
    Facts,
    Outcome,
    UsageRecorded,
    encode_batch,
    encode_facts,
)
from ias.db import uuid7
from ias.edge import Edge

QUEUES = (LEDGER_QUEUE, ANALYTICS_QUEUE)
MESSAGE = 200
"""Events of a message, as the relay makes them."""
_IN_FLIGHT = 16
_PIPELINED = 1000


def events(ground: Ground, count: int) -> Iterator[UsageRecorded]:
    """Events of all organisations in turn, which ended just now."""
    choose = random.Random(7)
    period = today()
    for number in range(count):
        org = ground.organisations[number % len(ground.organisations)]
        user, key = choose.choice(org.holders)
        model_id, model = choose.choice(ground.models)
        moment = datetime.now(UTC)
        yield UsageRecorded(
            request_id=uuid7(),
            line=1,
            period=period,
            organisation=org.id,
            user=user,
            key=key,
            model=model,
            model_id=model_id,
            endpoint="chat",
            prompt_tokens=choose.randrange(10, 3000),
            completion_tokens=choose.randrange(1, 800),
            cached_tokens=choose.randrange(10),
            outcome=Outcome.COMPLETED,
            started_at=moment - timedelta(seconds=3 * choose.random()),
            settled_at=moment,
            streamed=True,
            status=200,
            gateway="gateway-1",
            replica="http://10.0.0.1:8000",
            duration_ms=800 + choose.random(),
            queue_ms=1.5,
            first_token_ms=32.25,
        )


async def declare(ground: Ground) -> None:
    """Make the exchange and the queues as a worker does."""

    async def nothing(body: bytes) -> bool:
        return bool(body)

    assert ground.rabbitmq is not None
    bus = Bus(ground.rabbitmq.url, dict.fromkeys(QUEUES, nothing))
    await bus.watch()
    await bus.close()


async def fill_queue(ground: Ground, count: int, queue: str | None) -> None:
    """Put events into one queue, or by the exchange into both; returns when all are confirmed."""
    assert ground.rabbitmq is not None
    connection = await aio_pika.connect(ground.rabbitmq.url)
    async with connection:
        channel = await connection.channel(publisher_confirms=True)
        exchange = channel.default_exchange if queue else await channel.get_exchange(EXCHANGE)
        slots = asyncio.Semaphore(_IN_FLIGHT)

        async def publish(batch: Sequence[UsageRecorded]) -> None:
            async with slots:
                message = aio_pika.Message(encode_batch(batch), delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
                await exchange.publish(message, queue or ROUTING_KEY)

        async with asyncio.TaskGroup() as group:
            batch: list[UsageRecorded] = []
            for number, event in enumerate(events(ground, count), start=1):
                batch.append(event)
                if len(batch) == MESSAGE or number == count:
                    group.create_task(publish(batch))
                    batch = []
                    if number % (MESSAGE * _IN_FLIGHT) == 0:
                        await slots.acquire()
                        slots.release()


async def fill_outboxes(ground: Ground, count: int) -> None:
    """Settle requests that Redis holds no reservation of, as after a loss: each leaves an entry in an outbox."""
    edge = Edge(ground.redis.url)
    commands: list[admission.Command] = []
    for number, event in enumerate(events(ground, count), start=1):
        commands.append(_settlement(ground, number, event))
        if len(commands) == _PIPELINED or number == count:
            await edge.calls(commands)
            commands = []
    await edge.close()


def _settlement(ground: Ground, number: int, event: UsageRecorded) -> admission.Command:
    org = ground.organisations[(number - 1) % len(ground.organisations)]
    facts = Facts(
        organisation=str(event.organisation),
        user=str(event.user),
        key=str(event.key),
        model=event.model,
        model_id=str(event.model_id),
        endpoint=event.endpoint,
        started_at=time.time() - 1,
        streamed=True,
        gateway="gateway-1",
        replica=event.replica,
        status=200,
        duration_ms=event.duration_ms,
        queue_ms=event.queue_ms,
        first_token_ms=event.first_token_ms,
    )
    tokens = (event.prompt_tokens, event.completion_tokens, event.cached_tokens)
    command = admission.settle(org.tag, str(event.request_id), tokens, ("completed", False), encode_facts(facts))
    return (*command, str(event.user), event.period, "gateway-1")
