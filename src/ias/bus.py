"""RabbitMQ: the exchange and queues of usage, confirmed publishing, and how a batch is taken in whatever is in it."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import msgspec

from ias.contract.usage import UsageRecorded, encode_batch

Batch = Sequence[UsageRecorded]


class Unfit(Exception):
    """The store refuses something in a batch; which event it is shows when they are given one by one."""


class Reject(msgspec.Struct, frozen=True, kw_only=True):
    """An event that cannot be taken in, as it came, and why."""

    reason: str
    body: bytes
    origin: str = "queue"
    request_id: UUID | None = None
    line: int | None = None

    @classmethod
    def of(cls, event: UsageRecorded, reason: str) -> "Reject":
        """An event that could be read."""
        body = encode_batch((event,))
        return cls(reason=reason, body=body, request_id=event.request_id, line=event.line)

    def row(self) -> tuple[object, ...]:
        """Columns of a quarantine table: request_id, line, origin, reason, body, body_hash."""
        body_hash = hashlib.sha256(self.body).digest()
        return (self.request_id, self.line, self.origin, self.reason, self.body, body_hash)


class Intake(msgspec.Struct, frozen=True):
    """One consumer of usage: what it takes in, what it refuses beforehand, and where it sets aside what it cannot.

    Attributes:
        fault_in: why an event can never be recorded, None where it may be.
        record: records a batch in one transaction and answers what contradicts what it has.
        quarantine: keeps rejects for people to look at.
    """

    fault_in: Callable[[UsageRecorded], str | None]
    record: Callable[[Batch], Awaitable[list[Reject]]]
    quarantine: Callable[[Sequence[Reject]], Awaitable[None]]


async def take_in(intake: Intake, events: Batch) -> None:
    """Record every event that can be recorded and quarantine the others; returns when that is committed.

    Whatever `record` and `quarantine` raise besides Unfit comes through: the store is away, and all of it is to be
    taken in again.
    """
    faults = [(event, intake.fault_in(event)) for event in events]
    rejects = [Reject.of(event, fault) for event, fault in faults if fault is not None]
    rejects += await _record(intake, [event for event, fault in faults if fault is None])
    if rejects:
        await intake.quarantine(rejects)


async def _record(intake: Intake, events: Batch) -> list[Reject]:
    """Records in halves where the whole is refused, so that one poisoned event does not keep the others back."""
    if not events:
        return []
    try:
        return await intake.record(events)
    except Unfit as error:
        if len(events) == 1:
            return [Reject.of(events[0], str(error))]
    middle = len(events) // 2
    return await _record(intake, events[:middle]) + await _record(intake, events[middle:])
