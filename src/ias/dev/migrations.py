"""Bringing the database to this checkout's release; skipped where it is there already, for it takes seconds to load."""

import subprocess
import time

import asyncpg

from ias.dev import logs, postgres, services
from ias.dev.fault import Fault
from ias.dev.progress import done, working
from ias.dev.settings import CHECKOUT
from ias.dev.state import Folder, State


async def pending(state: State) -> frozenset[str]:
    """Migrations of this checkout that the database does not have. Workers load the Function library themselves."""
    connection = await asyncpg.connect(postgres.url(state, postgres.OWNER, state.owner_password), timeout=10)
    try:
        known = await connection.fetchval("SELECT to_regclass('public.migration') IS NOT NULL")
        rows = await connection.fetch("SELECT name FROM public.migration") if known else []
    finally:
        await connection.close()
    return frozenset(path.stem for path in CHECKOUT.glob("migrations/*/[!_]*.py")) - {row["name"] for row in rows}


def apply(folder: Folder, state: State, env: dict[str, str]) -> None:
    """Run `ias migrate up`.

    Raises:
        Fault: it fails; the sentence has its last lines.
    """
    begun = time.monotonic()
    with working("migrating the database"):
        ran = subprocess.run(  # noqa: S603 - the command is ours
            (services.program("ias"), "migrate", "up"),
            env={**env, **services.environment(state)},
            cwd=folder.root.parent,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    folder.log("migrate").write_text(ran.stdout + ran.stderr)
    if ran.returncode != 0:
        raise Fault(f"'ias migrate up' failed; its last lines:\n{logs.tail(folder, 'migrate')}")
    done("migrations", "applied", time.monotonic() - begun)
