"""Taking in batches, with a store that does as it is told: no database is imitated, only what it raises."""

from collections.abc import Sequence
from uuid import UUID

import msgspec
import pytest

from ias.contract.usage import UsageRecorded, encode_batch
from ias.intake import Batch, Intake, Reject, Unfit, read, take_in, take_message
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
        self.rejects: list[Reject] = []

    async def record(self, events: Batch) -> list[Reject]:
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

    assert await take_message(store.intake, encode_batch(events(2)))
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

    assert not await take_message(store.intake, b"junk")
    assert [reject.body for reject in store.rejects] == [b"junk"]


async def test_an_empty_batch_is_nothing_to_do() -> None:
    store = Store()

    assert await take_message(store.intake, b"[]")
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
