"""Free ports of 127.0.0.1, not handed out twice, not even to two test runs that start at once."""

import os
import random
import socket
import tempfile
from pathlib import Path
from typing import IO

from tests.services.locks import hold

# Below every system's ephemeral range: no outgoing connection takes such a port while its service is down.
FIRST, LAST = 15_000, 29_999
TRIES = 500

_held: list[IO[str]] = []


class NoFreePort(RuntimeError):
    """Every port that was tried is taken."""


def free_port() -> int:
    """Return a free port, kept for this process until it ends.

    Raises:
        NoFreePort: none of several hundred ports was free.
    """
    for _ in range(TRIES):
        port = random.randint(FIRST, LAST)
        if _reserved(port) and _bindable(port):
            return port
    raise NoFreePort(f"No free port of 127.0.0.1 between {FIRST} and {LAST}: end what listens there.")


def kept_port(home: Path) -> int:
    """Return the port of a folder's service, chosen once: it comes back where it was."""
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o755)
    file = home / "port"
    if not file.exists():
        file.write_text(str(free_port()))
    return int(file.read_text())


def _reserved(port: int) -> bool:
    folder = Path(tempfile.gettempdir()) / f"ias-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    try:
        claim = hold(folder / str(port), wait=False)
    except BlockingIOError:
        return False
    _held.append(claim)
    return True


def _bindable(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
