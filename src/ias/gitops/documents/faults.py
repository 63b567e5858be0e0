"""What is wrong with a policy file, and where: people mend it by file, line and column."""

from difflib import get_close_matches
from typing import Final

import msgspec

SHOWN: Final = 60
"""So many characters of what a file says are repeated."""
_LONGEST: Final = 400
MOST: Final = 100
"""So many faults are told of one file."""


class Mark(msgspec.Struct, frozen=True, order=True):
    """A place in a file; both count from 1."""

    line: int
    column: int


class Fault(msgspec.Struct, frozen=True):
    """One fault.

    Attributes:
        line: 0 where it is about the file as a whole.
        path: where in the document, such as `spec.users[2].role`; empty where it is the file's form.
        detail: what is wrong, and what to do about it.
    """

    line: int
    column: int
    path: str
    detail: str

    def said(self, file: str) -> str:
        """One line, in the form that editors and terminals turn into a link."""
        where = f"{file}:{self.line}:{self.column}" if self.line else file
        return f"{where}: {self.path}: {self.detail}" if self.path else f"{where}: {self.detail}"


def fault(mark: Mark, path: str, detail: str) -> Fault:
    """A fault at a mark; nothing of the file that is in its words moves a cursor or turns the writing around."""
    return Fault(mark.line, mark.column, _plain(path), _plain(detail))


def whole(detail: str) -> Fault:
    """A fault of the file as a whole."""
    return Fault(0, 0, "", _plain(detail))


def shown(text: str) -> str:
    """What a file says, short and in quotes."""
    return repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}…")


def meant(name: str, known: list[str]) -> str:
    """`; did you mean …?` where one of these is alike, else which there are."""
    alike = get_close_matches(name[:SHOWN].lower(), known, 1)
    return f"did you mean {alike[0]}?" if alike else f"there are {', '.join(known)}"


def _plain(text: str) -> str:
    return "".join(char if char.isprintable() else "\ufffd" for char in text[:_LONGEST])
