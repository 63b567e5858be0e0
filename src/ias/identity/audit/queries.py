"""Reading the audit log: one's own organisation's, or with the permission all of it."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from time import monotonic
from uuid import UUID

import msgspec
from piccolo.custom_types import Combinable

from ias.db import lookup, transaction
from ias.identity.access.domain import Principal
from ias.identity.audit.domain import Entry, Fault, Filters, Verification
from ias.identity.naming import folded
from ias.identity.tables import AuditLog
from ias.paging import Page, decode_cursor, page
from ias.problems import NotFound, Unavailable
from ias.telemetry import now

EXPORTED_AT_ONCE = 1000
EXPORT_S = 600.0
"""As long as an export may be fetched."""
MOST_FAULTS = 100
PLATFORM = UUID(int=0)
"""The chain of what happened in no organisation."""
_APART_MS = 60_000
"""So far apart at most are the moment of an entry and that in its id, a UUIDv7: both are taken at once."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS = AuditLog.all_columns()
_THEIR_IDS = "SELECT id FROM identity.users WHERE email_folded = $1"

_BROKEN = """
WITH followed AS (
    SELECT a.id, a.org_id, a.seq, a.hash, lag(a.seq, 1, 0::bigint) OVER chain AS before,
           identity.audit_hash(lag(a.hash, 1, ''::bytea) OVER chain, a) AS expected
    FROM identity.audit_log a WHERE $1::uuid IS NULL OR a.org_id = $1
    WINDOW chain AS (PARTITION BY a.org_id ORDER BY a.seq)
)
SELECT id, org_id, seq, CASE
    WHEN seq <> before + 1 THEN 'entries ' || before + 1 || ' to ' || seq - 1 || ' are missing'
    ELSE 'this entry, or the hash of the one before, is not as it was written' END AS detail
FROM followed WHERE seq <> before + 1 OR hash <> expected ORDER BY org_id, seq LIMIT $2
"""
# The chain of zeros is of what happened in no organisation. Row-level security lets no index be used by an expression.
_HEADS = """
SELECT nullif(h.chain, $2) AS org_id, h.seq, count(a.id) AS entries, coalesce(max(a.seq), 0) AS last
FROM identity.audit_heads h
LEFT JOIN identity.audit_log a ON coalesce(a.org_id, $2) = h.chain AND ($1::uuid IS NULL OR a.org_id = $1)
WHERE $1::uuid IS NULL OR h.chain = $1 GROUP BY h.chain, h.seq
"""


async def listed(principal: Principal, filters: Filters, cursor: str | None, limit: int) -> Page[Entry]:
    """Entries that the caller may see, newest first.

    Raises:
        NotFound: `filters.org_id` is not the caller's organisation.
    """
    scope = principal if filters.org_id is None else principal.within(filters.org_id)
    query = AuditLog.select(*_COLUMNS).order_by(AuditLog.id, ascending=False).limit(limit + 1).output(load_json=True)
    for condition in await _conditions(scope, filters):
        query = query.where(condition)
    after = decode_cursor(cursor)
    if after is not None:
        query = query.where(AuditLog.id < after)
    async with transaction(principal):
        rows = await query
    return page([_entry(row) for row in rows], limit, lambda entry: entry.id)


async def one(principal: Principal, entry_id: UUID) -> Entry:
    """One entry.

    Raises:
        NotFound: there is none, or it is another organisation's.
    """
    query = AuditLog.select(*_COLUMNS).where(AuditLog.id == entry_id).output(load_json=True)
    if not principal.everywhere:
        query = query.where(AuditLog.org_id == principal.org_id)
    async with transaction(principal):
        row = await query.first()
    if row is None:
        raise NotFound("no such entry")
    return _entry(row)


async def exported(principal: Principal, filters: Filters) -> AsyncIterator[Entry]:
    """Every entry of until now that the filters let through, oldest first, in pages; the first before this returns.

    Raises:
        NotFound: `filters.org_id` is not the caller's organisation.
    """
    scope = principal if filters.org_id is None else principal.within(filters.org_id)
    # What is written from now on is not for whoever reads slowly: they may see it no longer.
    conditions = [*await _conditions(scope, filters), AuditLog.created_at <= now()]
    return _and_on(scope, conditions, await _after(scope, conditions, None))


async def verified(principal: Principal, org_id: UUID | None) -> Verification:
    """Check the chain of one organisation; without one, a system admin's check is of every chain.

    Raises:
        NotFound: it is not the caller's organisation.
    """
    scope = principal if org_id is None else principal.within(org_id)
    async with transaction(scope) as connection:
        entries = await connection.fetch(_BROKEN, scope.org_id, MOST_FAULTS)
        heads = await connection.fetch(_HEADS, scope.org_id, PLATFORM)
    faults = [Fault(org_id=row["org_id"], seq=row["seq"], entry_id=row["id"], detail=row["detail"]) for row in entries]
    for row in heads:
        if row["last"] != row["seq"]:
            detail = (
                f"the chain ends at {row['last']}, but {row['seq']} entries were written: the last ones are missing"
            )
            faults.append(Fault(org_id=row["org_id"], seq=row["seq"], entry_id=None, detail=detail))
    return Verification(chains=len(heads), entries=sum(row["entries"] for row in heads), faults=faults)


async def _and_on(scope: Principal, conditions: Sequence[Combinable], entries: list[Entry]) -> AsyncIterator[Entry]:
    ends_at = monotonic() + EXPORT_S
    while entries:
        if monotonic() > ends_at:
            raise Unavailable(
                f"it is fetched too slowly: an export takes {EXPORT_S:g} s at most; ask for a shorter time"
            )
        for entry in entries:
            yield entry
        entries = await _after(scope, conditions, entries[-1].id) if len(entries) == EXPORTED_AT_ONCE else []


async def _after(scope: Principal, conditions: Sequence[Combinable], last: UUID | None) -> list[Entry]:
    query = AuditLog.select(*_COLUMNS).order_by(AuditLog.id).limit(EXPORTED_AT_ONCE).output(load_json=True)
    for condition in conditions:
        query = query.where(condition)
    if last is not None:
        query = query.where(AuditLog.id > last)
    async with transaction(scope):
        return [_entry(row) for row in await query]


def _entry(row: dict[str, object]) -> Entry:
    digest = row["hash"]
    return msgspec.convert({**row, "hash": digest.hex() if isinstance(digest, bytes) else ""}, Entry)


async def _conditions(scope: Principal, filters: Filters) -> list[Combinable]:
    wanted = {
        AuditLog.org_id: scope.org_id,
        AuditLog.actor_id: filters.actor_id,
        AuditLog.action: filters.action,
        AuditLog.target_id: filters.target_id,
        AuditLog.source: filters.source,
    }
    conditions: list[Combinable] = [column == value for column, value in wanted.items() if value is not None]
    if filters.actor:
        conditions.append(await _done_by(filters.actor))
    if filters.since is not None:
        conditions += [AuditLog.created_at >= filters.since, AuditLog.id >= _id_at(filters.since, -_APART_MS)]
    if filters.until is not None:
        conditions += [AuditLog.created_at < filters.until, AuditLog.id < _id_at(filters.until, _APART_MS)]
    return conditions


async def _done_by(actor: str) -> Combinable:
    """The entries of whoever has or had this address; an index finds them by their ids. Others have no address."""
    if "@" not in actor:
        return AuditLog.actor == actor
    async with lookup() as connection:
        rows = await connection.fetch(_THEIR_IDS, folded(actor))
    return AuditLog.actor_id.is_in([row["id"] for row in rows] or [PLATFORM])


def _id_at(moment: datetime, later_ms: int) -> UUID:
    """The first id of a millisecond, for finding entries by the index of ids."""
    milliseconds = round((moment - _EPOCH).total_seconds() * 1000) + later_ms
    return UUID(int=min(max(milliseconds, 0), 2**48 - 1) << 80)
