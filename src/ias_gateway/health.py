"""`/health`, `/ready`, `/metrics`: on a port of their own, never on the public one."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from time import monotonic

import msgspec

from ias.contract import forms
from ias_gateway.asked import RedisDown, RedisRefused
from ias_gateway.door import Door
from ias_gateway.exchange import Exchange
from ias_gateway.head import Bounds
from ias_gateway.ledger import MAX_SKEW_S
from ias_gateway.redis import Redis
from ias_gateway.server import Server
from ias_gateway.settings import GatewaySettings
from ias_gateway.shards import SHARD
from ias_gateway.weight import weigh

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
            ready = serves(states)
            exchange.answer(200 if ready else 503, msgspec.json.encode({"ready": ready, "dependencies": states}))
        elif exchange.path == b"/metrics":
            exchange.answer(200, self.exposition(), content_type=EXPOSITION)
        else:
            exchange.answer(404, UNKNOWN_PROBE)

    def exposition(self) -> bytes:
        """The metrics as they are now."""
        self._door.metrics.tasks.values[()] = len(asyncio.all_tasks())
        weigh(self._door.metrics)
        self._door.metrics.shard_up.values.clear()
        for name, part in self._door.redis.parts.items():
            if name.startswith(SHARD):
                self._door.metrics.shard_up.values[(name.removeprefix(SHARD),)] = int(part.connected)
        return self._door.metrics.exposition()

    async def wait_served(self, within: float) -> None:
        """Wait until what requests need is there, or so many seconds have passed."""
        until = monotonic() + within
        served = False
        while not served and monotonic() < until:
            await asyncio.sleep(LOOK_EVERY_S)
            served = serves(await self.states() | {"process": OK})

    async def states(self) -> dict[str, str]:
        """Each dependency and what is wrong with it, `ok` where nothing is."""
        parts = self._door.redis.parts
        looks = await asyncio.gather(*map(look_at, parts.values()))
        states = {"process": self.process} | redis_states(dict(zip(parts, looks, strict=True)))
        if states["redis"] == OK:
            skew = self._door.ledger.skew_s
            states["clock"] = OK if skew <= MAX_SKEW_S else f"{skew:.0f} s away from Redis's; synchronise the clocks"
        return states


def serves(states: Mapping[str, str]) -> bool:
    """Whether requests can be served. A shard that is missing takes its organisations with it, and no other."""
    return all(state == OK for name, state in states.items() if not name.startswith(SHARD))


async def look_at(redis: Redis) -> dict[str, str]:
    """What there is to say of one server."""
    try:
        told = await asyncio.wait_for(redis.call("GET", redis.mark), PROBE_TIMEOUT_S)
        understood = await asyncio.wait_for(redis.call(*forms.FORMS_CALL), PROBE_TIMEOUT_S)
    except RedisRefused as error:
        if str(error).startswith("MOVED"):
            return {"redis": "does not have all slots of its cluster; let IAS_REDIS_URL begin with redis+cluster://"}
        return {"redis": OK, "function library": f"{error}; run `ias migrate up`"}
    except (RedisDown, TimeoutError):
        return {"redis": "does not answer; check IAS_REDIS_URL and that Redis runs"}
    served, whole = forms.serves(understood), redis.vouches(told)
    return {
        "redis": OK,
        "function library": OK
        if served
        else "of a release that does not serve this one; run `ias migrate up` with this one",
        "projection": OK if whole else "not rebuilt yet; a worker does it, or `ias projection rebuild`",
    }


def redis_states(looks: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """What was said of the one server; of shards, one sentence about each, and whether any of them serves."""
    if "redis" in looks:
        return dict(looks["redis"])
    shards = {
        name: next((f"{what}: {state}" for what, state in look.items() if state != OK), OK)
        for name, look in looks.items()
    }
    none = "no shard of the cluster serves; check IAS_REDIS_URL and that they run"
    return {"redis": OK if OK in shards.values() else none, **shards}


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
