"""File locks: the kernel lets go of them when their holder dies, however it dies."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """Hold the lock of a file, waiting for it as long as it takes; gives its descriptor.

    A child that inherits the descriptor holds the lock too, and keeps it if we are killed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with hold(path) as file:
        yield file.fileno()


def hold(path: Path, *, wait: bool = True) -> IO[str]:
    """Take a lock and keep it until the returned file is closed or this process ends.

    Raises:
        BlockingIOError: another process has it, and we are not to wait.
    """
    file = path.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise
    return file
