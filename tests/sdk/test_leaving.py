"""A caller of the Python SDK that gives up: the engine stops, and what it wrote until then is settled."""

import asyncio
from typing import Any

import openai
import pytest

from tests.integration.gateway.place import Tenant, eventually
from tests.sdk.conftest import Case

LONG = {
    "model": "mock-gpt",
    "messages": [{"role": "user", "content": "[[mock tokens=4000 delay_ms=5]]"}],
    "max_tokens": 4000,
}


async def abandoned(tenant: Tenant) -> tuple[int, int]:
    """Tokens settled and tokens written, once the engine has stopped because nobody listened."""
    (line,) = await tenant.lines()
    assert line["o"] == "client_aborted"
    wrote = await tenant.place.wrote(line["r"])
    assert wrote["outcome"] == "aborted"
    return int(line["ct"]), wrote["completion_tokens"]


async def running(tenant: Tenant) -> None:
    """Wait until the engine works on a request of this tenant's: one that Redis holds."""

    async def held() -> bool:
        return bool(await tenant.edge.redis.zcard(f"{{o:{tenant.tag}}}:resv"))

    await eventually(held)


async def test_a_stream_that_is_closed_after_some_chunks(case: Case) -> None:
    stream = await case.client.chat.completions.create(**LONG, stream=True)
    seen = 0
    async for chunk in stream:
        seen += bool(chunk.choices and chunk.choices[0].delta.content)
        if seen == 20:
            break
    await stream.close()
    settled, wrote = await abandoned(case.tenant)
    assert 20 <= settled <= wrote < 4000


async def test_the_stream_helper_that_is_left_early(case: Case) -> None:
    async with case.client.chat.completions.stream(**LONG) as stream:
        async for event in stream:
            if event.type == "content.delta":
                break
    settled, wrote = await abandoned(case.tenant)
    assert 1 <= settled <= wrote < 4000


async def test_a_stream_of_the_blocking_client_that_is_left_early(case: Case) -> None:
    def leave() -> None:
        with case.blocking.chat.completions.create(**LONG, stream=True) as stream:
            next(iter(stream))

    await asyncio.to_thread(leave)
    settled, wrote = await abandoned(case.tenant)
    assert settled <= wrote < 4000


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_call_that_is_cancelled_while_the_engine_is_silent(case: Case, streamed: bool) -> None:
    silent: dict[str, Any] = {**LONG, "messages": [{"role": "user", "content": "[[mock first_ms=60000]]"}]}
    call = asyncio.create_task(case.client.chat.completions.create(**silent, stream=streamed))
    await running(case.tenant)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    (line,) = await case.tenant.lines()
    assert (line["o"], line["ct"]) == ("client_aborted", "0")


async def test_a_call_that_takes_longer_than_its_caller_waits(case: Case) -> None:
    """The SDK's own time limit: it sends twice more by itself, and every send is ended and settled."""
    silent: dict[str, Any] = {**LONG, "messages": [{"role": "user", "content": "[[mock first_ms=60000]]"}]}
    with pytest.raises(openai.APITimeoutError):
        await case.client.with_options(timeout=openai.Timeout(60, read=1)).chat.completions.create(**silent)
    lines = await case.tenant.lines(3)
    assert [line["o"] for line in lines] == ["client_aborted"] * 3
    assert len(case.tape.requests) == 3
