"""Reading how bindings stand, what Git changed, and what was changed beside it."""

from uuid import UUID

import asyncpg
import msgspec

from ias.db import transaction
from ias.gitops.bindings.domain import Drift, NotManaged, Run, Status, Suspended
from ias.gitops.documents.domain import Document
from ias.gitops.repositories.domain import path_of
from ias.identity import expected, names, tenant
from ias.identity.values import Principal
from ias.paging import Page, decode_cursor, page
from ias.problems import NotFound

_STATUS = """
SELECT b.org_id, r.url AS repository, r.branch, b.state, b.commit_seen AS commit, b.applied_commit, b.applied_at,
       b.applied_by, b.applied_lines, r.fetched_at, r.error, b.faults, b.held_for, b.suspended_until,
       b.suspended_reason, b.suspended_by, b.suspended_until > now() AS is_suspended, b.enabled_by_email AS enabled_by,
       b.enabled_at
FROM gitops.bindings b JOIN gitops.repositories r ON r.id = b.repository_id WHERE b.org_id = $1
"""
_DRIFT = """
SELECT id, field, wanted, found, commit, changed_by_email AS changed_by, changed_at, source, restored_at
FROM gitops.drift WHERE org_id = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3
"""
_RUNS = """
SELECT id, commit, author, subject, changes, ran_at
FROM gitops.sync_runs WHERE org_id = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3
"""
_OFFERED = "SELECT offered, offered_lines FROM gitops.bindings WHERE org_id = $1"


async def status(principal: Principal, org_id: UUID) -> Status:
    """How an organisation's binding stands.

    Raises:
        NotFound: it is not the caller's organisation.
        NotManaged: it is not bound.
    """
    scope = await within_known(principal, org_id)
    async with transaction(scope) as connection:
        row = await connection.fetchrow(_STATUS, org_id)
        people = await expected(connection, org_id)
    if row is None:
        raise _not_managed()
    fields = {name: row[name] for name in Status.__struct_fields__ if name in row}
    texts = {"faults": row["faults"], "held_for": row["held_for"], "lines": row["applied_lines"] or "{}"}
    decoded = {name: msgspec.json.decode(text) for name, text in texts.items()}
    more = {"path": path_of((await names([org_id])).get(org_id, "")), "suspended": _suspended(row), "expected": people}
    return msgspec.convert({**fields, **decoded, **more}, Status)


async def drift(principal: Principal, org_id: UUID, cursor: str | None, limit: int) -> Page[Drift]:
    """What was changed beside Git, and put back, newest first.

    Raises:
        NotFound: it is not the caller's organisation.
    """
    scope, after = await within_known(principal, org_id), decode_cursor(cursor)
    async with transaction(scope) as connection:
        rows = await connection.fetch(_DRIFT, org_id, after, limit + 1)
    found = [msgspec.convert({**row, **_decoded(row, "wanted", "found")}, Drift) for row in rows]
    return page(found, limit, lambda each: each.id)


async def runs(principal: Principal, org_id: UUID, cursor: str | None, limit: int) -> Page[Run]:
    """What Git changed, newest first.

    Raises:
        NotFound: it is not the caller's organisation.
    """
    scope, after = await within_known(principal, org_id), decode_cursor(cursor)
    async with transaction(scope) as connection:
        rows = await connection.fetch(_RUNS, org_id, after, limit + 1)
    return page([msgspec.convert({**row, **_decoded(row, "changes")}, Run) for row in rows], limit, lambda run: run.id)


async def offered(principal: Principal, org_id: UUID) -> tuple[Document, dict[str, int]]:
    """The newest policy that could be read, in force or held, and the lines of its parts.

    Raises:
        NotFound: it is not the caller's organisation.
        NotManaged: it is not bound, or nothing could be read yet.
    """
    scope = await within_known(principal, org_id)
    async with transaction(scope) as connection:
        row = await connection.fetchrow(_OFFERED, org_id)
    if row is None:
        raise _not_managed()
    if row["offered"] is None:
        raise NotManaged("no policy could be read for this organisation yet; its status says why")
    document = msgspec.json.decode(row["offered"], type=Document)
    return document, msgspec.json.decode(row["offered_lines"] or "{}", type=dict[str, int])


async def within_known(principal: Principal, org_id: UUID, *, removed_too: bool = True) -> Principal:
    """The same person acting in this organisation, which those who change anything ask for unless it was removed.

    Raises:
        NotFound: there is none, or it is not theirs.
    """
    scope = principal.within(org_id)
    if await tenant(org_id, removed_too=removed_too) is None:
        raise NotFound("no such organisation")
    return scope


def _decoded(row: asyncpg.Record, *names: str) -> dict[str, object]:
    return {name: msgspec.json.decode(row[name] or "null") for name in names}


def _suspended(row: asyncpg.Record) -> Suspended | None:
    if not row["is_suspended"]:
        return None
    return Suspended(until=row["suspended_until"], reason=row["suspended_reason"], by=row["suspended_by"])


def _not_managed() -> NotManaged:
    return NotManaged("this organisation is not managed by Git; `gitops enable` binds it to a repository")
