"""The HTML door of requests: the list, finding one by its id, and one in detail; never what was asked or answered."""

from datetime import timedelta
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from litestar import Controller, Request, Response, get
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath
from litestar.response import Stream

from ias.analytics.requests import choices, queries
from ias.analytics.requests.asking import OUTCOMES, RequestView
from ias.analytics.usage.periods import Period
from ias.console.forms import Form
from ias.console.visit import Visit
from ias.identity import Permission, Principal, requires
from ias.problems import BadFilter, FieldError, NotFound, Problem
from ias.sheet import sheet
from ias.telemetry import now

_LIST: Final = "analytics/requests/requests.html"
_ONE: Final = "analytics/requests/request.html"
_ROWS: Final = 50
_PERIODS: Final = (
    (Period.HOUR, "1 hour"),
    (Period.DAY, "24 hours"),
    (Period.WEEK, "7 days"),
    (Period.THIRTY, "30 days"),
    (Period.CUSTOM, "Custom"),
)
_SLOW: Final = (("", "Any time"), ("1000", "1 s or more"), ("10000", "10 s or more"), ("30000", "30 s or more"))


def provide_asked(request: Request[object, object, State]) -> Form:
    """The dependency `asked`: the address as a form, so that it is shown with what is wrong with it."""
    return Form(request.query_params.dict())


class RequestPages(Controller):
    """Requests of an organisation."""

    path = "/orgs/{org_id:uuid}/requests"
    include_in_schema = False
    dependencies = {"asked": Provide(provide_asked, sync_to_thread=False)}  # noqa: RUF012 - Litestar's own form

    @get(guards=[requires(Permission.USAGE_READ)])
    async def listed(
        self,
        visit: NamedDependency[Visit],
        principal: NamedDependency[Principal],
        org_id: FromPath[UUID],
        asked: NamedDependency[Form],
    ) -> Response[bytes]:
        """The list, newest first; with `q` the one request of that id."""
        if asked.text("q"):
            return await _sought(visit, principal, org_id, asked)
        return await _listed(visit, principal, org_id, asked)

    @get("/csv", guards=[requires(Permission.USAGE_READ)])
    async def table(
        self, principal: NamedDependency[Principal], org_id: FromPath[UUID], asked: NamedDependency[Form]
    ) -> Stream:
        """The same for a spreadsheet, all of it."""
        wanted = asked.made(RequestView).filters(org_id, now())
        return await sheet("requests", queries.columns_for(principal), queries.rows(principal, wanted))

    @get("/{request_id:uuid}", guards=[requires(Permission.USAGE_READ)])
    async def one(
        self,
        visit: NamedDependency[Visit],
        principal: NamedDependency[Principal],
        org_id: FromPath[UUID],
        request_id: FromPath[UUID],
    ) -> Response[bytes]:
        """One request: how long what took, its tokens, and the ledger lines that it cost."""
        found = await queries.one(principal.confined(), request_id)
        named = await choices.named(principal, org_id, (found.user_id,), (found.key_id,))
        values = {
            "found": found,
            "cost": found.cost,
            "named": named,
            "said": OUTCOMES[found.outcome],
            "operates": principal.may(Permission.USAGE_PLATFORM),
        }
        return visit.show(_ONE, values)


async def _sought(visit: Visit, principal: Principal, org_id: UUID, asked: Form) -> Response[bytes]:
    """To the request of an id; the list says it where there is none."""
    try:
        found = await queries.one(principal.confined(), _id(asked.text("q")))
    except NotFound as problem:
        refusal = BadFilter(problem.detail, (FieldError(detail=problem.detail, parameter="q"),))
        return await _listed(visit, principal, org_id, asked.refused(refusal))
    except BadFilter as problem:
        return await _listed(visit, principal, org_id, asked.refused(problem))
    return visit.go(f"/orgs/{org_id}/requests/{found.request_id}")


async def _listed(visit: Visit, principal: Principal, org_id: UUID, asked: Form) -> Response[bytes]:
    view, page, form = RequestView(), None, asked
    try:
        view = asked.made(RequestView)
        page = await queries.listed(principal, view.filters(org_id, now()), asked.text("cursor") or None, _ROWS)
    except Problem as problem:
        form = asked.refused(problem)
    items = [] if page is None else page.items
    since = now() - timedelta(days=30)
    named = await choices.named(
        principal,
        org_id,
        [*(item.user_id for item in items), *([view.user] if view.user else [])],
        [*(item.key_id for item in items), *([view.key] if view.key else [])],
    )
    values: dict[str, object] = {
        "asked": form,
        "view": view,
        "page": page,
        "named": named,
        "options": _options(view, await choices.models(principal, org_id, since), named),
        "outcomes": OUTCOMES,
        "slow": _SLOW,
        "periods": [(_to(visit, view, period=each), said, each is view.period) for each, said in _PERIODS],
        "newest": _to(visit, view) if asked.text("cursor") else "",
        "older": _older(visit, view, None if page is None else page.next_cursor),
        "csv": f"{visit.path}/csv?{urlencode(view.query())}",
    }
    return msgspec.structs.replace(visit, form=form).show(_LIST, values)


def _to(visit: Visit, view: RequestView, **changes: object) -> str:
    if changes.get("period") is Period.CUSTOM and not view.since:
        changes |= {"since": f"{now() - timedelta(days=6):%Y-%m-%d}", "until": f"{now():%Y-%m-%d}"}
    there = view.query(**changes)
    return f"{visit.path}?{urlencode(there)}" if there else visit.path


def _older(visit: Visit, view: RequestView, cursor: str | None) -> str:
    return f"{visit.path}?{urlencode({**view.query(), 'cursor': cursor})}" if cursor else ""


def _options(view: RequestView, models: list[str], named: choices.Named) -> dict[str, list[tuple[str, str]]]:
    """What each select offers."""
    shown = sorted({*models, *([view.model] if view.model else [])})
    members = {**named.members, **({view.user: named.member(view.user)} if view.user else {})}
    keys = {**named.keys, **({view.key: named.key(view.key)} if view.key else {})}
    return {
        "models": [("", "Every model"), *((name, name) for name in shown)],
        "outcomes": [("", "Any"), *((outcome.value, said.name) for outcome, said in OUTCOMES.items())],
        "members": [("", "Everybody"), *_sorted(members)],
        "api_keys": [("", "Every key"), *_sorted(keys)],
    }


def _sorted(called: dict[UUID, str]) -> list[tuple[str, str]]:
    return sorted(((str(each), name) for each, name in called.items()), key=lambda pair: pair[1].casefold())


def _id(text: str) -> UUID:
    """A request's id as somebody copied it.

    Raises:
        BadFilter: it is none.
    """
    try:
        return UUID(text.removeprefix("x-request-id:").strip())
    except ValueError:
        said = "this is no request id; the gateway tells it in the answer's header x-request-id"
        raise BadFilter(f"q: {said}", (FieldError(detail=said, parameter="q"),)) from None
