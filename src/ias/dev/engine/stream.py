"""A stream under way: events are written when they are due, all that are due at once in one write."""

import asyncio
from typing import Protocol

from ias.dev.engine import shapes
from ias.dev.engine.directives import Behaviour
from ias.dev.engine.shapes import Envelope, Usage

NOTHING = b""


class Out(Protocol):
    """The client's connection, as a stream uses it."""

    def write(self, data: bytes) -> None:
        """Write out."""

    def die(self) -> None:
        """Reset the connection."""

    def ended(self, outcome: str) -> None:
        """The stream is over: finished, died or error."""


class Plan:
    """What a stream will say: words of each choice, how often usage is told, and how it behaves."""

    __slots__ = ("behaviour", "continuous", "envelope", "finish", "include", "usage", "words")

    def __init__(self, envelope: Envelope, words: list[list[str]], finish: str, usage: Usage) -> None:
        self.envelope = envelope
        self.words = words
        self.finish = finish
        self.usage = usage
        self.include = False
        self.continuous = False
        self.behaviour = Behaviour()

    @property
    def total(self) -> int:
        """Tokens of all choices."""
        return len(self.words) * len(self.words[0])

    def running(self, written: int) -> bytes:
        """`usage` on the chunk after so many tokens."""
        told = self.behaviour
        if not self.continuous or told.no_usage:
            return NOTHING
        if told.zero_usage:
            return shapes.running_usage(Usage(0, 0))
        shown = self.total - written if told.usage_decreases else written
        return shapes.running_usage(Usage(self.usage.prompt, shown))

    def head(self) -> bytes:
        """The chunks that open a chat's choices."""
        return b"".join(self.envelope.role(choice, self.running(0)) for choice in range(len(self.words)))

    def token(self, place: int) -> bytes:
        """The chunk with token number `place` (from 0) of all choices taken in turn."""
        at, choice = divmod(place, len(self.words))
        finish = self.finish if at == len(self.words[choice]) - 1 else None
        return self.envelope.token(choice, self.words[choice][at], finish, self.running(place + 1))

    def tail(self) -> bytes:
        """What closes the stream."""
        if not self.include or self.behaviour.no_usage:
            return shapes.DONE
        usage = self.usage if not self.behaviour.zero_usage else Usage(0, 0)
        return (
            self.envelope.final(Usage(usage.prompt, self.total if usage.prompt else 0, usage.cached, usage.created))
            + shapes.DONE
        )


class Stream:
    """Writes a plan. `written` counts the tokens handed to the connection."""

    def __init__(self, plan: Plan, out: Out, *, chat: bool) -> None:
        self.written = 0
        self._plan = plan
        self._out = out
        self._chat = chat
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._paused = False
        self._over = False

    def start(self) -> None:
        """Begin with the head, now."""
        head = self._plan.head() if self._chat else NOTHING
        pause = self._plan.behaviour.delay_ms / 1000
        if pause:
            if head:
                self._out.write(head)
            self._due = self._loop.time() + pause
            self._timer = self._loop.call_at(self._due, self._step)
        else:
            self._burst(head)

    def stop(self) -> None:
        """The client has gone."""
        self._over = True
        if self._timer is not None:
            self._timer.cancel()

    def pause(self) -> None:
        """The client reads too slowly: generate no more."""
        self._paused = True

    def resume(self) -> None:
        """Go on."""
        if self._paused and not self._over:
            self._paused = False
            self._step()

    def _burst(self, head: bytes) -> None:
        stop_at = min(filter(None, (self._fault_at(), self._plan.total)))
        parts = [head, *(self._plan.token(place) for place in range(stop_at))]
        self.written = stop_at
        if stop_at == self._plan.total and self._fault_at() is None:
            parts.append(self._plan.tail())
            self._out.write(b"".join(parts))
            self._end("finished")
            return
        self._out.write(b"".join(parts))
        self._fail()

    def _step(self) -> None:
        if self._paused or self._over:
            return
        if self.written == self._fault_at():
            self._fail()
            return
        self._out.write(self._plan.token(self.written))
        self.written += 1
        if self.written == self._plan.total and self._fault_at() is None:
            self._out.write(self._plan.tail())
            self._end("finished")
            return
        self._due += self._plan.behaviour.delay_ms / 1000
        self._timer = self._loop.call_at(self._due, self._step)

    def _fault_at(self) -> int | None:
        told = self._plan.behaviour
        places = [at for at in (told.die_after, told.hang_after, told.error_chunk_after) if at is not None]
        return min(*places, self._plan.total) if places else None

    def _fail(self) -> None:
        told = self._plan.behaviour
        if told.hang_after is not None:
            return
        if told.die_after is not None:
            # What was written shall reach the client before the reset does.
            self._over = True
            self._loop.call_later(0.02, self._out.die)
            return
        self._out.write(shapes.ERROR_CHUNK + shapes.DONE)
        self._end("error")

    def _end(self, outcome: str) -> None:
        self._over = True
        self._out.ended(outcome)
