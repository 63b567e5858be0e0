"""Taking in batches of usage events whatever is in them: each is recorded, or set aside; nothing keeps others back."""

import asyncio
import hashlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from uuid import UUID

import msgspec
from loguru import logger

from ias.contract.usage import VERSION, UsageRecorded, encode_batch
from ias.lag import LAGS
from ias.traces import following

Batch = Sequence[UsageRecorded]

ATTEMPTS: Final = 5
"""After so many failures that are nobody's outage, the events are tried one by one and the guilty one is set aside."""
RETRY_S: Final = (0.1, 0.2, 0.5, 1.0)
AWAY_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
TOGETHER: Final = 4000
"""Events of one transaction, where so many wait; one message more may go over it."""
AT_ONCE: Final = 2
"""Transactions of one consumer: while PostgreSQL works on one, the next is made ready."""

_RAW = msgspec.json.Decoder(list[msgspec.Raw])
_BATCH = msgspec.json.Decoder(list[UsageRecorded])
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


class Inlet:
    """A queue's way into one intake: messages that wait go into one transaction together; none waits for company."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._waiting: deque[_Message] = deque()
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def take(self, body: bytes) -> bool:
        """Take in a message, however long the store is away; returns when that is committed.

        Answers False where it is no batch at all.
        """
        message = _Message(body)
        self._waiting.append(message)
        async with self._turns:
            # What was cancelled before its turn still waits ahead, and may fill a transaction by itself.
            while not message.begun:
                await self._take_next()
        return await message.taken

    async def _take_next(self) -> None:
        """Take in the message that waits longest, and those after it as far as they fit."""
        messages, events, rejects = self._next()
        try:
            await _take_patiently(self._intake, events, rejects)
        except asyncio.CancelledError:
            for message in messages:
                message.taken.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - it is raised where the message came in
            for message in messages:
                message.fail(error)
        else:
            for message in messages:
                message.done()

    def _next(self) -> tuple[list["_Message"], list[UsageRecorded], list[Reject]]:
        messages: list[_Message] = []
        events: list[UsageRecorded] = []
        rejects: list[Reject] = []
        while self._waiting and len(events) < TOGETHER:
            message = self._waiting.popleft()
            message.begun = True
            some, bad = read(message.body)
            message.is_batch = bool(some) or not bad
            messages.append(message)
            events += some
            rejects += bad
        return messages, events, rejects


class _Message:
    """A message of the queue on its way."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.begun = False
        self.is_batch = True
        self.taken: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def done(self) -> None:
        """What is in it is committed."""
        if not self.taken.done():
            self.taken.set_result(self.is_batch)

    def fail(self, error: Exception) -> None:
        """Whether what is in it was committed is not known; the queue will bring it again."""
        if not self.taken.done():
            self.taken.set_exception(error)


async def _take_patiently(intake: Intake, events: Batch, rejects: Sequence[Reject]) -> None:
    failed = 0
    while True:
        try:
            if rejects:
                await intake.quarantine(rejects)
            return await take_in(intake, events)
        except intake.away as error:
            if not failed:
                logger.warning("{} waits for its store: {}", intake.name, error)
        await asyncio.sleep(AWAY_S[min(failed, len(AWAY_S) - 1)])
        failed += 1


def read(body: bytes) -> tuple[list[UsageRecorded], list[Reject]]:
    """The events of a message; what is not one, or not of this release's version, comes as rejects."""
    try:
        events = _BATCH.decode(body)
    except msgspec.MsgspecError:
        return _read_one_by_one(body)
    if all(event.version == VERSION for event in events):
        return events, []
    return _read_one_by_one(body)


def _read_one_by_one(body: bytes) -> tuple[list[UsageRecorded], list[Reject]]:
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
    with following("process", intake.name, events):
        await _record_or_reject(intake, events)
    LAGS.observe(intake.name, [event.settled_at for event in events])


async def _record_or_reject(intake: Intake, events: Batch) -> None:
    faults = list(map(intake.fault_in, events))
    rejects = [Reject.of(event, fault) for event, fault in zip(events, faults, strict=True) if fault is not None]
    good = [event for event, fault in zip(events, faults, strict=True) if fault is None] if rejects else list(events)
    rejects += await _record(intake, good)
    if rejects:
        logger.error("{} set aside {} events: {}", intake.name, len(rejects), rejects[0].reason)
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
