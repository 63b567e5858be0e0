"""The HTML door of the first pages."""

from typing import Final
from uuid import UUID

from litestar import Controller, Response, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath

from ias.billing import DailyUse
from ias.console.visit import Visit
from ias.edge import Edge
from ias.home import queries
from ias.home.queries import Doors
from ias.identity import KeyBooks, Permission, Principal, requires
from ias.settings import settings

_HOME: Final = "home/home.html"
_OVERVIEW: Final = "home/overview.html"


def provide_doors(
    edge: NamedDependency[Edge], daily_use: NamedDependency[DailyUse], key_books: NamedDependency[KeyBooks]
) -> Doors:
    """The dependency `home_doors`: what the contexts are asked by."""
    return Doors(edge, daily_use, key_books)


class HomePages(Controller):
    """The first page of an organisation."""

    path = "/orgs/{org_id:uuid}"
    include_in_schema = False
    dependencies = {"home_doors": Provide(provide_doors, sync_to_thread=False)}  # noqa: RUF012 - Litestar's own form
    guards = (
        requires(Permission.ORGANISATIONS_READ),
        requires(Permission.BUDGETS_READ),
        requires(Permission.MODELS_READ),
        requires(Permission.USAGE_READ),
    )

    @get()
    async def home(
        self,
        visit: NamedDependency[Visit],
        principal: NamedDependency[Principal],
        org_id: FromPath[UUID],
        home_doors: NamedDependency[Doors],
    ) -> Response[bytes]:
        """How it stands, what needs attention, and what to do next."""
        home = await queries.org_home(principal, org_id, home_doors)
        return visit.show(_HOME, {"home": home, "base_url": f"{settings().gateway_url.rstrip('/')}/v1"})


class OverviewPages(Controller):
    """The first page of the platform."""

    path = "/overview"
    include_in_schema = False

    @get(guards=[requires(Permission.USAGE_PLATFORM)])
    async def overview(
        self, visit: NamedDependency[Visit], principal: NamedDependency[Principal], edge: NamedDependency[Edge]
    ) -> Response[bytes]:
        """How the platform stands, what needs attention, and what to do next."""
        return visit.show(_OVERVIEW, {"found": await queries.overview(principal, edge)})
