"""The HTML door of the audit log: of an organisation, and for those who run the platform of everything."""

from collections.abc import AsyncIterator, Sequence
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Stream

from ias.console.forms import Form
from ias.console.policy import unkept
from ias.console.visit import Visit
from ias.identity.access.domain import Permission, Principal
from ias.identity.access.guards import requires
from ias.identity.audit import queries
from ias.identity.audit.domain import Entry, Filters, changes, subject
from ias.identity.projection import names
from ias.paging import DEFAULT_LIMIT, Page
from ias.problems import BadRequest, FieldError, Problem
from ias.sheet import sheet

_LIST: Final = "identity/audit/log.html"
_ENTRY: Final = "identity/audit/entry.html"
_VERIFICATION: Final = "identity/audit/verification.html"
_ASKED: Final = ("actor", "action", "target_id", "source", "since", "until")
_COLUMNS: Final = (
    *("created_at", "actor", "actor_id", "action", "target_id", "before", "after"),
    *("source", "request_id", "org_id", "id", "seq", "hash"),
)


class AuditPages(Controller):
    """What was done in the organisation of the page."""

    path = "/orgs/{org_id:uuid}/audit"
    include_in_schema = False

    @get(guards=[requires(Permission.AUDIT_READ)])
    async def listed(
        self, visit: NamedDependency[Visit], principal: NamedDependency[Principal], org_id: FromPath[UUID]
    ) -> Response[bytes]:
        """The entries, newest first."""
        return await _list(visit, principal, org_id)

    @get("/export", guards=[requires(Permission.AUDIT_READ)])
    async def export(
        self, visit: NamedDependency[Visit], principal: NamedDependency[Principal], org_id: FromPath[UUID]
    ) -> Stream:
        """Every entry that the filters let through, oldest first, as a file."""
        return await _export(visit, principal, org_id)

    @get("/verification", guards=[requires(Permission.AUDIT_READ)])
    async def verification(
        self, visit: NamedDependency[Visit], principal: NamedDependency[Principal], org_id: FromPath[UUID]
    ) -> Response[bytes]:
        """Whether no entry was changed or lost."""
        found = await queries.verified(principal, org_id)
        return visit.show(_VERIFICATION, {"found": found, "base": f"/orgs/{org_id}/audit"})

    @get("/{entry_id:uuid}", guards=[requires(Permission.AUDIT_READ)])
    async def one(
        self,
        visit: NamedDependency[Visit],
        principal: NamedDependency[Principal],
        org_id: FromPath[UUID],
        entry_id: FromPath[UUID],
    ) -> Response[bytes]:
        """One entry."""
        return await _one(visit, principal.confined(), entry_id, f"/orgs/{org_id}/audit")


class PlatformAuditPages(Controller):
    """What was done anywhere, and by the platform itself."""

    path = "/audit"
    include_in_schema = False
    guards = (requires(Permission.ORGANISATIONS_ANY),)

    @get(guards=[requires(Permission.AUDIT_READ)])
    async def listed(self, visit: NamedDependency[Visit], principal: NamedDependency[Principal]) -> Response[bytes]:
        """The entries, newest first."""
        return await _list(visit, principal, None)

    @get("/export", guards=[requires(Permission.AUDIT_READ)])
    async def export(self, visit: NamedDependency[Visit], principal: NamedDependency[Principal]) -> Stream:
        """Every entry that the filters let through, oldest first, as a file."""
        return await _export(visit, principal, None)

    @get("/verification", guards=[requires(Permission.AUDIT_READ)])
    async def verification(
        self, visit: NamedDependency[Visit], principal: NamedDependency[Principal]
    ) -> Response[bytes]:
        """Whether no entry of any chain was changed or lost."""
        return visit.show(_VERIFICATION, {"found": await queries.verified(principal, None), "base": "/audit"})

    @get("/{entry_id:uuid}", guards=[requires(Permission.AUDIT_READ)])
    async def one(
        self, visit: NamedDependency[Visit], principal: NamedDependency[Principal], entry_id: FromPath[UUID]
    ) -> Response[bytes]:
        """One entry."""
        return await _one(visit, principal, entry_id, "/audit")


async def _list(visit: Visit, principal: Principal, org_id: UUID | None) -> Response[bytes]:
    asked = visit.asked
    page: Page[Entry] = Page(items=[], next_cursor=None)
    try:
        page = await queries.listed(principal, _filters(asked, org_id), asked.text("cursor") or None, DEFAULT_LIMIT)
    except Problem as problem:
        visit = msgspec.structs.replace(visit, form=asked.refused(problem))
    values = {
        "entries": page.items,
        "changes": {entry.id: changes(entry) for entry in page.items},
        "subjects": {entry.id: subject(entry) for entry in page.items},
        "orgs": await names({entry.org_id for entry in page.items if entry.org_id}) if org_id is None else {},
        "older": page.next_cursor,
        "cursor": asked.text("cursor"),
        "asked": {name: asked.text(name) for name in _ASKED},
        "query": urlencode({name: asked.text(name) for name in _ASKED if asked.text(name)}),
        "base": "/audit" if org_id is None else f"/orgs/{org_id}/audit",
    }
    return visit.show(_LIST, values)


async def _one(visit: Visit, principal: Principal, entry_id: UUID, base: str) -> Response[bytes]:
    entry = await queries.one(principal, entry_id)
    whose = await names([entry.org_id]) if entry.org_id else {}
    values = {"entry": entry, "changes": changes(entry), "subject": subject(entry), "orgs": whose, "base": base}
    return visit.show(_ENTRY, values)


async def _export(visit: Visit, principal: Principal, org_id: UUID | None) -> Stream:
    asked = visit.asked
    entries = await queries.exported(principal, _filters(asked, org_id))
    if asked.text("format") == "csv":
        return await sheet("audit-log", _COLUMNS, _rows(entries))
    headers = unkept() | {"Content-Disposition": 'attachment; filename="audit-log.ndjson"'}
    return Stream(_lines(entries), headers=headers, media_type="application/x-ndjson")


def _filters(asked: Form, org_id: UUID | None) -> Filters:
    """What the filter bar asks for.

    Raises:
        BadRequest: a field is not what it has to be.
    """
    try:
        since, until = asked.moment("since"), asked.moment("until")
        return asked.made(Filters, org_id=org_id, actor_id=None, since=since, until=until)
    except BadRequest as problem:
        said = {"target_id": "write a whole id, as entries show it", "source": "choose one of the list"}
        faults = tuple(FieldError(f"/{each.place}", said.get(each.place, each.detail)) for each in problem.errors)
        raise BadRequest("; ".join(fault.said() for fault in faults), faults) from None


async def _rows(entries: AsyncIterator[Entry]) -> AsyncIterator[Sequence[object]]:
    async for entry in entries:
        told = msgspec.structs.asdict(entry)
        packed = {name: _packed(told[name]) for name in ("before", "after")}
        yield [(told | packed)[name] for name in _COLUMNS]


async def _lines(entries: AsyncIterator[Entry]) -> AsyncIterator[bytes]:
    async for entry in entries:
        yield msgspec.json.encode(entry) + b"\n"


def _packed(fields: object) -> str:
    return "" if fields is None else msgspec.json.encode(fields).decode()
