"""Redis loses everything while requests are under way: they are put back, end as they would have, and count once."""

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from ias.contract import admission
from ias.contract.usage import decode_facts
from tests.integration.gateway.place import CHAT, KEY, MODEL, ORG, USER, Place, Tenant, eventually, place_of
from tests.services import Services

TOKENS = 600
STREAM = f"[[mock tokens={TOKENS} delay_ms=10]]"
"""Six seconds: what a test does meanwhile is done before it ends, also where the machine stalls."""
LEASE_S = 2


@pytest.fixture
def own(services: Services, tmp_path: Path) -> Iterator[Place]:
    """A gateway whose leases end soon after it."""
    with place_of(services, tmp_path, IAS_LEASE=str(LEASE_S)) as place:
        yield place


class Stream:
    """A stream under way."""

    def __init__(self, answer: httpx.Response) -> None:
        self._parts = answer.aiter_bytes()
        self.request_id = answer.headers["x-request-id"]
        self.text = b""

    async def first(self) -> None:
        self.text += await anext(self._parts)

    async def rest(self) -> bytes:
        with contextlib.suppress(httpx.HTTPError):
            self.text += b"".join([part async for part in self._parts])
        return self.text


@contextlib.asynccontextmanager
async def stream(
    tenant: Tenant, text: str = STREAM, tokens: int = TOKENS, *, meant: tuple[int, ...] = (200,)
) -> AsyncIterator[Stream]:
    """A stream that has begun; asked for again where it gets another status that is `meant`."""

    async def ready() -> bool:
        return (await tenant.place.client.get(f"{tenant.place.probes}/ready")).status_code == 200

    await eventually(ready)
    body = tenant.body(text, stream=True, max_tokens=tokens)
    async with contextlib.AsyncExitStack() as stack:
        answers: list[httpx.Response] = []

        async def begun() -> bool:
            asked = tenant.place.client.stream("POST", CHAT, json=body, headers=tenant.headers)
            answers.append(await stack.enter_async_context(asked))
            assert answers[-1].status_code in meant, await answers[-1].aread()
            return answers[-1].status_code == 200

        await eventually(begun)
        made = Stream(answers[-1])
        await made.first()
        yield made


async def held(tenant: Tenant) -> tuple[int, int]:
    """Tokens held, and requests under way, as Redis says."""
    standing = await tenant.edge.standing(tenant.tag, USER)
    return int(standing[3]), await tenant.edge.redis.zcard(f"{admission.slot(tenant.tag)}:resv")


async def project_again(tenant: Tenant) -> None:
    """What a rebuild does, for this organisation."""
    await tenant.edge.load_library()
    await tenant.project("org", {"id": ORG, "st": "active"})
    await tenant.route((tenant.place.engine_url,))
    await tenant.limit()
    await tenant.edge.grant(tenant.tag, tenant.record, 2)


async def test_streams_are_put_back_into_an_emptied_redis_and_end_with_one_line(lone: Tenant) -> None:
    async with stream(lone) as one, stream(lone) as other:
        before = await held(lone)
        await lone.edge.redis.flushall()
        await project_again(lone)

        async def back() -> bool:
            return await held(lone) == before

        await eventually(back)
        await lone.edge.complete(lone.tag)
        await lone.limit(conc=2)
        refused = await lone.chat()
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limit_exceeded")
        texts = await one.rest(), await other.rest()
    assert all(text.endswith(b"data: [DONE]\n\n") for text in texts)
    lines = await lone.lines_of(one.request_id, other.request_id)
    await lone.engine_agrees(lines)
    assert [(line["l"], line["o"], line["ct"]) for line in lines] == [("1", "completed", str(TOKENS))] * 2
    await lone.no_others(lines)
    assert await held(lone) == (0, 0)


async def test_a_killed_gateways_stream_that_was_put_back_is_swept(lone: Tenant) -> None:
    async with stream(lone):
        await lone.edge.redis.flushall()

        async def back() -> bool:
            return (await held(lone))[1] == 1

        await eventually(back)
        lone.place.gateway.kill()
    await asyncio.sleep(LEASE_S + 0.2)
    assert await lone.edge.call(admission.sweep(lone.tag, 10)) == 0  # whom to charge is not known
    await project_again(lone)

    async def swept() -> bool:
        return bool(await lone.edge.call(admission.sweep(lone.tag, 10)))

    await eventually(swept)
    (line,) = await lone.lines()
    assert line["o"] == "gateway_lost"
    facts = decode_facts(line["f"].encode())
    assert (facts.organisation, facts.user, facts.key, facts.model_id) == (ORG, USER, KEY, MODEL)
    assert (facts.model, facts.endpoint, facts.streamed) == ("mock-gpt", CHAT, True)
    assert abs(facts.started_at - time.time()) < 60


async def test_a_loss_shows_though_a_settlement_made_the_outbox_anew_before_anybody_looked(lone: Tenant) -> None:
    for _ in range(3):
        await lone.chat(max_tokens=2)
    before = await lone.books_agree(3)
    async with stream(lone, "[[mock tokens=4 first_ms=300]]", 4) as one:
        lone.place.gateway.signal(signal.SIGSTOP)
        await lone.edge.redis.flushall()
        # As another gateway would, before this one comes to tick.
        other = admission.settle(lone.tag, "others", (1, 1, 0), ("completed", False), b"{}")
        await lone.edge.call((*other, USER, before[0]["p"], "another"))
        lone.place.gateway.signal(signal.SIGCONT)
        await one.rest()
    lines = await lone.lines(5)
    assert sorted(line["r"] for line in lines if line["l"] == "1") == sorted(
        {*(line["r"] for line in before), *(line["r"] for line in lines)}
    )
    assert {line["r"] for line in before} < {line["r"] for line in lines}


async def test_a_settlement_before_the_first_tick_of_an_organisation_is_not_lost(lone: Tenant) -> None:
    """The gateway knows no epoch of it yet: what it settled before the one that it is told of is in doubt."""
    await lone.chat(max_tokens=2)
    lone.place.gateway.signal(signal.SIGSTOP)
    before = await lone.lines(1)
    await lone.edge.redis.flushall()
    other = admission.settle(lone.tag, "others", (1, 1, 0), ("completed", False), b"{}")
    await lone.edge.call((*other, USER, before[0]["p"], "another"))
    lone.place.gateway.signal(signal.SIGCONT)
    assert {line["r"] for line in await lone.lines(2)} == {before[0]["r"], "others"}


async def test_redis_killed_and_emptied_loses_no_stream(lone: Tenant) -> None:
    async with stream(lone) as one:
        lone.place.redis.kill()
        lone.place.redis.start()

        async def up() -> bool:
            with contextlib.suppress(Exception):
                return bool(await lone.edge.redis.flushall())
            return False

        await eventually(up)
        await project_again(lone)

        async def back() -> bool:
            return (await held(lone))[1] == 1

        await eventually(back)
        text = await one.rest()
    assert text.endswith(b"data: [DONE]\n\n")
    (line,) = await lone.books_agree()
    assert (line["l"], line["ct"]) == ("1", str(TOKENS))


async def test_what_was_put_back_twice_is_held_once(lone: Tenant) -> None:
    async with stream(lone):
        before = await held(lone)
        await lone.edge.redis.flushall()

        async def back() -> bool:
            return await held(lone) == before

        await eventually(back)
        await asyncio.sleep(0.2)  # further ticks
        assert await held(lone) == before
