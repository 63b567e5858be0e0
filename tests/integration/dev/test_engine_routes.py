"""The mock engine's routes, as HTTP clients and OpenAI's SDK see them."""

from collections.abc import Iterator

import httpx
import openai
import pytest

from tests.integration.dev.engine_place import CHAT, FULL, TEXT, Place, body, engine, events


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    options = ("--model", "mock-gpt", "--model", "alias", "--max-model-len", "1024")
    with engine(tmp_path_factory.mktemp("engine"), *options) as place:
        yield place


async def test_the_sdk_chats_and_the_same_question_gets_the_same_answer(sdk: openai.AsyncOpenAI) -> None:
    asked = {"model": "mock-gpt", "messages": [{"role": "user", "content": "tell me"}], "max_tokens": 9}
    first, second = [await sdk.chat.completions.create(**asked) for _ in range(2)]
    assert first.choices[0].message.content == second.choices[0].message.content
    assert first.choices[0].finish_reason == "length"
    assert first.usage is not None
    assert (first.usage.prompt_tokens, first.usage.completion_tokens, first.usage.total_tokens) == (8, 9, 17)


async def test_the_sdk_streams_what_it_would_get_whole(sdk: openai.AsyncOpenAI) -> None:
    asked = {"model": "mock-gpt", "messages": [{"role": "user", "content": "tell me [[mock tokens=30 delay_ms=1]]"}]}
    whole = await sdk.chat.completions.create(**asked)
    stream = await sdk.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    chunks = [chunk async for chunk in stream]
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 30
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * 31


async def test_the_sdk_completes_text(sdk: openai.AsyncOpenAI) -> None:
    answer = await sdk.completions.create(model="mock-gpt", prompt=["one", "two more"], n=2, max_tokens=3, logprobs=1)
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (1 + 2, 12)
    assert answer.choices[0].logprobs is not None
    assert "".join(answer.choices[0].logprobs.tokens or ()) == answer.choices[0].text


@pytest.mark.parametrize("encoding", ["float", "base64"])
async def test_the_sdk_embeds(sdk: openai.AsyncOpenAI, encoding: str) -> None:
    answer = await sdk.embeddings.create(
        model="mock-embed", input=["one", "two more"], dimensions=5, encoding_format=encoding
    )
    assert [len(one.embedding) for one in answer.data] == [5, 5] if encoding == "float" else [28, 28]
    assert answer.usage.prompt_tokens == 3


async def test_the_sdk_calls_a_tool_in_a_stream_as_it_does_whole(sdk: openai.AsyncOpenAI) -> None:
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": parameters}}
    asked = {"model": "mock-gpt", "messages": [{"role": "user", "content": "rain?"}], "tools": [tool]}
    whole = await sdk.chat.completions.create(**asked, tool_choice="required")
    (call,) = whole.choices[0].message.tool_calls or ()
    assert (call.function.name, call.function.arguments) == ("get_weather", '{"city":"the one"}')
    stream = await sdk.chat.completions.create(**asked, tool_choice="required", stream=True)
    chunks = [chunk async for chunk in stream]
    calls = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or ()]
    assert calls[0].function.name == "get_weather"
    assert "".join(call.function.arguments or "" for call in calls) == '{"city":"the one"}'
    assert chunks[-1].choices[0].finish_reason == whole.choices[0].finish_reason == "tool_calls"


async def test_the_sdk_gets_json_that_fits_a_schema(sdk: openai.AsyncOpenAI) -> None:
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    answer = await sdk.chat.completions.create(
        model="mock-gpt",
        messages=[{"role": "user", "content": "ok?"}],
        response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": schema}},
    )
    assert answer.choices[0].message.content == '{"ok":true}'


async def test_models_are_listed_with_their_context(sdk: openai.AsyncOpenAI) -> None:
    found = {model.id: model.model_dump()["max_model_len"] async for model in sdk.models.list()}
    models = ("mock-gpt", "alias", "mock-reasoner", "mock-vision", "mock-embed", "mock-rerank", "mock-whisper")
    assert found == dict.fromkeys(models, 1024)


async def test_an_alias_is_answered_under_the_first_name(client: httpx.AsyncClient) -> None:
    answer = await client.post(CHAT, json={**body(), "model": "alias"})
    assert answer.json()["model"] == "mock-gpt"


@pytest.mark.parametrize("path", [CHAT, TEXT, "/v1/responses", "/tokenize", "/detokenize"])
async def test_an_unknown_model_is_a_404_that_lists_the_known(client: httpx.AsyncClient, path: str) -> None:
    known = {**body(), "input": "a", "tokens": [1]} | ({} if path == "/v1/responses" else {"prompt": "a"})
    answer = await client.post(path, json={**known, "model": "nope"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["type"], error["param"]) == (404, 404, "NotFoundError", "model")
    assert error["message"].startswith("The model `nope` does not exist. Valid aliases: mock-")


async def test_a_model_that_does_not_embed_has_no_such_route(client: httpx.AsyncClient) -> None:
    for path, model in (("/v1/embeddings", "mock-gpt"), (CHAT, "mock-embed")):
        answer = await client.post(path, json={**body(), "input": "a", "model": model})
        assert (answer.status_code, answer.content) == (404, b'{"detail":"Not Found"}')


@pytest.mark.parametrize(
    ("content", "kind", "param"),
    [
        (b"{bad", "Bad Request", "body"),
        (b'{"model":"mock-gpt","messages":[],"max_tokens":"x"}', "Bad Request", "body.max_tokens"),
        (
            b'{"messages":[{"role":"user"}],"stream_options":{"include_usage":true}}',
            "BadRequestError",
            "stream_options",
        ),
        (b'{"messages":[{"role":"user"}],"max_tokens":1025}', "BadRequestError", "max_tokens"),
        (b'{"messages":[{"role":"user"}],"max_completion_tokens":1025}', "BadRequestError", "max_completion_tokens"),
        (b'{"messages":[{"role":"user","content":"%b"}]}' % (b"x" * 4096), "BadRequestError", "input_tokens"),
        (b'{"messages":[]}', "BadRequestError", None),
        (b'{"messages":[{"role":"user"}],"n":0}', "BadRequestError", None),
    ],
)
async def test_what_vllm_refuses_is_refused_alike(
    client: httpx.AsyncClient, content: bytes, kind: str, param: str | None
) -> None:
    answer = await client.post(CHAT, content=content, headers={"content-type": "application/json"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["type"], error["param"]) == (400, 400, kind, param)


async def test_an_answer_fills_what_the_prompt_leaves_of_the_context(client: httpx.AsyncClient) -> None:
    prompt = "x" * 4000
    answer = await client.post(TEXT, json={"prompt": prompt, "max_tokens": 500, "ignore_eos": True})
    assert answer.json()["usage"] | {"prompt_tokens_details": None} == {
        "prompt_tokens": 1000,
        "completion_tokens": 24,
        "total_tokens": 1024,
        "prompt_tokens_details": None,
        "completion_tokens_details": None,
    }


async def test_tokenize_counts_what_a_chat_is_billed_and_detokenize_undoes_it(client: httpx.AsyncClient) -> None:
    tools = [{"type": "function", "function": {"name": "look", "parameters": {}}}]
    asked = {**body("how många tokens?"), "tools": tools}
    told = (await client.post("/tokenize", json=asked)).json()
    billed = (await client.post(CHAT, json=asked)).json()["usage"]["prompt_tokens"]
    assert (told["count"], len(told["tokens"]), told["max_model_len"]) == (billed, billed, 1024)
    plain = (await client.post("/tokenize", json={"prompt": "how många", "return_token_strs": True})).json()
    assert plain["count"] == len(plain["token_strs"]) == 3
    text = (await client.post("/detokenize", json={"tokens": plain["tokens"]})).json()
    assert text == {"prompt": "how många"}


async def test_the_prefix_cache_reports_whole_blocks_and_keeps_salts_apart(client: httpx.AsyncClient) -> None:
    async def cached(salt: str | None) -> tuple[int, int]:
        told = (await client.post(CHAT, json=body("a shared beginning " * 20, cache_salt=salt))).json()["usage"]
        return told["prompt_tokens_details"]["cached_tokens"], told["prompt_tokens_details"]["created_cache_tokens"]

    assert [await cached("one"), await cached("one"), await cached("two")] == [(0, 96), (96, 0), (0, 96)]
    stream = await client.post(
        CHAT, json=body("a shared beginning " * 20, cache_salt="two", stream=True, stream_options=FULL)
    )
    assert events(stream.content)[-2]["usage"]["prompt_tokens_details"] == {
        "cached_tokens": 96,
        "created_cache_tokens": 0,
    }


async def test_running_usage_counts_every_token(client: httpx.AsyncClient) -> None:
    answer = await client.post(CHAT, json=body("[[mock tokens=40 delay_ms=1]]", stream=True, stream_options=FULL))
    told = events(answer.content)
    assert [event["usage"]["completion_tokens"] for event in told[:-1]] == [*range(41), 40]
    assert {event["usage"]["prompt_tokens"] for event in told[:-1]} == {6 + 8}


async def test_small_routes_answer_as_vllms_do(client: httpx.AsyncClient) -> None:
    assert (await client.get("/version")).json() == {"version": "0.32.0"}
    assert (await client.get("/load")).json() == {"server_load": 0}
    health = await client.get("/health")
    assert (health.status_code, health.content) == (200, b"")
    assert (await client.get("/nowhere")).content == b'{"detail":"Not Found"}'
    for method, path, allowed in (("GET", CHAT, "POST"), ("POST", "/health", "GET"), ("PUT", "/tokenize", "POST")):
        answer = await client.request(method, path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
        assert answer.json() == {"detail": "Method Not Allowed"}


async def test_the_clients_request_id_comes_back_and_is_in_the_answers_id(client: httpx.AsyncClient) -> None:
    answer = await client.post(CHAT, json=body(), headers={"x-request-id": "0192-abc"})
    assert (answer.headers["x-request-id"], answer.json()["id"]) == ("0192-abc", "chatcmpl-0192-abc")
    assert len((await client.get("/health")).headers["x-request-id"]) == 32
