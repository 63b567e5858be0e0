"""The programs that fetching takes, where this process runs; and which repositories take them."""

import asyncio
import shutil
from os import defpath
from typing import Final

import msgspec

from ias.db import EVERYWHERE, transaction
from ias.gitops.repositories.git import LEAST, dotted, installed

_BOUND: Final = """
SELECT count(*) AS repositories, count(*) FILTER (WHERE url LIKE 'ssh://%') AS by_ssh,
    count(*) FILTER (WHERE error <> '') AS failing,
    (SELECT url || ': ' || error FROM gitops.repositories WHERE error <> '' ORDER BY failures DESC LIMIT 1) AS worst
FROM gitops.repositories
"""


class Fetching(msgspec.Struct, frozen=True, kw_only=True):
    """How fetching stands.

    Attributes:
        lacking: what is not installed here that bound repositories take, as one sentence; empty where nothing is.
        git: the version, for people.
        worst: the repository that failed most often in a row, and why; empty where none fails.
    """

    lacking: str
    git: str
    ssh: bool
    repositories: int
    failing: int
    worst: str


async def fetching() -> Fetching:
    """How fetching stands just now.

    Raises:
        DatabaseDown: PostgreSQL does not answer.
    """
    async with transaction(EVERYWHERE) as connection:
        bound = await connection.fetchrow(_BOUND)
    git, ssh = await asyncio.to_thread(installed) or (), shutil.which("ssh", path=defpath) is not None
    lacking = []
    if git < LEAST and bound["repositories"]:
        lacking.append(f"git {dotted(LEAST)} or newer ({dotted(git) if git else 'none'} is there)")
    if not ssh and bound["by_ssh"]:
        lacking.append(f"ssh, by which {bound['by_ssh']} repositories are bound")
    return Fetching(
        lacking=" and ".join(lacking),
        git=dotted(git) if git else "missing",
        ssh=ssh,
        repositories=bound["repositories"],
        failing=bound["failing"],
        worst=bound["worst"] or "",
    )
