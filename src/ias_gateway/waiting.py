"""Settlements that Redis does not take: after a second they are written into the spool file, and replayed from it.

Memory keeps them too: what the disk does not take, and what Redis takes in the end, is sent from there. The file is for
whoever comes after this process. Replaying is harmless: of two settlements of a request the first one wins.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from typing import TypeVar

from ias_gateway.spool import Record, Spool, of_the_dead, spool_of
from ias_gateway.telemetry import Log, Metrics

WRITTEN_AFTER_S = 1.0
MOST_IN_MEMORY = 2000
"""With more, they are written at once."""

Unsettled = dict[str, tuple[str, bytes]]
_T = TypeVar("_T")


class Waiting:
    """The spool file of this gateway, and what of `unsettled` is in it.

    Args:
        place: the folder of spool files, None for no such file, and the gateway's name.
        unsettled: by request, the organisation's tag and the command; the ledger adds and removes.
    """

    def __init__(self, place: tuple[Path | None, str], unsettled: Unsettled, metrics: Metrics, log: Log) -> None:
        self._folder, self._gateway = place
        self._unsettled = unsettled
        self._metrics = metrics
        self._log = log
        self._spool: Spool | None = None
        self._disk: ThreadPoolExecutor | None = None
        self._written: set[str] = set()
        self._seen: set[str] = set()
        self._look_at = 0.0
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
        self._spool = await self._on_disk(self._open)

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

    def _open(self) -> Spool:
        folder = self._folder or Path()
        mine = spool_of(folder, self._gateway)
        found = self._read(mine)
        for left in of_the_dead(folder, mine.path):
            records = self._read(left)
            try:
                mine.append(records)
            except OSError as error:
                # Its records are in memory; the file stays for the next process.
                self._log.line("error", "a spool file could not be taken over", path=str(left.path), error=str(error))
                left.close()
            else:
                left.remove()
            found += records
        for tag, rid, packed in found:
            self._unsettled[rid] = tag, packed
        self._written.update(rid for _, rid, _ in found)
        self._metrics.spooled.values[()] = len(self._written)
        return mine

    def _read(self, spool: Spool) -> list[Record]:
        records, torn = spool.read()
        if torn:
            self._metrics.spool_torn.values[()] += 1
            self._log.line("error", "a spool file ended in half a record, which is lost", path=str(spool.path))
        if records:
            self._log.line(
                "warning", "settlements of a spool file are replayed", path=str(spool.path), found=len(records)
            )
        return records

    async def _on_disk(self, act: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, act)
