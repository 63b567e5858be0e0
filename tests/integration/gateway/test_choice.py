"""Which of several engines gets a request: by what they say of themselves, and by how they fare."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest

from ias_gateway import routing
from tests.integration.gateway.place import Place, Tenant, eventually, place_of
from tests.integration.gateway.raw_engine import CHUNKED, Behave, Call, RawEngine, chunked, raw_engine, whole
from tests.services import Services, free_port
from tests.unit.gateway.streams import Script

ANSWER = whole(b'{"id":"x","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}')
EVENTS = Script().events(usage=True, final=True)


@pytest.fixture(scope="module")
def watchful(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A gateway that looks at its replicas often."""
    with place_of(services, tmp_path_factory.mktemp("watchful"), IAS_WATCH_INTERVAL="0.1") as place:
        yield place


@pytest.fixture
async def tenant(watchful: Place, tenants: Callable[[Place], Tenant]) -> Tenant:
    made = tenants(watchful)
    await made.edge.load_library()
    return await made.begin()


async def answers(call: Call) -> None:
    await call.send(ANSWER)


async def breaks(call: Call) -> None:
    call.reset()


@asynccontextmanager
async def engines(tenant: Tenant, *behaves: Behave) -> AsyncIterator[list[RawEngine]]:
    """Engines that behave so, as the replicas of the tenant's route."""
    async with AsyncExitStack() as stack:
        made = [await stack.enter_async_context(raw_engine(behave)) for behave in behaves]
        await tenant.route(tuple(engine.url for engine in made))
        yield made


async def metric(tenant: Tenant, name: str, engine: RawEngine) -> float:
    """What the gateway says of a replica; -1 where it says nothing."""
    text = (await tenant.place.client.get(f"{tenant.place.probes}/metrics")).text
    found = re.search(rf'^ias_gateway_replica_{name}{{replica="{engine.url}"}} (\S+)$', text, re.MULTILINE)
    return float(found[1]) if found else -1


async def becomes(tenant: Tenant, name: str, engine: RawEngine, value: float, within: float = 10.0) -> None:
    async def is_it() -> bool:
        return await metric(tenant, name, engine) == value

    await eventually(is_it, within)


async def looked_at(*seen: RawEngine) -> None:
    """Wait until the gateway has asked each engine anew, and has the answer."""
    before = [engine.looks for engine in seen]

    async def anew() -> bool:
        return all(engine.looks >= number + 2 for engine, number in zip(seen, before, strict=True))

    await eventually(anew)


async def prompts(tenant: Tenant, number: int) -> list[int]:
    """Statuses of so many different requests, one after another."""
    return [(await tenant.chat(f"prompt {place}")).status_code for place in range(number)]


async def test_equal_prompts_go_to_one_engine_and_different_ones_to_all(tenant: Tenant) -> None:
    async with engines(tenant, answers, answers) as (one, other):
        for _ in range(6):
            assert (await tenant.chat("the same")).status_code == 200
        assert sorted((len(one.calls), len(other.calls))) == [0, 6]
        assert set(await prompts(tenant, 24)) == {200}
        assert min(len(one.calls), len(other.calls)) > 1


async def test_an_engine_that_says_it_is_ill_gets_nothing_until_it_says_it_is_well(tenant: Tenant) -> None:
    async with engines(tenant, answers, answers) as (ill, well):
        await prompts(tenant, 1)
        ill.healthy = False
        await becomes(tenant, "up", ill, 0)
        before = len(ill.calls)
        assert set(await prompts(tenant, 24)) == {200}
        assert len(ill.calls) == before
        ill.healthy = True
        await becomes(tenant, "up", ill, 1)
        assert set(await prompts(tenant, 24)) == {200}
        assert len(ill.calls) > before
        assert await metric(tenant, "up", well) == 1


async def test_an_engine_that_is_gone_is_found_out_and_one_that_comes_is_taken(tenant: Tenant) -> None:
    port = free_port()
    absent = RawEngine(answers)
    absent.url = f"http://127.0.0.1:{port}"
    async with raw_engine(answers) as present:
        await tenant.route((present.url, absent.url))
        assert await prompts(tenant, 1) == [200]
        await becomes(tenant, "up", absent, 0)
        async with raw_engine(answers, port) as come:
            await becomes(tenant, "up", come, 1)
            assert set(await prompts(tenant, 24)) == {200}
            assert come.calls


async def test_all_engines_ill_is_no_reason_to_refuse(tenant: Tenant) -> None:
    async with engines(tenant, answers, answers) as both:
        await prompts(tenant, 1)
        for engine in both:
            engine.healthy = False
            await becomes(tenant, "up", engine, 0)
        assert set(await prompts(tenant, 8)) == {200}


async def test_requests_that_wait_in_an_engine_for_others_send_ours_elsewhere(tenant: Tenant) -> None:
    async with engines(tenant, answers, answers) as (busy, idle):
        await prompts(tenant, 1)
        busy.waiting = 100
        await looked_at(busy, idle)
        before = len(busy.calls)
        await prompts(tenant, 24)
        assert len(busy.calls) == before
        busy.waiting = 0
        await looked_at(busy, idle)
        await prompts(tenant, 24)
        assert len(busy.calls) > before


async def test_an_engine_alone_is_not_looked_at(tenant: Tenant) -> None:
    async with engines(tenant, answers) as (alone,), engines(tenant, answers, answers) as others:
        await prompts(tenant, 2)
        await looked_at(*others)
        await looked_at(*others)
        assert alone.looks == 0


async def test_an_engine_that_breaks_again_and_again_rests_and_comes_back(tenant: Tenant) -> None:
    async with engines(tenant, breaks, answers) as (ill, well):
        assert set(await prompts(tenant, 40)) == {200}
        # A kept connection that breaks says nothing of the engine: it is asked again on a fresh one.
        assert routing.FAILURES_TO_EJECT <= len(ill.calls) <= 2 * routing.FAILURES_TO_EJECT
        await becomes(tenant, "ejections_total", ill, 1)
        assert await metric(tenant, "up", ill) == 1
        ill.behave = answers
        before = len(ill.calls)

        async def back() -> bool:
            await prompts(tenant, 8)
            return len(ill.calls) > before

        await eventually(back, within=3 * routing.EJECTION_S)
        assert await metric(tenant, "ejections_total", well) == 0
    assert {line["o"] for line in await tenant.lines(40)} == {"completed"}


async def test_an_engine_that_answers_500_rests_too_and_one_alone_never_does(tenant: Tenant) -> None:
    async def fails(call: Call) -> None:
        await call.send(whole(b'{"error":{"message":"oh","code":500}}', b"500 Internal Server Error"))

    async with engines(tenant, fails, answers) as (ill, _):
        statuses = await prompts(tenant, 40)
        assert statuses.count(502) == len(ill.calls) == routing.FAILURES_TO_EJECT
    async with engines(tenant, fails) as (alone,):
        assert set(await prompts(tenant, 8)) == {502}
        alone.behave = answers
        assert await prompts(tenant, 1) == [200]


def first_then(first: Behave) -> Behave:
    """Behaves so on the first request that any engine gets, and answers the others."""
    seen = []

    async def behave(call: Call) -> None:
        seen.append(call)
        await (first if len(seen) == 1 else answers)(call)

    return behave


async def _closes(call: Call) -> None:
    call.close()


async def _is_full(call: Call) -> None:
    await call.send(whole(b"{}", b"503 Service Unavailable"))


@pytest.mark.parametrize("first", [breaks, _closes, _is_full])
async def test_what_breaks_before_its_first_byte_is_asked_of_one_other_engine(
    tenant: Tenant, first: Callable[[Call], Awaitable[None]]
) -> None:
    behave = first_then(first)
    async with engines(tenant, behave, behave, behave) as three:
        assert (await tenant.chat()).status_code == 200
        calls = [call for engine in three for call in engine.calls]
        assert len(calls) == 2
        assert max(len(engine.calls) for engine in three) == 1
        assert calls[0].raw == calls[1].raw
    (line,) = await tenant.lines()
    assert (line["o"], line["pt"], line["ct"]) == ("completed", "3", "2")


async def _fails(call: Call) -> None:
    await call.send(whole(b"{}", b"500 Internal Server Error"))


async def _refuses(call: Call) -> None:
    await call.send(whole(b'{"error":{"message":"no","code":400}}', b"400 Bad Request"))


async def _breaks_in_the_middle(call: Call) -> None:
    await call.send(ANSWER[:-5])
    call.close()


@pytest.mark.parametrize(("first", "status"), [(_fails, 502), (_refuses, 400), (_breaks_in_the_middle, 502)])
async def test_what_was_answered_in_any_way_is_not_asked_again(tenant: Tenant, first: Behave, status: int) -> None:
    behave = first_then(first)
    async with engines(tenant, behave, behave) as both:
        assert (await tenant.chat()).status_code == status
        assert sum(len(engine.calls) for engine in both) == 1
    assert len(await tenant.lines()) == 1


@pytest.mark.parametrize("events", [0, 2])
async def test_a_stream_that_has_begun_is_never_begun_again(tenant: Tenant, events: int) -> None:
    async def begins(call: Call) -> None:
        await call.send(CHUNKED, chunked(EVENTS[:events]), pause=0.02)
        call.close()

    behave = first_then(begins)
    async with engines(tenant, behave, behave) as both:
        answer = await tenant.chat(stream=True)
        assert b'"upstream_error"' in answer.content
        assert sum(len(engine.calls) for engine in both) == 1
    (line,) = await tenant.lines()
    assert (line["o"], int(line["ct"])) == ("upstream_failed", max(0, events - 1))


async def test_nothing_is_asked_of_more_than_two_engines(tenant: Tenant) -> None:
    async with engines(tenant, breaks, breaks, breaks, breaks) as four:
        answer = await tenant.chat()
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_error")
        assert sum(len(engine.calls) for engine in four) == 2
    assert len(await tenant.lines()) == 1


async def test_engines_that_are_all_full_are_a_503_that_says_when_to_come_back(tenant: Tenant) -> None:
    async with engines(tenant, _is_full, _is_full) as both:
        answer = await tenant.chat()
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "server_overloaded")
        assert int(answer.headers["retry-after"]) > 0
        assert [len(engine.calls) for engine in both] == [1, 1]


async def test_many_at_once_with_one_beginning_are_shared_out_and_none_is_lost(tenant: Tenant) -> None:
    answered = asyncio.Event()

    async def waits(call: Call) -> None:
        await answered.wait()
        await call.send(ANSWER)

    async with engines(tenant, waits, waits) as both:
        client = tenant.place.client
        asked = [
            asyncio.create_task(client.post("/v1/chat/completions", json=tenant.body(), headers=tenant.headers))
            for _ in range(40)
        ]

        async def all_there() -> bool:
            return sum(len(engine.calls) for engine in both) == 40

        await eventually(all_there)
        shares = sorted(len(engine.calls) for engine in both)
        answered.set()
        statuses: set[int] = {answer.status_code for answer in await asyncio.gather(*asked)}
    assert shares[1] <= routing.LOAD_BOUND * 40 / 2 + 1
    assert shares[0] > 0
    assert statuses == {httpx.codes.OK}
