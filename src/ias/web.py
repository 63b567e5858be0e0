"""The api process: mounts the doors of the contexts, says what went wrong in one form, drains when told to end."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import rich_click as click
import uvloop
from granian.constants import Interfaces
from granian.server.embed import Server
from litestar import Litestar, Router
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from loguru import logger

from ias import schema
from ias.analytics import doors as analytics
from ias.answers import FAULTS, tagged
from ias.billing import doors as billing
from ias.billing import prepare_organisation
from ias.bodies import JsonRequest
from ias.console import files
from ias.console.policy import kept_by_nobody
from ias.db import EVERYWHERE, close_pool, open_pool, ping, transaction
from ias.edge import Edge
from ias.gitops import doors as gitops
from ias.home import doors as home
from ias.identity import doors as identity
from ias.incoming import WholeFirst
from ias.openapi import Pages, Told, document
from ias.parameters import only_known
from ias.probes import NotReady, Observed, Probes
from ias.problems import Unexpected
from ias.pulse import pulse
from ias.settings import settings
from ias.telemetry import configure_logging, configure_tracing

PREFIX = "/api/v1"
MAX_BODY_BYTES = 1 << 20
NOTICE_S = 1.0
"""How long requests are still taken after SIGTERM, so that balancers see `/ready` refuse first."""
DRAIN_S = 20.0


class Api:
    """The application, and what its process has to know to end it well."""

    def __init__(self) -> None:
        self.edge = Edge(settings().redis_url)
        self.probes = Probes(
            {
                "postgresql": ping,
                "redis": partial(check_redis, self.edge),
                "function library": partial(check_library, self.edge),
                "migrations": check_migrations,
            }
        )
        self.asgi = Observed(self._litestar())

    def _litestar(self) -> Litestar:
        return Litestar(
            route_handlers=[
                doors(),
                pages(),
                Router(PREFIX, route_handlers=self._document()),
                *files.handlers(),
                *self.probes.handlers(),
            ],
            dependencies=provided(lambda: self.edge),
            exception_handlers=FAULTS,
            lifespan=[self._resources],
            request_class=JsonRequest,
            request_max_body_size=MAX_BODY_BYTES,
            openapi_config=None,
            logging_config=None,
        )

    def _document(self) -> list[HTTPRouteHandler]:
        return Pages(described, PREFIX).handlers()

    @asynccontextmanager
    async def _resources(self, _: Litestar) -> AsyncIterator[None]:
        await open_pool(settings().database_url, settings().database_pool, "api")
        try:
            async with pulse():
                yield
        finally:
            await self.edge.close()
            await close_pool()


def doors() -> Router:
    """What the contexts answer."""
    return Router(
        PREFIX,
        route_handlers=[*identity.controllers, *billing.controllers, *analytics.controllers, *gitops.controllers],
        middleware=[WholeFirst(MAX_BODY_BYTES), identity.Authentication, identity.Repeats()],
        guards=[only_known],
        after_request=tagged,
    )


def pages() -> Router:
    """What the contexts show, and what is put together from all of them."""
    mounted = (home, identity, billing, analytics, gitops)
    navigation = tuple(entry for each in mounted for entry in each.NAVIGATION)
    return Router(
        "/",
        route_handlers=[*home.pages, *identity.pages, *billing.pages, *analytics.pages, *gitops.pages],
        middleware=[WholeFirst(MAX_BODY_BYTES), identity.Browsers],
        guards=[identity.sent_from_here],
        dependencies={
            **identity.page_dependencies,
            "navigation": Provide(lambda: navigation, sync_to_thread=False),
        },
        after_request=kept_by_nobody,
    )


def provided(edge: Callable[[], Edge]) -> dict[str, Provide]:
    """What handlers may ask for."""
    return {
        **identity.dependencies,
        "edge": Provide(edge, sync_to_thread=False),
        "prepare": Provide(lambda: partial(prepare_organisation, edge()), sync_to_thread=False),
        "daily_use": Provide(lambda: analytics.daily, sync_to_thread=False),
        "model_use": Provide(lambda: analytics.callers, sync_to_thread=False),
        "key_books": Provide(lambda: _key_books(edge()), sync_to_thread=False),
        "member_books": Provide(lambda: billing.of_members, sync_to_thread=False),
        "org_books": Provide(lambda: billing.of_orgs, sync_to_thread=False),
    }


def _key_books(edge: Edge) -> identity.KeyBooks:
    count = partial(billing.count_keys, edge)
    return identity.KeyBooks(use=billing.key_use, models=billing.model_names, count=count)


def _no_edge() -> Edge:
    raise Unexpected("routes that are only described are not asked for anything")


def described() -> bytes:
    """The OpenAPI document of the routes that the contexts have."""
    routes = Litestar([doors()], dependencies=provided(_no_edge), openapi_config=None, logging_config=None).routes
    told = Told(
        tags={**identity.TAGS, **billing.TAGS, **gitops.TAGS, **analytics.TAGS},
        examples=(*identity.EXAMPLES, *billing.EXAMPLES, *gitops.EXAMPLES, *analytics.EXAMPLES),
        texts={**identity.TEXTS, **analytics.TEXTS},
        logged_in=identity.LOGGED_IN,
        guarded=identity.GUARDED,
        repeated=identity.REPEATED,
    )
    return document(routes, PREFIX, told)


@click.command("openapi")
def openapi() -> None:
    """Print the OpenAPI document of the management API."""
    click.echo(described(), nl=False)


def app() -> Observed:
    """The ASGI application; its lifespan opens and closes the connections."""
    return Api().asgi


@click.command()
def api() -> None:
    """Serve the management API."""
    uvloop.run(serve())


async def serve() -> None:
    """Serve until SIGTERM or SIGINT, then let what is under way finish.

    Raises:
        DatabaseDown: PostgreSQL does not answer, so there is no use in starting.
    """
    configure_logging("api", settings().log_level)
    configure_tracing("api", settings().otlp_endpoint, settings().trace_ratio)
    await open_pool(settings().database_url, 2, "api")
    await close_pool()
    process = Api()
    server = Server(
        process.asgi,
        settings().api_host,
        settings().api_port,
        interface=Interfaces.ASGI,
        websockets=False,
        log_dictconfig={"loggers": {"_granian": {"level": "INFO", "propagate": True}}},
    )
    ending: list[asyncio.Task[None]] = []
    loop = asyncio.get_running_loop()
    for told in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(told, lambda: ending.append(loop.create_task(_drain(process, server.stop))))
    await server.serve()


async def _drain(process: Api, stop: Callable[[], None]) -> None:
    if process.probes.draining:
        return
    process.probes.draining = True
    logger.info("draining")
    await asyncio.sleep(NOTICE_S)
    try:
        async with asyncio.timeout(DRAIN_S):
            await process.asgi.idle.wait()
    except TimeoutError:
        logger.warning("requests were cut off after {} s", DRAIN_S)
    stop()


async def check_redis(edge: Edge) -> None:
    """Redis answers."""
    await edge.call(("PING",))


async def check_library(edge: Edge) -> None:
    """Redis runs this release's Function library, or a newer one that serves it."""
    if not await edge.library_serves():
        raise NotReady("of a release that does not serve this one; run `ias migrate up`")


async def check_migrations() -> None:
    """The database has every migration of this release."""
    async with transaction(EVERYWHERE) as connection:
        missing = await schema.pending(connection, settings().migrations_dir)
    if missing:
        raise NotReady(f"{len(missing)} pending, from {missing[0].name}; run `ias migrate up`")
