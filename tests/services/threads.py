"""Work that must not run in the caller's event loop."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def aside(work: Callable[[], T]) -> T:
    """Run it in a thread that has no event loop, and wait for it."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work).result()


def finish(coroutine: Coroutine[None, None, T]) -> T:
    """Run a coroutine to its end, whether or not the caller is inside a running loop."""
    return aside(lambda: asyncio.run(coroutine))
