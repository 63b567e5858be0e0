"""A second's work beside the requests': say in Redis that this process lives, and look whether a model is to be tried.

Where Redis takes neither, nothing is said of it here: `/ready` and the metrics tell.
"""

import asyncio
from collections.abc import Callable
from importlib.metadata import version
from time import monotonic, time

from ias.contract import beats, trials
from ias.contract.admission import LIBRARY_VERSION
from ias.contract.beats import DRAINS, EVERY_S, SERVES, STOPPED, TAG, Beat
from ias.contract.trials import Told, Trial
from ias_gateway.addresses import Addresses
from ias_gateway.asked import Reply, Then
from ias_gateway.ending import end
from ias_gateway.log import Log
from ias_gateway.redis import Argument, pack
from ias_gateway.store import Store
from ias_gateway.trial import tried

Counts = Callable[[], tuple[int, int, int]]
"""Requests under way, settlements that Redis has not confirmed, and those of them in the spool file."""


class Beats:
    """This process's sign of life, and the models that it tries when asked.

    Args:
        name: of the gateway.
        counts: what it says of itself.
        store: Redis; and where engines may be.
    """

    def __init__(self, name: str, counts: Counts, store: tuple[Store, Addresses], log: Log) -> None:
        self._name = name
        self._counts = counts
        self._redis, self._addresses = store
        self._log = log
        self._release = version("ias")
        self._started_at = time()
        self._due_at = 0.0
        self._state = SERVES
        self._seen = ""
        self._trial: asyncio.Task[None] | None = None

    def tick(self) -> None:
        """Do what is due."""
        now = monotonic()
        if now < self._due_at or not self._redis.connected:
            return
        self._due_at = now + EVERY_S
        self._say()
        if self._state == SERVES and self._trial is None:
            self._write(trials.LOOK, self._looked)

    def drain(self) -> None:
        """Say from now on that it drains, and try nothing more."""
        self._state, self._due_at = DRAINS, 0.0

    async def stop(self) -> None:
        """Say the last word, and wait until it is on its way."""
        await end(self._trial)
        self._state = STOPPED
        if self._redis.connected:
            self._say()
            # What was written in this turn of the loop leaves at its end.
            await asyncio.sleep(0)

    def _say(self) -> None:
        under_way, unsettled, spooled = self._counts()
        said = Beat(
            name=self._name,
            state=self._state,
            release=self._release,
            library=LIBRARY_VERSION,
            started_at=self._started_at,
            at=time(),
            open=under_way,
            unsettled=unsettled,
            spooled=spooled,
        )
        self._write(beats.beat(said), _ignored)

    def _looked(self, reply: Reply) -> None:
        trial = trials.read_trial(reply)
        if trial is not None and trial.id != self._seen:
            self._seen = trial.id
            self._write(trials.claim(trial.id, self._name), lambda taken: self._claimed(trial, taken))

    def _claimed(self, trial: Trial, taken: Reply) -> None:
        if taken == b"OK" and self._trial is None:
            self._trial = asyncio.get_running_loop().create_task(self._try(trial))

    async def _try(self, trial: Trial) -> None:
        try:
            replicas = await tried(trial, self._addresses)
            self._write(trials.tell(trial.id, Told(self._name, replicas)), _ignored)
            self._log.line("info", "a model was tried", model=trial.route.name, trial=trial.id, replicas=len(replicas))
        except Exception as error:  # noqa: BLE001 - whatever it is, the next trial begins
            self._log.line("error", "a model could not be tried", model=trial.route.name, error=repr(error))
        finally:
            self._trial = None

    def _write(self, command: tuple[Argument, ...], callback: Callable[[Reply], None]) -> None:
        self._redis.write(TAG, Then(callback), pack(command))


def _ignored(reply: Reply) -> None:
    """Whatever Redis says: what is said each second is said again."""
