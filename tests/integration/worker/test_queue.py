"""The worker process on real RabbitMQ: the queue may lose, repeat or refuse, the books stay the same."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aio_pika
import msgspec
import pytest
from aio_pika.abc import AbstractRobustChannel
from aio_pika.exceptions import ChannelNotFoundEntity

from ias.bus import Bus, BusDown, dead_letters
from ias.contract.usage import ANALYTICS_QUEUE, EXCHANGE, LEDGER_QUEUE, ROUTING_KEY, UsageRecorded, encode_batch
from tests.integration.billing.test_ledger import events
from tests.integration.worker.place import Place, a_place, metric, until
from tests.product.processes import Product
from tests.services import Services

QUEUES = (LEDGER_QUEUE, ANALYTICS_QUEUE)


@asynccontextmanager
async def channel(url: str | None) -> AsyncIterator[AbstractRobustChannel]:
    """A channel of the test's own."""
    assert url is not None
    connection = await aio_pika.connect(url)
    async with connection:
        yield await connection.channel()


async def publish(url: str | None, body: bytes) -> None:
    """Put a message where the relay would."""
    async with channel(url) as mine:
        exchange = await mine.get_exchange(EXCHANGE)
        await exchange.publish(aio_pika.Message(body), ROUTING_KEY)


async def waiting(url: str | None, queue: str) -> int:
    """Messages that are ready in a queue."""
    async with channel(url) as mine:
        return (await mine.declare_queue(queue, passive=True)).declaration_result.message_count or 0


async def test_what_is_settled_is_booked_and_counted(queued: Place) -> None:
    """The same sums as without a broker, see test_worker.py."""
    org = await queued.ground.organisation()
    with queued.worker() as worker:
        ids = [await org.complete((10, number, 3)) for number in range(50)]

        await queued.booked(org, ids)

        assert await queued.sums(org) == [1725] * 4
        assert metric(worker, "ias_relay_relayed_total") == 50
    for queue in QUEUES:
        assert await waiting(queued.amqp_url, queue) == 0


async def test_a_worker_may_take_from_one_queue_and_leave_the_other_to_others(queued: Place) -> None:
    org = await queued.ground.organisation()
    with queued.worker(IAS_WORKER_CONSUMES="ledger"):
        ids = [await org.complete((10, number, 3)) for number in range(20)]

        async def in_the_ledger() -> bool:
            return (await queued.counts(org))[:2] == (20, 0)

        await until(in_the_ledger)
        with queued.worker(IAS_WORKER_CONSUMES="usage"):
            await queued.booked(org, ids)
    for queue in QUEUES:
        assert await waiting(queued.amqp_url, queue) == 0


async def test_a_message_that_comes_twice_is_booked_once(queued: Place) -> None:
    org = await queued.ground.organisation()
    batch = events(org, 20)
    with queued.worker():
        for _ in range(3):
            await publish(queued.amqp_url, encode_batch(batch))

        await queued.booked(org, [str(event.request_id) for event in batch])


async def test_poison_is_set_aside_and_the_others_go_on(queued: Place) -> None:
    org = await queued.ground.organisation()
    good, bad = events(org, 3), events(org, 1, completion_tokens=-1)
    with queued.worker():
        await publish(queued.amqp_url, b"no batch at all")
        await publish(queued.amqp_url, encode_batch([*good[:2], *bad]))
        await publish(queued.amqp_url, encode_batch(good[2:]))

        await queued.booked(org, [str(event.request_id) for event in good])

    for context in ("billing", "analytics"):
        reasons = await queued.ground.rows(f"SELECT reason FROM {context}.quarantine ORDER BY reason")
        assert [str(row[0]).partition(":")[0] for row in reasons] == ["line 1 has negative tokens", "not a batch"]
    for queue in QUEUES:
        assert await waiting(queued.amqp_url, dead_letters(queue)) == 1


async def test_messages_that_wait_are_taken_in_together_and_each_event_once(queued: Place) -> None:
    """With poison among them, twice-sent messages and one that contradicts another."""
    org = await queued.ground.organisation()
    batch, bad = events(org, 60), events(org, 1, status=2**31)
    forged = msgspec.structs.replace(batch[7], completion_tokens=999)
    with queued.worker():
        pass  # the queues are there now
    for at in range(0, 60, 3):
        await publish(queued.amqp_url, encode_batch(batch[at : at + 6]))
    await publish(queued.amqp_url, b"no batch at all")
    await publish(queued.amqp_url, encode_batch([*batch[:1], *bad, forged]))

    with queued.worker() as worker:
        await queued.booked(org, [str(event.request_id) for event in batch])
        await until(lambda: is_figure(worker, "ias_ledger_quarantined_total", 3))

    for queue in QUEUES:
        assert await waiting(queued.amqp_url, dead_letters(queue)) == 1
        assert await waiting(queued.amqp_url, queue) == 0


async def is_figure(worker: Product, name: str, value: float) -> bool:
    return metric(worker, name) == value


async def test_workers_killed_again_and_again_lose_and_double_nothing(queued: Place) -> None:
    org = await queued.ground.organisation()
    ids: list[str] = []
    with queued.worker(IAS_RELAY_TAKEOVER_S="1", IAS_RELAY_AGAIN_S="2") as worker:
        for _ in range(4):
            ids += [await org.complete() for _ in range(100)]
            worker.processes["worker"].restart()

        await queued.booked(org, ids)


async def test_a_queue_that_is_deleted_is_made_again_and_what_it_lost_is_relayed_again(queued: Place) -> None:
    org = await queued.ground.organisation()
    with queued.worker(IAS_RELAY_AGAIN_S="2"):
        ids = [await org.complete() for _ in range(20)]
        await queued.booked(org, ids)
        async with channel(queued.amqp_url) as mine:
            await mine.queue_delete(ANALYTICS_QUEUE)
        ids += [await org.complete() for _ in range(20)]

        await queued.booked(org, ids)


async def test_the_queue_of_another_worker_that_is_deleted_is_made_again_too(queued: Place) -> None:
    org = await queued.ground.organisation()
    with queued.worker(IAS_WORKER_CONSUMES="ledger"):
        async with channel(queued.amqp_url) as mine:
            await mine.queue_delete(ANALYTICS_QUEUE)

        async def is_there() -> bool:
            with suppress(ChannelNotFoundEntity):
                return await waiting(queued.amqp_url, ANALYTICS_QUEUE) == 0
            return False

        await until(is_there)
        ids = [await org.complete() for _ in range(20)]
        with queued.worker(IAS_WORKER_CONSUMES="usage"):
            await queued.booked(org, ids)


async def test_a_broker_that_loses_its_disk_costs_nothing(world: Services, migrated: str, tmp_path: Path) -> None:
    world.need("rabbitmq")
    with world.database(migrated) as url, world.fresh("redis") as redis, world.fresh("rabbitmq") as broker:
        async with a_place(tmp_path, url, redis.url, broker.url) as place:
            org = await place.ground.organisation()
            with place.worker(IAS_RELAY_AGAIN_S="2") as worker:
                ids = [await org.complete() for _ in range(50)]
                broker.wipe()
                ids += [await org.complete() for _ in range(50)]
                broker.start()

                await place.booked(org, ids)
                assert metric(worker, "ias_ledger_quarantined_total") == 0


async def test_what_is_published_is_confirmed_or_fails(queued: Place) -> None:
    org = await queued.ground.organisation()
    taken: list[bytes] = []

    async def handler(body: bytes) -> bool:
        await asyncio.sleep(0)
        taken.append(body)
        return True

    assert queued.amqp_url is not None
    bus = Bus(queued.amqp_url, dict.fromkeys(QUEUES, handler))
    try:
        with pytest.raises(BusDown, match="no connection"):
            await bus.publish(events(org, 1))
        await bus.watch()
        await bus.publish(events(org, 1))
        async with channel(queued.amqp_url) as mine:
            for name in QUEUES:
                queue = await mine.get_queue(name)
                await queue.unbind(EXCHANGE, ROUTING_KEY)
        with pytest.raises(BusDown, match="did not confirm"):
            await bus.publish(events(org, 1))

        await until(lambda: publishes(bus, events(org, 1)))
        await until(lambda: has(taken, 4))
    finally:
        await bus.close()


async def has(taken: list[bytes], count: int) -> bool:
    return len(taken) == count


async def publishes(bus: Bus, batch: Sequence[UsageRecorded]) -> bool:
    await bus.watch()
    try:
        await bus.publish(batch)
    except BusDown:
        return False
    return True


async def test_a_broker_that_is_not_there_is_said_to_be_down(queued: Place) -> None:
    bus = Bus("amqp://guest:guest@127.0.0.1:1/", {})

    with pytest.raises(BusDown, match="does not answer"):
        await bus.watch()
