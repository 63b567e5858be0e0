"""The JSON and CSV door of requests."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar import Controller, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import Stream

from ias.analytics.reading import TooMuch
from ias.analytics.requests import queries
from ias.analytics.requests.detail import RequestDetail
from ias.analytics.requests.domain import Filters, RequestPage, filters
from ias.contract.usage import Outcome
from ias.identity import Permission, Principal, requires
from ias.paging import DEFAULT_LIMIT, Limit
from ias.problems import BadFilter, NotFound, raising
from ias.sheet import provide_as_csv, sheet
from ias.telemetry import now

From = Annotated[
    datetime | None,
    QueryParameter(name="from", description="Started then or later; thirty days before `to` where left out."),
]
To = Annotated[datetime | None, QueryParameter(name="to", description="Started before; now where left out.")]
Status = Annotated[
    int | None, QueryParameter(ge=0, le=999, description="Only of this HTTP status; 0 where no engine answered.")
]
Errors = Annotated[bool, QueryParameter(description="Only what failed, or was answered with 400 and above.")]
Slower = Annotated[
    float | None, QueryParameter(ge=0, le=1e9, description="Only what took so many milliseconds, or longer.")
]
Chosen = dict[str, object]


def provide_whose(
    org_id: FromQuery[UUID | None] = None,
    model: FromQuery[str | None] = None,
    user_id: FromQuery[UUID | None] = None,
    key_id: FromQuery[UUID | None] = None,
) -> Chosen:
    """The dependency `whose`: the filters that say whose requests and of which model."""
    return {"org_id": org_id, "model": model, "user_id": user_id, "key_id": key_id}


def provide_ended(
    *,
    outcome: FromQuery[Outcome | None] = None,
    status: Status = None,
    errors: Errors = False,
    slower_than_ms: Slower = None,
) -> Chosen:
    """The dependency `ended`: the filters that say how they ended."""
    return {"outcome": outcome, "status": status, "errors": errors, "slower_than_ms": slower_than_ms}


def provide_asked(
    whose: NamedDependency[Chosen], ended: NamedDependency[Chosen], from_: From = None, to: To = None
) -> Filters:
    """The dependency `asked`: all filters."""
    return filters({**whose, **ended}, from_, to, now())


class RequestApi(Controller):
    """Requests of one's organisation; of all, for system admins."""

    path = "/analytics/requests"
    tags = ("analytics",)

    @get(
        guards=[requires(Permission.USAGE_READ)],
        opt=raising(BadFilter, NotFound, TooMuch),
        dependencies={
            "whose": Provide(provide_whose, sync_to_thread=False),
            "ended": Provide(provide_ended, sync_to_thread=False),
            "asked": Provide(provide_asked, sync_to_thread=False),
            "as_csv": Provide(provide_as_csv, sync_to_thread=False),
        },
    )
    async def listed(
        self,
        principal: NamedDependency[Principal],
        asked: NamedDependency[Filters],
        as_csv: NamedDependency[bool],
        cursor: FromQuery[str | None] = None,
        limit: Limit = DEFAULT_LIMIT,
    ) -> RequestPage | Stream:
        """What is known of requests, newest first; never what was asked or answered. A CSV has all of them."""
        if as_csv:
            return await sheet("requests", queries.columns_for(principal), queries.rows(principal, asked))
        return await queries.listed(principal, asked, cursor, limit)

    @get("/{request_id:uuid}", guards=[requires(Permission.USAGE_READ)], opt=raising(TooMuch))
    async def one(self, principal: NamedDependency[Principal], request_id: FromPath[UUID]) -> RequestDetail:
        """One request, by the id that the gateway gave it, with its timings and ledger lines."""
        return await queries.one(principal, request_id)
