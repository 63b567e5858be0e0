"""A table of usage events that could not be taken in: reading it, and closing what was put back."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec

PAGE = 500

_ADD = """
INSERT INTO {schema}.quarantine AS q (id, request_id, line, origin, reason, body, body_hash)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::text[], $5::text[], $6::bytea[], $7::bytea[])
ON CONFLICT (body_hash) DO UPDATE SET replayed_at = NULL, reason = excluded.reason
    WHERE q.replayed_at IS NOT NULL RETURNING id
"""
_OPEN = """
SELECT id, request_id, line, origin, reason, body, created_at FROM {schema}.quarantine
WHERE replayed_at IS NULL AND id > $1 AND ($2::uuid[] IS NULL OR id = ANY($2)) ORDER BY id LIMIT $3
"""
_COUNT = "SELECT count(*) AS open, min(created_at) AS oldest FROM {schema}.quarantine WHERE replayed_at IS NULL"
_KEEP = "UPDATE {schema}.quarantine SET reason = $2 WHERE id = $1 RETURNING id"
_CLOSE = "UPDATE {schema}.quarantine SET replayed_at = now() WHERE id = $1 RETURNING id"
_DISMISS = """
UPDATE {schema}.quarantine SET replayed_at = now(), reason = $2 || ': ' || reason
WHERE id = ANY($1) AND replayed_at IS NULL RETURNING id
"""


class Connection(Protocol):
    """What runs the statements, in a transaction that may see everything."""

    async def fetch(self, query: str, *arguments: object) -> Sequence[Mapping[str, object]]:
        """The rows that a statement answers."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """An event, or what should have been one, as it came, and why it was not taken in."""

    id: UUID
    created_at: datetime
    origin: str
    request_id: UUID | None
    line: int | None
    reason: str
    body: bytes


class Open(msgspec.Struct, frozen=True):
    """How many are in quarantine and were not put back, and since when the oldest is."""

    count: int
    oldest: datetime | None


class Quarantine:
    """The table of one context; `begin` opens a transaction of it."""

    def __init__(self, schema: str, begin: Callable[[], AbstractAsyncContextManager[Connection]]) -> None:
        self._schema = schema
        self._begin = begin

    async def add(self, rows: Sequence[tuple[object, ...]]) -> int:
        """Set aside rows of id, request_id, line, origin, reason, body and body_hash; the same body is kept once.

        One that was put back and comes again is open again. Answers how many are open that were not.
        """
        return len(await self._run(_ADD, *map(list, zip(*rows, strict=True))))

    async def page(self, after: UUID, ids: Collection[UUID] | None) -> list[Kept]:
        """Up to PAGE rows that were not put back, in their order, after one; only these, where ids are given."""
        rows = await self._run(_OPEN, after, None if ids is None else list(ids), PAGE)
        return [msgspec.convert(dict(row), Kept) for row in rows]

    async def open(self) -> Open:
        """How many there are."""
        [row] = await self._run(_COUNT)
        return msgspec.convert({"count": row["open"], "oldest": row["oldest"]}, Open)

    async def keep(self, row: UUID, reason: str) -> None:
        """It was tried again, and this is why it stays."""
        await self._run(_KEEP, row, reason)

    async def close(self, row: UUID) -> None:
        """It was put back, and all of it is somewhere else now."""
        await self._run(_CLOSE, row)

    async def dismiss(self, ids: Collection[UUID], why: str) -> set[UUID]:
        """People decided that these are never taken in; the rows stay. Answers which of them were open."""
        return {UUID(str(row["id"])) for row in await self._run(_DISMISS, list(ids), why)}

    async def _run(self, sql: str, *arguments: object) -> Sequence[Mapping[str, object]]:
        async with self._begin() as connection:
            return await connection.fetch(sql.format(schema=self._schema), *arguments)
