"""The api process: mounts the doors of the contexts, says what went wrong in one form, drains when told to end."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus

import asyncpg
import msgspec
import rich_click as click
import uvloop
from granian.constants import Interfaces
from granian.server.embed import Server
from litestar import Litestar, Request, Response, Router
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import ExceptionHandlersMap
from loguru import logger

from ias import schema
from ias.analytics import doors as analytics
from ias.billing import doors as billing
from ias.billing import prepare_organisation
from ias.db import EVERYWHERE, DatabaseDown, close_pool, open_pool, ping, transaction
from ias.edge import Edge, EdgeDown
from ias.identity import doors as identity
from ias.paging import BadCursor
from ias.probes import NotReady, Observed, Probes
from ias.problems import FieldError, Problem, Unavailable, details
from ias.settings import settings
from ias.telemetry import configure_logging, configure_tracing

PREFIX = "/api/v1"
MAX_BODY_BYTES = 1 << 20
NOTICE_S = 1.0
"""How long requests are still taken after SIGTERM, so that balancers see `/ready` refuse first."""
DRAIN_S = 20.0
PROBLEM_JSON = "application/problem+json"

AnyRequest = Request[object, object, State]


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
        doors = Router(
            PREFIX,
            route_handlers=[*identity.controllers, *billing.controllers, *analytics.controllers],
            middleware=[identity.Authentication],
        )
        return Litestar(
            route_handlers=[doors, *self.probes.handlers()],
            dependencies={**identity.dependencies, **self._provided()},
            exception_handlers=FAULTS,
            lifespan=[self._resources],
            request_max_body_size=MAX_BODY_BYTES,
            openapi_config=OpenAPIConfig(
                title="Inference-as-a-Service: management API",
                version="1",
                path=f"{PREFIX}/openapi.json",
                render_plugins=[JsonRenderPlugin(path="/")],
                use_handler_docstrings=True,
                components=Components(security_schemes={"bearer": SecurityScheme(type="http", scheme="bearer")}),
                security=[{"bearer": []}],
            ),
            logging_config=None,
        )

    def _provided(self) -> dict[str, Provide]:
        return {
            "edge": Provide(lambda: self.edge, sync_to_thread=False),
            "prepare": Provide(lambda: partial(prepare_organisation, self.edge), sync_to_thread=False),
        }

    @asynccontextmanager
    async def _resources(self, _: Litestar) -> AsyncIterator[None]:
        await open_pool(settings().database_url, settings().database_pool, "api")
        try:
            yield
        finally:
            await self.edge.close()
            await close_pool()


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
    configure_tracing("api", settings().otlp_endpoint)
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
    """Redis runs this release's Function library."""
    if not await edge.library_is_current():
        raise NotReady("not this release's; run `ias migrate up`")


async def check_migrations() -> None:
    """The database has every migration of this release."""
    async with transaction(EVERYWHERE) as connection:
        missing = await schema.pending(connection, settings().migrations_dir)
    if missing:
        raise NotReady(f"{len(missing)} pending, from {missing[0].name}; run `ias migrate up`")


def _answer(request: AnyRequest, problem: Problem) -> Response[bytes]:
    request_id = str(request.scope["state"].get("request_id", ""))
    headers = {"Cache-Control": "no-store"}
    if problem.retry_after_s is not None:
        headers["Retry-After"] = str(problem.retry_after_s)
    if problem.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    body = msgspec.json.encode(details(problem, request.url.path, request_id))
    return Response(body, media_type=PROBLEM_JSON, status_code=problem.status, headers=headers)


def _with_status(status: int, detail: str, errors: tuple[FieldError, ...] = ()) -> Problem:
    problem = Problem(detail, errors)
    problem.status, problem.title = status, HTTPStatus(status).phrase
    return problem


def _http(request: AnyRequest, error: HTTPException) -> Response[bytes]:
    errors = tuple(_field(fault) for fault in error.extra or () if isinstance(fault, dict))
    detail = "; ".join(f"{fault.pointer[1:]}: {fault.detail}".removeprefix(": ") for fault in errors) or error.detail
    if error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _bug(request, error)
    return _answer(request, _with_status(error.status_code, detail, errors))


def _field(fault: dict[str, str]) -> FieldError:
    """Litestar's fault as a JSON pointer: its key is dotted, and `data` where it is the body itself."""
    key, said = fault.get("key", ""), fault.get("message", "")
    if key == "data":
        return FieldError("", "a JSON body is expected" if said == "'data'" else said)
    return FieldError("/" + key.replace(".", "/"), said)


def _down(request: AnyRequest, error: Exception) -> Response[bytes]:
    logger.bind(request_id=request.scope["state"].get("request_id")).error(f"{type(error).__name__}: {error}")
    return _answer(request, Unavailable("a dependency does not answer; try again in a moment"))


def _bad_value(request: AnyRequest, _: Exception) -> Response[bytes]:
    return _answer(request, _with_status(400, "a value has characters in it that cannot be stored"))


def _bug(request: AnyRequest, error: Exception) -> Response[bytes]:
    logger.bind(request_id=request.scope["state"].get("request_id")).opt(exception=error).error("unexpected failure")
    return _answer(request, _with_status(500, "something went wrong here; the log has it under this request's id"))


FAULTS: ExceptionHandlersMap = {
    Problem: _answer,
    BadCursor: lambda request, error: _answer(request, _with_status(400, str(error))),
    HTTPException: _http,
    DatabaseDown: _down,
    EdgeDown: _down,
    asyncpg.PostgresConnectionError: _down,
    asyncpg.InterfaceError: _down,
    asyncpg.QueryCanceledError: _down,
    asyncpg.DataError: _bad_value,
    Exception: _bug,
}
