"""What clients and books see when engines, Redis or the gateway itself fail."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ias.contract import admission
from tests.integration.gateway.place import CHAT, USER, Place, Tenant, eventually, place_of, tokens_told
from tests.integration.gateway.wire import request, wired
from tests.services import Services

REDIS_S, LEASE_S = 10, 2


@pytest.fixture
def own(services: Services, tmp_path: Path) -> Iterator[Place]:
    """A gateway that soon gives up an engine that is silent, and whose leases end soon after it."""
    short = {"IAS_FIRST_TOKEN_TIMEOUT": "3", "IAS_IDLE_TIMEOUT": "3", "IAS_LEASE": str(LEASE_S)}
    with place_of(services, tmp_path, **short, IAS_REDIS_TIMEOUT_MS=str(1000 * REDIS_S)) as place:
        yield place


async def test_an_engine_that_is_down_is_a_503_that_says_when_to_come_back(tenant: Tenant) -> None:
    await tenant.route(("http://127.0.0.1:9",))
    answer = await tenant.chat()
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "server_overloaded")
    assert answer.headers["retry-after"]
    (line,) = await tenant.lines()
    assert (line["o"], line["pt"], line["ct"]) == ("upstream_failed", "0", "0")


async def test_a_second_replica_takes_over_before_the_first_byte(tenant: Tenant) -> None:
    await tenant.route(("http://127.0.0.1:9", tenant.place.engine_url))
    for _ in range(4):
        assert (await tenant.chat(max_tokens=1)).status_code == 200
    assert len(await tenant.books_agree(4)) == 4


async def test_an_engine_that_refuses_is_translated(tenant: Tenant) -> None:
    answer = await tenant.chat("x" * 40_000)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "context_length_exceeded")
    (line,) = await tenant.lines()
    assert (line["o"], line["ct"]) == ("rejected", "0")


@pytest.mark.parametrize(("status", "expected"), [(500, 502), (503, 503), (401, 502)])
async def test_statuses_of_the_engine_are_not_passed_on(tenant: Tenant, status: int, expected: int) -> None:
    assert (await tenant.chat(f"[[mock status={status}]]")).status_code == expected


@pytest.mark.parametrize("delay", [0, 4])
@pytest.mark.parametrize("fault", ["die_after", "error_chunk_after"])
async def test_a_stream_that_breaks_ends_with_an_error_and_without_an_end_mark(
    tenant: Tenant, fault: str, delay: int
) -> None:
    answer = await tenant.chat(f"[[mock tokens=20 {fault}=4 delay_ms={delay}]]", stream=True)
    assert answer.status_code == 200
    last = answer.content.removesuffix(b"\n\n").rpartition(b"\n\n")[2]
    assert b'"upstream_error"' in last
    assert b"[DONE]" not in answer.content
    (line,) = await tenant.books_agree()
    assert (line["o"], line["ct"]) == ("upstream_failed", "4")


async def test_a_whole_answer_that_breaks_is_a_502(tenant: Tenant) -> None:
    assert (await tenant.chat("[[mock die_after=1]]")).status_code == 502


async def test_an_engine_that_falls_silent_is_timed_out(lone: Tenant) -> None:
    answer = await lone.chat("[[mock tokens=20 hang_after=4]]", stream=True)
    assert b'"upstream_timeout"' in answer.content
    (line,) = await lone.lines()
    assert (line["o"], line["ct"]) == ("upstream_timeout", "4")


async def test_an_engine_that_never_begins_is_timed_out(lone: Tenant) -> None:
    answer = await lone.chat("[[mock first_ms=60000]]", stream=True)
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_timeout")


@pytest.mark.parametrize("directive", ["no_usage", "zero_usage"])
async def test_missing_usage_is_estimated_and_zero_is_zero(tenant: Tenant, directive: str) -> None:
    await tenant.chat(f"[[mock tokens=10 {directive}]]", stream=True)
    (line,) = await tenant.lines()
    assert line["e"] == ("1" if directive == "no_usage" else "0")
    assert (int(line["ct"]) >= 10) == (directive == "no_usage")


async def test_redis_killed_is_a_503_within_a_moment_and_never_a_401(lone: Tenant) -> None:
    await lone.chat(max_tokens=1)
    lone.place.redis.kill()
    begin = time.monotonic()
    answer = await lone.chat()
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_ready")
    assert answer.headers["retry-after"]
    assert time.monotonic() - begin < REDIS_S, "it does not wait for who is not there"
    assert (await lone.place.client.get(f"{lone.place.probes}/ready")).status_code == 503
    lone.place.redis.start()

    async def back() -> bool:
        return (await lone.chat(max_tokens=1)).status_code == 200

    await eventually(back)


async def test_an_open_stream_finishes_without_redis_and_is_settled_when_it_is_back(lone: Tenant) -> None:
    body = lone.body("[[mock tokens=300 delay_ms=10]]", stream=True, max_tokens=300)
    async with lone.place.client.stream("POST", CHAT, json=body, headers=lone.headers) as answer:
        parts = answer.aiter_bytes()
        first = await anext(parts)
        lone.place.redis.kill()
        rest = b"".join([part async for part in parts])
    assert (first + rest).endswith(b"data: [DONE]\n\n")
    lone.place.redis.start()
    (line,) = await lone.books_agree()
    assert line["ct"] == "300"


async def test_time_limits_hold_while_redis_is_down(lone: Tenant) -> None:
    body = lone.body("[[mock tokens=20 hang_after=4]]", stream=True)
    async with lone.place.client.stream("POST", CHAT, json=body, headers=lone.headers) as answer:
        parts = answer.aiter_bytes()
        first = await anext(parts)
        lone.place.redis.kill()
        rest = b"".join([part async for part in parts])
    assert b'"upstream_timeout"' in first + rest
    lone.place.redis.start()
    (line,) = await lone.lines()
    assert (line["o"], line["ct"]) == ("upstream_timeout", "4")


async def test_an_emptied_redis_is_not_ready_rather_than_open_to_all(lone: Tenant) -> None:
    await lone.chat(max_tokens=1)
    await lone.edge.redis.flushall()
    answer = await lone.chat()
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_ready")


async def test_settlements_that_redis_forgot_are_sent_again_and_not_doubled(lone: Tenant) -> None:
    for _ in range(5):
        await lone.chat(max_tokens=2)
    before = await lone.books_agree(5)
    lone.place.redis.restart()  # nothing is lost: what is sent again was there already
    await _asked_again(lone)
    for _ in range(2):
        await _forget(lone, before[0]["p"])
        assert sorted(line["r"] for line in await lone.books_agree(5)) == sorted(line["r"] for line in before)
        await _asked_again(lone)
        assert len(await lone.lines(5)) == 5
        assert [int(part) for part in (await lone.edge.standing(lone.tag, USER))[2:4]] == [_sum(before), 0]


async def _forget(lone: Tenant, period: str) -> None:
    """Let Redis lose its last seconds, as one with an append-only file does, while the gateway does not look."""
    lone.place.gateway.signal(signal.SIGSTOP)
    tombstones = [key async for key in lone.edge.redis.scan_iter("{o:*}:r:*")]
    slot = admission.slot(lone.tag)
    await lone.edge.redis.delete(*tombstones, f"{slot}:out", f"{slot}:bud:{period}")
    lone.place.redis.restart()
    lone.place.gateway.signal(signal.SIGCONT)


async def _asked_again(lone: Tenant) -> None:
    """Wait until the gateway has Redis again, and has told it all that it keeps."""

    async def settled() -> bool:
        text = (await lone.place.client.get(f"{lone.place.probes}/metrics")).text
        return "ias_gateway_redis_up 1" in text and "ias_gateway_unsettled 0" in text

    await asyncio.sleep(0.15)  # the gateway notices, and ticks
    await eventually(settled)


def _sum(lines: list[dict[str, str]]) -> int:
    return sum(int(line["pt"]) + int(line["ct"]) for line in lines)


async def test_settlements_of_an_outbox_that_was_emptied_are_sent_again(lone: Tenant) -> None:
    await lone.chat(max_tokens=2)
    await _asked_again(lone)  # the first tick sends what was settled before it again: behind what is settled meanwhile
    for _ in range(2):
        await lone.chat(max_tokens=2)
    before = await lone.books_agree(3)
    await lone.edge.redis.flushall()
    await lone.edge.load_library()
    after = await lone.books_agree(3)
    assert [line["r"] for line in after] == [line["r"] for line in before]


async def test_a_request_that_is_coming_when_the_gateway_drains_is_answered(lone: Tenant) -> None:
    head, _, body = request(lone, more=b"expect: 100-continue\r\n").partition(b"\r\n\r\n")
    async with wired(lone.place) as wire:
        wire.send(head + b"\r\n\r\n")
        assert await wire.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        lone.place.gateway.signal(signal.SIGTERM)
        await asyncio.sleep(0.1)
        wire.send(body)
        assert (await wire.answer())[0] == 200
    assert await asyncio.to_thread(lone.place.gateway.child.wait, 30) == 0
    assert [line["o"] for line in await lone.lines()] == ["completed"]


async def test_sigterm_lets_short_streams_end_and_cuts_long_ones_with_an_error_and_a_line(lone: Tenant) -> None:
    short = asyncio.create_task(lone.chat("[[mock tokens=200 delay_ms=10]]", stream=True, max_tokens=200))
    long = asyncio.create_task(lone.chat("[[mock tokens=3000 delay_ms=10]]", stream=True, max_tokens=3000))

    async def both_run() -> bool:
        text = (await lone.place.client.get(f"{lone.place.probes}/metrics")).text
        return "ias_gateway_open_requests 2\n" in text

    await eventually(both_run)
    lone.place.gateway.signal(signal.SIGTERM)
    assert (await short).content.endswith(b"data: [DONE]\n\n")
    cut = (await long).content
    assert b'"server_restarting"' in cut
    assert b"[DONE]" not in cut
    assert await asyncio.to_thread(lone.place.gateway.child.wait, 30) == 0
    lines = await lone.lines(2)
    assert sorted(line["o"] for line in lines) == ["completed", "drained"]
    wrote = (await lone.place.wrote(lines[1]["r"]))["completion_tokens"]
    assert tokens_told(cut) == int(lines[1]["ct"]) <= wrote


async def test_a_killed_gateways_stream_is_swept_from_its_last_checkpoint(lone: Tenant) -> None:
    body = lone.body("[[mock tokens=500 delay_ms=10]]", stream=True, max_tokens=500)
    with contextlib.suppress(httpx.HTTPError):
        async with lone.place.client.stream("POST", CHAT, json=body, headers=lone.headers) as answer:
            parts = answer.aiter_bytes()
            for _ in range(40):
                await anext(parts)
            lone.place.gateway.kill()
    await asyncio.sleep(LEASE_S + 0.2)

    async def swept() -> bool:
        return bool(await lone.edge.call(("FCALL", "ias_sweep", 1, f"{{o:{lone.tag}}}", 10)))

    await eventually(swept)
    (line,) = await lone.lines()
    wrote = (await lone.place.wrote(line["r"]))["completion_tokens"]
    assert (line["o"], line["b"]) == ("gateway_lost", "1")
    # What a tick leaves, and what the engine wrote to nobody while the machine stalled.
    assert 0 <= wrote - int(line["ct"]) <= 25 + 150


async def test_probes_and_metrics_say_how_it_is(tenant: Tenant) -> None:
    await tenant.chat(max_tokens=3)
    client = tenant.place.client
    assert (await client.get(f"{tenant.place.probes}/health")).status_code == 200
    ready = (await client.get(f"{tenant.place.probes}/ready")).json()
    assert ready["ready"], ready
    of_redis = set(ready["dependencies"]) - {"process", "redis", "clock"}
    assert of_redis == {"function library", "projection"} or all(name.startswith("shard ") for name in of_redis)
    text = (await client.get(f"{tenant.place.probes}/metrics")).text
    assert 'ias_gateway_requests_total{endpoint="/v1/chat/completions",status="200"}' in text
    assert 'ias_gateway_tokens_total{model="mock-gpt",type="output"}' in text
    assert (await client.get(f"{tenant.place.probes}/else")).status_code == 404
