"""One fault after another on one rig: load, harm, recovery, and what the checker says; each is a row of the table."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from zlib import crc32

import msgspec

from tests.faults.checker import Books
from tests.faults.load import Load, running
from tests.faults.rig import Rig
from tests.faults.witness import Witness, watching

WARM = 40
"""Answers before anything is harmed."""


class Row(msgspec.Struct, frozen=True):
    """One fault. `recovery_s` is from its end until both gateways serve and the books are quiet and right."""

    fault: str
    requests: int
    missing: int
    doubled: int
    token_difference: int
    overshoot: int
    recovery_s: float

    @property
    def clean(self) -> bool:
        """Whether nothing was lost, doubled, miscounted or overshot."""
        return not (self.missing or self.doubled or self.token_difference or self.overshoot)


Deed = Callable[[Rig, Load], Awaitable[float | None]]
"""Does the harm and undoes it; answers when it ended, in monotonic seconds, where that is not when it returns."""


@dataclass(frozen=True)
class Fault:
    """One fault of the matrix.

    Attributes:
        needs: services without which it cannot be.
        directive: what the engine is told, in the share of requests that are to go wrong.
        blind_ms: how long a gateway can tell Redis nothing before it is killed.
        unheard: whether the engine is killed, and tells of nothing that it was writing.
    """

    name: str
    deed: Deed
    needs: tuple[str, ...] = ()
    directive: str = ""
    blind_ms: float = 0.0
    unheard: bool = False


@dataclass
class Result:
    """A row, and in words all that is wrong with it."""

    row: Row
    wrongs: list[str]
    books: Books
    samples: int

    @property
    def clean(self) -> bool:
        return self.row.clean and not self.wrongs


async def undergo(rig: Rig, fault: Fault) -> Result:
    """One fault, from the first request until the books are quiet again."""
    witness = rig.witness = Witness(lied=rig.witness.lied)
    await asyncio.to_thread(rig.grant)
    ended = time.monotonic()
    trouble: list[str] = []
    async with watching(rig.parts["redis"].url, rig.limits, witness):
        async with running(rig.target, crc32(fault.name.encode()), witness) as load:
            load.lies = "usage" in fault.directive
            load.directive, load.share = fault.directive, 0.2 if fault.directive else 1.0
            try:
                await load.reaches(WARM)
                ended = await fault.deed(rig, load) or time.monotonic()
                await load.serves_again(ended)
            except Exception as error:  # noqa: BLE001 - the matrix goes on, and the row is not clean
                trouble.append(f"{type(error).__name__}: {error}")
        books = await rig.settled(fault.blind_ms)
    recovery = time.monotonic() - ended
    result = _judged(rig, fault, (load, books, recovery), trouble)
    if not result.clean:
        await rig.forgive()
    return result


def _judged(rig: Rig, fault: Fault, seen: tuple[Load, Books, float], trouble: list[str]) -> Result:
    load, books, recovery = seen
    fresh = set(books.unheard) - rig.unheard
    rig.unheard |= fresh
    wrongs = [*trouble, *books.wrongs()]
    if load.witness.bare:
        wrongs.append(f"{len(load.witness.bare)} answers without Retry-After: {load.witness.bare[:3]}")
    if fresh and not fault.unheard:
        wrongs.append(f"{len(fresh)} requests were billed of which the engine knows nothing")
    row = Row(
        fault=fault.name,
        requests=load.asked,
        missing=len(books.missing),
        doubled=len(books.doubled),
        token_difference=books.difference.total(),
        overshoot=rig.overshoot(books),
        recovery_s=round(recovery, 1),
    )
    return Result(row, wrongs, books, load.witness.samples)
