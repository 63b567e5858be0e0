"""The repositories that organisations are bound to, and when each is to be looked at."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import asyncpg

from ias.db import EVERYWHERE, Connection, transaction, uuid7
from ias.gitops.repositories.credentials import Credential
from ias.gitops.repositories.domain import Address, address
from ias.gitops.repositories.git import MEBIBYTE, Limits
from ias.gitops.repositories.mirror import Mirror
from ias.gitops.repositories.sealing import opened, sealed
from ias.settings import settings
from ias.telemetry import now

RAREST_S = 300.0
OFTENEST_S = 2.0

_DUE = "SELECT id FROM gitops.repositories WHERE due_at <= $1 ORDER BY due_at LIMIT 100"
_ALL = "SELECT id FROM gitops.repositories"
_ONE = """
SELECT id, url, branch, credential, fetch_after <= now() AS to_fetch FROM gitops.repositories WHERE id = $1
"""
_NEXT = "UPDATE gitops.repositories SET due_at = $2, looked_at = now() WHERE id = $1"
_FETCHED = """
UPDATE gitops.repositories SET head = $2, fetched_at = $3, error = '', failures = 0, fetch_after = now() WHERE id = $1
"""
_FAILED = """
UPDATE gitops.repositories SET error = $2, failures = failures + 1,
    fetch_after = now() + least($3 * power(2, least(failures, 10)), $4) * interval '1 second'
WHERE id = $1
"""
_NOW = "UPDATE gitops.repositories SET due_at = now(), fetch_after = now() WHERE id = $1"
_SOON_BY_URL = """
UPDATE gitops.repositories r SET due_at = least(due_at, soon), fetch_after = least(fetch_after, soon)
FROM (
    SELECT id, greatest(now(), looked_at + $2 * interval '1 second') AS soon
    FROM gitops.repositories WHERE url = ANY($1)
) AS pushed WHERE r.id = pushed.id RETURNING r.id
"""
_KEEP = """
INSERT INTO gitops.repositories (id, url, branch, credential) VALUES ($1, $2, $3, $4)
ON CONFLICT (url, branch) DO UPDATE
    SET credential = coalesce(excluded.credential, repositories.credential), due_at = now(), fetch_after = now()
RETURNING id
"""
_FORGET = """
DELETE FROM gitops.repositories r
WHERE r.id = ANY($1) AND NOT EXISTS (SELECT FROM gitops.bindings b WHERE b.repository_id = r.id)
"""
_FORGET_ALL = """
DELETE FROM gitops.repositories WHERE id IN (
    SELECT r.id FROM gitops.repositories r
    WHERE NOT EXISTS (SELECT FROM gitops.bindings b WHERE b.repository_id = r.id) FOR UPDATE SKIP LOCKED
)
"""


def taken(url: str) -> Address:
    """The address of a repository.

    Raises:
        BadRepository: this deployment fetches nothing from there.
    """
    return address(url, settings().gitops_local, settings().upstream_allow)


async def kept() -> list[UUID]:
    """All repositories."""
    async with transaction(EVERYWHERE) as connection:
        return [row["id"] for row in await connection.fetch(_ALL)]


async def due() -> list[UUID]:
    """The repositories to be looked at now, those that wait longest first."""
    async with transaction(EVERYWHERE) as connection:
        return [row["id"] for row in await connection.fetch(_DUE, now())]


async def mirror_of(repository_id: UUID) -> Mirror | None:
    """The mirror of a repository, which is due again after a while; None where it is gone, or failed just now.

    Raises:
        BadRepository: this deployment no longer fetches from there.
        GitFailed: its credential was sealed with another secret.
    """
    async with transaction(EVERYWHERE) as connection:
        row = await connection.fetchrow(_ONE, repository_id)
        await connection.execute(_NEXT, repository_id, now() + timedelta(seconds=settings().gitops_every_s))
    return _mirror(row) if row is not None and row["to_fetch"] else None


async def fetched(repository_id: UUID, head: str) -> None:
    """Note that a repository was fetched."""
    async with transaction(EVERYWHERE) as connection:
        await connection.execute(_FETCHED, repository_id, head, now())


async def failed(repository_id: UUID, why: str) -> None:
    """Note that it was not; each time in a row it is left alone for twice as long, five minutes at most."""
    async with transaction(EVERYWHERE) as connection:
        await connection.execute(_FAILED, repository_id, why, settings().gitops_every_s, RAREST_S)


async def look_now(connection: Connection, repository_id: UUID) -> None:
    """Have a worker look at a repository at once."""
    await connection.execute(_NOW, repository_id)


async def look_soon_at(urls: list[str]) -> int:
    """Have those with one of these addresses looked at, each every two seconds at most; answers how many there are.

    Whoever has one signed webhook can send it again and again.
    """
    async with transaction(EVERYWHERE) as connection:
        return len(await connection.fetch(_SOON_BY_URL, urls, OFTENEST_S))


async def keep(connection: Connection, at: Address, branch: str, credential: Credential) -> UUID:
    """A repository's id, with what opens it where that is given."""
    stored = sealed(credential, settings().jwt_secret.get_secret_value())
    found: UUID = await connection.fetchval(_KEEP, uuid7(), at.url, branch, stored)
    return found


async def forget_unbound(connection: Connection, repository_ids: Sequence[UUID]) -> None:
    """Forget those of these that nobody is bound to now, and what opened them; as the platform, which sees all."""
    await connection.execute(_FORGET, repository_ids)


async def forget_all_unbound() -> None:
    """The same of all: of two that leave a repository at the same moment, neither sees that it is the last."""
    async with transaction(EVERYWHERE) as connection:
        await connection.execute(_FORGET_ALL)


def _mirror(row: asyncpg.Record) -> Mirror:
    secret = settings().jwt_secret.get_secret_value()
    return Mirror(
        id=row["id"],
        address=taken(row["url"]),
        branch=row["branch"],
        credential=opened(row["credential"], secret),
        root=settings().gitops_dir,
        limits=Limits(seconds=settings().gitops_fetch_s, file_bytes=settings().gitops_fetch_mib * MEBIBYTE),
        ca_file=settings().gitops_ca_file,
        allowed=settings().upstream_allow,
    )
