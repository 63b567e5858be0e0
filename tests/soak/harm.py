"""What is done to the product while it serves, one thing after another; the last part of a soak is left in peace."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine, Sequence
from enum import StrEnum
from time import monotonic

from tests.product.processes import Process
from tests.soak.judge import Harm, Window
from tests.soak.place import Place

FEEL_S = 2.0
"""After a kill, until every connection to the dead is known to be broken. Nothing else is done meanwhile."""
WITHIN_S = 60.0

Say = Callable[[str], None]


class Deed(StrEnum):
    """What is done. Windows open for what clients may notice; the other deeds nobody must notice."""

    REPLICA_LEAVES = "a replica leaves the route, ends, starts and joins again"
    REPLICA_DIES = "a replica is killed and comes back"
    LEDGER_WORKER_DIES = "the ledger's worker is killed and comes back"
    API_DIES = "the management API is killed and comes back"
    GATEWAY_WORKER_DIES = "a worker of the gateway is killed"
    GATEWAY_RESTARTS = "the gateway drains and starts again"


class Harms:
    """The deeds of a soak and the windows in which they may be felt. Times are seconds since it began."""

    def __init__(self, place: Place, began: float, say: Say) -> None:
        self.windows: list[Window] = []
        self.done: list[str] = []
        self._place = place
        self._began = began
        self._say = say

    async def run(self, seconds: float, deeds: Sequence["Deed"]) -> None:
        """Do all of it in the first half of so many seconds, if that suffices."""
        for number, deed in enumerate(deeds):
            at = seconds * (0.06 + 0.4 * number / len(deeds))
            await asyncio.sleep(max(0.0, at - self._now()))
            self._say(f"{self._now():.0f} s: {deed}")
            await self._verb(deed)
            self.done.append(deed)

    def _verb(self, deed: "Deed") -> Coroutine[None, None, None]:
        match deed:
            case Deed.REPLICA_LEAVES:
                return self._replica_leaves_and_comes()
            case Deed.REPLICA_DIES:
                return self._replica_dies()
            case Deed.LEDGER_WORKER_DIES:
                return self._dies("worker")
            case Deed.API_DIES:
                return self._dies("api")
            case Deed.GATEWAY_WORKER_DIES:
                return self._gateway_worker_dies()
            case Deed.GATEWAY_RESTARTS:
                return self._gateway_restarts()

    async def _replica_leaves_and_comes(self) -> None:
        """In order: nobody notices, so that no window opens."""
        place = self._place
        await asyncio.to_thread(place.route, place.engines[0])
        await _until(lambda: place.running(1) == 0)
        await asyncio.to_thread(place.second.end)
        await asyncio.to_thread(_begin, place.second)
        await asyncio.to_thread(place.route, *place.engines)

    async def _replica_dies(self) -> None:
        begins = self._now()
        await asyncio.to_thread(self._place.second.kill)
        await self._felt(Harm.REPLICA_KILLED, begins)
        await asyncio.to_thread(_begin, self._place.second)

    async def _gateway_worker_dies(self) -> None:
        """Its supervisor starts it again."""
        place = self._place
        before = await asyncio.to_thread(place.workers)
        begins, pid = self._now(), before["0"]
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await self._felt(Harm.GATEWAY_WORKER_KILLED, begins)
        await _until(lambda: place.workers()["0"] not in {None, pid})
        await asyncio.to_thread(place.gateway.wait_ready)

    async def _gateway_restarts(self) -> None:
        """Whoever comes between its end and its new beginning finds nobody there."""
        gateway, begins = self._place.gateway, self._now()
        assert await asyncio.to_thread(gateway.end) == 0
        await asyncio.to_thread(_begin, gateway)
        self.windows.append(Window(Harm.GATEWAY_RESTARTED, begins, self._now()))

    async def _dies(self, name: str) -> None:
        """Whoever asks the gateway must not notice."""
        process = self._place.product.processes[name]
        await asyncio.to_thread(process.kill)
        await asyncio.to_thread(_begin, process)

    async def _felt(self, harm: Harm, begins: float) -> None:
        self.windows.append(Window(harm, begins, self._now() + FEEL_S))
        await asyncio.sleep(FEEL_S)

    def _now(self) -> float:
        return monotonic() - self._began


def _begin(process: Process) -> None:
    process.start()
    process.wait_ready()


async def _until(true: Callable[[], bool]) -> None:
    """Wait until something is true.

    Raises:
        TimeoutError: it is not, in time.
    """
    until = monotonic() + WITHIN_S
    while not await asyncio.to_thread(true):
        if monotonic() > until:
            raise TimeoutError
        await asyncio.sleep(0.1)
