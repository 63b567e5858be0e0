"""The HTML door of usage: explored by filters in the address, and the same as CSV."""

from collections.abc import Mapping
from functools import cache
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import available_timezones

import msgspec
from litestar import Controller, Request, Response, get
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath
from litestar.response import Stream

from ias.analytics.explorer import queries
from ias.analytics.explorer.domain import By, View, change, opened, query, whole_label
from ias.analytics.usage.periods import Period
from ias.analytics.usage.spans import UTC_ZONE
from ias.console.forms import Form
from ias.console.visit import Visit
from ias.identity import Permission, Principal, requires
from ias.problems import Problem
from ias.sheet import sheet
from ias.telemetry import now

_USAGE = "analytics/explorer/usage.html"
_PERIODS = (
    (Period.DAY, "24 hours"),
    (Period.WEEK, "7 days"),
    (Period.THIRTY, "30 days"),
    (Period.MONTH, "This month"),
    (Period.LAST, "Last month"),
    (Period.CUSTOM, "Custom"),
)
_OF_ORGANISATION = ((By.MODEL, "By model"), (By.USER, "By member"), (By.KEY, "By key"), (By.DAY, "By time"))
_OF_PLATFORM = ((By.MODEL, "By model"), (By.DAY, "By time"))


def provide_asked(request: Request[object, object, State]) -> Form:
    """The dependency `asked`: the address as a form, so that it is shown with what is wrong with it."""
    return Form(request.query_params.dict())


ASKED = {"asked": Provide(provide_asked, sync_to_thread=False)}


class UsagePages(Controller):
    """The usage of an organisation."""

    path = "/orgs/{org_id:uuid}/usage"
    include_in_schema = False
    dependencies = ASKED

    @get(guards=[requires(Permission.USAGE_READ)])
    async def usage(
        self,
        visit: NamedDependency[Visit],
        principal: NamedDependency[Principal],
        org_id: FromPath[UUID],
        asked: NamedDependency[Form],
    ) -> Response[bytes]:
        """Who used how much of what, when, and how that changed."""
        return await _page(visit, principal, org_id, asked)

    @get("/csv", guards=[requires(Permission.USAGE_READ)])
    async def table(
        self, principal: NamedDependency[Principal], org_id: FromPath[UUID], asked: NamedDependency[Form]
    ) -> Stream:
        """The same for a spreadsheet, all of it."""
        return await sheet("usage", *queries.sheet_of(principal, org_id, asked.made(View), now()))


class PlatformUsagePages(Controller):
    """The usage of the whole platform."""

    path = "/usage"
    include_in_schema = False
    dependencies = ASKED

    @get(guards=[requires(Permission.USAGE_PLATFORM)])
    async def usage(
        self, visit: NamedDependency[Visit], principal: NamedDependency[Principal], asked: NamedDependency[Form]
    ) -> Response[bytes]:
        """Which models and organisations make it up, when, and how that changed."""
        return await _page(visit, principal, None, asked)

    @get("/csv", guards=[requires(Permission.USAGE_PLATFORM)])
    async def table(self, principal: NamedDependency[Principal], asked: NamedDependency[Form]) -> Stream:
        """The same for a spreadsheet, all of it."""
        return await sheet("usage", *queries.sheet_of(principal, None, asked.made(View), now()))


async def _page(visit: Visit, principal: Principal, org_id: UUID | None, asked: Form) -> Response[bytes]:
    view, found, form, moment = View(), None, asked, now()
    try:
        view = asked.made(View)
        found = await queries.explored(principal, org_id, view, moment)
    except Problem as problem:
        form = asked.refused(problem)
    days = view if found is None else opened(view, moment)
    values: dict[str, object] = {
        "asked": form,
        "view": view,
        "found": found,
        "change": change,
        "query": query,
        "when": whole_label,
        "periods": [
            (_to(visit, days if each is Period.CUSTOM else view, period=each), said, each is view.period)
            for each, said in _PERIODS
        ],
        "groups": [
            (_to(visit, view, by=each), said, each is view.by)
            for each, said in (_OF_ORGANISATION if org_id else _OF_PLATFORM)
        ],
        "zones": _zones(),
        "choices": _choices(view, found),
        "performs": found is not None and found.models.totals.performance is not msgspec.UNSET,
    }
    return msgspec.structs.replace(visit, form=form).show(_USAGE, values)


def _to(visit: Visit, view: View, **changes: object) -> str:
    """Where the page is that shows the same but for these changes."""
    there = query(view, **changes)
    return f"{visit.path}?{urlencode(there)}" if there else visit.path


def _choices(view: View, found: queries.Explored | None) -> Mapping[str, list[tuple[str, str]]]:
    """What each select offers: what there is in this time, the newest members and keys, and what is chosen."""
    models = {} if found is None else {str(item.model): str(item.model) for item in found.models.items}
    members = {} if found is None else {str(each): name for each, name in found.members.items()}
    keys = {} if found is None else {str(each): name for each, name in found.keys.items()}
    return {
        "model": _options(models, view.model, "Every model"),
        "user": _options(members, view.user, "Everybody"),
        "key": _options(keys, view.key, "Every key"),
    }


def _options(some: Mapping[str, str], chosen: UUID | str | None, everything: str) -> list[tuple[str, str]]:
    whole = dict(some) if chosen is None else {str(chosen): str(chosen), **some}
    return [("", everything), *sorted(whole.items(), key=lambda pair: pair[1].casefold())]


@cache
def _zones() -> tuple[tuple[str, str], ...]:
    """Time zones by place, and UTC, with what they are called."""
    named = (name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "SystemV/", "US/")))
    return tuple((name, name.replace("_", " ")) for name in (UTC_ZONE, *sorted(named)))
