"""Which migrations there are, and which a database has: `migrations/<context>/*.py` against table `migration`."""

import importlib.util
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

import asyncpg
import msgspec

if TYPE_CHECKING:  # slow to import, and every process asks which migrations are pending
    from piccolo.apps.migrations.auto.migration_manager import MigrationManager

CONTEXTS = ("identity", "billing", "analytics", "gitops")
"""In the order in which they go forwards."""

RECORD = """
CREATE TABLE IF NOT EXISTS public.migration (
    id serial PRIMARY KEY,
    name varchar(200) NOT NULL,
    app_name varchar(200) NOT NULL,
    ran_on timestamp NOT NULL DEFAULT now()
)
"""


class Step(msgspec.Struct, frozen=True):
    """One migration file, in Piccolo's form."""

    context: str
    name: str
    path: Path

    async def manager(self) -> "MigrationManager":
        """What the file does, forwards (`raw`) and backwards (`raw_backwards`)."""
        spec = importlib.util.spec_from_file_location(f"ias_migration_{self.name}", self.path)
        if spec is None or spec.loader is None:
            raise ImportError(f"{self.path} is not a Python file")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        forwards = cast("Callable[[], Awaitable[MigrationManager]]", module.forwards)
        return await forwards()


def discover(folder: Path) -> tuple[Step, ...]:
    """Every migration under a folder, in the order in which they go forwards.

    Raises:
        FileNotFoundError: there is no such folder; `IAS_MIGRATIONS_DIR` says where it is.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no migrations at {folder}; set IAS_MIGRATIONS_DIR to the folder that came with ias")
    return tuple(
        Step(context, path.stem, path) for context in CONTEXTS for path in sorted((folder / context).glob("[!_]*.py"))
    )


async def applied(connection: "asyncpg.Connection[asyncpg.Record]") -> set[str]:
    """The names of the migrations that this database has."""
    if await connection.fetchval("SELECT to_regclass('public.migration')") is None:
        return set()
    return {row["name"] for row in await connection.fetch("SELECT name FROM public.migration")}


async def pending(connection: "asyncpg.Connection[asyncpg.Record]", folder: Path) -> tuple[Step, ...]:
    """The migrations that this database still needs for this release."""
    done = await applied(connection)
    return tuple(step for step in discover(folder) if step.name not in done)
