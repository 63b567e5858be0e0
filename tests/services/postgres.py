"""PostgreSQL of our own, tuned for tests."""

import shutil
import signal
from collections.abc import Mapping
from pathlib import Path

import asyncpg

from tests.services.place import Place
from tests.services.private import PrivateService
from tests.services.process import Process, ServiceFailed
from tests.services.threads import finish

# fsync off survives kill -9 of PostgreSQL, not a loss of power: pass {"fsync": "on"} where that matters.
TUNING = {
    "fsync": "off",
    "max_connections": "300",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
    "log_checkpoints": "off",
}
TIMESCALE = {"shared_preload_libraries": "timescaledb", "timescaledb.telemetry_level": "off"}


def postgres(place: Place, home: Path, port: int, settings: Mapping[str, str]) -> PrivateService:
    """Describe the PostgreSQL of a folder; `settings` go over the rig's own. Nothing is started."""
    user = "nobody" if place.root is None else "postgres"
    inside = place.inside(home)
    tuned = TUNING | (TIMESCALE if place.timescale else {}) | dict(settings) | {"port": str(port)}
    flags = [word for name, value in tuned.items() for word in ("-c", f"{name}={value}")]
    server = place.command(home, user, place.postgres_bin / "postgres", "-D", inside / "data", *flags)
    url = f"postgresql://postgres:postgres@127.0.0.1:{port}/postgres"

    def prepare() -> None:
        place.hand_over(home, user)
        if not (home / "data" / "PG_VERSION").exists():
            _initdb(place, home, user)

    return PrivateService(
        url=url,
        process=Process("postgres", home, server, farewell=signal.SIGQUIT),
        data=home / "data",
        prepare=prepare,
        ready=lambda: answers(url),
    )


def _initdb(place: Place, home: Path, user: str) -> None:
    shutil.rmtree(home / "data", ignore_errors=True)
    words = ("-D", place.inside(home) / "data", "-U", "postgres", "--auth=trust", "--encoding=UTF8")
    command = place.command(home, user, place.postgres_bin / "initdb", *words, "--no-locale", "--no-sync")
    log = home / "initdb.log"
    with log.open("wb") as said:
        code = command.begin(said).wait()
    if code:
        raise ServiceFailed(f"PostgreSQL's initdb failed in {home}:\n{log.read_text(errors='replace')}")


def answers(url: str) -> bool:
    """Whether PostgreSQL lets one in."""
    return finish(_connects(url))


async def _connects(url: str) -> bool:
    try:
        connection = await asyncpg.connect(url, timeout=5)
    except (OSError, asyncpg.PostgresError, TimeoutError):
        return False
    await connection.close()
    return True
