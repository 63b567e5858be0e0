"""Near the end of a budget prompts are counted by the engine; with estimates, what may be overshot is told."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import msgspec
import pytest

from ias.contract import catalogue
from tests.integration.gateway.place import MODEL, USER, Tenant

COUNTED = 'ias_gateway_prompts_counted_total{result="%s"}'
TOOLS = [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}]


async def metric(tenant: Tenant, start: str) -> float:
    text = (await tenant.place.client.get(f"{tenant.place.probes}/metrics")).text
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(start))


async def tokens_of(tenant: Tenant, text: str, **more: object) -> int:
    """What the engine counts of this prompt."""
    usage = (await tenant.chat(text, max_tokens=1, **more)).json()["usage"]
    await tenant.limit()
    return usage["prompt_tokens"]


async def counted_in_time(tenant: Tenant, ask: Callable[[], Awaitable[httpx.Response]]) -> tuple[httpx.Response, int]:
    """The answer, and how many prompts were counted for it: asked for again where the engine did not count in time.

    It has half a second, which is nothing to a machine that stalls; what is refused for that costs nothing.
    """
    while True:
        late, counted = [await metric(tenant, COUNTED % result) for result in ("failed", "counted")]
        answer = await ask()
        if await metric(tenant, COUNTED % "failed") == late:
            return answer, round(await metric(tenant, COUNTED % "counted") - counted)


@pytest.mark.parametrize("more", [{}, {"tools": TOOLS}], ids=["text", "tools"])
async def test_a_prompt_whose_bound_does_not_fit_is_counted_and_gets_what_is_left(
    tenant: Tenant, more: dict[str, object]
) -> None:
    text = "[[mock tokens=20]] " + "count me " * 100
    prompt = await tokens_of(tenant, text, **more)
    before = await tenant.used()
    await tenant.limit(tokens=before + prompt + 60)
    answer, counted = await counted_in_time(tenant, lambda: tenant.chat(text, max_tokens=20, **more))
    assert answer.status_code == 200, answer.text
    assert answer.json()["usage"]["completion_tokens"] == 20
    assert counted == 1
    assert await tenant.used() == before + prompt + 20
    assert (await tenant.chat(text, max_tokens=20, **more)).status_code == 429
    assert await tenant.used() <= before + prompt + 60


async def test_a_text_prompt_is_counted_too(tenant: Tenant) -> None:
    body = {"model": "mock-gpt", "prompt": "count me " * 100, "max_tokens": 5}
    url = "/v1/completions"
    first = (await tenant.place.client.post(url, json=body, headers=tenant.headers)).json()["usage"]
    await tenant.limit(tokens=first["total_tokens"] + first["prompt_tokens"] + 20)
    again, _ = await counted_in_time(tenant, lambda: tenant.place.client.post(url, json=body, headers=tenant.headers))
    assert again.status_code == 200, again.text
    assert again.json()["usage"]["total_tokens"] == first["total_tokens"]


async def test_away_from_the_budgets_end_nothing_is_counted(tenant: Tenant) -> None:
    await tenant.limit(tokens=100_000)
    before = await metric(tenant, "ias_gateway_prompts_counted_total")
    for _ in range(3):
        assert (await tenant.chat("count me " * 100, max_tokens=20)).status_code == 200
    assert await metric(tenant, "ias_gateway_prompts_counted_total") == before


async def test_where_no_engine_counts_the_upper_bound_decides(tenant: Tenant) -> None:
    await tenant.limit(tokens=300)
    await tenant.route(("http://127.0.0.1:9",))
    before = await metric(tenant, COUNTED % "failed")
    answer = await tenant.chat("count me " * 100, max_tokens=20)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "insufficient_quota")
    assert await metric(tenant, COUNTED % "failed") == before + 1


async def test_strict_budgets_are_never_passed_by_many_at_once_though_prompts_are_counted(tenant: Tenant) -> None:
    text = "count me " * 100
    await tokens_of(tenant, text)
    limit = await tenant.used() + 2000
    await tenant.limit(tokens=limit)
    answers = await asyncio.gather(*(tenant.chat(text, max_tokens=30) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200, 429}
    assert await tenant.used() <= limit
    assert await metric(tenant, "ias_gateway_overshot_tokens_total") == 0


async def test_counting_is_the_engines_work_and_is_taken_from_the_rate_once(tenant: Tenant) -> None:
    text = "count me " * 100
    prompt = await tokens_of(tenant, text)
    before = await tenant.used()
    await tenant.limit(tokens=before + prompt + 60, rps=1, burst=1)

    async def admitted() -> httpx.Response:
        await asyncio.sleep(1)  # so long the bucket takes to be full, where one came too late
        return await tenant.chat(text, max_tokens=20)

    answer, _ = await counted_in_time(tenant, admitted)
    assert answer.status_code == 200, "counted and admitted is one request"

    await tenant.limit(tokens=before + prompt + 60, rps=0)
    counted = await metric(tenant, "ias_gateway_prompts_counted_total")
    refused = await asyncio.gather(*(tenant.chat(text * 2, max_tokens=20) for _ in range(5)))
    assert {answer.status_code for answer in refused} == {429}
    assert await metric(tenant, "ias_gateway_prompts_counted_total") == counted


async def test_an_estimate_is_learnt_held_and_its_risk_told(lone: Tenant) -> None:
    text = "learn me " * 200
    for _ in range(60):
        usage = (await lone.chat(text, max_tokens=1)).json()["usage"]
    await lone.limit(estimate=1)
    body = lone.body(f"[[mock tokens=100 delay_ms=50]] {text}", stream=True, max_tokens=100)
    async with lone.place.client.stream("POST", "/v1/chat/completions", json=body, headers=lone.headers) as answer:
        parts = answer.aiter_bytes()
        await anext(parts)
        held = int((await lone.edge.standing(lone.tag, USER))[3]) - 100
        strict = len(body["messages"][0]["content"]) + 8
        assert usage["prompt_tokens"] * 0.7 < held < strict * 0.7
        risk = 0.0
        for _ in range(50):
            risk = await metric(lone, "ias_gateway_tokens_at_risk")
            if risk:
                break
            await asyncio.sleep(0.05)
        assert risk == strict - held
        assert b"".join([part async for part in parts]).endswith(b"[DONE]\n\n")


async def test_what_a_template_adds_is_held_and_counted(tenant: Tenant) -> None:
    route = catalogue.ModelRoute(
        name="mock-gpt",
        model_id=MODEL,
        upstream_name="mock-gpt",
        replicas=(tenant.place.engine_url,),
        prompt_overhead=500,
    )
    await tenant.project("routes", {"mock-gpt": catalogue.encode_route(msgspec.structs.replace(route))})
    await tenant.limit(tokens=510)
    assert (await tenant.chat(max_tokens=5)).status_code == 429
    await tenant.limit(tokens=600)
    assert (await tenant.chat(max_tokens=5)).status_code == 200
