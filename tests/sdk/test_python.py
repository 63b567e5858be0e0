"""What the Python SDK gets, route by route. Every answer that passes is held against `openai.types` (conftest.py)."""

import asyncio
from collections.abc import Sequence

import openai
import pydantic
import pytest
from openai.types.chat import ChatCompletionChunk

from tests.sdk.conftest import Case
from tests.sdk.models import MODELS
from tests.sdk.sounds import silence

GPT = "mock-gpt"
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a place.",
        "parameters": {
            "type": "object",
            "properties": {"place": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["place", "days"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}


PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


class Landmark(pydantic.BaseModel):
    """What an answer is to be parsed into."""

    name: str
    height: int
    climbed: bool


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": "You are brief."}, {"role": "user", "content": text}]


def joined(chunks: Sequence[ChatCompletionChunk], choice: int = 0) -> str:
    """The text of one choice."""
    choices = [one for chunk in chunks for one in chunk.choices if one.index == choice]
    return "".join(one.delta.content or "" for one in choices)


async def test_a_chat(case: Case) -> None:
    answer = await case.client.chat.completions.create(model=GPT, messages=said("[[mock tokens=6]]"))
    assert answer.model == GPT
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 6
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 6
    (line,) = await case.tenant.books_agree()
    assert (line["o"], line["r"]) == ("completed", answer._request_id)


async def test_the_blocking_client_gets_the_same(case: Case) -> None:
    def ask() -> tuple[str | None, str, list[str]]:
        client = case.blocking
        whole = client.chat.completions.create(model=GPT, messages=said("hello"), max_tokens=7)
        stream = client.chat.completions.create(model=GPT, messages=said("hello"), max_tokens=7, stream=True)
        return whole.choices[0].message.content, joined(list(stream)), [model.id for model in client.models.list()]

    whole, streamed, models = await asyncio.to_thread(ask)
    assert whole
    assert whole == streamed
    assert tuple(models) == MODELS
    await case.tenant.books_agree(2)


async def test_a_stream_is_the_whole_answer_in_pieces(case: Case) -> None:
    whole = await case.client.chat.completions.create(model=GPT, messages=said("hello"), max_tokens=9)
    stream = await case.client.chat.completions.create(model=GPT, messages=said("hello"), max_tokens=9, stream=True)
    chunks = [chunk async for chunk in stream]
    assert joined(chunks) == whole.choices[0].message.content
    assert {chunk.id for chunk in chunks} == {chunks[0].id}
    assert [chunk.usage for chunk in chunks if chunk.usage] == []
    assert chunks[-1].choices[0].finish_reason == "length"
    await case.tenant.books_agree(2)


async def test_a_stream_tells_its_usage_once_where_that_is_asked_for(case: Case) -> None:
    stream = await case.client.chat.completions.create(
        model=GPT, messages=said("hello"), max_tokens=9, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert [bool(chunk.usage) for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 9


async def test_the_stream_helper_adds_up_to_the_whole_answer(case: Case) -> None:
    asked = {"model": GPT, "messages": said("[[mock tokens=9]]")}
    whole = await case.client.chat.completions.create(**asked)
    async with case.client.chat.completions.stream(**asked) as stream:
        kinds = [event.type async for event in stream]
        final = await stream.get_final_completion()
    assert final.choices[0].message.content == whole.choices[0].message.content
    assert kinds.count("content.delta") > 1
    assert kinds[-1] == "content.done"


async def test_an_answer_is_parsed_into_a_pydantic_model(case: Case) -> None:
    answer = await case.client.chat.completions.parse(
        model=GPT, messages=said("Name one."), response_format=Landmark, max_completion_tokens=200
    )
    assert isinstance(answer.choices[0].message.parsed, Landmark)
    async with case.client.chat.completions.stream(
        model=GPT, messages=said("Name one."), response_format=Landmark, max_completion_tokens=200
    ) as stream:
        final = await stream.get_final_completion()
    assert final.choices[0].message.parsed == answer.choices[0].message.parsed


async def test_an_answer_that_was_cut_short_is_told_apart_from_one_that_is_wrong(case: Case) -> None:
    with pytest.raises(openai.LengthFinishReasonError):
        await case.client.chat.completions.parse(
            model=GPT, messages=said("Name one."), response_format=Landmark, max_completion_tokens=3
        )


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "weather"}}])
async def test_a_tool_is_called_and_its_answer_is_taken(case: Case, choice: object) -> None:
    first = await case.client.chat.completions.create(
        model=GPT, messages=said("How is it there?"), tools=[WEATHER], tool_choice=choice
    )
    (call,) = first.choices[0].message.tool_calls or ()
    assert call.type == "function"
    assert call.function.name == "weather"
    told = [
        *said("How is it there?"),
        first.choices[0].message,
        {"role": "tool", "tool_call_id": call.id, "content": "Rain."},
    ]
    second = await case.client.chat.completions.create(model=GPT, messages=told, tools=[WEATHER], max_tokens=5)
    assert second.choices[0].message.content
    await case.tenant.books_agree(2)


async def test_several_tools_are_called_at_once_whole_and_in_a_stream(case: Case) -> None:
    other = {"type": "function", "function": {**WEATHER["function"], "name": "forecast"}}
    asked = {"model": GPT, "messages": said("[[mock tools=3]]"), "tools": [WEATHER, other], "max_tokens": 500}
    whole = await case.client.chat.completions.create(**asked, parallel_tool_calls=True)
    calls = whole.choices[0].message.tool_calls or []
    assert [call.function.name for call in calls] == ["weather", "forecast", "weather"]
    assert len({call.id for call in calls}) == 3
    assert whole.choices[0].finish_reason == "tool_calls"
    async with case.client.chat.completions.stream(**asked) as stream:
        kinds = [event.type async for event in stream]
        streamed = (await stream.get_final_completion()).choices[0].message.tool_calls or []
    assert [(call.function.name, call.function.arguments) for call in streamed] == [
        (call.function.name, call.function.arguments) for call in calls
    ]
    assert kinds.count("tool_calls.function.arguments.done") == 3


async def test_one_tool_at_a_time_where_that_is_asked_for(case: Case) -> None:
    answer = await case.client.chat.completions.create(
        model=GPT, messages=said("[[mock tools=3]]"), tools=[WEATHER], parallel_tool_calls=False
    )
    assert len(answer.choices[0].message.tool_calls or ()) == 1


@pytest.mark.parametrize("streamed", [False, True])
async def test_log_probabilities_stand_beside_every_token(case: Case, streamed: bool) -> None:
    asked = {"model": GPT, "messages": said("[[mock tokens=4]]"), "logprobs": True, "top_logprobs": 2}
    if streamed:
        async with case.client.chat.completions.stream(**asked) as stream:
            answer = await stream.get_final_completion()
    else:
        answer = await case.client.chat.completions.create(**asked)
    told = answer.choices[0].logprobs
    assert told is not None
    assert [len(one.top_logprobs) for one in told.content or ()] == [2] * 4
    assert "".join(one.token for one in told.content or ()) == answer.choices[0].message.content


async def test_several_choices_a_seed_and_a_stop_word(case: Case) -> None:
    asked = {"model": GPT, "messages": said("hello"), "n": 2, "seed": 7, "temperature": 0.5, "max_tokens": 8}
    first, again = [await case.client.chat.completions.create(**asked) for _ in range(2)]
    texts = [choice.message.content or "" for choice in first.choices]
    assert [choice.index for choice in first.choices] == [0, 1]
    assert texts == [choice.message.content for choice in again.choices]
    stream = await case.client.chat.completions.create(**asked, stream=True)
    chunks = [chunk async for chunk in stream]
    assert [joined(chunks, choice) for choice in (0, 1)] == texts
    stop = texts[0][5:9]
    cut = await case.client.chat.completions.create(**{**asked, "n": 1}, stop=[stop])
    assert cut.choices[0].message.content == texts[0][: texts[0].index(stop)]
    assert cut.choices[0].finish_reason == "stop"
    await case.tenant.books_agree(4)


async def test_a_reasoning_model_tells_its_thoughts_apart(case: Case) -> None:
    answer = await case.client.chat.completions.create(
        model="mock-reasoner", messages=said("hello"), reasoning_effort="low", max_completion_tokens=40
    )
    message = answer.choices[0].message
    assert message.content
    assert message.model_extra
    assert message.model_extra["reasoning"]


async def test_an_image_is_seen_by_a_model_that_can(case: Case) -> None:
    pixel = f"data:image/png;base64,{PIXEL}"
    parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": pixel}}]
    answer = await case.client.chat.completions.create(
        model="mock-vision", messages=[{"role": "user", "content": parts}], max_tokens=5
    )
    assert answer.choices[0].message.content


async def test_text_completions_whole_and_streamed(case: Case) -> None:
    whole = await case.client.completions.create(model=GPT, prompt=["a", "b"], max_tokens=4, logprobs=1)
    assert [choice.index for choice in whole.choices] == [0, 1]
    assert whole.choices[0].logprobs is not None
    stream = await case.client.completions.create(
        model=GPT, prompt=["a", "b"], max_tokens=4, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    texts = ["".join(c.text for chunk in chunks for c in chunk.choices if c.index == index) for index in (0, 1)]
    assert texts == [choice.text for choice in whole.choices]
    assert chunks[-1].usage is not None
    await case.tenant.books_agree(2)


async def test_embeddings_in_base64_as_the_sdk_asks_and_as_numbers(case: Case) -> None:
    asked = {"model": "mock-embed", "input": ["hello", "world"]}
    packed = await case.client.embeddings.create(**asked)
    plain = await case.client.embeddings.create(**asked, encoding_format="float")
    assert b'"base64"' in case.tape.requests[0].body
    vectors = [one.embedding for one in packed.data]
    assert vectors == [one.embedding for one in plain.data]
    assert len({len(vector) for vector in vectors}) == 1
    short = await case.client.embeddings.create(**asked, dimensions=3)
    assert [len(one.embedding) for one in short.data] == [3, 3]
    await case.tenant.books_agree(3)


async def test_models_are_listed_and_told_of_one_by_one(case: Case) -> None:
    assert tuple([model.id async for model in case.client.models.list()]) == MODELS
    one = await case.client.models.retrieve("mock-embed")
    assert (one.id, one.object) == ("mock-embed", "model")
    with pytest.raises(openai.NotFoundError) as unknown:
        await case.client.models.retrieve("gpt/9 ä")
    assert unknown.value.code == "model_not_found"
    assert "mock-gpt" in unknown.value.message


async def test_what_is_not_served_is_a_404_in_openais_shape(case: Case) -> None:
    for ask in (
        case.client.moderations.create(input="hello"),
        case.client.files.list(),
        case.client.images.generate(prompt="a cat"),
    ):
        with pytest.raises(openai.NotFoundError):
            await ask
    assert len(case.tape.requests) == 3


async def test_headers_name_the_request_and_the_limits(case: Case) -> None:
    await case.tenant.limit(rps=50, burst=50, tpm=100_000)
    raw = await case.client.chat.completions.with_raw_response.create(model=GPT, messages=said("hi"), max_tokens=3)
    answer = raw.parse()
    assert raw.headers["x-request-id"] == raw.request_id == answer._request_id
    for kind, limit in (("requests", "50"), ("tokens", "100000")):
        assert raw.headers[f"x-ratelimit-limit-{kind}"] == limit
        assert 0 <= int(raw.headers[f"x-ratelimit-remaining-{kind}"]) < int(limit)
        assert raw.headers[f"x-ratelimit-reset-{kind}"].endswith("s")
    async with case.client.chat.completions.with_streaming_response.create(
        model=GPT, messages=said("hi"), max_tokens=3, stream=True
    ) as streamed:
        assert {"x-request-id", "x-ratelimit-limit-requests"} <= set(streamed.headers)
        assert [line async for line in streamed.iter_lines()][-2:] == ["data: [DONE]", ""]
    (line, _) = await case.tenant.lines(2)
    assert line["r"] == answer._request_id


async def test_a_response_whole_and_streamed(case: Case) -> None:
    asked = {"model": GPT, "input": "hello", "instructions": "Be brief.", "max_output_tokens": 30}
    whole = await case.client.responses.create(**asked)
    assert whole.status == "completed"
    assert whole.output_text
    async with case.client.responses.stream(**asked) as stream:
        kinds = [event.type async for event in stream]
        final = await stream.get_final_response()
    assert final.output_text == whole.output_text
    assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")
    await case.tenant.books_agree(2)


async def test_a_response_is_parsed_and_calls_functions(case: Case) -> None:
    parsed = await case.client.responses.parse(model=GPT, input="Name one.", text_format=Landmark)
    assert isinstance(parsed.output_parsed, Landmark)
    tool = {"type": "function", **WEATHER["function"]}
    called = await case.client.responses.create(model=GPT, input="[[mock tools=2]]", tools=[tool])
    assert [item.type for item in called.output] == ["function_call"] * 2
    more = [
        {"role": "user", "content": "How is it?"},
        *called.output,
        *({"type": "function_call_output", "call_id": item.call_id, "output": "Rain."} for item in called.output),
    ]
    assert (await case.client.responses.create(model=GPT, input=more, tools=[tool])).output_text
    await case.tenant.books_agree(3)


async def test_what_would_need_a_store_is_refused_with_what_to_do_instead(case: Case) -> None:
    for field, value in (("previous_response_id", "resp_1"), ("background", True)):
        with pytest.raises(openai.BadRequestError) as refused:
            await case.client.responses.create(model=GPT, input="hello", **{field: value})
        assert refused.value.param == field
    assert len(case.tape.requests) == 2


async def test_a_sound_is_transcribed(case: Case) -> None:
    asked = {"model": "mock-whisper", "file": ("hello.wav", silence())}
    whole = await case.client.audio.transcriptions.create(**asked)
    assert whole.text
    text = await case.client.audio.transcriptions.create(**asked, response_format="text")
    assert whole.text.strip() in text
    verbose = await case.client.audio.transcriptions.create(
        **asked, response_format="verbose_json", timestamp_granularities=["segment"]
    )
    assert verbose.segments
    assert len(await case.tenant.lines(3)) == 3


async def test_a_transcription_is_streamed(case: Case) -> None:
    stream = await case.client.audio.transcriptions.create(
        model="mock-whisper", file=("hello.wav", silence()), stream=True
    )
    assert [event async for event in stream]
