"""How far long work is: on stderr, and only where a person looks at it."""

import contextlib
import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console

ThingT = TypeVar("ThingT")
EVERY = 50
"""So often the count is shown: a page of a list."""


def counted(things: Iterable[ThingT], what: str) -> Iterator[ThingT]:
    """The same things; a person sees how many there have been, unless they see the things themselves come."""
    if not sys.stderr.isatty():
        yield from things
        return
    number = 0
    with Console(stderr=True, highlight=False).status(what) as status:
        for number, thing in enumerate(things, 1):
            if number % EVERY == 0:
                status.update(f"{what}: {number}")
            yield thing


@contextlib.contextmanager
def waiting(what: str) -> Iterator[None]:
    """A person sees what is waited for, while it is."""
    if not sys.stderr.isatty():
        yield
        return
    with Console(stderr=True, highlight=False).status(what):
        yield
