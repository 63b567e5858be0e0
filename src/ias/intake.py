"""Taking in batches of usage events whatever is in them: each is recorded, or set aside; nothing keeps others back."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from uuid import UUID

import msgspec
from loguru import logger
from prometheus_client import Histogram

from ias.contract.usage import VERSION, UsageRecorded, encode_batch
from ias.telemetry import now

LAG = Histogram(
    "ias_usage_lag_seconds",
    "From settlement in Redis until a stage was done with it.",
    ["stage"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)

Batch = Sequence[UsageRecorded]

ATTEMPTS: Final = 5
"""After so many failures that are nobody's outage, the events are tried one by one and the guilty one is set aside."""
RETRY_S: Final = (0.1, 0.2, 0.5, 1.0)
AWAY_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)

_RAW = msgspec.json.Decoder(list[msgspec.Raw])
_EVENT = msgspec.json.Decoder(UsageRecorded)


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
        return cls(reason=reason, body=encode_batch((event,)), request_id=event.request_id, line=event.line)

    def row(self) -> tuple[object, ...]:
        """Columns of a quarantine table: request_id, line, origin, reason, body, body_hash."""
        body_hash = hashlib.sha256(self.body).digest()
        return (self.request_id, self.line, self.origin, self.reason, self.body, body_hash)


class Intake(msgspec.Struct, frozen=True):
    """One consumer of usage.

    Attributes:
        name: for logs.
        fault_in: why an event can never be recorded, None where it may be.
        record: records a batch in one transaction and answers what contradicts what it has.
        quarantine: keeps rejects for people to look at.
        away: what the two raise where their store is away, or not as it should be: nothing is wrong with the events.
    """

    name: str
    fault_in: Callable[[UsageRecorded], str | None]
    record: Callable[[Batch], Awaitable[list[Reject]]]
    quarantine: Callable[[Sequence[Reject]], Awaitable[None]]
    away: tuple[type[Exception], ...]


async def take_in(intake: Intake, events: Batch) -> None:
    """Record every event that can be recorded and set aside the others; returns when that is committed.

    Raises:
        Exception: one of `intake.away`; all of the batch is to be taken in again.
    """
    for rest in RETRY_S:
        try:
            return await _take_in(intake, events)
        except intake.away:
            raise
        except Exception as error:  # noqa: BLE001 - a fault of ours; it must not keep the queue waiting for ever
            logger.opt(exception=error).error("{} could not take in a batch of {}", intake.name, len(events))
        await asyncio.sleep(rest)
    return await _take_in(_blaming(intake), events)


async def take_message(intake: Intake, body: bytes) -> bool:
    """Take in a message of the queue, however long the store is away. Answers False where it is no batch at all."""
    failed = 0
    while True:
        try:
            return await _take_message(intake, body)
        except intake.away as error:
            if not failed:
                logger.warning("{} waits for its store: {}", intake.name, error)
        await asyncio.sleep(AWAY_S[min(failed, len(AWAY_S) - 1)])
        failed += 1


async def _take_message(intake: Intake, body: bytes) -> bool:
    events, rejects = read(body)
    if rejects:
        await intake.quarantine(rejects)
    await take_in(intake, events)
    return bool(events) or not rejects


def read(body: bytes) -> tuple[list[UsageRecorded], list[Reject]]:
    """The events of a message; what is not one, or not of this release's version, comes as rejects."""
    try:
        items = _RAW.decode(body)
    except msgspec.MsgspecError as error:
        return [], [Reject(reason=f"not a batch: {error}", body=body)]
    events: list[UsageRecorded] = []
    rejects: list[Reject] = []
    for item in items:
        raw = bytes(item)
        try:
            event = _EVENT.decode(raw)
        except msgspec.MsgspecError as error:
            rejects.append(Reject(reason=f"not an event: {error}", body=raw))
            continue
        if event.version == VERSION:
            events.append(event)
        else:
            rejects.append(Reject(reason=f"version {event.version} is unknown to this release", body=raw))
    return events, rejects


async def _take_in(intake: Intake, events: Batch) -> None:
    faults = [(event, intake.fault_in(event)) for event in events]
    rejects = [Reject.of(event, fault) for event, fault in faults if fault is not None]
    rejects += await _record(intake, [event for event, fault in faults if fault is None])
    if rejects:
        logger.error("{} set aside {} events: {}", intake.name, len(rejects), rejects[0].reason)
        await intake.quarantine(rejects)
    told_of(intake.name, events)


def told_of(stage: str, events: Batch) -> None:
    """Measure how long after settlement a stage is done with these."""
    moment = now()
    for event in events:
        LAG.labels(stage).observe(max(0.0, (moment - event.settled_at).total_seconds()))


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


def _blaming(intake: Intake) -> Intake:
    """The same, where whatever fails is laid to the events."""

    async def record(events: Batch) -> list[Reject]:
        try:
            return await intake.record(events)
        except intake.away:
            raise
        except Exception as error:
            raise Unfit(f"{type(error).__name__}: {error}") from error

    return msgspec.structs.replace(intake, record=record)
