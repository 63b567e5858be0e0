"""The only wiring: parts to routes, routes to ports, signals to the drain."""

import asyncio
import contextlib
import gc
import signal

from ias.contract.usage import Outcome
from ias_gateway.body import ENDPOINTS
from ias_gateway.completions import complete
from ias_gateway.door import Door
from ias_gateway.errors import ApiError
from ias_gateway.exchange import Exchange
from ias_gateway.health import Probes
from ias_gateway.limits import PATH as LIMITS
from ias_gateway.limits import limits
from ias_gateway.models import PATH as MODELS
from ias_gateway.models import models
from ias_gateway.server import Server
from ias_gateway.settings import GatewaySettings
from ias_gateway.telemetry import Log

LAST_WORDS_S = 2.0
"""What cut streams and their settlements get after the drain window."""
_COMPLETIONS = frozenset(endpoint.encode() for endpoint in ENDPOINTS)


async def serve(settings: GatewaySettings) -> None:
    """Run until SIGTERM or SIGINT, then drain.

    Raises:
        OSError: a port is taken.
    """
    log = Log("gateway", settings.log_level)
    door = Door(settings, log)
    door.redis.start()
    probes = Probes(door)
    public = Server(lambda exchange: route(door, exchange), settings.max_body_bytes)
    private = Server(probes.answer, settings.max_body_bytes)
    await private.listen(settings.gateway_metrics_host, settings.gateway_metrics_port)
    await public.listen(settings.gateway_host, settings.gateway_port)
    clock = asyncio.create_task(_clock(door))
    log.line("info", "listening", host=settings.gateway_host, port=settings.gateway_port, name=settings.gateway_name)
    log.flush()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
    await _stop_signal()
    probes.draining = True
    log.line("info", "draining", open=len(door.ledger.open))
    await _drain(door, public)
    clock.cancel()
    public.close()
    private.close()
    await door.redis.close()
    log.line("info", "stopped", unsettled=len(door.ledger.unsettled))
    log.flush()


async def route(door: Door, exchange: Exchange) -> None:
    """The allow-list of what is served."""
    path = exchange.path
    try:
        if path in _COMPLETIONS and exchange.method == b"POST":
            await complete(door, exchange)
        elif (path == MODELS or path.startswith(MODELS + b"/")) and exchange.method == b"GET":
            await models(door, exchange)
        elif path == LIMITS and exchange.method == b"GET":
            await limits(door, exchange)
        else:
            exchange.refuse(_unrouted(exchange))
            door.note(exchange, "", "unrouted")
    except Exception as error:  # noqa: BLE001 - the last line of defence: the client is told, the log says what
        door.log.line("error", "a request failed", error=repr(error), path=path.decode(errors="replace"))
        fault = ApiError(500, "The gateway failed. Please try again.", kind="server_error", code="internal_error")
        if exchange.status:
            exchange.close()
        else:
            exchange.refuse(fault)


def _unrouted(exchange: Exchange) -> ApiError:
    if exchange.path in _COMPLETIONS or exchange.path in {MODELS, LIMITS}:
        allowed = "POST" if exchange.path in _COMPLETIONS else "GET"
        return ApiError(405, f"Use {allowed} for this path.", headers=(("allow", allowed),))
    return ApiError(404, "There is no such path. The API is under /v1, for example POST /v1/chat/completions.")


async def _clock(door: Door) -> None:
    """The one timer: leases, checkpoints, time limits, log lines."""
    loop = asyncio.get_running_loop()
    pause = door.settings.tick_ms / 1000
    while True:
        due = loop.time() + pause
        await asyncio.sleep(pause)
        door.metrics.loop_lag.values[()] = max(0.0, loop.time() - due)
        try:
            door.ledger.tick()
        except Exception as error:  # noqa: BLE001 - without its clock the gateway would lose every lease
            door.log.line("error", "a tick failed", error=repr(error))
        door.log.flush()


async def _stop_signal() -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()


async def _drain(door: Door, public: Server) -> None:
    """Let what is open end; then end it, and wait for its settlements."""
    if not await public.drain(door.settings.drain_timeout):
        door.ledger.cut_all(Outcome.DRAINED)
        await asyncio.wait(public.exchanges, timeout=LAST_WORDS_S)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(door.ledger.all_settled(), LAST_WORDS_S)
