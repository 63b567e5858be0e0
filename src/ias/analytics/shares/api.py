"""The JSON and CSV door of shares."""

from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream

from ias.analytics.reading import TooMuch
from ias.analytics.shares import queries
from ias.analytics.shares.domain import Owner, Shares, Sort
from ias.analytics.shares.queries import COLUMNS, Question
from ias.analytics.usage.api import WITHIN
from ias.analytics.usage.spans import BadRange, Span, UnknownZone
from ias.identity import Permission, Principal, requires
from ias.paging import DEFAULT_LIMIT, Limit
from ias.problems import raising
from ias.sheet import sheet

SortBy = Annotated[
    Sort, QueryParameter(name="sort", description="What comes first; `change` is by how much tokens went up or down.")
]


RAISED = raising(BadRange, UnknownZone, TooMuch)


class View(msgspec.Struct, frozen=True):
    """Which time is looked at, and how."""

    span: Span
    sort: Sort
    limit: int
    as_csv: bool


def provide_view(
    within: NamedDependency[Span],
    as_csv: NamedDependency[bool],
    sort: SortBy = Sort.TOKENS,
    limit: Limit = DEFAULT_LIMIT,
) -> View:
    """The dependency `view`."""
    return View(within, sort, limit, as_csv)


VIEWED = {**WITHIN, "view": Provide(provide_view, sync_to_thread=False)}


class ShareApi(Controller):
    """Who and what makes up the usage of an organisation."""

    path = "/analytics/orgs/{org_id:uuid}"
    tags = ("analytics",)
    dependencies = VIEWED

    @get("/models", guards=[requires(Permission.USAGE_READ)], opt=RAISED)
    async def models(
        self, principal: NamedDependency[Principal], org_id: FromPath[UUID], view: NamedDependency[View]
    ) -> Shares | Stream:
        """Usage by model, compared with the time before, and how requests went: percentiles, speeds, outcomes."""
        return await _answer(principal, org_id, Owner.MODEL, view)

    @get("/users", guards=[requires(Permission.USAGE_READ)], opt=RAISED)
    async def users(
        self, principal: NamedDependency[Principal], org_id: FromPath[UUID], view: NamedDependency[View]
    ) -> Shares | Stream:
        """Usage by member, compared with the time before."""
        return await _answer(principal, org_id, Owner.USER, view)

    @get("/keys", guards=[requires(Permission.USAGE_READ)], opt=RAISED)
    async def keys(
        self, principal: NamedDependency[Principal], org_id: FromPath[UUID], view: NamedDependency[View]
    ) -> Shares | Stream:
        """Usage by API key, compared with the time before."""
        return await _answer(principal, org_id, Owner.KEY, view)


class PlatformShareApi(Controller):
    """Who and what makes up the usage of the platform."""

    path = "/analytics/system"
    tags = ("analytics",)
    dependencies = VIEWED

    @get("/orgs", guards=[requires(Permission.USAGE_PLATFORM)], opt=RAISED)
    async def organisations(
        self, principal: NamedDependency[Principal], view: NamedDependency[View]
    ) -> Shares | Stream:
        """Usage by organisation, in whole days (UTC), compared with the time before."""
        return await _answer(principal, None, Owner.ORGANISATION, view)

    @get("/models", guards=[requires(Permission.USAGE_PLATFORM)], opt=RAISED)
    async def models(self, principal: NamedDependency[Principal], view: NamedDependency[View]) -> Shares | Stream:
        """Usage by model, compared with the time before, and how requests of all organisations went."""
        return await _answer(principal, None, Owner.MODEL, view)


async def _answer(principal: Principal, org_id: UUID | None, owner: Owner, view: View) -> Shares | Stream:
    asked = Question(org_id, view.span, owner, view.sort)
    if view.as_csv:
        return await sheet(f"usage-by-{owner.name.lower()}", (owner.value, *COLUMNS), queries.rows(principal, asked))
    return await queries.shares(principal, asked, view.limit)
