"""A tenant whose requests go to their engine while Redis is asked."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx

from ias.contract import admission
from tests.integration.gateway.place import Place, Tenant, eventually
from tests.integration.gateway.raw_engine import CHUNKED, END, Call, RawEngine, chunked, raw_engine, whole

OUTPUT, PROMPT = 5, 13
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n'
DONE = b"data: [DONE]\n\n"
ANSWER = b'{"id":"x","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}'
_EARLY = re.compile(r'^ias_gateway_early_total{outcome="(\w+)"} (\d+)$', re.MULTILINE)


async def answers(call: Call) -> None:
    """Each at once, as a stream or whole."""
    if call.body.get("stream"):
        await call.send(CHUNKED + chunked([EVENT]), chunked([DONE]) + END)
    else:
        await call.send(whole(ANSWER))


async def early(place: Place) -> dict[str, int]:
    """What became of the requests that were sent early."""
    metrics = (await place.client.get(f"{place.probes}/metrics")).text
    return {outcome: int(count) for outcome, count in _EARLY.findall(metrics)}


@asynccontextmanager
async def led(tenant: Tenant, behave: Callable[[Call], Awaitable[None]] = answers) -> AsyncIterator[RawEngine]:
    """An engine that the tenant's next request goes to early."""
    await tenant.edge.load_library()
    async with raw_engine(answers) as engine:
        await tenant.begin((engine.url,))
        # What is written while an earlier settlement waits for its answer may leave later, and then is not early.
        await eventually(lambda: sent_early(tenant))
        engine.behave, engine.calls = behave, []
        await tenant.edge.redis.delete(admission.outbox(tenant.tag))
        yield engine


async def sent_early(tenant: Tenant) -> bool:
    before = await early(tenant.place)
    assert (await ask(tenant)).status_code == 200
    return (await early(tenant.place))["confirmed"] > before["confirmed"]


async def outstanding(place: Place, url: str) -> float:
    """Requests that are under way on a replica, as the gateway counts them; -1 before it was first told."""
    metrics = (await place.client.get(f"{place.probes}/metrics")).text
    told = re.findall(rf'^ias_gateway_replica_outstanding{{replica="{url}"}} (\S+)$', metrics, re.MULTILINE)
    return float(told[0]) if told else -1


async def ask(tenant: Tenant, **more: object) -> httpx.Response:
    return await tenant.chat(max_tokens=OUTPUT, **more)


async def nothing_is_held(tenant: Tenant) -> None:
    """Nobody is under way any more."""

    async def quiet() -> bool:
        return not await tenant.edge.redis.zcard(f"{admission.slot(tenant.tag)}:resv")

    await eventually(quiet)
