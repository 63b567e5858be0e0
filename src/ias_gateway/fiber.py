"""Coroutines that are resumed at once by whoever has what they wait for.

A task of asyncio costs a future, two handles and two turns of the loop for each thing that it waits for. A request
waits for Redis and for the engine, both of which speak by callbacks anyway: they resume it directly.
"""

import asyncio
from collections.abc import Callable, Coroutine, Generator, Iterator
from typing import Final, Generic, TypeVar

Value = TypeVar("Value")


class Pause(Generic[Value]):
    """What a fiber waits for. The first value or error counts; only one fiber may wait."""

    __slots__ = ("_error", "_fiber", "_value", "done")

    def __init__(self) -> None:
        self.done = False
        self._fiber: Fiber | None = None
        self._error: Exception | None = None
        self._value: Value

    def resolve(self, value: Value) -> None:
        """Go on with a value."""
        if not self.done:
            self._value = value
            self._end()

    def fail(self, error: Exception) -> None:
        """Go on with an error."""
        if not self.done:
            self._error = error
            self._end()

    def waited_by(self, fiber: "Fiber") -> None:
        """Resume this fiber in the end."""
        self._fiber = fiber

    def _end(self) -> None:
        self.done = True
        if self._fiber is not None:
            self._fiber.resume()

    def __await__(self) -> Generator["Pause[Value]", None, Value]:
        if not self.done:
            yield self
        if self._error is not None:
            raise self._error
        return self._value


Waited = Pause[object] | asyncio.Future[object] | None
_next: Final = next  # compiled code would look it up each time
_OVER: Final[Pause[object]] = Pause()
"""What `next` answers for a story that has ended: cheaper than its StopIteration."""


class Fiber:
    """A coroutine under way. It may wait for a Pause, for a future of asyncio, or for the loop's next turn.

    Args:
        coroutine: what runs.
        over: told when it has ended, however it did.

    Attributes:
        error: the error that it ended with.
    """

    __slots__ = ("_over", "_steps", "error")

    def __init__(self, coroutine: Coroutine[object, None, None], over: "Callable[[Fiber], None]") -> None:
        self._steps: Iterator[Waited] = coroutine.__await__()
        self._over = over
        self.error: Exception | None = None

    def resume(self) -> None:
        """Run on until the coroutine waits again, or ends."""
        try:
            waited = _next(self._steps, _OVER)
        except Exception as error:  # noqa: BLE001 - who started it is told
            self.error = error
            self._over(self)
        else:
            if waited is _OVER:
                self._over(self)
            elif isinstance(waited, Pause):
                waited.waited_by(self)
            elif waited is None:
                asyncio.get_running_loop().call_soon(self.resume)
            else:
                # What a task does with a future, by asyncio's own protocol (`Task.__step`).
                waited._asyncio_future_blocking = False  # noqa: SLF001
                waited.add_done_callback(self._wake)

    def _wake(self, _: asyncio.Future[object]) -> None:
        self.resume()
