"""Redis or Valkey of our own, kept as in production: append-only file each second, no eviction."""

import socket
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

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


def redis(place: Place, home: Path, port: int, settings: Mapping[str, str]) -> PrivateService:
    """Describe the Redis of a folder; `settings` go over the rig's own. Nothing is started."""
    user = "root" if place.root is None else "redis"
    options = SETTINGS | dict(settings) | {"port": str(port), "dir": str(place.inside(home) / "data")}
    flags = [word for name, value in options.items() for word in (f"--{name}", value)]

    def prepare() -> None:
        place.hand_over(home, user)
        place.hand_over(home / "data", user)

    url = f"redis://127.0.0.1:{port}/0"
    return PrivateService(
        url=url,
        process=Process("redis", home, place.command(home, user, place.redis_server, *flags)),
        data=home / "data",
        prepare=prepare,
        ready=lambda: answers(url),
    )


def answers(url: str) -> bool:
    """Whether Redis serves; one that still loads its append-only file answers -LOADING."""
    server = urlsplit(url)
    try:
        with socket.create_connection((server.hostname, server.port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False
