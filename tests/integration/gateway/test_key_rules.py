"""What a key may do, as its holder meets it: OpenAI's client, the list of models, the limits."""

import msgspec
import openai
import pytest

from ias.contract.key_records import Rules
from tests.integration.gateway.place import KEY, Tenant

HELLO = [{"role": "user", "content": "hello"}]


async def rule(tenant: Tenant, version: int = 2, **rules: object) -> openai.AsyncOpenAI:
    record = msgspec.structs.replace(tenant.record, rules=Rules(**rules))
    await tenant.edge.grant(tenant.tag, record, version)
    return openai.AsyncOpenAI(base_url=f"{tenant.place.url}/v1", api_key=tenant.token)


async def test_a_key_lists_and_calls_only_its_models(tenant: Tenant) -> None:
    async with await rule(tenant, models=("mock-embed",)) as client:
        assert [model.id async for model in client.models.list()] == ["mock-embed"]
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("mock-gpt")
        with pytest.raises(openai.NotFoundError) as refused:
            await client.chat.completions.create(model="mock-gpt", messages=HELLO)
        assert (await client.embeddings.create(model="mock-embed", input="hello", encoding_format="float")).data
        with pytest.raises(openai.NotFoundError) as unknown:
            await client.chat.completions.create(model="mock-other", messages=HELLO)
    assert refused.value.code == unknown.value.code == "model_not_found"
    assert refused.value.message.replace("mock-gpt", "mock-other") == unknown.value.message
    assert "You may use: mock-embed." in refused.value.message


async def test_a_cap_that_is_used_up_is_an_insufficient_quota_that_names_the_key(tenant: Tenant) -> None:
    async with await rule(tenant, monthly_tokens=100) as client:
        text = "[[mock tokens=30]] hello"
        whole = await client.completions.create(model="mock-gpt", prompt=text, max_tokens=30)
        with pytest.raises(openai.RateLimitError) as over:
            await client.completions.create(model="mock-gpt", prompt=text * 20, max_tokens=30)
        listed = (await tenant.place.client.get("/v1/usage/limits", headers=tenant.headers)).json()["data"]
    assert (over.value.type, over.value.code) == ("insufficient_quota", "insufficient_quota")
    assert over.value.response.headers["x-should-retry"] == "false"
    assert int(over.value.response.headers["retry-after"]) > 0
    used = whole.usage.total_tokens
    said = f"The cap of this API key of 100 tokens for this month does not suffice: {used} are used and 0 held"
    assert said in over.value.message
    [cap] = [limit for limit in listed if limit["scope"] == "key"]
    assert (cap["kind"], cap["limit"], cap["used"], cap["remaining"]) == ("budget", 100, used, 100 - used)
    assert cap["resets_at"] in over.value.message


async def test_a_streamed_answer_is_held_and_settled_for_its_key(tenant: Tenant) -> None:
    async with await rule(tenant, monthly_tokens=1000) as client:
        stream = await client.chat.completions.create(
            model="mock-gpt", messages=HELLO, max_tokens=5, stream=True, stream_options={"include_usage": True}
        )
        usage = [chunk.usage async for chunk in stream][-1]
    await tenant.lines(1)
    period = (await tenant.edge.standing(tenant.tag, ""))[0].decode()
    month = f"{{o:{tenant.tag}}}:bud:{period}"
    found = await tenant.edge.redis.hmget(month, f"k:{KEY}", f"h:{KEY}")
    assert [int(one) for one in found] == [usage.total_tokens, 0]
