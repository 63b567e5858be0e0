"""The only wiring: parts to routes, routes to ports, signals to the drain."""

import asyncio
import contextlib
import gc
import socket
from collections.abc import Coroutine, Iterator
from functools import partial

from uuid_utils import uuid7

from ias.contract.usage import Outcome
from ias_gateway import errors
from ias_gateway.bodies.endpoints import BY_PATH, JSON
from ias_gateway.crashpoints import arm_gateway
from ias_gateway.door import Door
from ias_gateway.ending import LAST_WORDS_S, stop_asked
from ias_gateway.exchange import Exchange
from ias_gateway.health import OK, Probes, private_port
from ias_gateway.log import Log
from ias_gateway.metering import meter
from ias_gateway.report import line_to
from ias_gateway.room import Room
from ias_gateway.routes import route
from ias_gateway.server import Server
from ias_gateway.settings import GatewaySettings
from ias_gateway.shedding import Shedding
from ias_gateway.watch import watch

SERVED_WITHIN_S = 5.0
"""How long a worker waits for Redis before it listens; after that it does, to say 503."""


async def serve(settings: GatewaySettings, supervisor: socket.socket | None = None) -> None:
    """Run until SIGTERM or SIGINT, then drain. A worker has a line to its supervisor in place of the private port.

    Raises:
        OSError: a port is taken.
        SystemExit: what goes on as long as it serves has ended.
    """
    log = Log("gateway", settings.log_level)
    stop = stop_asked()
    door = Door(settings, log)
    await _take_up(door)
    probes = Probes(door)
    public = _public(door)
    probed = private_port(settings, probes) if supervisor is None else line_to(supervisor, probes, stop)
    async with probed:
        if supervisor is not None:
            # The kernel sends requests to a worker as soon as it listens, whatever `/ready` says.
            await probes.wait_served(SERVED_WITHIN_S)
        await public.listen(settings.gateway_host, settings.gateway_port, reuse_port=supervisor is not None)
        ended = await _until(stop, door, public, probes)
    await door.redis.close()
    log.line("info", "stopped", unsettled=len(door.ledger.unsettled))
    log.flush()
    if ended:
        raise SystemExit("ias-gateway: what goes on as long as it serves has ended; its log says why")


async def _until(stop: asyncio.Event, door: Door, public: Server, probes: Probes) -> bool:
    """Serve until told to stop, and drain. Answers whether anything that should have gone on had ended."""
    log = door.log
    probes.process = OK
    tasks = [asyncio.create_task(each) for each in _clocks(door)]
    for task in tasks:
        task.add_done_callback(partial(_ended, log, stop))
    _say_so(door.settings, log)
    _calm_the_collector()
    await stop.wait()
    probes.process = "draining"
    log.line("info", "draining", open=len(door.ledger.open))
    await _drain(door, public)
    going_on = [task.cancel() for task in tasks]
    public.close()
    return not all(going_on)


def _ended(log: Log, stop: asyncio.Event, task: asyncio.Task[None]) -> None:
    """Without its clocks a gateway would serve on, and lose every lease: it ends, to be started again."""
    if not task.cancelled():
        log.line("error", "what goes on as long as it serves has ended", error=repr(task.exception()))
        stop.set()


async def _take_up(door: Door) -> None:
    """Take up what Redis did not take of the processes before this one, and begin to connect to it.

    Raises:
        SystemExit: there can be no spool file where it should be.
    """
    try:
        await door.waiting.start()
    except OSError as error:
        raise SystemExit(f"ias-gateway: IAS_SPOOL_DIR: {error}") from None
    door.redis.start()


def _public(door: Door) -> Server:
    """What clients talk to."""
    settings = door.settings
    bounds = settings.bounds([path for path, endpoint in BY_PATH.items() if endpoint.content_type != JSON])
    bounds.room = Room(door.metrics.shed.tally(("bodies",)))
    bounds.traced = door.tracer.begin if door.tracer is not None else None
    arm_gateway(door.settings.crashpoint, door.log)
    shedding = Shedding(settings.max_streams, settings.shed_lag_ms / 1000, door.metrics.shed)

    def note(exchange: Exchange, request_id: str) -> None:
        door.note(exchange, request_id, "refused")

    failed = partial(_failed, door)
    return Server(partial(route, door), bounds, shedding=shedding, note=note, failed=failed)


def _failed(door: Door, exchange: Exchange, error: Exception) -> None:
    """The last line of defence: the client is told, the log says what."""
    path, request_id = exchange.path.decode(errors="replace"), str(uuid7())
    door.log.line("error", "a request failed", error=repr(error), path=path, request_id=request_id)
    if exchange.status:
        exchange.close()
    else:
        failure = errors.server_error(500, "The gateway failed. Please try again.", "internal_error")
        exchange.refuse(failure, b"x-request-id: %b\r\n" % request_id.encode())


def _clocks(door: Door) -> Iterator[Coroutine[None, None, None]]:
    """What goes on as long as it serves."""
    yield _clock(door)
    yield watch(door.routing, door.settings.watch_interval, door.metrics, door.log)
    yield meter(door.settings.gateway_name, door.redis, door.routing.addresses, door.log)
    if door.tracer is not None:
        yield door.tracer.go_on()


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
            door.waiting.tick()
            door.beats.tick()
        except Exception as error:  # noqa: BLE001 - without its clock the gateway would lose every lease
            door.log.line("error", "a tick failed", error=repr(error))
        door.log.flush()


def _say_so(settings: GatewaySettings, log: Log) -> None:
    host, port = settings.gateway_host, settings.gateway_port
    log.line("info", "listening", host=host, port=port, name=settings.gateway_name)
    log.flush()


def _calm_the_collector() -> None:
    """Requests make no circles to speak of: what is here stays, and little is looked at."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)


async def _drain(door: Door, public: Server) -> None:
    """Let what is open end; then end it, and wait for its settlements."""
    door.beats.drain()
    if not await public.drain(door.settings.drain_timeout):
        until = asyncio.get_running_loop().time() + LAST_WORDS_S
        door.ledger.cut_all(Outcome.DRAINED)
        # Again: some were on their way to an engine, and could not be cut before.
        while not await public.ended(LAST_WORDS_S / 10) and asyncio.get_running_loop().time() < until:
            door.ledger.cut_all(Outcome.DRAINED)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(door.ledger.all_settled(), LAST_WORDS_S)
    await door.waiting.stop()
    await door.beats.stop()
    if door.tracer is not None:
        await door.tracer.close()
