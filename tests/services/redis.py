"""Redis or Valkey of our own, kept as in production: append-only file each second, no eviction."""

import shutil
import socket
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.services.embedded import valkey
from tests.services.place import Place
from tests.services.private import PrivateService
from tests.services.process import Process

SETTINGS = {
    "bind": "127.0.0.1",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "maxmemory-policy": "noeviction",
    "save": "",
    "enable-debug-command": "local",
}


CLOCK = "clock"
"""A setting of the rig's: the time at which the server's clock stands, `2026-01-31 23:59:59`; see `set_clock`."""


def redis(place: Place, home: Path, port: int, settings: Mapping[str, str]) -> PrivateService:
    """Describe the Redis of a folder; `settings` go over the rig's own. Nothing is started."""
    user = place.redis_user
    given = {name: value for name, value in settings.items() if name != CLOCK}
    options = SETTINGS | given | {"port": str(port), "dir": str(place.inside(home) / "data")}
    program, env = (place.redis_server, {}) if CLOCK not in settings else _standing(place, home)
    flags = [word for name, value in options.items() for word in (f"--{name}", value)]

    def prepare() -> None:
        place.hand_over(home, user)
        place.hand_over(home / "data", user)
        if CLOCK in settings:
            shutil.copy(valkey(), home)
            (home / CLOCK).write_text(settings[CLOCK])

    url = f"redis://127.0.0.1:{port}/0"
    return PrivateService(
        url=url,
        process=Process("redis", home, place.command(home, user, program, *flags, **env)),
        data=home / "data",
        prepare=prepare,
        ready=lambda: answers(url),
    )


def set_clock(service: PrivateService, moment: str) -> None:
    """Let the clock of a Redis that was started with one stand at another time (UTC); it may take a moment."""
    (service.data.parent / CLOCK).write_text(moment)


def _standing(place: Place, home: Path) -> tuple[Path, dict[str, str]]:
    """A server whose clock stands, and its environment: the wheel's, for Debian's waits for its allocator for ever."""
    if place.faketime is None:
        pytest.skip("no libfaketime, which gives Redis a clock of its own")
    return place.inside(home) / valkey().name, {
        "LD_PRELOAD": str(place.faketime),
        "FAKETIME_TIMESTAMP_FILE": str(place.inside(home) / CLOCK),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "TZ": "UTC",
    }


def answers(url: str) -> bool:
    """Whether Redis serves; one that still loads its append-only file answers -LOADING."""
    server = urlsplit(url)
    try:
        with socket.create_connection((server.hostname, server.port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False
