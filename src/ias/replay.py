"""Putting back what was set aside: quarantined events and dead letters go through their consumers' intakes again.

What is still bad stays, with the reason of this time; what is taken in was perhaps there already, and is there once.
"""

from collections.abc import AsyncIterator, Collection, Sequence
from uuid import UUID

import aio_pika
import msgspec
from aio_pika.abc import AbstractIncomingMessage
from aio_pika.exceptions import CONNECTION_EXCEPTIONS, ChannelNotFoundEntity

from ias.analytics import doors as analytics
from ias.billing import doors as billing
from ias.bus import BusDown, dead_letters
from ias.contract.usage import ANALYTICS_QUEUE, LEDGER_QUEUE, UsageRecorded
from ias.intake import Intake, Reject, read, take_in
from ias.quarantine import Kept, Quarantine

FROM_OUTBOX = "outbox"
CONNECT_S = 5.0


class Consumer(msgspec.Struct, frozen=True):
    """One who takes usage in, its queue, and what it set aside."""

    name: str
    intake: Intake
    quarantine: Quarantine
    queue: str


LEDGER = Consumer("ledger", billing.INTAKE, billing.QUARANTINE, LEDGER_QUEUE)
USAGE = Consumer("usage", analytics.INTAKE, analytics.QUARANTINE, ANALYTICS_QUEUE)
CONSUMERS = (LEDGER, USAGE)


class Aside(msgspec.Struct, frozen=True):
    """A row of a consumer's quarantine."""

    consumer: Consumer
    kept: Kept


class Outcome(msgspec.Struct, frozen=True):
    """What happened to a row, or to a dead letter, which has no id. `left` is how much of it is still set aside."""

    consumer: str
    id: UUID | None
    request_id: UUID | None
    said: str
    left: int


async def set_aside(ids: Collection[UUID] | None) -> AsyncIterator[Aside]:
    """What is in quarantine, of every consumer, oldest first; only these, where ids are given."""
    for consumer in CONSUMERS:
        after = UUID(int=0)
        while rows := await consumer.quarantine.page(after, ids):
            for kept in rows:
                yield Aside(consumer, kept)
            after = rows[-1].id


async def replay(aside: Aside) -> Outcome:
    """Take a row in again.

    Raises:
        Exception: one of the intake's `away`; nothing has changed, or all of it is taken in: try again.
    """
    consumer, kept = aside.consumer, aside.kept
    events, rejects = _read(kept)
    alone = len(events) + len(rejects) == 1
    rejects += await _take_in(consumer, events)
    if alone and rejects:
        await consumer.quarantine.keep(kept.id, rejects[0].reason)
        return Outcome(consumer.name, kept.id, kept.request_id, f"stays: {rejects[0].reason}", 1)
    if rejects:
        await consumer.intake.quarantine(rejects)
    if kept.origin == FROM_OUTBOX:
        # Nobody was given what the relay could not read.
        for other in CONSUMERS:
            await take_in(other.intake, events)
    await consumer.quarantine.close(kept.id)
    return Outcome(consumer.name, kept.id, kept.request_id, _said(events, rejects), len(rejects))


async def replay_dead_letters(amqp_url: str) -> AsyncIterator[Outcome]:
    """Take every dead letter in; what is still bad goes to quarantine, so that the queues end empty.

    Raises:
        BusDown: RabbitMQ does not answer. What was not acknowledged is still there.
        Exception: one of an intake's `away`; likewise.
    """
    try:
        async with await aio_pika.connect(amqp_url, timeout=CONNECT_S) as connection:
            for consumer in CONSUMERS:
                try:
                    channel = await connection.channel()
                    queue = await channel.get_queue(dead_letters(consumer.queue))
                except ChannelNotFoundEntity:
                    continue
                while (message := await queue.get(fail=False)) is not None:
                    yield await _replay_dead_letter(consumer, message)
    except (*CONNECTION_EXCEPTIONS, TimeoutError) as error:
        raise BusDown(f"RabbitMQ does not answer: {str(error) or type(error).__name__}") from error


async def _replay_dead_letter(consumer: Consumer, message: AbstractIncomingMessage) -> Outcome:
    events, rejects = read(message.body)
    rejects += await _take_in(consumer, events)
    if rejects:
        await consumer.intake.quarantine(rejects)
    await message.ack()
    request_id = events[0].request_id if len(events) == 1 else None
    return Outcome(consumer.name, None, request_id, _said(events, rejects), len(rejects))


def _read(kept: Kept) -> tuple[list[UsageRecorded], list[Reject]]:
    if kept.origin == FROM_OUTBOX:
        try:
            return [billing.event_in(kept.body)], []
        except billing.BadEntry as error:
            return [], [Reject(reason=str(error), body=kept.body, origin=FROM_OUTBOX)]
    # What was one of a batch, and no event, was kept without the batch around it.
    return read(b"[" + kept.body + b"]" if kept.body.startswith(b"{") else kept.body)


async def _take_in(consumer: Consumer, events: Sequence[UsageRecorded]) -> list[Reject]:
    """Takes in what can be; answers the rest instead of putting it into quarantine."""
    rest: list[Reject] = []

    async def collect(rejects: Sequence[Reject]) -> None:
        rest.extend(rejects)

    await take_in(msgspec.structs.replace(consumer.intake, quarantine=collect), events)
    return rest


def _said(events: Sequence[UsageRecorded], rejects: Sequence[Reject]) -> str:
    taken = len(events) - sum(reject.request_id is not None for reject in rejects)
    said = f"taken in: {taken} event{'' if taken == 1 else 's'}"
    return f"{said}; set aside: {len(rejects)}, {rejects[0].reason}" if rejects else said
