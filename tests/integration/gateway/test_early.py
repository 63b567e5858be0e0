"""A request may go to its engine while Redis is asked: its client hears of it when it is let in."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx
import msgspec
import pytest

from tests.integration.gateway.leading import (
    ANSWER,
    DONE,
    EVENT,
    OUTPUT,
    answers,
    ask,
    early,
    led,
    nothing_is_held,
    sent_early,
)
from tests.integration.gateway.place import CHAT, Place, Tenant, eventually, place_of
from tests.integration.gateway.raw_engine import Call, raw_engine, whole
from tests.services import Services

# -- let in ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_the_engine_hears_before_redis_has_answered_and_the_client_after(
    led_tenant: Tenant, *, streamed: bool
) -> None:
    place = led_tenant.place
    async with led(led_tenant) as engine:
        place.redis.stop()
        try:
            asked = asyncio.create_task(ask(led_tenant, stream=streamed))
            await engine.called()
            assert not asked.done()
        finally:
            place.redis.cont()
        answer = await asked
        assert (answer.status_code, len(engine.calls)) == (200, 1)
        assert answer.content == (EVENT.partition(b',"usage"')[0] + b"}\n\n" + DONE if streamed else ANSWER)
        (line,) = await led_tenant.lines()
        assert (line["r"], line["pt"], line["ct"], line["o"]) == (answer.headers["x-request-id"], "3", "2", "completed")
    await nothing_is_held(led_tenant)


async def test_an_engine_that_refuses_is_heard_after_the_request_was_let_in(led_tenant: Tenant) -> None:
    async def refuses(call: Call) -> None:
        await call.send(whole(b'{"error":{"message":"too long","type":"BadRequestError"}}', b"400 Bad Request"))

    async with led(led_tenant, refuses) as engine:
        answer = await ask(led_tenant)
        assert (answer.status_code, len(engine.calls)) == (400, 1)
        (line,) = await led_tenant.lines()
        assert (line["o"], line["pt"], line["ct"]) == ("rejected", "0", "0")


async def test_a_connection_that_the_engine_had_closed_is_no_failure(led_tenant: Tenant) -> None:
    async def resets_the_first(call: Call) -> None:
        if call.number == 1:
            call.reset()
        else:
            await answers(call)

    async with led(led_tenant, resets_the_first) as engine:
        answer = await ask(led_tenant)
        assert (answer.status_code, len(engine.calls)) == (200, 2)
        assert len({call.head for call in engine.calls}) == 1
        await led_tenant.lines()


async def test_a_second_replica_is_tried_where_the_first_broke_early(led_tenant: Tenant) -> None:
    async with raw_engine(answers) as one, raw_engine(answers) as other:
        await led_tenant.edge.load_library()
        await led_tenant.begin((one.url, other.url))
        await eventually(lambda: sent_early(led_tenant))
        engines = (one, other)
        first = next(engine for engine in engines if engine.calls)
        begun = [len(engine.calls) for engine in engines]

        async def overloaded(call: Call) -> None:
            await call.send(whole(b"{}", b"503 Service Unavailable"))

        first.behave = overloaded
        assert (await ask(led_tenant)).status_code == 200
        assert [len(engine.calls) for engine in engines] == [number + 1 for number in begun]


async def test_a_client_that_leaves_before_its_request_is_let_in_is_settled_all_the_same(led_tenant: Tenant) -> None:
    async def silent(call: Call) -> None:
        await call.until_left()

    place = led_tenant.place
    async with led(led_tenant, silent) as engine:
        place.redis.stop()
        try:
            asked = asyncio.create_task(ask(led_tenant))
            call = await engine.called()
            asked.cancel()
            async with asyncio.timeout(20):
                await call.left.wait()
        finally:
            place.redis.cont()
        (line,) = await led_tenant.lines()
        assert (line["o"], line["pt"], line["ct"]) == ("client_aborted", "0", "0")
    await nothing_is_held(led_tenant)


# -- who is not sent early ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limits", [{"tokens": 1500}, {"udef": 1500}, {"rps": 90, "burst": 90}, {"conc": 90}])
async def test_near_a_limit_redis_is_asked_first(led_tenant: Tenant, limits: dict[str, int]) -> None:
    async with led(led_tenant):
        await led_tenant.limit(**limits)
        before = await early(led_tenant.place)
        for _ in range(5):
            assert (await ask(led_tenant)).status_code == 200
        after = await early(led_tenant.place)
        assert (after["withdrawn"], after["confirmed"] - before["confirmed"] <= 1) == (before["withdrawn"], True)


async def test_nobody_issent_early_where_that_is_turned_off(
    services: Services, tmp_path: Path, tenants: Callable[[Place], Tenant]
) -> None:
    with place_of(services, tmp_path, IAS_EARLY_DISPATCH_MS="0") as place:
        tenant = tenants(place)
        await tenant.edge.load_library()
        await tenant.begin()
        for _ in range(5):
            assert (await ask(tenant)).status_code == 200
        assert await early(place) == {"confirmed": 0, "withdrawn": 0}


async def test_an_organisation_goes_by_its_own_lead(
    led_tenant: Tenant, keen: Place, tenants: Callable[[Place], Tenant]
) -> None:
    async with led(led_tenant) as engine:
        other = tenants(keen)
        await other.begin((engine.url,))
        before = await early(keen)
        assert (await other.place.client.post(CHAT, json=other.body(), headers=other.headers)).status_code == 200
        assert await early(keen) == before


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/embeddings", {"model": "mock-embed", "input": "x"}),
        ("/v1/rerank", {"model": "mock-embed", "query": "a", "documents": ["b"]}),
        ("/v1/completions", {"model": "mock-gpt", "prompt": "x", "max_tokens": OUTPUT}),
        ("/v1/responses", {"model": "mock-gpt", "input": "x", "max_output_tokens": OUTPUT}),
    ],
)
async def test_requests_of_every_kind_are_sent_early_as_they_are_let_in(
    led_tenant: Tenant, path: str, body: dict[str, object]
) -> None:
    async with led(led_tenant):
        before = await early(led_tenant.place)

        async def confirmed() -> bool:
            answer = await led_tenant.place.client.post(path, json=body, headers=led_tenant.headers)
            assert answer.status_code == 200
            return (await early(led_tenant.place))["confirmed"] > before["confirmed"] + 1

        await eventually(confirmed)
        assert (await early(led_tenant.place))["withdrawn"] == before["withdrawn"]


async def test_a_much_larger_request_and_one_with_images_wait_for_redis(led_tenant: Tenant) -> None:
    async with led(led_tenant):
        before = await early(led_tenant.place)
        assert (await ask(led_tenant, text="a" * 2000)).status_code == 200
        picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
        body = led_tenant.body(max_tokens=OUTPUT) | {"messages": [{"role": "user", "content": [picture]}]}
        answer = await led_tenant.place.client.post(CHAT, json=body, headers=led_tenant.headers)
        assert (answer.status_code, "takes no images" in answer.text) == (400, True)
        assert await early(led_tenant.place) == before


async def test_what_holds_nothing_leads_nobody_past_a_budget(led_tenant: Tenant) -> None:
    async def tokenizes(call: Call) -> None:
        await call.send(whole(b'{"count":3,"max_model_len":100,"tokens":[1,2,3]}'))

    async with led(led_tenant, tokenizes) as engine:
        await led_tenant.limit(tokens=1)
        assert (await ask(led_tenant)).status_code == 429
        for _ in range(3):
            asked = {"model": "mock-gpt", "prompt": "x"}
            answer = await led_tenant.place.client.post("/tokenize", json=asked, headers=led_tenant.headers)
            assert answer.status_code == 200
            assert (await ask(led_tenant)).status_code == 429
        assert [call.path for call in engine.calls[1:]] == ["/tokenize"] * 3


async def test_a_client_that_left_while_its_key_was_looked_at_is_not_sent_on(led_tenant: Tenant) -> None:
    place = led_tenant.place
    async with led(led_tenant) as engine:
        place.redis.stop()
        try:
            # So long that the key is looked at before it is read; but for little, or Redis would be asked first.
            body = msgspec.json.encode(led_tenant.body(max_tokens=OUTPUT)) + b" " * 100_000
            url = httpx.URL(place.url)
            _, writer = await asyncio.open_connection(url.host, url.port)
            head = f"POST {CHAT} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {led_tenant.token}\r\n"
            writer.write(head.encode() + b"content-length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
            writer.close()
            await writer.wait_closed()
            # The gateway has read all that was sent before, its end too, once it answers somebody who came later.
            assert (await place.client.get("/health")).status_code in {200, 404}
        finally:
            place.redis.cont()
        (line,) = await led_tenant.lines()
        assert (line["o"], line["pt"], line["ct"], engine.calls) == ("client_aborted", "0", "0", [])
    await nothing_is_held(led_tenant)
