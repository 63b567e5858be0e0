"""`/health`, `/ready`, `/metrics`: on a port of their own, never on the public one."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from time import monotonic

import msgspec

from ias.contract.admission import LIBRARY_VERSION, LIBRARY_VERSION_CALL, PROJECTION_KEY
from ias_gateway.asked import RedisDown, RedisRefused
from ias_gateway.door import Door
from ias_gateway.exchange import Exchange
from ias_gateway.head import Bounds
from ias_gateway.ledger import MAX_SKEW_S
from ias_gateway.server import Server
from ias_gateway.settings import GatewaySettings

OK = "ok"
PROBE_TIMEOUT_S = 1.0
LOOK_EVERY_S = 0.02
EXPOSITION = b"text/plain; version=0.0.4; charset=utf-8"
UNKNOWN_PROBE = b'{"error":"try /health, /ready or /metrics"}'


class Probes:
    """Answers the probes of one gateway. `process` is `starting`, `ok` while it listens, `draining`."""

    def __init__(self, door: Door) -> None:
        self.process = "starting"
        self._door = door

    async def answer(self, exchange: Exchange) -> None:
        """One probe."""
        if exchange.path == b"/health":
            exchange.answer(200, b'{"status":"alive"}')
        elif exchange.path == b"/ready":
            # In a task: what has a time limit needs one.
            states = await asyncio.create_task(self.states())
            ready = all(state == OK for state in states.values())
            exchange.answer(200 if ready else 503, msgspec.json.encode({"ready": ready, "dependencies": states}))
        elif exchange.path == b"/metrics":
            exchange.answer(200, self.exposition(), content_type=EXPOSITION)
        else:
            exchange.answer(404, UNKNOWN_PROBE)

    def exposition(self) -> bytes:
        """The metrics as they are now."""
        self._door.metrics.tasks.values[()] = len(asyncio.all_tasks())
        return self._door.metrics.exposition()

    async def wait_served(self, within: float) -> None:
        """Wait until what requests need is there, or so many seconds have passed."""
        until = monotonic() + within
        served = False
        while not served and monotonic() < until:
            await asyncio.sleep(LOOK_EVERY_S)
            served = all(state == OK for name, state in (await self.states()).items() if name != "process")

    async def states(self) -> dict[str, str]:
        """Each dependency and what is wrong with it, `ok` where nothing is."""
        states = {"process": self.process}
        try:
            version = await asyncio.wait_for(self._door.redis.call(*LIBRARY_VERSION_CALL), PROBE_TIMEOUT_S)
            whole = await asyncio.wait_for(self._door.redis.call("GET", PROJECTION_KEY), PROBE_TIMEOUT_S)
        except RedisRefused as error:
            return states | {"redis": OK, "function library": f"{error}; run `ias migrate up`"}
        except (RedisDown, TimeoutError):
            return states | {"redis": "does not answer; check IAS_REDIS_URL and that Redis runs"}
        current = version == LIBRARY_VERSION.encode()
        skew = self._door.ledger.skew_s
        return states | {
            "redis": OK,
            "function library": OK if current else "of another release; run `ias migrate up` with this one",
            "projection": OK if whole == b"1" else "not rebuilt yet; a worker does it, or `ias projection rebuild`",
            "clock": OK if skew <= MAX_SKEW_S else f"{skew:.0f} s away from Redis's; synchronise the clocks",
        }


@contextlib.asynccontextmanager
async def private_port(settings: GatewaySettings, probes: Probes) -> AsyncIterator[None]:
    """Answer probes on the private port, inside the block.

    Raises:
        OSError: the port is taken.
    """
    private = Server(probes.answer, Bounds(settings.max_body_bytes))
    await private.listen(settings.gateway_metrics_host, settings.gateway_metrics_port)
    try:
        yield
    finally:
        private.close()
