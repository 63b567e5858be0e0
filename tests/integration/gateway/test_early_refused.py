"""Who is refused when the engine has the request already is told as ever, and pays and holds nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.integration.gateway.leading import (
    DONE,
    EVENT,
    OUTPUT,
    answers,
    ask,
    early,
    led,
    nothing_is_held,
    outstanding,
)
from tests.integration.gateway.place import CHAT, Place, Tenant, eventually, place_of
from tests.integration.gateway.raw_engine import CHUNKED, Call, chunked, raw_engine, saying, whole
from tests.integration.gateway.test_withdrawn import revoke, suspend_organisation, suspend_user
from tests.services import Services

# -- not let in --------------------------------------------------------------------------------------------------------


async def without_the_model(tenant: Tenant) -> None:
    await tenant.project("routes", {})


async def out_of_tokens(tenant: Tenant) -> None:
    await tenant.limit(tokens=1)


async def out_of_requests(tenant: Tenant) -> None:
    await tenant.limit(rps=0)


@pytest.mark.parametrize(
    ("withdraw", "status"),
    [
        *((revoke, 401), (suspend_organisation, 403), (suspend_user, 403), (without_the_model, 404)),
        *((out_of_tokens, 429), (out_of_requests, 429)),
    ],
)
async def test_who_is_refused_meanwhile_is_told_so_and_the_engine_is_left_at_once(
    led_tenant: Tenant, withdraw: Callable[[Tenant], Awaitable[None]], status: int
) -> None:
    async with led(led_tenant, saying(CHUNKED + chunked([EVENT]))) as engine:
        await withdraw(led_tenant)
        before = await early(led_tenant.place)
        answer = await ask(led_tenant, stream=True)
        assert answer.status_code == status
        assert b'"error"' in answer.content
        assert EVENT[:20] not in answer.content
        assert await early(led_tenant.place) == {**before, "withdrawn": before["withdrawn"] + 1}
        call = await engine.called()
        async with asyncio.timeout(20):
            await call.left.wait()

        # Once refused, the caller has to be let in again before anything is sent for them.
        assert (await ask(led_tenant)).status_code == status
        assert len(engine.calls) == 1
        # What an engine has seen has its line.
        (line,) = await led_tenant.lines()
        assert (line["o"], line["pt"], line["ct"], engine.url in line["f"]) == ("cut", "0", "0", True)
        assert f"x-request-id: {line['r']}".encode() in call.head
    await nothing_is_held(led_tenant)


async def test_a_prompt_that_is_to_be_counted_first_is_taken_back_and_sent_again(led_tenant: Tenant) -> None:
    async def counts(call: Call) -> None:
        await (
            call.send(whole(b'{"count":3,"max_model_len":100,"tokens":[]}'))
            if "tokenize" in call.path
            else answers(call)
        )

    async with led(led_tenant, counts) as engine:
        await led_tenant.limit(tokens=await led_tenant.used() + 60)
        assert (await ask(led_tenant, text="a" * 100)).status_code == 200
        taken_back, *others = [call.path for call in engine.calls]
        assert (taken_back, others) == (CHAT, ["/tokenize", CHAT])
        (line,) = await led_tenant.lines()
        assert (line["o"], line["pt"]) == ("completed", "3")
    await nothing_is_held(led_tenant)


async def test_what_changed_meanwhile_is_sent_anew(led_tenant: Tenant) -> None:
    async with led(led_tenant) as engine, raw_engine(answers) as other:
        await led_tenant.route((other.url,), "another")
        answer = await ask(led_tenant)
        assert (answer.status_code, len(engine.calls)) == (200, 1)
        (call,) = other.calls
        assert (call.body["model"], call.body["max_completion_tokens"]) == ("another", OUTPUT)
        (line,) = await led_tenant.lines()
        assert other.url in line["f"]


async def test_another_output_limit_is_what_the_engine_goes_by(led_tenant: Tenant) -> None:
    async with led(led_tenant) as engine:
        for _ in range(2):
            assert (await led_tenant.chat()).status_code == 200
        await led_tenant.limit(cap=7)
        answer = await led_tenant.chat(stream=True, stream_options={"include_usage": False})
        assert answer.content.endswith(DONE)
        *_, taken_back, sent = engine.calls
        assert [call.body["max_completion_tokens"] for call in (taken_back, sent)] == [1024, 7]
        assert b'"usage"' not in answer.content


async def test_a_redis_that_does_not_answer_is_a_503_and_the_engine_is_left(
    services: Services, tmp_path: Path, tenants: Callable[[Place], Tenant]
) -> None:
    async def silent(call: Call) -> None:
        await call.until_left()

    settings = {"IAS_EARLY_DISPATCH_MS": "60000", "IAS_REDIS_TIMEOUT_MS": "250", "IAS_WATCH_INTERVAL": "0.1"}
    with place_of(services, tmp_path, **settings) as place:
        tenant = tenants(place)
        async with led(tenant, silent) as engine:
            place.redis.stop()
            try:
                answer = await ask(tenant)
                assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_ready")
                call = await engine.called()
                async with asyncio.timeout(20):
                    await call.left.wait()
                assert (await ask(tenant)).status_code == 503
                assert len(engine.calls) == 1
            finally:
                place.redis.cont()
            # It was let in too late: that is settled as nothing, and held no longer.
            lines = await tenant.lines(2)
            assert [(line["o"], line["pt"], line["ct"]) for line in lines] == [
                ("cut", "0", "0"),
                ("rejected", "0", "0"),
            ]
            await nothing_is_held(tenant)

            async def nothing_is_under_way() -> bool:
                return await outstanding(place, engine.url) == 0

            await eventually(nothing_is_under_way)


async def test_a_stream_that_was_sent_early_is_cut_when_its_key_is_revoked(
    services: Services, tmp_path: Path, tenants: Callable[[Place], Tenant]
) -> None:
    with place_of(services, tmp_path, IAS_EARLY_DISPATCH_MS="60000") as place:
        tenant = tenants(place)
        async with led(tenant, saying(CHUNKED + chunked([EVENT]))) as engine:
            before = await early(place)
            body = tenant.body(stream=True, max_tokens=OUTPUT)
            async with place.client.stream("POST", CHAT, json=body, headers=tenant.headers) as answer:
                pieces = answer.aiter_bytes()
                await anext(pieces)
                assert (await early(place))["confirmed"] == before["confirmed"] + 1
                await revoke(tenant)
                rest = b"".join([piece async for piece in pieces])
            assert b'"access_withdrawn"' in rest
            async with asyncio.timeout(20):
                await engine.calls[0].left.wait()
            (line,) = await tenant.lines()
            assert (line["o"], line["pt"], line["ct"]) == ("cut", "3", "2")
