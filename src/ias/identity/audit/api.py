"""The JSON door of the audit log."""

from collections.abc import AsyncIterator
from datetime import datetime
from uuid import UUID

import msgspec
from litestar import Controller, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery
from litestar.response import Stream

from ias.identity.access.domain import Permission, Principal, Source
from ias.identity.access.guards import requires
from ias.identity.audit import queries
from ias.identity.audit.domain import Entry, Filters, Verification
from ias.paging import DEFAULT_LIMIT, Limit, Page
from ias.problems import BadFilter, FieldError, NotFound, raising


def who_and_what(
    org_id: FromQuery[UUID | None] = None,
    actor_id: FromQuery[UUID | None] = None,
    actor: FromQuery[str] = "",
    action: FromQuery[str | None] = None,
    target_id: FromQuery[UUID | None] = None,
) -> Filters:
    """The filters that are about who did what."""
    return Filters(org_id=org_id, actor_id=actor_id, actor=actor, action=action, target_id=target_id)


def chosen(
    who: NamedDependency[Filters],
    source: FromQuery[Source | None] = None,
    since: FromQuery[datetime | None] = None,
    until: FromQuery[datetime | None] = None,
) -> Filters:
    """All filters of a request.

    Raises:
        BadFilter: a time has no offset.
    """
    for name, moment in (("since", since), ("until", until)):
        if moment is not None and moment.tzinfo is None:
            said = "write an offset from UTC, such as 2026-01-31T00:00:00Z"
            raise BadFilter(f"{name}: {said}", (FieldError(msgspec.UNSET, said, parameter=name),))
    return msgspec.structs.replace(who, source=source, since=since, until=until)


async def _lines(entries: AsyncIterator[Entry]) -> AsyncIterator[bytes]:
    async for entry in entries:
        yield msgspec.json.encode(entry) + b"\n"


class AuditApi(Controller):
    """Who did what: in one's own organisation; everywhere, for system admins."""

    path = "/audit-logs"
    tags = ("audit",)
    dependencies = {  # noqa: RUF012 - Litestar's own form
        "who": Provide(who_and_what, sync_to_thread=False),
        "filters": Provide(chosen, sync_to_thread=False),
    }

    @get(guards=[requires(Permission.AUDIT_READ)], opt=raising(NotFound))
    async def listed(
        self,
        principal: NamedDependency[Principal],
        filters: NamedDependency[Filters],
        cursor: FromQuery[str | None] = None,
        limit: Limit = DEFAULT_LIMIT,
    ) -> Page[Entry]:
        """Entries that the caller may see, newest first."""
        return await queries.listed(principal, filters, cursor, limit)

    @get("/export", guards=[requires(Permission.AUDIT_READ)], media_type="application/x-ndjson", opt=raising(NotFound))
    async def export(self, principal: NamedDependency[Principal], filters: NamedDependency[Filters]) -> Stream:
        """Every entry that the filters let through, oldest first, one JSON object a line."""
        entries = await queries.exported(principal, filters)
        return Stream(_lines(entries), media_type="application/x-ndjson")

    @get("/verification", guards=[requires(Permission.AUDIT_READ)], opt=raising(NotFound))
    async def verification(
        self, principal: NamedDependency[Principal], org_id: FromQuery[UUID | None] = None
    ) -> Verification:
        """Check that no entry was changed or lost: of one's organisation, or for system admins of all of them."""
        return await queries.verified(principal, org_id)

    @get("/{entry_id:uuid}", guards=[requires(Permission.AUDIT_READ)])
    async def one(self, principal: NamedDependency[Principal], entry_id: FromPath[UUID]) -> Entry:
        """One entry."""
        return await queries.one(principal, entry_id)
