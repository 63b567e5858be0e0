"""What a process shows of itself: alive, ready and why not, metrics, a line per request; the worker's and the api's."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping

import msgspec
from litestar import Response, get
from litestar.enums import ScopeType
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send
from loguru import logger
from opentelemetry import propagate, trace
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest
from uuid_utils.compat import uuid7

PROBE_TIMEOUT_S = 2.0
OK = "ok"

REQUESTS = Counter("ias_http_requests_total", "Requests answered", ("method", "route", "status"))
DURATION = Histogram("ias_http_request_duration_seconds", "Time to the last byte of the answer", ("method", "route"))
IN_FLIGHT = Gauge("ias_http_requests_in_flight", "Requests under way")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TRACER = trace.get_tracer("ias.http")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_UNMATCHED = "unmatched"

Check = Callable[[], Awaitable[None]]
"""Returns when the dependency serves, and raises with a sentence that says what is wrong."""


class Health(msgspec.Struct, frozen=True):
    """The process answers."""

    status: str = OK


class Readiness(msgspec.Struct, frozen=True):
    """Whether to send requests here, and each dependency: `ok` or what is wrong with it."""

    status: str
    dependencies: dict[str, str]


class NotReady(Exception):
    """A dependency answers but cannot be worked with; the message says why."""


class Probes:
    """The probes of one process. `draining` is set once it has been told to end."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks
        self.draining = False

    async def readiness(self) -> Readiness:
        """Ask every dependency at once; one that does not answer in two seconds is down."""
        states = await asyncio.gather(*map(_state, self._checks.values()))
        dependencies = dict(zip(self._checks, states, strict=True))
        if self.draining:
            return Readiness("draining", dependencies)
        whole = all(state == OK for state in states)
        return Readiness(OK if whole else "not ready", dependencies)

    def handlers(self) -> list[HTTPRouteHandler]:
        """`/health`, `/ready` and `/metrics`."""

        @get("/health", include_in_schema=False)
        async def health() -> Health:
            return Health()

        @get("/ready", include_in_schema=False)
        async def ready() -> Response[Readiness]:
            answer = await self.readiness()
            return Response(answer, status_code=200 if answer.status == OK else 503)

        @get("/metrics", include_in_schema=False)
        async def metrics() -> Response[bytes]:
            return Response(generate_latest(), headers={"content-type": CONTENT_TYPE_LATEST})

        return [health, ready, metrics]


class Observed:
    """Gives each request an id, a span, a line in the log and a place in the metrics, then hands it on."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner
        self._in_flight = 0
        self.idle = asyncio.Event()
        """Set while no request is under way."""
        self.idle.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._inner(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        seen = _Seen(headers.get("x-request-id", ""))
        scope.setdefault("state", {})["request_id"] = seen.request_id
        self._count(1)
        try:
            with _TRACER.start_as_current_span(
                scope["method"], context=propagate.extract(headers), kind=trace.SpanKind.SERVER
            ) as span:
                await self._inner(scope, receive, seen.watching(send))
                seen.tell_span(span, scope)
        finally:
            self._count(-1)
            seen.tell(scope)

    def _count(self, change: int) -> None:
        self._in_flight += change
        IN_FLIGHT.set(self._in_flight)
        if self._in_flight:
            self.idle.clear()
        else:
            self.idle.set()


class _Seen:
    """What is known of one request."""

    def __init__(self, asked: str) -> None:
        self.request_id = asked if _REQUEST_ID.fullmatch(asked) else str(uuid7())
        self.status = 0
        self._began = time.perf_counter()

    def watching(self, send: Send) -> Send:
        """`send`, which notes the status on its way and adds the request's id."""

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", self.request_id.encode())]
            await send(message)

        return watched

    def tell_span(self, span: trace.Span, scope: HTTPScope) -> None:
        route = _route(scope)
        span.update_name(f"{scope['method']} {route}")
        span.set_attributes({"http.request.method": scope["method"], "http.route": route})
        span.set_attributes({"http.response.status_code": self.status, "ias.request_id": self.request_id})

    def tell(self, scope: HTTPScope) -> None:
        took = time.perf_counter() - self._began
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = _route(scope)
        REQUESTS.labels(method, route, str(self.status)).inc()
        DURATION.labels(method, route).observe(took)
        logger.bind(
            request_id=self.request_id,
            method=method,
            path=scope["path"],
            route=route,
            status=self.status,
            duration_ms=round(took * 1000, 1),
        ).info("request")


def _route(scope: HTTPScope) -> str:
    """The route's template, so that ids in paths make no new series."""
    return str(scope.get("path_template") or _UNMATCHED)


async def _state(check: Check) -> str:
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            await check()
    except TimeoutError:
        return f"no answer within {PROBE_TIMEOUT_S:g} s"
    except Exception as error:  # noqa: BLE001 - whatever it is, the probe is what says so
        return str(error) or type(error).__name__
    return OK
