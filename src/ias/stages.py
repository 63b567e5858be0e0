"""Stages: work that goes on turn after turn until it is told to stop, whatever fails in between."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from loguru import logger
from prometheus_client import Counter, Gauge

FAILURES = Counter("ias_stage_failures", "Turns of a stage that failed and are tried again.", ["stage"])
UP = Gauge("ias_stage_up", "Whether the last turn of a stage went through.", ["stage"])

RETRY_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Rests after one, two, three, … failed turns in a row."""

Turn = Callable[[], Awaitable[float]]
"""One turn; answers how many seconds to rest."""


class Stages:
    """The stages of one process, and the word that ends them. A turn that was begun is finished."""

    def __init__(self) -> None:
        self.stopping = asyncio.Event()

    async def keep(self, name: str, turn: Turn) -> None:
        """Turn after turn; one that fails is logged, the first time in a row, and tried again after a while."""
        failed = 0
        while not self.stopping.is_set():
            try:
                rest = await turn()
            except Exception as error:  # noqa: BLE001 - whatever it was, the next turn and the other stages go on
                FAILURES.labels(name).inc()
                failed += 1
                rest = RETRY_S[min(failed, len(RETRY_S)) - 1]
                _tell_failure(name, failed, error)
            else:
                if failed:
                    logger.bind(stage=name).info("{} goes on after {} failures", name, failed)
                failed = 0
            UP.labels(name).set(not failed)
            await self.rest(rest)

    async def wait_for(self, what: str, attempt: Callable[[], Awaitable[None]]) -> None:
        """Try each second until it succeeds, or until told to stop; says once what is missing."""
        said = False
        while not self.stopping.is_set():
            try:
                await attempt()
            except Exception as error:  # noqa: BLE001 - whatever it was, it may be well in a second
                if not said:
                    logger.warning("waiting for {}: {}", what, error)
                said = True
                await self.rest(1.0)
            else:
                return

    async def rest(self, seconds: float) -> None:
        """Wait, but no longer than until told to stop."""
        try:
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
        except TimeoutError:
            pass


def every(seconds: float, job: Callable[[], Awaitable[None]]) -> Turn:
    """A clock: the job, and then a rest."""

    async def turn() -> float:
        await job()
        return seconds

    return turn


def _tell_failure(name: str, failed: int, error: Exception) -> None:
    if failed == 1:
        logger.bind(stage=name).opt(exception=error).warning("{} failed and is tried again", name)
    else:
        logger.bind(stage=name).debug("{} failed {} times: {}", name, failed, error)
