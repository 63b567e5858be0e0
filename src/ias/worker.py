"""The worker process: mounts the contexts' clocks and consumers and the relay, and drains when told to end."""

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial

import rich_click as click
import uvloop
from granian.constants import Interfaces
from granian.server.embed import Server
from litestar import Litestar
from loguru import logger

from ias import schema
from ias.analytics import doors as analytics
from ias.billing import doors as billing
from ias.bus import Bus
from ias.contract.crashpoints import arm
from ias.contract.usage import ANALYTICS_QUEUE, LEDGER_QUEUE
from ias.db import EVERYWHERE, close_pool, open_pool, ping, sole, transaction
from ias.edge import Edge, EdgeDown
from ias.gitops import doors as gitops
from ias.identity import doors as identity
from ias.intake import Batch, Inlet, Intake, take_in
from ias.probes import NotReady, Probes
from ias.pulse import pulse
from ias.settings import settings
from ias.stages import Stages, Turn, every
from ias.telemetry import configure_logging, configure_tracing
from ias.vitals import gateways
from ias.vitals.examination import examine
from ias.vitals.metrics import show

DRAIN_S = 20.0
BUSY_S = 0.2
"""Until the next try, where another worker is at it."""
LEAST_POOL = 16
"""Connections to PostgreSQL: each clock that runs alone holds one while it works with others."""
ENGINES_S = 10.0
"""How often it is fetched what gateways read of engines, as often as they do."""
INTAKES: dict[str, Intake] = {LEDGER_QUEUE: billing.INTAKE, ANALYTICS_QUEUE: analytics.INTAKE}
CONSUMED: dict[str, tuple[str, ...]] = {
    "both": (LEDGER_QUEUE, ANALYTICS_QUEUE),
    "ledger": (LEDGER_QUEUE,),
    "usage": (ANALYTICS_QUEUE,),
}


class Worker:
    """One worker; any number of them may run."""

    def __init__(self) -> None:
        self.edge = Edge(settings().redis_url)
        self.stages = Stages()
        handlers = {queue: Inlet(INTAKES[queue]).take for queue in CONSUMED[settings().worker_consumes]}
        others = INTAKES.keys() - handlers.keys()
        self.bus = Bus(settings().amqp_url, handlers, others) if settings().amqp_url else None
        self.probes = Probes(
            {
                "postgresql": ping,
                "redis": self._check_redis,
                "migrations": check_migrations,
                **({} if self.bus is None else {"rabbitmq": self.bus.check}),
                "stages": self._check_stages,
            }
        )
        self._working = False

    def stop(self) -> None:
        """Begin nothing more."""
        self.probes.draining = True
        self.stages.stopping.set()

    async def run(self) -> None:
        """Wait for what is needed, then work until told to stop; what was begun is finished."""
        size = max(settings().database_pool, LEAST_POOL)
        pool = partial(open_pool, settings().database_url, size, "worker")
        await self.stages.wait_for("PostgreSQL", pool)
        await self.stages.wait_for("the migrations", check_migrations)
        await self.stages.wait_for("Redis", self._load_library)
        if self.stages.stopping.is_set():
            return
        sink = take_straight_in if self.bus is None else self.bus.publish
        relay = billing.Relay(self.edge, sink, consumer_name(), settings().relay_takeover_s)
        async with pulse(), asyncio.TaskGroup() as group:
            for name, turn in {"relay": relay.turn, **self._clocks(sink)}.items():
                group.create_task(self.stages.keep(name, turn))
            self._working = True
            logger.info("working")
        if self.bus is not None:
            await self.bus.close()
        await relay.leave()

    def _clocks(self, sink: Callable[[Batch], Awaitable[None]]) -> dict[str, Turn]:
        settled, again_s = (billing.settled, analytics.settled), settings().relay_again_s
        clear = partial(billing.clear, self.edge, settled)
        again = partial(billing.relay_again, self.edge, settled, sink, again_s)
        queue = {} if self.bus is None else {"queue": every(2.0, self.bus.watch)}
        return {
            **queue,
            "projection": every(1.0, partial(alone, "ias.worker.projection", self._project)),
            "sweeper": every(5.0, partial(billing.sweep, self.edge)),
            "vitals": every(settings().vitals_every_s, self._look),
            "janitor": every(2.0, partial(alone, billing.JANITOR, clear)),
            "check": self._check,
            "relay again": every(again_s / 2, partial(alone, "ias.worker.relay again", again)),
            "alerts": every(3.0, billing.Watch(self.edge).look),
            "gitops": every(1.0, gitops.Reconciler(self.edge).turn),
            "months": every(3600.0, self._open_months),
            "sums": every(3600.0, partial(alone, "ias.worker.sums", billing.sum_up)),
            "engines": every(ENGINES_S, partial(alone, "ias.worker.engines", partial(analytics.collect, self.edge))),
            "engines up": every(ENGINES_S, analytics.tell_engines),
            "usage": every(settings().usage_every_s, billing.tell_use),
            "reconciliation": every(60.0, analytics.tell),
            "retention": every(3600.0, partial(alone, "ias.worker.retention", forget)),
        }

    async def _project(self) -> None:
        await self._load_library()
        for lost in await self.edge.lost():
            logger.warning("Redis at {} does not hold the whole projection; rebuilding it", lost.name)
            logger.info("projected {} organisations", await billing.rebuild(self.edge, lost))
        await billing.pay_debts(self.edge)

    async def _look(self) -> None:
        show(await examine(self.edge))
        with suppress(EdgeDown):  # it has been shown to be away
            await gateways.forget(self.edge)

    async def _check(self) -> float:
        async with sole(billing.JANITOR) as got:  # nobody deletes from the outboxes while the books are compared
            if not got:
                return BUSY_S
            other = billing.Other(analytics.seen, analytics.totals)
            return await billing.check(self.edge, other, settings().check_every_s, settings().compare_every_s)

    async def _load_library(self) -> None:
        if not await self.edge.library_is_current():
            await self.edge.load_library()

    async def _open_months(self) -> None:
        await billing.open_periods()
        await analytics.open_months()

    async def _check_redis(self) -> None:
        await self.edge.call(("PING",))

    async def _check_stages(self) -> None:
        if not self._working:
            raise NotReady("waiting for what is needed; the log says for what")


async def forget() -> None:
    """Delete what has been kept long enough."""
    await analytics.forget(timedelta(days=settings().keep_events_days), timedelta(days=settings().keep_rollups_days))
    await identity.forget_repeats()
    await identity.forget_sessions()
    await gitops.forget(timedelta(days=settings().keep_policy_changes_days))


async def take_straight_in(batch: Batch) -> None:
    """The relay's sink where there is no broker: the consumers' intakes, one after the other."""
    for intake in INTAKES.values():
        await take_in(intake, batch)


async def alone(name: str, job: Callable[[], Awaitable[None]]) -> None:
    """The job, unless another worker is at it just now."""
    async with sole(name) as got:
        if got:
            await job()


async def check_migrations() -> None:
    """The database has every migration of this release."""
    async with transaction(EVERYWHERE) as connection:
        missing = await schema.pending(connection, settings().migrations_dir)
    if missing:
        raise NotReady(f"{len(missing)} migrations are pending, from {missing[0].name}; run `ias migrate up`")


def consumer_name() -> str:
    """This worker's name among the relays: the same after a restart, so that it finds what it had begun."""
    return f"{socket.gethostname()}:{settings().worker_port}"


@click.command()
def worker() -> None:
    """Relay, book and count usage, sweep, keep Redis's projection; any number of these may run."""
    uvloop.run(serve())


async def serve() -> None:
    """Work until SIGTERM or SIGINT, then finish what was begun, in twenty seconds at most."""
    configure_logging("worker", settings().log_level)
    configure_tracing("worker", settings().otlp_endpoint, settings().trace_ratio)
    if arm(settings().crashpoint) is not None:
        logger.critical("IAS_CRASHPOINT is set: this process will kill itself at {}", settings().crashpoint)
    process = Worker()
    app = Litestar(route_handlers=process.probes.handlers(), openapi_config=None, logging_config=None)
    server = Server(
        app,
        settings().worker_host,
        settings().worker_port,
        interface=Interfaces.ASGI,
        websockets=False,
        log_dictconfig={"loggers": {"_granian": {"level": "INFO", "propagate": True}}},
    )
    loop = asyncio.get_running_loop()
    for told in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(told, process.stop)
    serving = asyncio.create_task(server.serve())
    working = asyncio.create_task(process.run())
    stopping = asyncio.create_task(process.stages.stopping.wait())
    await asyncio.wait({serving, working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    process.stop()
    await asyncio.wait({working}, timeout=DRAIN_S)
    logger.info("ending")
    working.cancel()
    server.stop()  # type: ignore[no-untyped-call]  # granian
    ends = await asyncio.gather(serving, working, return_exceptions=True)
    await process.edge.close()
    await close_pool()
    for end in ends:
        if isinstance(end, Exception):
            raise end
