"""A file that takes nothing, as on a full disk, and that no other run of these tests has a lock on."""

import os
import stat
from pathlib import Path

_FULL = os.makedev(1, 7)
"""`/dev/full` of Linux: one inode for the whole machine, and so one lock."""


def full_disk(file: Path) -> None:
    """Put one there: a device of its own where this user may make one and it can be opened, else the machine's."""
    try:
        os.mknod(file, stat.S_IFCHR | 0o666, _FULL)
        file.open("rb").close()
    except PermissionError:
        file.unlink(missing_ok=True)
        file.symlink_to("/dev/full")
