"""The gateway's routes on a real engine: what the mock engine is trusted for elsewhere holds there too."""

import asyncio
from typing import Any

import msgspec
import openai
import pytest
from openai import AsyncOpenAI

from ias.dev.vllm import server
from tests.engine import samples
from tests.engine.rig import NAME, Caller
from tests.engine.samples import CHAT, FULL, MESSAGES, RESPONSES, SCHEMA, TEXT, WEATHER

LONG = "word " * (server.CONTEXT + 100)


@pytest.fixture
def client(caller: Caller) -> AsyncOpenAI:
    return caller.openai


async def line_of(caller: Caller) -> dict[str, str]:
    """The only line of a caller who asked once."""
    (line,) = await caller.lines()
    return line


async def test_a_chat_is_answered_by_a_model_that_knows_something(client: AsyncOpenAI, caller: Caller) -> None:
    answer = await client.chat.completions.create(model=NAME, messages=MESSAGES, max_tokens=30, temperature=0)
    assert "Paris" in (answer.choices[0].message.content or "")
    assert answer.usage
    line = await line_of(caller)
    assert (int(line["pt"]), int(line["ct"])) == (answer.usage.prompt_tokens, answer.usage.completion_tokens)
    assert line["o"] == "completed"


async def test_a_streamed_chat_says_what_the_whole_one_says(client: AsyncOpenAI, caller: Caller) -> None:
    same: dict[str, Any] = {"model": NAME, "messages": MESSAGES, "max_tokens": 30, "temperature": 0}
    whole = await client.chat.completions.create(**same)
    stream = await client.chat.completions.create(**same, stream=True, stream_options={"include_usage": True})
    chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert [chunk.usage is not None for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    lines = await caller.lines(2)
    assert len({(line["pt"], line["ct"]) for line in lines}) == 1


async def test_a_stream_that_did_not_ask_for_usage_gets_none_and_is_charged(caller: Caller) -> None:
    answer = await caller.ask(CHAT, {"messages": MESSAGES, "max_tokens": 6, "stream": True, "ignore_eos": True})
    assert answer.status_code == 200
    assert b'"usage"' not in answer.content
    assert answer.content.endswith(b"data: [DONE]\n\n")
    assert int((await line_of(caller))["ct"]) == 6


async def test_a_client_that_asks_for_running_usage_gets_it(caller: Caller) -> None:
    answer = await caller.ask(
        CHAT, {"messages": MESSAGES, "max_tokens": 4, "stream": True, "ignore_eos": True, "stream_options": FULL}
    )
    events = [msgspec.json.decode(event[6:]) for event in answer.content.split(b"\n\n")[:-2]]
    assert [event["usage"]["completion_tokens"] for event in events][-2:] == [4, 4]
    assert int((await line_of(caller))["ct"]) == 4


@pytest.mark.parametrize("stream", [False, True])
async def test_a_text_completion_goes_on(client: AsyncOpenAI, stream: bool) -> None:
    asked: dict[str, Any] = {"model": NAME, "prompt": "The capital of France is", "max_tokens": 5, "temperature": 0}
    if stream:
        parts = [part async for part in await client.completions.create(**asked, stream=True)]
        text = "".join(part.choices[0].text for part in parts)
    else:
        text = (await client.completions.create(**asked)).choices[0].text
    assert "Paris" in text


async def test_several_choices_are_charged_together(client: AsyncOpenAI, caller: Caller) -> None:
    answer = await client.chat.completions.create(model=NAME, messages=MESSAGES, max_tokens=5, n=3, temperature=1)
    assert len(answer.choices) == 3
    assert answer.usage
    line = await line_of(caller)
    assert (int(line["pt"]), int(line["ct"])) == (answer.usage.prompt_tokens, answer.usage.completion_tokens)


async def test_a_tool_that_is_required_is_called_with_arguments_that_fit(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(
        model=NAME, messages=MESSAGES, tools=[WEATHER], tool_choice="required", max_tokens=120, temperature=0
    )
    calls = answer.choices[0].message.tool_calls or []
    assert [call.function.name for call in calls][:1] == ["weather"]
    assert "city" in msgspec.json.decode(calls[0].function.arguments)


async def test_an_answer_can_be_held_to_a_schema(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(
        model=NAME, messages=MESSAGES, response_format=SCHEMA, max_tokens=60, temperature=0
    )
    assert isinstance(msgspec.json.decode(answer.choices[0].message.content or "")["city"], str)


async def test_log_probabilities_come_through(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(
        model=NAME, messages=MESSAGES, max_tokens=3, logprobs=True, top_logprobs=2
    )
    logprobs = answer.choices[0].logprobs
    assert logprobs
    assert all(len(token.top_logprobs) >= 2 for token in logprobs.content or [])


@pytest.mark.parametrize("stream", [False, True])
async def test_a_response_is_answered_and_charged(client: AsyncOpenAI, caller: Caller, stream: bool) -> None:
    asked: dict[str, Any] = {"model": NAME, "input": "What is the capital of France?", "max_output_tokens": 30}
    if stream:
        events = [event async for event in await client.responses.create(**asked, temperature=0, stream=True)]
        answer = events[-1].response
    else:
        answer = await client.responses.create(**asked, temperature=0)
    assert "Paris" in answer.output_text
    line = await line_of(caller)
    assert (int(line["pt"]), int(line["ct"])) == (answer.usage.input_tokens, answer.usage.output_tokens)


async def test_text_goes_to_tokens_and_back(caller: Caller) -> None:
    tokens = (await caller.ask("/tokenize", {"prompt": "The capital of France"})).json()
    assert (tokens["count"], tokens["max_model_len"]) == (len(tokens["tokens"]), server.CONTEXT)
    back = (await caller.ask("/detokenize", {"tokens": tokens["tokens"]})).json()
    assert back["prompt"] == "The capital of France"


async def test_the_models_are_those_of_the_key(client: AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == [NAME]
    assert (await client.models.retrieve(NAME)).id == NAME


@pytest.mark.parametrize(
    ("path", "fields"),
    [(CHAT, {"messages": [{"role": "user", "content": LONG}]}), (TEXT, {"prompt": LONG}), (RESPONSES, {"input": LONG})],
    ids=["chat", "completion", "response"],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_prompt_over_the_context_is_refused_in_openais_words(
    caller: Caller, path: str, fields: dict[str, Any], stream: bool
) -> None:
    answer = await caller.ask(path, {**fields, "stream": stream})
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert list(error) == ["message", "type", "param", "code"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "context_length_exceeded")


REFUSED = {
    name: samples.ASKED[name]
    for name in (
        "temperature out of range",
        "messages empty",
        "tool_choice without tools",
        "too many logprobs",
        "embeddings of a generative model",
        "rerank by a generative model",
    )
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_the_engine_refuses_is_told_in_openais_shape(caller: Caller, name: str) -> None:
    path, fields = REFUSED[name]
    answer = await caller.ask(path, fields)
    assert 400 <= answer.status_code < 500, answer.text
    error = answer.json()["error"]
    assert list(error) == ["message", "type", "param", "code"]
    assert error["message"]
    assert error["code"] is None or isinstance(error["code"], str)


async def test_an_unknown_model_never_reaches_the_engine(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        await client.chat.completions.create(model="gpt-9", messages=MESSAGES)
    assert missing.value.code == "model_not_found"


async def test_calls_at_once_are_all_answered_and_charged_what_they_say(caller: Caller) -> None:
    client = caller.openai
    answers = await asyncio.gather(
        *(
            client.chat.completions.create(model=NAME, messages=MESSAGES, max_tokens=length, temperature=0)
            for length in range(1, 13)
        )
    )
    spent = await caller.spent(len(answers))
    usages = [answer.usage for answer in answers if answer.usage]
    assert spent == (sum(usage.prompt_tokens for usage in usages), sum(usage.completion_tokens for usage in usages))
