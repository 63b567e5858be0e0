"""Settlements that Redis does not take: after a second they are written into the spool file, and replayed from it.

Memory keeps them too: what the disk does not take, and what Redis takes in the end, is sent from there. The file is for
whoever comes after this process, or runs beside it: every few seconds it looks for files whose process has ended.
Replaying is harmless: of two settlements of a request the first one wins.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import uniform
from time import monotonic
from typing import TypeVar

from ias_gateway.ledger import Ledger
from ias_gateway.log import Log
from ias_gateway.spool import Found, Spool, found_in, of_the_dead, spool_of, taken_over
from ias_gateway.telemetry import Metrics

WRITTEN_AFTER_S = 1.0
MOST_IN_MEMORY = 2000
"""With more, they are written at once."""
INHERIT_EVERY_S = 10.0
"""Between two looks for what a gateway left that has ended; with up to half as much more, for many look."""

_T = TypeVar("_T")


class Waiting:
    """The spool file of this gateway, and what of `unsettled` is in it.

    Args:
        place: the folder of spool files, None for no such file, and the gateway's name.
        ledger: which has by request, in `unsettled`, the organisation's tag and the command.
    """

    def __init__(self, place: tuple[Path | None, str], ledger: Ledger, metrics: Metrics, log: Log) -> None:
        self._folder, self._gateway = place
        self._unsettled = ledger.unsettled
        self._send = ledger.send
        self._metrics = metrics
        self._log = log
        self._spool: Spool | None = None
        self._disk: ThreadPoolExecutor | None = None
        self._written: set[str] = set()
        self._seen: set[str] = set()
        self._look_at = 0.0
        self._inherit_at = 0.0
        self._writing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the file, and take in what it and those of dead processes hold.

        Raises:
            OSError: there can be no such file.
        """
        if self._folder is None:
            self._log.line(
                "info", "IAS_SPOOL_DIR is not set: with Redis away, what waits for it ends with this process"
            )
            return
        self._disk = ThreadPoolExecutor(1, "spool")
        self._spool, found = await self._on_disk(self._open)
        self._take_in(found)
        self._inherit_at = _later()

    def tick(self) -> None:
        """Write what waits too long, forget what has been taken; both behind the event loop's back."""
        if self._spool is None or self._writing is not None:
            return
        now = monotonic()
        late: set[str] = set()
        if len(self._unsettled) > MOST_IN_MEMORY:
            late = self._unsettled.keys() - self._written
        elif now >= self._look_at:
            late = (self._seen & self._unsettled.keys()) - self._written
            self._seen, self._look_at = set(self._unsettled), now + WRITTEN_AFTER_S
        done = self._written and self._written.isdisjoint(self._unsettled)
        if late or done:
            self._writing = asyncio.get_running_loop().create_task(self._write(late))
        elif now >= self._inherit_at:
            self._inherit_at = _later()
            self._writing = asyncio.get_running_loop().create_task(self._inherit(self._spool))

    async def stop(self) -> None:
        """Write all that waits, and let go of the file; nothing is left of it where nothing waits."""
        if self._spool is None:
            return
        if self._writing is not None:
            await self._writing
        await self._write(self._unsettled.keys() - self._written)
        await self._on_disk(self._spool.close if self._written else self._spool.remove)
        if self._disk is not None:
            self._disk.shutdown()
        self._spool = None

    async def _write(self, late: set[str]) -> None:
        """Empty the file where nothing of it waits, add these, tell."""
        spool = self._spool
        if spool is None:
            return
        try:
            if self._written and self._written.isdisjoint(self._unsettled):
                await self._on_disk(spool.clear)
                self._written.clear()
            records = [
                (*self._unsettled[rid][:1], rid, self._unsettled[rid][1]) for rid in late & self._unsettled.keys()
            ]
            if records:
                await self._on_disk(lambda: spool.append(records))
                self._written.update(rid for _, rid, _ in records)
                self._log.line(
                    "warning", "settlements that Redis does not take are in the spool file", written=len(records)
                )
        except OSError as error:
            self._metrics.spool_failures.values[()] += 1
            waiting = len(self._unsettled)
            self._log.line("error", "the spool file could not be written", error=str(error), in_memory_only=waiting)
        finally:
            self._metrics.spooled.values[()] = len(self._written)
            self._writing = None

    def _open(self) -> tuple[Spool, list[Found]]:
        folder = self._folder or Path()
        mine = spool_of(folder, self._gateway)
        return mine, [found_in(mine), *(taken_over(mine, left) for left in of_the_dead(folder, mine.path))]

    async def _inherit(self, mine: Spool) -> None:
        """Take over what gateways have left that ended since the last look."""
        folder = self._folder or Path()
        try:
            left = await self._on_disk(
                lambda: [taken_over(mine, one) for one in of_the_dead(folder, mine.path, filled=True)]
            )
            self._take_in(left)
        except OSError as error:
            self._log.line("error", "no spool files could be looked for", error=str(error))
        finally:
            self._writing = None

    def _take_in(self, files: list[Found]) -> None:
        """Send what was found, and tell of it."""
        for found in files:
            path, records = str(found.path), found.records
            if found.torn:
                self._metrics.spool_torn.values[()] += 1
                self._log.line("error", "a spool file ended in half a record, which is lost", path=path)
            if found.failure:
                self._log.line("error", "a spool file could not be taken over", path=path, error=found.failure)
            if records:
                self._log.line("warning", "settlements of a spool file are replayed", path=path, found=len(records))
            for tag, rid, packed in records:
                self._send(tag, rid, packed)
            self._written.update(rid for _, rid, _ in records)
        self._metrics.spooled.values[()] = len(self._written)

    async def _on_disk(self, act: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, act)


def _later() -> float:
    return monotonic() + INHERIT_EVERY_S * uniform(1.0, 1.5)  # noqa: S311 - no secret
