"""More than a gateway can do: whom it turns away, what it tells them, and that it serves again."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest

from tests.integration.gateway.place import CHAT, Place, Tenant, eventually, place_of
from tests.integration.gateway.raw_engine import CHUNKED, Call, chunked, raw_engine
from tests.integration.gateway.wire import Wire, post, request, wired
from tests.services import Services
from tests.unit.gateway.streams import DONE, Script

MOST = 4
EVENTS = Script(texts=["word "] * 3).events(usage=True, final=True)
HEAVY = b'{"model":"none","messages":[%b]}' % b",".join([b'{"role":"user","content":"x"}'] * 40_000)


@pytest.fixture(scope="module")
def small(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A gateway that takes few requests at once."""
    with place_of(services, tmp_path_factory.mktemp("small"), IAS_MAX_STREAMS=str(MOST)) as place:
        yield place


@pytest.fixture(scope="module")
def nervous(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A gateway that takes a little lateness for overload."""
    with place_of(services, tmp_path_factory.mktemp("nervous"), IAS_SHED_LAG_MS="20") as place:
        yield place


async def begun(place: Place, tenants: Callable[[Place], Tenant]) -> Tenant:
    tenant = tenants(place)
    await tenant.edge.load_library()
    return await tenant.begin()


async def shed(place: Place, reason: str) -> float:
    """How many the gateway says that it has turned away."""
    async with httpx.AsyncClient(base_url=place.probes, timeout=30) as client:
        lines = (await client.get("/metrics")).text.splitlines()
    mark = f'ias_gateway_shed_total{{reason="{reason}"}} '
    return sum(float(line.removeprefix(mark)) for line in lines if line.startswith(mark))


async def test_as_many_requests_run_at_once_as_may_and_the_next_is_told_when_to_come_back(
    small: Place, tenants: Callable[[Place], Tenant]
) -> None:
    tenant = await begun(small, tenants)
    go_on = asyncio.Event()

    async def patient(call: Call) -> None:
        await call.send(CHUNKED + chunked(EVENTS[:1]))
        await go_on.wait()
        await call.send(chunked([*EVENTS[1:]]) + b"0\r\n\r\n")

    async with raw_engine(patient) as engine, AsyncExitStack() as stack:
        await tenant.route((engine.url,))
        streams = [await stack.enter_async_context(wired(small)) for _ in range(MOST)]
        for stream in streams:
            stream.send(request(tenant, stream=True))
        for stream in streams:
            await asyncio.wait_for(stream.reader.readuntil(EVENTS[0][-20:]), 30)
        before = await shed(small, "requests")
        one_more = await stack.enter_async_context(wired(small))
        assert len({await turned_away(one_more, tenant) for _ in range(8)}) > 1
        assert await shed(small, "requests") == before + 8
        assert len(engine.calls) == MOST
        go_on.set()
        for stream in streams:
            await asyncio.wait_for(stream.reader.readuntil(DONE + b"\r\n0\r\n\r\n"), 30)

        async def served() -> bool:
            one_more.send(request(tenant))
            return (await one_more.answer())[0] != 503

        engine.behave = refuse
        await eventually(served)
    assert {line["o"] for line in await tenant.lines(MOST + 1)} == {"completed", "rejected"}


async def turned_away(wire: Wire, tenant: Tenant) -> int:
    """After how many milliseconds the client is told to come back."""
    wire.send(request(tenant, stream=True))
    status, headers, body = await wire.answer()
    assert (status, b'"server_overloaded"' in body) == (503, True)
    assert headers["x-request-id"]
    wait = int(headers["retry-after-ms"])
    assert 1000 <= wait <= 3000
    assert int(headers["retry-after"]) == -(-wait // 1000)
    return wait


async def refuse(call: Call) -> None:
    await call.send(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}")


@asynccontextmanager
async def hammered(tenant: Tenant, connections: int) -> AsyncIterator[list[tuple[int, dict[str, str], bytes]]]:
    """Large requests on many connections; what they were answered."""
    answers: list[tuple[int, dict[str, str], bytes]] = []
    heavy = post(tenant, HEAVY)
    over = asyncio.Event()

    async def hammer() -> None:
        async with wired(tenant.place) as wire:
            while not over.is_set():
                wire.send(heavy)
                await wire.writer.drain()
                answers.append(await wire.answer(within=60))

    tasks = [asyncio.create_task(hammer()) for _ in range(connections)]
    try:
        yield answers
    finally:
        over.set()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_gateway_that_falls_behind_turns_new_requests_away_until_it_has_caught_up(
    nervous: Place, tenants: Callable[[Place], Tenant]
) -> None:
    tenant = await begun(nervous, tenants)
    async with hammered(tenant, 24) as answers:

        async def shedding() -> bool:
            return any(status == 503 for status, _, _ in answers)

        await eventually(shedding, within=60)
        told = next(answer for answer in answers if answer[0] == 503)
    assert {status for status, _, _ in answers} <= {404, 503}
    assert b'"server_overloaded"' in told[2]
    assert int(told[1]["retry-after-ms"]) >= 1000
    assert await shed(nervous, "lag") > 0

    async def served() -> bool:
        async with wired(nervous) as wire:
            wire.send(request(tenant, max_tokens=1))
            return (await wire.answer(within=30))[0] == 200

    await eventually(served, within=60)


async def test_probes_are_answered_while_requests_are_turned_away(
    small: Place, tenants: Callable[[Place], Tenant]
) -> None:
    tenant = await begun(small, tenants)
    async with raw_engine(lambda call: call.until_left()) as engine, AsyncExitStack() as stack:
        await tenant.route((engine.url,))
        for _ in range(MOST):
            wire = await stack.enter_async_context(wired(small))
            wire.send(request(tenant))
        await engine.called(MOST)
        async with httpx.AsyncClient(timeout=30) as client:
            assert (await client.post(f"{small.url}{CHAT}")).status_code == 503
            assert (await client.get(f"{small.probes}/ready")).status_code == 200
