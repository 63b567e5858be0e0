"""How a process of the gateway, or a task in it, is told to end, and how long its last words may take."""

import asyncio
import contextlib
import signal

CANCEL_AGAIN_S = 0.5
LAST_WORDS_S = 2.0
"""What cut streams and their settlements get after the drain window."""


def stop_asked() -> asyncio.Event:
    """Set by SIGTERM or SIGINT, from now on."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    return stopped


async def end(task: asyncio.Task[None] | None) -> None:
    """Cancel a task, where there is one, and see it gone."""
    if task is None:
        return
    while not task.done():
        # More than once: `asyncio.wait_for` of Python 3.11 loses a cancellation that comes with its answer.
        task.cancel()
        await asyncio.wait({task}, timeout=CANCEL_AGAIN_S)
    with contextlib.suppress(asyncio.CancelledError):
        await task
