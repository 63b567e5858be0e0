"""Chats that are more than text: reasoning, images, several calls, log probabilities; held against OpenAI's types."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.integration.dev.engine_place import CHAT, FULL, Place, body, engine, events
from tests.sdk.schema import check
from tests.sdk.tape import Request

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
TOOLS = [
    {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}},
    {"type": "function", "function": {"name": "weigh"}},
]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with engine(tmp_path_factory.mktemp("engine")) as place:
        yield place


@pytest.fixture
def place(shared: Place) -> Place:
    shared.reset()
    return shared


def checked(answer: httpx.Response) -> httpx.Response:
    """An answer that OpenAI's types know."""
    assert answer.status_code == 200
    check(Request(path=CHAT, status=200, answer_headers=dict(answer.headers), answer=answer.content))
    return answer


def joined(told: list[Any], field: str) -> str:
    """What the chunks of a stream add to a field of the message."""
    return "".join(choice["delta"].get(field) or "" for event in told[:-1] for choice in event["choices"])


async def test_reasoning_is_told_apart_streamed_and_whole(client: httpx.AsyncClient) -> None:
    asked = {**body("why? [[mock tokens=5]]"), "model": "mock-reasoner"}
    whole = checked(await client.post(CHAT, json=asked)).json()
    message, usage = whole["choices"][0]["message"], whole["usage"]
    assert (len(message["reasoning"].split()), len(message["content"].split())) == (8, 4)
    assert (usage["completion_tokens"], usage["completion_tokens_details"]) == (8 + 1 + 5, {"reasoning_tokens": 8})
    stream = checked(await client.post(CHAT, json={**asked, "stream": True, "stream_options": FULL}))
    told = events(stream.content)
    assert (joined(told, "reasoning"), joined(told, "content")) == (message["reasoning"], message["content"])
    running = [event["usage"]["completion_tokens"] for event in told[:-2]]
    assert running == [*range(9), *range(10, 15)]
    assert told[-2]["usage"]["completion_tokens_details"] == {"reasoning_tokens": 8}


async def test_any_model_reasons_when_told_to_and_none_when_no_effort_is_wanted(client: httpx.AsyncClient) -> None:
    told = (await client.post(CHAT, json=body("[[mock reasoning=3]]"))).json()
    assert len(told["choices"][0]["message"]["reasoning"].split()) == 3
    asked = {**body(reasoning_effort="none"), "model": "mock-reasoner"}
    told = (await client.post(CHAT, json=asked)).json()
    assert told["choices"][0]["message"]["reasoning"] is None
    assert told["usage"]["completion_tokens_details"] == {"reasoning_tokens": 0}


@pytest.mark.parametrize("room", [4, 8, 9, 10])
async def test_reasoning_that_is_cut_short_leaves_no_room_for_an_answer(client: httpx.AsyncClient, room: int) -> None:
    asked = {**body(max_tokens=room), "model": "mock-reasoner"}
    told = (await client.post(CHAT, json=asked)).json()
    choice, usage = told["choices"][0], told["usage"]
    assert (choice["finish_reason"], usage["completion_tokens"]) == ("length", room)
    assert len(choice["message"]["reasoning"].split()) == min(room, 8)
    assert (choice["message"]["content"] is None) == (room < 10)


async def test_a_cut_stream_is_settled_by_what_was_told(place: Place, client: httpx.AsyncClient) -> None:
    """The ninth token ends the reasoning and nobody is told of it, so that eight are what the client knows of."""
    asked = {**body("[[mock die_after=9]]", stream=True, stream_options=FULL), "model": "mock-reasoner"}
    with pytest.raises(httpx.HTTPError):
        await client.post(CHAT, json=asked, headers={"x-request-id": "cut"})
    line = await place.line("cut")
    assert (line["completion_tokens"], line["generated_tokens"], line["model"]) == (8, 9, "mock-reasoner")


async def test_an_image_costs_the_same_wherever_it_is_and_is_told_apart(client: httpx.AsyncClient) -> None:
    def asked(*parts: object) -> dict[str, object]:
        return {"model": "mock-vision", "messages": [{"role": "user", "content": list(parts)}], "max_tokens": 2}

    text = {"type": "text", "text": "what is it?"}
    plain = (await client.post(CHAT, json=asked(text))).json()["usage"]["prompt_tokens"]
    for parts in ((IMAGE, text), (text, IMAGE)):
        answer = checked(await client.post(CHAT, json=asked(*parts)))
        assert answer.json()["model"] == "mock-vision"
        usage = answer.json()["usage"]
        assert usage["prompt_tokens"] == plain + 256
        assert usage["prompt_tokens_details"]["multimodal_tokens"] == {"image": 256}
    stream = await client.post(CHAT, json=asked(IMAGE, IMAGE) | {"stream": True, "stream_options": FULL})
    assert events(stream.content)[-2]["usage"]["prompt_tokens_details"]["multimodal_tokens"] == {"image": 512}
    told = await client.post("/tokenize", json=asked(IMAGE, text))
    assert told.json()["count"] == plain + 256


async def test_what_an_image_costs_can_be_set_and_it_is_cached_by_its_address(
    place: Place, client: httpx.AsyncClient
) -> None:
    place.settings(image_tokens=64)
    asked = {"model": "mock-vision", "messages": [{"role": "user", "content": [IMAGE]}]}
    usages = [(await client.post(CHAT, json=asked)).json()["usage"] for _ in range(2)]
    assert [usage["prompt_tokens"] for usage in usages] == [64 + 6, 64 + 6]
    assert [usage["prompt_tokens_details"]["cached_tokens"] for usage in usages] == [0, 64]


async def test_a_model_that_does_not_see_says_so(client: httpx.AsyncClient) -> None:
    answer = await client.post(CHAT, json={"messages": [{"role": "user", "content": [IMAGE]}]})
    message = "mock-gpt is not a multimodal model"
    assert answer.json() == {"error": {"message": message, "type": "BadRequestError", "param": None, "code": 400}}


@pytest.mark.parametrize(("parallel", "names"), [(True, ["look", "weigh", "look"]), (False, ["look"])])
async def test_several_functions_are_called_unless_that_is_not_wanted(
    client: httpx.AsyncClient, parallel: bool, names: list[str]
) -> None:
    asked = body("[[mock tools=3]]", tools=TOOLS, parallel_tool_calls=parallel)
    whole = checked(await client.post(CHAT, json=asked)).json()["choices"][0]
    assert ([call["function"]["name"] for call in whole["message"]["tool_calls"]], whole["finish_reason"]) == (
        names,
        "tool_calls",
    )
    stream = checked(await client.post(CHAT, json={**asked, "stream": True}))
    chunks = [choice for event in events(stream.content)[:-1] for choice in event["choices"]]
    calls = [call for chunk in chunks for call in chunk["delta"].get("tool_calls", ())]
    begun = [call for call in calls if "id" in call]
    assert [(call["index"], call["function"]["name"]) for call in begun] == list(enumerate(names))
    assert len({call["id"] for call in begun}) == len(names)
    for index, call in enumerate(whole["message"]["tool_calls"]):
        said = [call["function"].get("arguments", "") for call in calls if call["index"] == index]
        assert "".join(said) == call["function"]["arguments"]
    assert chunks[-1]["finish_reason"] == "tool_calls"


async def test_a_call_after_reasoning_has_both(client: httpx.AsyncClient) -> None:
    asked = {**body("[[mock tool]]", tools=TOOLS), "model": "mock-reasoner"}
    message = checked(await client.post(CHAT, json=asked)).json()["choices"][0]["message"]
    assert len(message["reasoning"].split()) == 8
    assert (message["content"], message["tool_calls"][0]["function"]["name"]) == (None, "look")


async def test_log_probabilities_cover_every_token_even_those_that_nobody_sees(client: httpx.AsyncClient) -> None:
    asked = {**body("[[mock tokens=3]]", logprobs=True, top_logprobs=2), "model": "mock-reasoner"}
    whole = checked(await client.post(CHAT, json=asked)).json()["choices"][0]["logprobs"]["content"]
    stream = checked(await client.post(CHAT, json={**asked, "stream": True}))
    told = [
        token
        for event in events(stream.content)[:-1]
        for choice in event["choices"]
        for token in (choice["logprobs"] or {"content": ()})["content"]
    ]
    assert told == whole
    assert (len(whole), {len(token["top_logprobs"]) for token in whole}) == (8 + 1 + 3, {2})
