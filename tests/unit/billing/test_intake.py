"""Taking in batches, with a store that does as it is told: no database is imitated, only what it raises."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import msgspec
import pytest

from ias.contract.usage import UsageRecorded, encode_batch
from ias.intake import TOGETHER, Batch, Inlet, Intake, Reject, Unfit, read, take_in
from tests.unit.billing.test_ledger import an_event


class Away(Exception):
    """The store is away."""


class Store:
    """Keeps what it is given; `poison` are request ids that it refuses, `failures` what it raises first."""

    def __init__(self, poison: Sequence[int] = (), failures: Sequence[Exception] = (), bug: bool = False) -> None:
        self.poison = {UUID(int=number) for number in poison}
        self.failures = list(failures)
        self.bug = bug
        self.kept: list[UUID] = []
        self.batches: list[int] = []
        self.open = asyncio.Event()
        self.open.set()
        self.rejects: list[Reject] = []

    async def record(self, events: Batch) -> list[Reject]:
        self.batches.append(len(events))
        await self.open.wait()
        if self.failures:
            raise self.failures.pop(0)
        if any(event.request_id in self.poison for event in events):
            raise TypeError("a bug") if self.bug else Unfit("does not fit")
        self.kept += [event.request_id for event in events]
        return []

    async def quarantine(self, rejects: Sequence[Reject]) -> None:
        self.rejects += rejects

    @property
    def intake(self) -> Intake:
        return Intake("test", lambda event: "line 0" if event.line < 1 else None, self.record, self.quarantine, (Away,))


def events(count: int) -> list[UsageRecorded]:
    return [an_event(request_id=UUID(int=number)) for number in range(count)]


async def test_one_poisoned_event_in_a_thousand_is_set_aside_and_the_others_are_kept() -> None:
    store = Store(poison=[617])

    await take_in(store.intake, events(1000))

    assert len(store.kept) == 999
    assert [reject.request_id for reject in store.rejects] == [UUID(int=617)]


async def test_what_can_never_be_recorded_is_set_aside_beforehand() -> None:
    store = Store()

    await take_in(store.intake, [an_event(), an_event(line=0)])

    assert (store.kept, [reject.reason for reject in store.rejects]) == ([UUID(int=1)], ["line 0"])


async def test_a_store_that_is_away_is_not_the_events_fault() -> None:
    store = Store(failures=[Away()])

    with pytest.raises(Away):
        await take_in(store.intake, events(2))
    assert store.rejects == []


async def test_a_message_waits_for_a_store_that_is_away() -> None:
    store = Store(failures=[Away()])

    assert await Inlet(store.intake).take(encode_batch(events(2)))
    assert len(store.kept) == 2


async def test_a_failure_that_passes_sets_nothing_aside() -> None:
    store = Store(failures=[RuntimeError("once")])

    await take_in(store.intake, events(2))

    assert (len(store.kept), store.rejects) == (2, [])


async def test_an_event_that_fails_every_time_is_set_aside_alone() -> None:
    store = Store(poison=[1], bug=True)

    await take_in(store.intake, events(3))

    assert store.kept == [UUID(int=0), UUID(int=2)]
    assert [reject.reason for reject in store.rejects] == ["TypeError: a bug"]


async def test_a_message_that_is_no_batch_goes_to_the_dead_letters() -> None:
    store = Store()

    assert not await Inlet(store.intake).take(b"junk")
    assert [reject.body for reject in store.rejects] == [b"junk"]


async def test_an_empty_batch_is_nothing_to_do() -> None:
    store = Store()

    assert await Inlet(store.intake).take(b"[]")
    assert (store.kept, store.rejects) == ([], [])


def test_bad_events_of_a_message_are_told_from_good_ones() -> None:
    good = msgspec.json.encode(an_event())
    newer = msgspec.json.encode({**msgspec.to_builtins(an_event()), "version": 2})

    taken, rejects = read(b"[" + b",".join([good, b'{"line": 1}', newer]) + b"]")

    assert taken == [an_event()]
    assert [reject.reason.partition(":")[0] for reject in rejects] == [
        "not an event",
        "version 2 is unknown to this release",
    ]


async def queued(store: Store, bodies: Sequence[bytes], inlet: Inlet | None = None) -> list[asyncio.Task[bool]]:
    """Messages that arrive while the store is busy with others."""
    inlet = inlet or Inlet(store.intake)
    store.open.clear()
    tasks = [asyncio.ensure_future(inlet.take(body)) for body in bodies]
    for _ in range(10):
        await asyncio.sleep(0)
    return tasks


async def test_a_message_waits_for_no_company_and_those_that_wait_go_together() -> None:
    store = Store()
    tasks = await queued(store, [encode_batch(events(3)) for _ in range(7)])
    assert store.batches == [3, 3]

    store.open.set()

    assert await asyncio.gather(*tasks) == [True] * 7
    assert store.batches == [3, 3, 15]


async def test_a_transaction_takes_no_more_messages_once_it_is_full() -> None:
    store = Store()
    tasks = await queued(store, [encode_batch(events(TOGETHER - 1)) for _ in range(6)])

    store.open.set()
    await asyncio.gather(*tasks)

    assert store.batches == [TOGETHER - 1] * 2 + [2 * TOGETHER - 2] * 2


async def test_a_message_that_is_no_batch_goes_to_the_dead_letters_alone() -> None:
    store = Store(poison=[1])
    good = encode_batch(events(1))
    tasks = await queued(store, [good, good, good, b"junk", encode_batch(events(2)), b'[{"line": 1}]', good])

    store.open.set()

    assert await asyncio.gather(*tasks) == [True, True, True, False, True, False, True]
    assert sorted(reject.reason.partition(":")[0] for reject in store.rejects) == [
        "does not fit",
        "not a batch",
        "not an event",
    ]


async def test_a_message_is_answered_only_after_all_of_it_was_recorded() -> None:
    store = Store(failures=[Away()])
    tasks = await queued(store, [encode_batch(events(1))])
    assert not tasks[0].done()

    store.open.set()

    assert await tasks[0]
    assert len(store.kept) == 1


async def test_what_goes_wrong_with_a_transaction_is_told_to_each_of_its_messages() -> None:
    store = Store()

    async def broken(rejects: Sequence[Reject]) -> None:
        raise RuntimeError("no quarantine")

    store.quarantine = broken
    tasks = await queued(store, [encode_batch(events(1)), encode_batch(events(1)), b"junk", b"more junk"])

    store.open.set()

    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert answers[:2] == [True, True]
    assert [str(answer) for answer in answers[2:]] == ["no quarantine"] * 2


async def test_a_cancelled_transaction_cancels_its_messages_and_the_next_goes_on() -> None:
    store = Store()
    good = encode_batch(events(1))
    tasks = await queued(store, [good] * 4)

    tasks[0].cancel()
    store.open.set()

    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert answers[1:] == [True, True, True]


async def test_messages_whose_takers_went_keep_none_behind_them_waiting() -> None:
    store = Store()
    whole = encode_batch(events(TOGETHER))
    inlet = Inlet(store.intake)
    tasks = await queued(store, [whole] * 5, inlet)
    for task in tasks[2:]:
        task.cancel()
    await asyncio.gather(*tasks[2:], return_exceptions=True)
    last = asyncio.ensure_future(inlet.take(encode_batch(events(1))))

    store.open.set()

    assert await asyncio.gather(*tasks[:2], last) == [True] * 3
