"""The logs of the stack's processes: the last lines of each, and all of them as they come."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ias.dev.state import Folder

TAIL_BYTES = 64 * 1024
POLL_S = 0.2


def tail(folder: Folder, name: str, lines: int = 12) -> str:
    """The last lines of a log; a word for it where there are none."""
    try:
        with folder.log(name).open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return "(there is no log yet)"
    return "\n".join(text.splitlines()[-lines:]) or "(the log is empty)"


def names(folder: Folder) -> tuple[str, ...]:
    """Everything that has a log."""
    return tuple(sorted(path.stem for path in (folder.root / "logs").glob("*.log")))


def follow(folder: Folder, only: tuple[str, ...] = ()) -> Iterator[str]:
    """New lines of the logs as they come, each with its process's name before it; without end.

    An empty string is given whenever there is nothing new, so that the caller may look at something else.
    """
    tails: dict[str, Tail] = {}
    first = True
    while True:
        for name in only or names(folder):
            if name not in tails and folder.log(name).exists():
                tails[name] = Tail(folder.log(name), from_end=first)
        first = False
        fresh = [f"{name:<9}| {line}" for name, known in tails.items() for line in known.fresh()]
        yield from fresh
        if not fresh:
            yield ""
            time.sleep(POLL_S)


class Tail:
    """A log that grows, and starts anew when it has been turned."""

    def __init__(self, path: Path, *, from_end: bool) -> None:
        self._path = path
        self._file: BinaryIO = path.open("rb")
        self._rest = b""
        if from_end:
            self._file.seek(0, 2)

    def fresh(self) -> tuple[str, ...]:
        """Whole lines written since the last call."""
        self._reopen_when_turned()
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        return tuple(line.decode(errors="replace") for line in lines)

    def _reopen_when_turned(self) -> None:
        try:
            now = self._path.stat()
        except FileNotFoundError:
            return
        if now.st_ino != os.fstat(self._file.fileno()).st_ino or now.st_size < self._file.tell():
            self._file.close()
            self._file, self._rest = self._path.open("rb"), b""
