"""One completion under way: what is due is written, what was written is noted, and faults happen when told to."""

import asyncio
from time import time

from ias.dev.engine.engine import Engine
from ias.dev.engine.manner import Manner, Script
from ias.dev.engine.oracle import Written
from ias.dev.engine.outline import Outline
from ias.dev.engine.refusals import error_body
from ias.dev.engine.server import Connection

_BATCH = 512
"""Tokens a write at most, so that a very long answer leaves room for other requests."""


class Generation:
    """One completion, from its first token to its line in the oracle."""

    def __init__(
        self, engine: Engine, connection: Connection, outline: Outline, entry: Written, manner: Manner
    ) -> None:
        self._engine = engine
        self._connection = connection
        self._outline = outline
        self._entry = entry
        self._manner = manner
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | asyncio.Handle | None = None
        self._script: Script | None = None
        self._started = 0.0
        self._at = 0
        self._pause = outline.told.delay_ms / 1000
        self._identity = manner.identity(connection.request.request_id)
        self._blocks = -(-(sum(outline.prompts) + outline.tokens(outline.steps)) // engine.cache.block)
        fault = outline.told.fault_after
        self._faulty = fault is not None and fault <= outline.steps
        self._end = outline.steps if fault is None else min(fault, outline.steps)

    def begin(self) -> None:
        """Take the request on."""
        metrics, told = self._engine.metrics, self._outline.told
        metrics.waiting += 1
        metrics.blocks += self._blocks
        self._connection.job = self
        self._engine.oracle.begin(self._entry)
        if told.first_ms:
            self._timer = self._loop.call_later(told.first_ms / 1000, self._head)
        else:
            self._head()

    # -- the client --------------------------------------------------------------------------------------------------

    def abandon(self) -> None:
        """The client has gone: nothing more is made."""
        if self._started and not self._entry.stream:
            self._generated(min(self._due(), self._end))
        self._finish("aborted" if self._entry.outcome == "running" else self._entry.outcome, "abort")

    def resume(self) -> None:
        """The client reads again."""
        if self._script is not None and self._entry.outcome == "running" and self._timer is None:
            self._write_due()

    # -- tokens ------------------------------------------------------------------------------------------------------

    def _head(self) -> None:
        """A stream's head is there before its first token, as vLLM's is."""
        wait = self._outline.told.prefill_ms
        if self._entry.stream:
            self._connection.begin_stream()
            greeting = self._greeting()
            if greeting or wait or self._end == 0:
                self._connection.write(greeting)
        if wait:
            self._timer = self._loop.call_later(wait / 1000, self._first)
        else:
            self._first()

    def _greeting(self) -> bytes:
        if self._manner.whole is not None:
            return b""
        self._script = self._manner.script(self._outline, self._identity, int(time()))
        return self._script.greeting()

    def _first(self) -> None:
        self._timer = None
        self._started = self._loop.time()
        metrics, outline = self._engine.metrics, self._outline
        metrics.waiting -= 1
        metrics.running += 1
        metrics.prompt_tokens += sum(outline.prompts)
        metrics.cached += outline.cached_tokens
        metrics.first_token(time() - self._entry.started_at)
        if not self._entry.stream:
            last = max(0, self._end - 1) * self._pause
            if last:
                self._timer = self._loop.call_later(last, self._answer)
            else:
                self._answer()
        elif (whole := self._manner.whole) is None or self._pause or self._faulty or outline.steps > _BATCH:
            self._script = self._script or self._manner.script(outline, self._identity, int(time()))
            self._write_due()
        else:
            self._write_whole(whole(outline, self._identity, int(time())))

    def _write_whole(self, frames: bytes) -> None:
        self._note_written(self._outline.steps)
        self._finish("finished")
        self._connection.write(frames, last=True)

    def _write_due(self) -> None:
        """Write all tokens whose time has come, in one piece."""
        self._timer = None
        script = self._script
        if self._connection.paused or script is None:
            return
        due = min(self._due(), self._end, self._at + _BATCH)
        frames = script.opening() if self._at == 0 and due else b""
        frames += script.steps(self._at, due)
        self._note_written(due)
        if due == self._outline.steps and not self._faulty:
            frames += script.closing()
            self._finish("finished")
            self._connection.write(frames, last=True)
            return
        if frames:
            self._connection.write(frames)
        if due == self._end:
            self._fail()
        elif self._pause:
            self._timer = self._loop.call_at(self._started + due * self._pause, self._write_due)
        else:
            self._timer = self._loop.call_soon(self._write_due)

    def _answer(self) -> None:
        self._timer = None
        self._generated(self._end)
        if self._faulty:
            self._fail()
            return
        self._note_written(self._end)
        body = self._manner.body(self._outline, self._identity, int(time()))
        self._finish("finished")
        self._connection.answer(200, body)

    def _due(self) -> int:
        if not self._pause:
            return self._outline.steps
        # The hundredth forgives a timer that fires a hair early.
        return int((self._loop.time() - self._started) / self._pause + 0.01) + 1

    # -- the end -----------------------------------------------------------------------------------------------------

    def _fail(self) -> None:
        """Do what the directive says happens here; of two faults at once the first of these."""
        told, at = self._outline.told, self._outline.told.fault_after
        if told.die_after == at:
            self._entry.outcome = "died"
            self._connection.reset()
        elif told.hang_after == at:
            return
        elif self._entry.stream:
            self._finish("error", "error")
            self._break_off()
        else:
            self._entry.status = 500
            self._finish("error", "error")
            self._connection.answer(500, error_body(500, "Internal server error", "InternalServerError"))

    def _break_off(self) -> None:
        if self._manner.broke:
            self._connection.write(self._manner.broke, last=True)
        else:
            self._connection.job = None
            self._connection.close()

    def _finish(self, outcome: str, reason: str | None = None) -> None:
        """The request is over, for vLLM's counters for this reason or for each choice's own."""
        engine, entry = self._engine, self._entry
        if self._timer is not None:
            self._timer.cancel()
        if self._started:
            engine.metrics.running -= 1
            for answer in self._outline.answers:
                engine.metrics.success[reason or ("length" if answer.finish == "length" else "stop")] += 1
        else:
            engine.metrics.waiting -= 1
        engine.metrics.blocks -= self._blocks
        self._script = None
        entry.outcome, entry.ended_at = outcome, time()
        engine.oracle.end(entry)

    def _note_written(self, steps: int) -> None:
        """So many tokens of each choice are about to be handed to the socket."""
        entry, outline = self._entry, self._outline
        self._at = steps
        if steps:
            entry.prompt_tokens, entry.cached_tokens = outline.prompt_tokens, outline.cached_tokens
        self._generated(steps)
        entry.completion_tokens = outline.told_tokens(steps)

    def _generated(self, steps: int) -> None:
        made = self._outline.tokens(steps)
        self._engine.metrics.generation_tokens += made - self._entry.generated_tokens
        self._entry.generated_tokens = made
