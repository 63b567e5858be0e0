"""The mock engine's Responses API, as OpenAI's SDK and OpenAI's types see it."""

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from tests.integration.dev.engine_place import Place, engine
from tests.sdk.schema import check, events
from tests.sdk.tape import Request

RESPONSES = "/v1/responses"
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}
TIME = {"type": "function", "name": "get_time", "parameters": {"type": "object", "properties": {}}, "strict": False}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with engine(tmp_path_factory.mktemp("engine"), "--max-model-len", "1024") as place:
        yield place


def asked(said: str = "hello", **fields: object) -> dict[str, Any]:
    return {"model": "mock-gpt", "input": said, **fields}


def checked(answer: httpx.Response) -> httpx.Response:
    """An answer that OpenAI's types know."""
    assert answer.status_code == 200
    check(Request(path=RESPONSES, status=200, answer_headers=dict(answer.headers), answer=answer.content))
    return answer


async def test_the_sdk_gets_the_text_of_a_response_streamed_and_whole(sdk: openai.AsyncOpenAI) -> None:
    whole = await sdk.responses.create(**asked("tell me [[mock tokens=9]]"))
    assert whole.usage is not None
    assert (whole.usage.input_tokens, whole.usage.output_tokens, whole.usage.total_tokens) == (13, 9, 22)
    stream = await sdk.responses.create(**asked("tell me [[mock tokens=9]]"), stream=True)
    told = [event async for event in stream]
    assert "".join(event.delta for event in told if event.type == "response.output_text.delta") == whole.output_text
    assert told[-1].type == "response.completed"
    assert told[-1].response.output_text == whole.output_text
    assert told[-1].response.usage is not None
    assert told[-1].response.usage.total_tokens == 22


async def test_events_are_numbered_and_nothing_follows_the_last_one(client: httpx.AsyncClient) -> None:
    answer = checked(await client.post(RESPONSES, json=asked("[[mock tokens=3 delay_ms=1]]", stream=True)))
    told = events(answer.content)
    assert [event["sequence_number"] for event in told] == list(range(len(told)))
    assert [event["type"].removeprefix("response.") for event in told] == [
        *("created", "in_progress", "output_item.added", "content_part.added"),
        *("output_text.delta", "output_text.delta", "output_text.done"),
        *("content_part.done", "output_item.done", "completed"),
    ]
    assert b"[DONE]" not in answer.content
    assert answer.content.startswith(b"event: response.created\ndata: {")


async def test_the_beginning_is_there_before_the_first_token(place: Place, client: httpx.AsyncClient) -> None:
    slow = asked("[[mock prefill_ms=600000]]", stream=True)
    async with client.stream("POST", RESPONSES, json=slow, headers={"x-request-id": "begun"}) as answer:
        begun = b""
        async for chunk in answer.aiter_bytes():
            begun += chunk
            if b"response.in_progress" in begun:
                break
    assert [event["type"] for event in events(begun)] == ["response.created", "response.in_progress"]
    line = await place.line("begun")
    assert (line["outcome"], line["prompt_tokens"], line["completion_tokens"]) == ("aborted", 0, 0)


async def test_a_response_cut_by_its_limit_is_incomplete(client: httpx.AsyncClient) -> None:
    for stream in (False, True):
        answer = checked(await client.post(RESPONSES, json=asked(max_output_tokens=4, stream=stream)))
        told = events(answer.content)[-1]["response"] if stream else answer.json()
        assert (told["status"], told["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
        assert (told["max_output_tokens"], told["usage"]["output_tokens"]) == (4, 4)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("parallel", "names"), [(True, ["get_weather", "get_time"]), (False, ["get_weather"])])
async def test_functions_are_called_several_at_once_unless_that_is_not_wanted(
    client: httpx.AsyncClient, stream: bool, parallel: bool, names: list[str]
) -> None:
    fields = {"tools": [WEATHER, TIME], "parallel_tool_calls": parallel, "stream": stream}
    answer = checked(await client.post(RESPONSES, json=asked("[[mock tools=2]]", **fields)))
    told = events(answer.content)[-1]["response"] if stream else answer.json()
    assert [item["name"] for item in told["output"]] == names
    assert told["output"][0]["arguments"] == '{"city":"the one"}'
    assert len({item["call_id"] for item in told["output"]}) == len(names)


async def test_what_came_of_a_call_goes_into_the_prompt(client: httpx.AsyncClient) -> None:
    call = {"type": "function_call", "call_id": "c", "name": "get_time", "arguments": "{}"}
    items = [{"role": "user", "content": [{"type": "input_text", "text": "when?"}]}, call]
    items.append({"type": "function_call_output", "call_id": "c", "output": "now"})
    messages = [
        {"role": "user", "content": "when?"},
        {"role": "assistant", "tool_calls": [{"function": {"name": "get_time", "arguments": "{}"}}]},
        {"role": "tool", "content": "now"},
    ]
    answer = checked(await client.post(RESPONSES, json={"model": "mock-gpt", "input": items}))
    told = await client.post("/tokenize", json={"messages": messages})
    assert answer.json()["usage"]["input_tokens"] == told.json()["count"]


async def test_a_model_that_reasons_tells_it_apart_and_counts_it(client: httpx.AsyncClient) -> None:
    for stream in (False, True):
        fields = {"model": "mock-reasoner", "input": "[[mock tokens=3]]", "stream": stream}
        answer = checked(await client.post(RESPONSES, json=fields))
        told = events(answer.content)[-1]["response"] if stream else answer.json()
        assert [item["type"] for item in told["output"]] == ["reasoning", "message"]
        assert told["usage"]["output_tokens_details"]["reasoning_tokens"] == 8
        assert told["usage"]["output_tokens"] == 8 + 1 + 3


async def test_json_that_fits_a_schema_and_log_probabilities_are_there(client: httpx.AsyncClient) -> None:
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    text = {"format": {"type": "json_schema", "name": "a", "schema": schema}}
    fields = {"text": text, "include": ["message.output_text.logprobs"], "top_logprobs": 2}
    for stream in (False, True):
        answer = checked(await client.post(RESPONSES, json=asked(stream=stream, **fields)))
        told = events(answer.content)[-1]["response"] if stream else answer.json()
        (part,) = told["output"][0]["content"]
        assert part["text"] == '{"ok":true}'
        assert "".join(token["token"] for token in part["logprobs"]) == part["text"]
        assert {len(token["top_logprobs"]) for token in part["logprobs"]} == {2}


async def test_the_prefix_cache_serves_responses_and_chats_alike(client: httpx.AsyncClient) -> None:
    text = "a beginning that responses and chats have in common " * 8
    await client.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": text}]})
    details = (await client.post(RESPONSES, json=asked(text))).json()["usage"]["input_tokens_details"]
    assert (details["cached_tokens"], details["cache_write_tokens"]) == (96, 0)


@pytest.mark.parametrize(
    ("fields", "status", "kind", "param"),
    [
        ({"background": True}, 400, "invalid_request_error", "background"),
        ({"background": True, "store": False}, 400, "BadRequestError", "background"),
        ({"previous_response_id": "resp_1"}, 404, "invalid_request_error", "response_id"),
        ({"prompt": {"id": "p"}}, 400, "BadRequestError", "prompt"),
        ({"max_output_tokens": 1025}, 400, "BadRequestError", "max_output_tokens"),
        ({"max_output_tokens": 0}, 400, "BadRequestError", "max_tokens"),
        ({"tool_choice": "required"}, 400, "BadRequestError", "tool_choice"),
        ({"tool_choice": {"type": "function", "name": "no"}, "tools": [TIME]}, 400, "BadRequestError", "tool_choice"),
        ({"input": []}, 400, "BadRequestError", None),
        ({"input": 5}, 400, "Bad Request", "body.input"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, 400, "BadRequestError", "input"),
        ({"input": [{"type": "reasoning", "encrypted_content": "x"}]}, 400, "BadRequestError", "input"),
        ({"input": "x" * 4 * 1024}, 400, "BadRequestError", "input_tokens"),
        ({"input": "x" * 4 * (1024 - 6)}, 400, "invalid_request_error", "input"),
        ({"cache_salt": ""}, 400, "BadRequestError", "cache_salt"),
    ],
)
async def test_what_vllm_refuses_is_refused_alike(
    client: httpx.AsyncClient, fields: dict[str, object], status: int, kind: str, param: str | None
) -> None:
    answer = await client.post(RESPONSES, json={**asked(), **fields})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["type"], error["param"]) == (status, status, kind, param)


async def test_nothing_is_kept(client: httpx.AsyncClient) -> None:
    identity = (await client.post(RESPONSES, json=asked(store=True))).json()["id"]
    fetched = await client.get(f"{RESPONSES}/{identity}")
    cancelled = await client.post(f"{RESPONSES}/{identity}/cancel")
    for answer in (fetched, cancelled):
        assert (answer.status_code, answer.json()["error"]["param"]) == (404, "response_id")
    assert (await client.post(f"{RESPONSES}/{identity}")).status_code == 405


async def test_the_oracle_knows_what_was_written(place: Place, client: httpx.AsyncClient) -> None:
    for name, stream in (("whole", False), ("streamed", True)):
        fields = asked("[[mock tokens=5]]", stream=stream, cache_salt="s")
        await client.post(RESPONSES, json=fields, headers={"x-request-id": name})
        line = await place.line(name)
        assert (line["path"], line["outcome"], line["stream"], line["salt"]) == (RESPONSES, "finished", stream, "s")
        assert (line["prompt_tokens"], line["completion_tokens"]) == (5 + 6, 5)


async def test_a_stream_that_breaks_has_no_end(place: Place, client: httpx.AsyncClient) -> None:
    for fault, outcome in (("error_chunk_after", "error"), ("die_after", "died")):
        fields = asked(f"[[mock tokens=9 {fault}=3]]", stream=True)
        with pytest.raises(httpx.HTTPError):
            await client.post(RESPONSES, json=fields, headers={"x-request-id": fault})
        line = await place.line(fault)
        assert (line["outcome"], line["completion_tokens"]) == (outcome, 3)
