"""Every route beside chat through gateway, engine and Redis: what the client gets, and that the books say the same."""

import asyncio
import io
import wave

import httpx
import msgspec
import openai
import pytest

from ias.contract import catalogue
from ias_gateway.bodies.audio import TOKENS_PER_SECOND
from tests.integration.gateway.place import CHAT, MODEL, USER, Tenant

RESPONSES, AUDIO = "/v1/responses", "/v1/audio/transcriptions"
PIXEL = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
IMAGE_TOKENS = 300
NAMES = ("mock-gpt", "mock-reasoner", "mock-vision", "mock-embed", "mock-rerank", "mock-whisper")


@pytest.fixture
async def everything(tenant: Tenant) -> Tenant:
    """An organisation that may call every model of the engine, each under a name of its own."""
    routes = {
        name.replace("mock", "our"): catalogue.ModelRoute(
            name=name.replace("mock", "our"),
            model_id=MODEL,
            upstream_name=name,
            replicas=(tenant.place.engine_url,),
            image_tokens=IMAGE_TOKENS if name == "mock-vision" else 0,
        )
        for name in NAMES
    }
    await tenant.project("routes", {name: catalogue.encode_route(route) for name, route in routes.items()})
    return tenant


def client_of(tenant: Tenant) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{tenant.place.url}/v1", api_key=tenant.token, max_retries=0)


async def post(tenant: Tenant, path: str, **fields: object) -> httpx.Response:
    return await tenant.place.client.post(path, json=fields, headers=tenant.headers)


def error_of(answer: httpx.Response) -> dict[str, str | None]:
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert "mock-" not in error["message"]
    return error


def recording(seconds: float) -> bytes:
    held = io.BytesIO()
    with wave.open(held, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(16_000)
        sound.writeframes(bytes(2 * int(16_000 * seconds)))
    return held.getvalue()


def endpoint_of(line: dict[str, str]) -> str:
    """The endpoint that a line of the outbox names."""
    return str(msgspec.json.decode(line["f"])["endpoint"])


async def drain(stream: openai.AsyncStream[object], seen: list[str]) -> None:
    """Note the types of all events."""
    async for event in stream:
        seen.append(str(getattr(event, "type", "")))  # noqa: PERF401 - what came before it raised counts


async def nothing_held(tenant: Tenant) -> None:
    """All that was held is given back."""
    assert int((await tenant.edge.standing(tenant.tag, USER))[3]) == 0


# -- responses ---------------------------------------------------------------------------------------------------------


async def test_a_response_is_the_engines_and_its_usage_is_charged(everything: Tenant) -> None:
    async with client_of(everything) as client:
        answer = await client.responses.create(
            model="our-gpt", input="hello", instructions="be brief", max_output_tokens=5, store=True
        )
    assert answer.output_text
    assert answer.usage is not None
    (line,) = await everything.books_agree()
    assert (int(line["pt"]), int(line["ct"])) == (answer.usage.input_tokens, answer.usage.output_tokens)
    assert (endpoint_of(line), line["o"], line["e"]) == (RESPONSES, "completed", "0")
    await nothing_held(everything)


async def test_a_stream_of_a_response_ends_with_its_usage_which_is_charged(everything: Tenant) -> None:
    async with client_of(everything) as client:
        stream = await client.responses.create(
            model="our-gpt", input="[[mock tokens=9 delay_ms=2]]", stream=True, max_output_tokens=40
        )
        events = [event async for event in stream]
    assert [events[0].type, events[-1].type] == ["response.created", "response.completed"]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == events[-1].response.output_text
    (line,) = await everything.books_agree()
    assert int(line["ct"]) == events[-1].response.usage.output_tokens == 9
    assert (line["o"], line["e"]) == ("completed", "0")


async def test_a_response_calls_functions_and_takes_their_outputs(everything: Tenant) -> None:
    tool = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}, "strict": None}
    async with client_of(everything) as client:
        first = await client.responses.create(model="our-gpt", input="[[mock tool]]", tools=[tool])
        call = next(item for item in first.output if item.type == "function_call")
        assert call.name == "weather"
        output = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
        items = [{"role": "user", "content": "hello"}, call.model_dump(exclude_none=True), output]
        second = await client.responses.create(model="our-gpt", input=items, tools=[tool])
    assert second.output_text
    await everything.books_agree(2)


async def test_a_response_that_needs_a_store_is_refused_with_what_to_do_instead(everything: Tenant) -> None:
    answer = await post(everything, RESPONSES, model="our-gpt", input="x", previous_response_id="resp_1")
    assert (answer.status_code, error_of(answer)["param"]) == (400, "previous_response_id")
    assert "`input`" in str(error_of(answer)["message"])


@pytest.mark.parametrize("fault", ["die_after=3", "error_chunk_after=3", "hang_after=3"])
async def test_a_broken_stream_of_a_response_is_raised_by_openais_client(everything: Tenant, fault: str) -> None:
    seen: list[str] = []
    async with client_of(everything) as client:
        stream = await client.responses.create(
            model="our-gpt", input=f"[[mock tokens=20 delay_ms=5 {fault}]]", stream=True
        )
        with pytest.raises(openai.APIError, match="Please try again"):
            await drain(stream, seen)
    assert "response.completed" not in seen
    (line,) = await everything.lines()
    assert line["o"] in {"upstream_failed", "upstream_timeout"}
    # The engine told no usage: what passed is counted, and the line says so.
    assert line["e"] == "1"
    assert 1 <= int(line["ct"]) <= 4
    await nothing_held(everything)


async def test_a_client_that_leaves_a_response_pays_for_what_passed_by_estimate(everything: Tenant) -> None:
    body = {"model": "our-gpt", "input": "[[mock tokens=2000 delay_ms=5]]", "stream": True, "max_output_tokens": 2000}
    passed = b""
    async with everything.place.client.stream("POST", RESPONSES, json=body, headers=everything.headers) as answer:
        async for part in answer.aiter_bytes():
            passed += part
            if passed.count(b".delta\n") >= 5:
                break
    (line,) = await everything.lines()
    assert (line["o"], line["e"]) == ("client_aborted", "1")
    assert 5 <= int(line["ct"]) < 2000
    await nothing_held(everything)


# -- rerank and score --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/rerank", "/rerank", "/v2/rerank"])
async def test_documents_are_ranked_and_their_tokens_charged(everything: Tenant, path: str) -> None:
    answer = await post(everything, path, model="our-rerank", query="cats", documents=["dogs", "cats", "a"], top_n=2)
    assert answer.status_code == 200
    assert len(answer.json()["results"]) == 2
    (line,) = await everything.books_agree()
    assert int(line["pt"]) == answer.json()["usage"]["prompt_tokens"] > 0
    assert (endpoint_of(line), line["ct"], line["e"]) == ("/v1/rerank", "0", "0")
    await nothing_held(everything)


@pytest.mark.parametrize("path", ["/v1/score", "/score"])
@pytest.mark.parametrize("names", [("queries", "documents"), ("text_1", "text_2")])
async def test_pairs_are_scored_and_their_tokens_charged(everything: Tenant, path: str, names: tuple[str, str]) -> None:
    answer = await post(everything, path, model="our-rerank", **{names[0]: "cats", names[1]: ["dogs", "cats"]})
    assert answer.status_code == 200
    assert len(answer.json()["data"]) == 2
    (line,) = await everything.books_agree()
    assert int(line["pt"]) == answer.json()["usage"]["prompt_tokens"] > 0
    assert endpoint_of(line) == "/v1/score"


# -- tokenizers --------------------------------------------------------------------------------------------------------


async def test_tokens_are_counted_without_a_budget_and_turned_back_into_text(everything: Tenant) -> None:
    await everything.limit(tokens=0)
    text = "hello, tokens"
    answer = await post(everything, "/tokenize", model="our-gpt", prompt=text)
    assert answer.status_code == 200
    assert answer.json()["count"] == len(answer.json()["tokens"]) > 0
    back = await post(everything, "/detokenize", model="our-gpt", tokens=answer.json()["tokens"])
    assert back.json() == {"prompt": text}
    chat = await post(everything, "/tokenize", model="our-gpt", messages=[{"role": "user", "content": text}])
    assert chat.json()["count"] >= answer.json()["count"]
    lines = await everything.lines(3)
    assert {(line["pt"], line["ct"], line["e"]) for line in lines} == {("0", "0", "0")}
    await nothing_held(everything)


async def test_tokenizers_count_against_the_request_rate(everything: Tenant) -> None:
    await everything.limit(rps=1, burst=1)
    ask = [post(everything, "/tokenize", model="our-gpt", prompt="x") for _ in range(12)]
    answers = await asyncio.gather(*ask)
    assert 200 in {answer.status_code for answer in answers}
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert error_of(refused)["code"] == "rate_limit_exceeded"


@pytest.mark.parametrize("path", ["/tokenize", "/detokenize", "/v1/rerank", "/v1/score", RESPONSES])
async def test_every_route_wants_a_key(everything: Tenant, path: str) -> None:
    answer = await everything.place.client.post(path, json={"model": "our-gpt"})
    assert (answer.status_code, error_of(answer)["code"]) == (401, "invalid_api_key")


# -- transcriptions ----------------------------------------------------------------------------------------------------


async def test_a_recording_is_transcribed_and_charged_by_its_seconds(everything: Tenant) -> None:
    async with client_of(everything) as client:
        answer = await client.audio.transcriptions.create(
            model="our-whisper", file=("talk.wav", recording(2.5)), language="en", temperature=0.2
        )
    assert answer.text
    (line,) = await everything.lines()
    assert (line["pt"], line["ct"]) == (str(3 * TOKENS_PER_SECOND), "0")
    assert (endpoint_of(line), line["o"], line["e"]) == (AUDIO, "completed", "0")
    assert (await everything.place.oracle())[line["r"]]["seconds"] == 3
    await nothing_held(everything)


async def test_a_verbose_transcription_is_charged_by_how_long_it_says_that_it_was(everything: Tenant) -> None:
    async with client_of(everything) as client:
        answer = await client.audio.transcriptions.create(
            model="our-whisper",
            file=("talk.wav", recording(2.5)),
            response_format="verbose_json",
            timestamp_granularities=["segment"],
        )
    assert answer.segments
    (line,) = await everything.lines()
    assert (line["pt"], line["e"]) == (str(3 * TOKENS_PER_SECOND), "0")


@pytest.mark.parametrize("wanted", [False, True])
async def test_a_stream_of_a_transcription_is_charged_by_its_running_usage(everything: Tenant, wanted: bool) -> None:
    form = {"model": "our-whisper", "stream": "true", "prompt": "[[mock tokens=6 delay_ms=2]]"}
    form |= {"stream_include_usage": "true"} if wanted else {}
    answer = await everything.place.client.post(
        AUDIO, data=form, files={"file": ("talk.wav", recording(2))}, headers=everything.headers
    )
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.text.endswith("data: [DONE]\n\n")
    events = [msgspec.json.decode(event.removeprefix("data: ")) for event in answer.text.split("\n\n")[:-2]]
    assert ["usage" in event for event in events] == [False] * (len(events) - 1) + [wanted]
    (line,) = await everything.books_agree()
    assert int(line["pt"]) >= 2 * TOKENS_PER_SECOND
    assert line["e"] == "0"
    await nothing_held(everything)


async def test_a_hold_for_a_recording_is_never_below_its_charge(everything: Tenant) -> None:
    await everything.limit(tokens=3 * TOKENS_PER_SECOND)
    form = {"model": "our-whisper", "max_completion_tokens": "16"}
    files = {"file": ("talk.wav", recording(2.9))}
    answer = await everything.place.client.post(AUDIO, data=form, files=files, headers=everything.headers)
    assert (answer.status_code, error_of(answer)["code"]) == (429, "insufficient_quota")


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{}", "application/json", 415),
        (b"{}", "multipart/form-data; boundary=x", 400),
        (b"--x--\r\n", "multipart/form-data; boundary=x", 400),
    ],
)
async def test_what_is_no_form_is_refused(everything: Tenant, body: bytes, content_type: str, status: int) -> None:
    headers = {**everything.headers, "content-type": content_type}
    answer = await everything.place.client.post(AUDIO, content=body, headers=headers)
    assert answer.status_code == status
    assert error_of(answer)["message"]


async def test_a_recording_may_be_longer_than_another_body(everything: Tenant) -> None:
    files = {"file": ("talk.wav", recording(100))}
    assert len(files["file"][1]) > 2 * 1024 * 1024
    form = {"model": "our-whisper"}
    answer = await everything.place.client.post(AUDIO, data=form, files=files, headers=everything.headers)
    assert answer.status_code == 200
    (line,) = await everything.lines()
    assert line["pt"] == str(100 * TOKENS_PER_SECOND)


# -- chat, the rest of it ----------------------------------------------------------------------------------------------


def picture(**more: object) -> list[dict[str, object]]:
    part = {"type": "image_url", "image_url": {"url": PIXEL}, **more}
    return [{"role": "user", "content": [{"type": "text", "text": "what is this?"}, part]}]


async def test_images_are_held_by_the_routes_price_and_charged_by_the_engines(everything: Tenant) -> None:
    answer = await post(everything, CHAT, model="our-vision", messages=picture(), max_tokens=5)
    assert answer.status_code == 200
    (line,) = await everything.books_agree()
    assert int(line["pt"]) > 256
    await nothing_held(everything)
    await everything.limit(tokens=int(line["pt"]) + int(line["ct"]) + IMAGE_TOKENS)
    refused = await post(everything, CHAT, model="our-vision", messages=picture(), max_tokens=5)
    assert (refused.status_code, error_of(refused)["code"]) == (429, "insufficient_quota")


async def test_a_model_that_takes_no_images_says_which_field_would_allow_them(everything: Tenant) -> None:
    answer = await post(everything, CHAT, model="our-gpt", messages=picture())
    assert (answer.status_code, error_of(answer)["param"]) == (400, "messages")
    assert "image_tokens" in str(error_of(answer)["message"])


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "file", "file": {"file_id": "x"}},
        {"type": "image_url", "image_url": {"url": "http://127.0.0.1/x.png"}},
        {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}},
    ],
)
async def test_parts_that_cannot_be_priced_or_fetched_are_refused_by_name(
    everything: Tenant, part: dict[str, object]
) -> None:
    answer = await post(everything, CHAT, model="our-vision", messages=[{"role": "user", "content": [part]}])
    assert answer.status_code == 400
    assert str(error_of(answer)["param"]).startswith("messages[0].content[0]")


async def test_reasoning_choices_logprobs_and_tools_pass_as_the_engine_gives_them(everything: Tenant) -> None:
    async with client_of(everything) as client:
        reasoned = await client.chat.completions.create(
            model="our-reasoner",
            messages=[{"role": "user", "content": "[[mock reasoning=4 tokens=6]]"}],
            reasoning_effort="low",
            extra_body={"include_reasoning": True, "chat_template_kwargs": {"enable_thinking": True}},
        )
        assert reasoned.choices[0].message.model_extra["reasoning"]
        several = await client.chat.completions.create(
            model="our-gpt",
            messages=[{"role": "user", "content": "hello"}],
            n=3,
            logprobs=True,
            top_logprobs=2,
            seed=7,
            stop=["never"],
            max_tokens=4,
        )
        assert len(several.choices) == 3
        assert len(several.choices[0].logprobs.content[0].top_logprobs) == 2
        tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
        called = await client.chat.completions.create(
            model="our-gpt",
            messages=[{"role": "user", "content": "[[mock tools=2]]"}],
            tools=[tool],
            tool_choice="auto",
            parallel_tool_calls=True,
        )
        assert len(called.choices[0].message.tool_calls) == 2
    await everything.books_agree(3)


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/embeddings", {"model": "our-gpt", "input": "x"}),
        (CHAT, {"model": "our-embed", "messages": [{"role": "user", "content": "x"}]}),
        (RESPONSES, {"model": "our-embed", "input": "x"}),
        ("/v1/rerank", {"model": "our-gpt", "query": "x", "documents": ["y"]}),
        ("/v1/score", {"model": "our-gpt", "queries": "x", "documents": ["y"]}),
    ],
)
async def test_a_model_of_another_task_says_so_and_costs_nothing(
    everything: Tenant, path: str, fields: dict[str, object]
) -> None:
    answer = await post(everything, path, **fields)
    assert answer.status_code == 400
    assert error_of(answer)["message"] == f"The model `{fields['model']}` does not serve this endpoint."
    (line,) = await everything.lines()
    assert (line["pt"], line["ct"], line["o"]) == ("0", "0", "rejected")
    await nothing_held(everything)


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
async def test_nesting_at_the_edge_of_what_can_be_read_is_never_a_fault_of_the_gateway(
    everything: Tenant, path: str
) -> None:
    prompt = b'"messages":[{"role":"user","content":"x"}]' if path == CHAT else b'"input":"x"'
    statuses = set()
    for depth in (1, 40, 70, 150, 400, 900, 950, 980, 995, 3000):
        nested = b"[" * depth + b"]" * depth
        body = b'{"model":"our-gpt","max_tokens":1,%b,"chat_template_kwargs":{"a":%b}}' % (prompt, nested)
        body = body.replace(b'"max_tokens":1,', b"") if path == RESPONSES else body
        headers = {**everything.headers, "content-type": "application/json"}
        statuses.add((await everything.place.client.post(path, content=body, headers=headers)).status_code)
    assert 400 in statuses
    assert statuses <= {200, 400}
