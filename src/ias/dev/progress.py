"""What `ias dev` prints: plain lines that read well in a pipe; a spinner only where somebody watches."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

EVERY_S = 5.0
CONSOLE = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)


def say(sentence: str) -> None:
    """One line."""
    CONSOLE.print(sentence)


def done(what: str, state: str, seconds: float) -> None:
    """One finished step."""
    CONSOLE.print(f"  {what:<11} {state:<8} {seconds:5.1f} s", style="green" if state == "ready" else None)


@contextmanager
def working(on: str) -> Iterator[None]:
    """A spinner while the block runs; nothing at all without a terminal."""
    if not CONSOLE.is_terminal:
        yield
        return
    with CONSOLE.status(on):
        yield


@contextmanager
def following(what: str, every_s: float = EVERY_S) -> Iterator[Callable[[str], None]]:
    """Give the lines of something long to what this yields: the spinner shows the last, a pipe one now and then."""
    if CONSOLE.is_terminal:
        with CONSOLE.status(what) as spinner:
            yield lambda line: spinner.update(f"{what}: {line}") if line else None
        return
    said = time.monotonic()

    def tell(line: str) -> None:
        nonlocal said
        if line and time.monotonic() - said > every_s:
            said = time.monotonic()
            say(f"  {what}: {line}")

    yield tell
