"""Reading the audit log: one's own organisation's, or with the permission all of it."""

from uuid import UUID

import msgspec
from piccolo.columns.combination import Where

from ias.db import transaction
from ias.identity.access.domain import Principal
from ias.identity.audit.domain import Entry, Filters
from ias.identity.tables import AuditLog
from ias.paging import Page, decode_cursor, page
from ias.problems import NotFound


async def listed(principal: Principal, filters: Filters, cursor: str | None, limit: int) -> Page[Entry]:
    """Entries that the caller may see, newest first.

    Raises:
        NotFound: `filters.org_id` is not the caller's organisation.
    """
    scope = principal if filters.org_id is None else principal.within(filters.org_id)
    query = AuditLog.select().order_by(AuditLog.id, ascending=False).limit(limit + 1).output(load_json=True)
    for condition in _conditions(scope, filters):
        query = query.where(condition)
    after = decode_cursor(cursor)
    if after is not None:
        query = query.where(AuditLog.id < after)
    async with transaction(principal):
        rows = await query
    return page(msgspec.convert(rows, list[Entry]), limit, lambda entry: entry.id)


async def one(principal: Principal, entry_id: UUID) -> Entry:
    """One entry.

    Raises:
        NotFound: there is none, or it is another organisation's.
    """
    query = AuditLog.select().where(AuditLog.id == entry_id).output(load_json=True)
    if not principal.everywhere:
        query = query.where(AuditLog.org_id == principal.org_id)
    async with transaction(principal):
        row = await query.first()
    if row is None:
        raise NotFound("no such entry")
    return msgspec.convert(row, Entry)


def _conditions(scope: Principal, filters: Filters) -> list[Where]:
    wanted = {
        AuditLog.org_id: scope.org_id,
        AuditLog.actor_id: filters.actor_id,
        AuditLog.action: filters.action,
        AuditLog.target_id: filters.target_id,
    }
    conditions = [column == value for column, value in wanted.items() if value is not None]
    if filters.since is not None:
        conditions.append(AuditLog.created_at >= filters.since)
    if filters.until is not None:
        conditions.append(AuditLog.created_at < filters.until)
    return conditions
