"""What Git changed and what was changed beside it is forgotten after a while; not which commit is in force, and how."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from ias.db import EVERYWHERE, transaction
from ias.paging import first_id
from ias.telemetry import now

AT_ONCE: Final = 5_000
"""Rows that one statement deletes."""

# Ids are UUIDv7: those of a time on are those above its first one. A run without an author put back what was changed.
_RUNS: Final = """
DELETE FROM gitops.sync_runs WHERE id IN (
    SELECT r.id FROM gitops.sync_runs r
    WHERE r.id < $1 AND (r.author = '' OR EXISTS (
        SELECT FROM gitops.sync_runs newer WHERE newer.org_id = r.org_id AND newer.id > r.id AND newer.author <> ''
    ))
    ORDER BY r.id LIMIT $2
)
"""
_DRIFT: Final = """
DELETE FROM gitops.drift WHERE id IN (SELECT id FROM gitops.drift WHERE id < $1 ORDER BY id LIMIT $2)
"""


async def forget(kept: timedelta) -> int:
    """Delete what is older than that, but for the run that put into force what is in force; answers how many rows."""
    first = first_id(now() - kept)
    return sum([await _all_of(statement, first) for statement in (_RUNS, _DRIFT)])


async def _all_of(statement: str, first: UUID) -> int:
    count, last = 0, AT_ONCE
    while last == AT_ONCE:
        async with transaction(EVERYWHERE) as connection:
            done = await connection.execute(statement, first, AT_ONCE)
        last = int(done.rpartition(" ")[2])
        count += last
    return count
