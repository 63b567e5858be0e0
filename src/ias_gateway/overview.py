"""`/health`, `/ready`, `/metrics` of all workers as one, answered by their supervisor."""

import asyncio
from collections.abc import Sequence
from time import monotonic

import msgspec

from ias_gateway.exchange import Exchange
from ias_gateway.health import EXPOSITION, OK, UNKNOWN_PROBE, serves
from ias_gateway.shared_metrics import Families, Family, expose, total
from ias_gateway.worker import Worker

REPORT_WITHIN_S = 2.5
"""Longer than a worker waits for Redis."""
States = dict[str, str]


class Overview:
    """Answers the probes for all workers."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self._workers = workers

    async def answer(self, exchange: Exchange) -> None:
        """One probe."""
        if exchange.path == b"/health":
            alive = any(worker.life is not None for worker in self._workers)
            exchange.answer(200 if alive else 503, self._health())
        elif exchange.path == b"/ready":
            states = await self._states()
            ready = all(map(serves, states.values()))
            body = {"ready": ready, "dependencies": together(states), "workers": states}
            exchange.answer(200 if ready else 503, msgspec.json.encode(body))
        elif exchange.path == b"/metrics":
            await self._reports()
            exchange.answer(200, expose(self._families()), content_type=EXPOSITION)
        else:
            exchange.answer(404, UNKNOWN_PROBE)

    async def watch(self, every: float) -> None:
        """Have each worker report now and then, so that of one that is killed little is lost."""
        while True:
            await asyncio.sleep(every)
            await self._reports()

    async def _reports(self) -> None:
        await asyncio.gather(*(worker.report(REPORT_WITHIN_S) for worker in self._workers))

    async def _states(self) -> dict[str, States]:
        reports = await asyncio.gather(*(worker.report(REPORT_WITHIN_S) for worker in self._workers))
        return {
            str(worker.index): report.states if report else {"process": _why_silent(worker)}
            for worker, report in zip(self._workers, reports, strict=True)
        }

    def _health(self) -> bytes:
        workers = {
            str(worker.index): {
                "status": worker.condition,
                "pid": worker.life.process.pid if worker.life else None,
                "silent_s": round(monotonic() - worker.life.heard_at, 1) if worker.life else None,
                "restarts": worker.restarts,
            }
            for worker in self._workers
        }
        return msgspec.json.encode({"status": "alive", "workers": workers})

    def _families(self) -> Families:
        up, restarts = "ias_gateway_worker_up", "ias_gateway_worker_restarts_total"
        own = {
            up: Family("1 while the worker runs.", "gauge", {}),
            restarts: Family("Processes of the worker that ended without having been told to.", "counter", {}),
        }
        for worker in self._workers:
            label = f'{{worker="{worker.index}"}}'
            own[up].samples[up + label] = float(worker.life is not None)
            own[restarts].samples[restarts + label] = worker.restarts
        return total([worker.families for worker in self._workers]) | own


def together(states: dict[str, States]) -> States:
    """Each dependency once: `ok` where all workers say so, else the first that does not, and what it says."""
    whole: States = {}
    for worker, each in states.items():
        for name, state in each.items():
            if whole.get(name, OK) == OK:
                whole[name] = state if state == OK else f"worker {worker}: {state}"
    return whole


def _why_silent(worker: Worker) -> str:
    return worker.condition if worker.life is None else f"does not answer within {REPORT_WITHIN_S:g} s, or starts"
