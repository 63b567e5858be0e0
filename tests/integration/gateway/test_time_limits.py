"""How long an engine may be silent, to its first token, between two, and in all; what the client hears meanwhile."""

import asyncio
import re
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.integration.gateway.place import CHAT, Place, Tenant, place_of
from tests.integration.gateway.raw_client import RawClient
from tests.integration.gateway.raw_engine import (
    CHUNKED,
    END,
    STREAM,
    Behave,
    Call,
    RawEngine,
    chunked,
    raw_engine,
    saying,
    whole,
)
from tests.services import Services
from tests.unit.gateway.streams import DONE, Script

FIRST_S, IDLE_S, TOTAL_S, PING_S = 3.0, 3.0, 6.0, 0.2
# Seconds in which the machine may stall, and the engine of a test with it.
LIMITS = {"FIRST_TOKEN_TIMEOUT": FIRST_S, "IDLE_TIMEOUT": IDLE_S, "TOTAL_TIMEOUT": TOTAL_S, "PING_INTERVAL": PING_S}
SCRIPT = Script(texts=["a "] * 8)
EVENTS = SCRIPT.events(usage=True, final=True)
ANSWER = b'{"id":"x","choices":[],"usage":{"prompt_tokens":34,"completion_tokens":9,"total_tokens":43}}'
PING = b": ping\n\n"


@pytest.fixture(scope="module")
def hasty(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A gateway with short limits."""
    settings = {f"IAS_{name}": str(seconds) for name, seconds in LIMITS.items()}
    with place_of(services, tmp_path_factory.mktemp("hasty"), **settings) as place:
        yield place


@pytest.fixture
async def tenant(hasty: Place, tenants: Callable[[Place], Tenant]) -> Tenant:
    made = tenants(hasty)
    await made.edge.load_library()
    return await made.begin()


async def asked(tenant: Tenant, behave: Behave, *, stream: bool) -> tuple[httpx.Response, float, RawEngine]:
    """The answer, and how long it took."""
    async with raw_engine(behave) as engine:
        await tenant.route((engine.url,))
        began = time.monotonic()
        answer = await tenant.place.client.post(CHAT, json=tenant.body(stream=stream), headers=tenant.headers)
        took = time.monotonic() - began
        await asyncio.wait_for(engine.calls[0].until_left(), 30)
        return answer, took, engine


async def timed_out(tenant: Tenant, tokens: int) -> None:
    (line,) = await tenant.lines()
    charged = ("34", str(tokens)) if tokens else (line["pt"], "0")
    assert (line["o"], line["pt"], line["ct"], line["e"]) == ("upstream_timeout", *charged, "0")


def told(answer: httpx.Response) -> bytes:
    """What a stream that was cut told before, without the comments."""
    body, mark, error = answer.content.rpartition(b'data: {"error":')
    assert mark
    assert b'"upstream_timeout"' in error
    assert DONE not in answer.content
    return body.replace(PING, b"")


async def test_an_engine_that_does_not_answer_in_time_is_a_504(tenant: Tenant) -> None:
    answer, took, _ = await asked(tenant, saying(), stream=True)
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_timeout")
    assert took > FIRST_S
    await timed_out(tenant, 0)


async def test_a_stream_whose_first_token_does_not_come_ends_in_an_error(tenant: Tenant) -> None:
    answer, took, _ = await asked(tenant, saying(CHUNKED), stream=True)
    assert told(answer) == b""
    assert took > FIRST_S
    await timed_out(tenant, 0)


async def test_a_stream_that_falls_silent_ends_in_an_error_and_comments_do_not_help_it(tenant: Tenant) -> None:
    answer, took, _ = await asked(tenant, saying(CHUNKED, chunked(EVENTS[:4])), stream=True)
    assert told(answer) == b"".join(SCRIPT.events(usage=False, final=False)[:4])
    assert PING in answer.content
    assert took > IDLE_S
    await timed_out(tenant, 3)


async def test_a_stream_without_end_is_cut_when_its_time_is_over(tenant: Tenant) -> None:
    written = 0

    async def behave(call: Call) -> None:
        nonlocal written
        script = Script(texts=["a "] * 1000).events(usage=True, final=True)
        await call.send(CHUNKED, chunked(script[:1]))
        while not call.left.is_set():
            written += 1
            await call.send(chunked([script[written]]), pause=0.05)

    answer, took, _ = await asked(tenant, behave, stream=True)
    tokens = told(answer).count(b"data:") - 1
    assert took > TOTAL_S
    assert 0 < tokens <= written
    await timed_out(tenant, tokens)


async def test_a_whole_answer_may_take_longer_than_a_first_token(tenant: Tenant) -> None:
    async def behave(call: Call) -> None:
        await asyncio.sleep(max(FIRST_S, IDLE_S) + 0.5)
        await call.send(whole(ANSWER))
        call.close()

    answer, _, _ = await asked(tenant, behave, stream=False)
    assert answer.status_code == 200
    assert (await tenant.lines())[0]["ct"] == "9"


async def test_a_whole_answer_that_does_not_come_is_a_504(tenant: Tenant) -> None:
    answer, took, _ = await asked(tenant, saying(), stream=False)
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_timeout")
    assert took > TOTAL_S
    await timed_out(tenant, 0)


async def test_a_whole_answer_that_stops_in_its_middle_is_a_504(tenant: Tenant) -> None:
    answer, _, _ = await asked(tenant, saying(whole(ANSWER)[:-10]), stream=False)
    assert answer.status_code == 504
    await timed_out(tenant, 0)


async def test_a_timeout_is_not_tried_again(tenant: Tenant) -> None:
    async with raw_engine(saying()) as first, raw_engine(saying()) as second:
        await tenant.route((first.url, second.url))
        assert (await tenant.chat(stream=True)).status_code == 504
        assert len(first.calls) + len(second.calls) == 1


async def test_a_silent_stream_gets_comments_but_not_before_its_status_is_known(tenant: Tenant) -> None:
    may_go_on = asyncio.Event()

    async def behave(call: Call) -> None:
        await asyncio.sleep(3 * PING_S)
        await call.send(STREAM + b"transfer-encoding: chunked\r\n\r\n" + chunked(EVENTS[:3]))
        await may_go_on.wait()
        await call.send(chunked(EVENTS[3:]), END)

    async with raw_engine(behave) as engine:
        await tenant.route((engine.url,))
        client = await RawClient.ask(tenant, stream=True)
        await client.until(PING, 2)
        may_go_on.set()
        seen = await client.until(b"[DONE]\n\n\r\n" + END)
    client.leave()
    assert seen.index(b"data:") < seen.index(PING)
    pieces = re.findall(rb"(?:^|\r\n)([0-9a-f]+)\r\n((?:data|:)(?:.|\n)*?\n\n)(?=\r\n)", seen.partition(b"\r\n\r\n")[2])
    assert all(int(size, 16) == len(piece) for size, piece in pieces)
    body = b"".join(piece for _, piece in pieces).replace(PING, b"")
    assert body == SCRIPT.for_client(include_usage=False, continuous=False)
    assert (await tenant.lines())[0]["o"] == "completed"
