"""What the reconciler remembers of bindings, in the transaction of what it changes."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from ias.db import Connection, uuid7
from ias.gitops.documents.faults import Fault
from ias.gitops.plans.domain import Change
from ias.gitops.reconciler.domain import Bound, Offer
from ias.gitops.reconciler.drift import Drifted

_ENCODER = msgspec.json.Encoder(enc_hook=str)

_COLUMNS = """
SELECT b.org_id, b.repository_id, r.url AS repository, r.branch, b.enabled_by, b.enabled_at,
       b.state, b.commit_seen, b.blob_seen, b.faults, b.held_for, b.approved_commit,
       b.applied_commit, b.applied_blob, b.applied, coalesce(b.suspended_until > now(), false) AS suspended
FROM gitops.bindings b JOIN gitops.repositories r ON r.id = b.repository_id
"""
_OF_REPOSITORY = f"{_COLUMNS} WHERE b.repository_id = $1 ORDER BY b.org_id"
_LOCKED = f"{_COLUMNS} WHERE b.org_id = $1 FOR UPDATE OF b SKIP LOCKED"
_SINCE = "SELECT coalesce(applied_at, enabled_at) FROM gitops.bindings WHERE org_id = $1"
_APPLIED = """
UPDATE gitops.bindings SET state = 'in-force', commit_seen = $2, blob_seen = $3, applied_commit = $2, applied_blob = $3,
    applied = $4, applied_lines = $5, offered = $4, offered_lines = $5, applied_by = $6, applied_at = now(),
    faults = '[]', held_for = '[]', approved_commit = ''
WHERE org_id = $1
"""
_REFUSED = """
UPDATE gitops.bindings SET state = $2, commit_seen = $3, blob_seen = $4, faults = $5, held_for = $6,
    offered = coalesce($7, offered), offered_lines = coalesce($8, offered_lines),
    approved_commit = CASE WHEN commit_seen = $3 THEN approved_commit ELSE '' END
WHERE org_id = $1
"""
_PASSED = """
UPDATE gitops.bindings SET commit_seen = $2, applied_commit = $2, state = 'in-force', faults = '[]', held_for = '[]',
    offered = applied, offered_lines = applied_lines, blob_seen = applied_blob, approved_commit = ''
FROM unnest($1::uuid[], $3::uuid[], $4::text[]) AS was (org, repository, commit)
WHERE org_id = was.org AND repository_id = was.repository AND applied_commit = was.commit AND applied_blob <> ''
"""
_UNBIND = "DELETE FROM gitops.bindings WHERE org_id = ANY($1) RETURNING repository_id"
_RUN = """
INSERT INTO gitops.sync_runs (id, org_id, commit, author, subject, changes) VALUES ($1, $2, $3, $4, $5, $6)
"""
_DRIFT = """
INSERT INTO gitops.drift (id, org_id, field, wanted, found, commit, changed_by, changed_by_email, changed_at, source)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING
"""


async def bound_to(connection: Connection, repository_id: UUID) -> list[Bound]:
    """The bindings of a repository."""
    return [_bound(row) for row in await connection.fetch(_OF_REPOSITORY, repository_id)]


async def locked(connection: Connection, org_id: UUID) -> Bound | None:
    """A binding that is nobody else's until the transaction ends; None where it is gone or somebody has it."""
    row = await connection.fetchrow(_LOCKED, org_id)
    return None if row is None else _bound(row)


async def in_force_since(connection: Connection, org_id: UUID) -> datetime:
    """Since when the policy is in force, or the organisation bound."""
    since: datetime = await connection.fetchval(_SINCE, org_id)
    return since


async def applied(connection: Connection, org_id: UUID, offer: Offer) -> None:
    """Note that what was offered is in force."""
    told, lines = _json(offer.document), _json(offer.lines)
    await connection.execute(_APPLIED, org_id, offer.commit, offer.blob, told, lines, offer.author)


async def refused(
    connection: Connection, bound: Bound, offer: Offer, faults: Sequence[Fault], held_for: Sequence[str]
) -> None:
    """Note why what was offered is not in force, where that is not known yet."""
    state = "missing" if offer.missing else "held" if held_for else "invalid"
    told = (state, list(faults), list(held_for), offer.blob)
    if told == (bound.state, bound.faults, bound.held_for, bound.blob_seen) and bound.commit_seen == offer.commit:
        return
    document = None if offer.document is None else _json(offer.document)
    lines = None if offer.document is None else _json(offer.lines)
    seen = (offer.commit, offer.blob, _json(list(faults)), _json(list(held_for)), document, lines)
    await connection.execute(_REFUSED, bound.org_id, state, *seen)


async def passed(connection: Connection, bound: Sequence[Bound], commit: str) -> None:
    """Note that a commit has for these organisations, where they still are as they were read, what is in force."""
    if bound:
        org_ids, repositories = [each.org_id for each in bound], [each.repository_id for each in bound]
        before = [each.applied_commit for each in bound]
        await connection.execute(_PASSED, org_ids, commit, repositories, before)


async def unbind(connection: Connection, org_ids: Sequence[UUID]) -> list[UUID]:
    """Forget the bindings of organisations that were removed; as the platform. Answers the repositories of those."""
    return [row["repository_id"] for row in await connection.fetch(_UNBIND, list(org_ids))]


async def ran(connection: Connection, org_id: UUID, offer: Offer, changes: Sequence[Change]) -> None:
    """Note what was changed."""
    said = (offer.commit, offer.author, offer.subject, _json(list(changes)))
    await connection.execute(_RUN, uuid7(), org_id, *said)


async def note_drift(connection: Connection, org_id: UUID, commit: str, found: Sequence[Drifted]) -> None:
    """Note who had changed what was put back or set anew; once for each field and change."""
    rows = [
        (
            uuid7(),
            org_id,
            each.change.field,
            _json(each.change.after),
            _json(each.change.before),
            commit,
            each.deed.actor_id,
            each.deed.actor,
            each.deed.at,
            each.deed.source,
        )
        for each in found
    ]
    if rows:
        await connection.executemany(_DRIFT, rows)


def _json(value: object) -> str:
    return _ENCODER.encode(value).decode()


def _bound(row: asyncpg.Record) -> Bound:
    texts = {name: msgspec.json.decode(row[name] or "null") for name in ("faults", "held_for", "applied")}
    return msgspec.convert({**{name: row[name] for name in Bound.__struct_fields__}, **texts}, Bound)
