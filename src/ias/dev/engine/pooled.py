"""An answer without tokens of its own: an embedding or a ranking, in one piece, after a wait if one was asked for."""

import asyncio
from time import time

from ias.dev.engine.directives import Behaviour
from ias.dev.engine.engine import Engine
from ias.dev.engine.oracle import Written
from ias.dev.engine.refusals import error_body
from ias.dev.engine.server import Connection


class Pooled:
    """One such request, with `used` prompt tokens, from its wait to its line in the oracle."""

    def __init__(self, engine: Engine, connection: Connection, entry: Written, told: Behaviour, used: int) -> None:
        self._engine = engine
        self._connection = connection
        self._entry = entry
        self._told = told
        self._used = used
        self._timer: asyncio.TimerHandle | None = None
        self._body = b""

    def begin(self, body: bytes) -> None:
        """Take the request on; the body is its answer."""
        self._body = body
        self._engine.metrics.waiting += 1
        self._engine.oracle.begin(self._entry)
        if self._told.first_ms:
            self._connection.job = self
            self._timer = asyncio.get_running_loop().call_later(self._told.first_ms / 1000, self._answer)
        else:
            self._answer()

    def abandon(self) -> None:
        """The client has gone."""
        if self._timer is not None:
            self._timer.cancel()
        self._finish("aborted" if self._entry.outcome == "running" else self._entry.outcome)

    def resume(self) -> None:
        """There is nothing to go on with: the answer is one piece."""

    def _answer(self) -> None:
        if self._told.fault_after is not None:
            self._fail()
            return
        self._engine.metrics.prompt_tokens += self._used
        self._entry.prompt_tokens = self._used
        self._finish("finished")
        self._connection.answer(200, self._body)

    def _fail(self) -> None:
        """No token is ever written, so a fault happens whenever there is one."""
        told, at = self._told, self._told.fault_after
        self._connection.job = self
        if told.die_after == at:
            self._entry.outcome = "died"
            self._connection.reset()
        elif told.hang_after != at:
            self._entry.status = 500
            self._finish("error")
            self._connection.answer(500, error_body(500, "Internal server error", "InternalServerError"))

    def _finish(self, outcome: str) -> None:
        self._engine.metrics.waiting -= 1
        self._entry.outcome, self._entry.ended_at = outcome, time()
        self._engine.oracle.end(self._entry)
