"""What `ias dev` prints: plain lines that read well in a pipe; a spinner only where somebody watches."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

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
