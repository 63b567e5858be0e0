"""The mock engine's transcriptions, as OpenAI's SDK sees them."""

import io
import wave
from collections.abc import Iterator

import httpx
import openai
import pytest
from openai.types.audio import TranscriptionVerbose

from tests.integration.dev.engine_place import Place, engine, events
from tests.sdk.schema import check
from tests.sdk.tape import Request

PATH = "/v1/audio/transcriptions"
RATE = 8000


def sound(seconds: float) -> bytes:
    """A recording of silence."""
    held = io.BytesIO()
    with wave.open(held, "wb") as opened:
        opened.setnchannels(1)
        opened.setsampwidth(2)
        opened.setframerate(RATE)
        opened.writeframes(b"\0\0" * int(RATE * seconds))
    return held.getvalue()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with engine(tmp_path_factory.mktemp("engine")) as place:
        yield place


async def post(client: httpx.AsyncClient, recording: bytes, name: str = "", **fields: str) -> httpx.Response:
    files = {"file": ("a.wav", recording)}
    return await client.post(PATH, data=fields, files=files, headers={"x-request-id": name} if name else {})


def checked(answer: httpx.Response) -> httpx.Response:
    """An answer that OpenAI's types know, or vLLM's own chunks."""
    assert answer.status_code == 200
    check(Request(path=PATH, status=200, answer_headers=dict(answer.headers), answer=answer.content))
    return answer


async def test_the_sdk_gets_the_text_and_the_seconds(sdk: openai.AsyncOpenAI) -> None:
    told = await sdk.audio.transcriptions.create(model="mock-whisper", file=("a.wav", sound(1.25)))
    assert len(told.text.split()) == 15
    assert told.usage is not None
    assert (told.usage.type, told.usage.seconds) == ("duration", 2)


async def test_the_same_recording_says_the_same_and_another_something_else(client: httpx.AsyncClient) -> None:
    first, again, other = [(await post(client, sound(length))).json()["text"] for length in (1, 1, 2)]
    assert first == again != other


async def test_as_text_it_is_json_all_the_same(client: httpx.AsyncClient) -> None:
    answer = checked(await post(client, sound(1), response_format="text"))
    assert (answer.headers["content-type"], list(answer.json())) == ("application/json", ["text", "usage"])


async def test_a_verbose_one_has_segments_and_no_usage(sdk: openai.AsyncOpenAI) -> None:
    told = await sdk.audio.transcriptions.create(
        model="mock-whisper", file=("a.wav", sound(32)), response_format="verbose_json", language="de"
    )
    assert isinstance(told, TranscriptionVerbose)
    assert (told.duration, told.language, told.usage) == (32.0, "de", None)
    assert [(one.start, one.end) for one in told.segments or ()] == [(0.0, 30.0), (30.0, 32.0)]


async def test_a_stream_says_what_the_whole_does_clip_after_clip(client: httpx.AsyncClient) -> None:
    whole = (await post(client, sound(31), prompt="[[mock tokens=4]]")).json()["text"]
    fields = {"prompt": "[[mock tokens=4 delay_ms=1]]", "stream": "true", "stream_include_usage": "true"}
    answer = await post(client, sound(31), **fields)
    told = events(answer.content)
    choices = [choice for event in told[:-1] for choice in event["choices"]]
    assert "".join(choice["delta"]["content"] for choice in choices) == whole
    assert [choice.get("finish_reason") for choice in choices] == [None, None, None, "stop"] * 2
    prompt = 4 + 1 + 7 + 3100
    assert told[-2]["usage"] == {"prompt_tokens": prompt, "total_tokens": prompt + 8, "completion_tokens": 8}
    assert told[-1] == "[DONE]"
    checked(await post(client, sound(31), stream="true"))


async def test_running_usage_is_told_when_it_is_wanted(client: httpx.AsyncClient) -> None:
    options = {"stream": "true", "stream_include_usage": "true", "stream_continuous_usage_stats": "true"}
    told = events((await post(client, sound(1), max_completion_tokens="3", **options)).content)
    assert [event["usage"]["completion_tokens"] for event in told[:-1]] == [1, 2, 3, 3]
    assert told[-3]["choices"][0]["finish_reason"] == "length"


async def test_a_format_that_is_not_wav_is_as_long_as_its_bytes_say(client: httpx.AsyncClient) -> None:
    answer = await post(client, b"ID3" + bytes(48_000))
    assert answer.json()["usage"] == {"type": "duration", "seconds": 4}


@pytest.mark.parametrize(
    ("fields", "status", "kind", "param"),
    [
        ({"response_format": "srt"}, 400, "BadRequestError", None),
        ({"response_format": "diarized_json"}, 400, "BadRequestError", None),
        ({"response_format": "verbose_json", "stream": "true"}, 400, "BadRequestError", None),
        ({"response_format": "odd"}, 400, "Bad Request", "body.response_format"),
        ({"stream_include_usage": "true"}, 400, "BadRequestError", "stream_include_usage"),
        ({"language": "xx"}, 400, "BadRequestError", None),
        ({"temperature": "warm"}, 400, "Bad Request", "body.temperature"),
        ({"max_completion_tokens": "0"}, 400, "BadRequestError", "max_tokens"),
        ({"model": "nope"}, 404, "NotFoundError", "model"),
        ({"prompt": "[[mock status=503]]"}, 503, "Service Unavailable", None),
    ],
)
async def test_what_vllm_refuses_is_refused_alike(
    client: httpx.AsyncClient, fields: dict[str, str], status: int, kind: str, param: str | None
) -> None:
    error = (answer := await post(client, sound(1), **fields)).json()["error"]
    assert (answer.status_code, error["code"], error["type"], error["param"]) == (status, status, kind, param)


async def test_what_is_no_recording_is_refused(client: httpx.AsyncClient) -> None:
    for recording in (b"", b"words", b"RIFF", sound(1)[:20]):
        answer = await post(client, recording)
        assert (answer.status_code, answer.json()["error"]["message"]) == (400, "Invalid or unsupported audio file.")
    without = await client.post(PATH, data={"model": "mock-whisper"}, files={"other": b"x"})
    assert (without.status_code, without.json()["error"]["param"]) == (400, "body.file")
    plain = await client.post(PATH, files={"file": (None, "text")})
    assert (plain.status_code, plain.json()["error"]["type"]) == (422, "Unprocessable Entity")
    json = await client.post(PATH, json={"model": "mock-whisper"})
    assert (json.status_code, json.json()["error"]["param"]) == (400, "body.file")


async def test_a_model_that_does_not_hear_has_no_such_route(client: httpx.AsyncClient) -> None:
    answer = await post(client, sound(1), model="mock-gpt")
    assert (answer.status_code, answer.content) == (404, b'{"detail":"Not Found"}')


async def test_the_oracle_knows_tokens_and_seconds(place: Place, client: httpx.AsyncClient) -> None:
    for name, fields in (("whole", {}), ("streamed", {"stream": "true"})):
        await post(client, sound(1.5), name, prompt="[[mock tokens=5]]", **fields)
        line = await place.line(name)
        assert (line["path"], line["model"], line["outcome"]) == (PATH, "mock-whisper", "finished")
        assert (line["prompt_tokens"], line["completion_tokens"], line["seconds"]) == (4 + 1 + 5 + 150, 5, 2)


async def test_a_stream_can_break(place: Place, client: httpx.AsyncClient) -> None:
    fields = {"prompt": "[[mock tokens=9 error_chunk_after=3]]", "stream": "true"}
    told = events((await post(client, sound(1), "broken", **fields)).content)
    assert (told[-2]["error"]["code"], told[-1]) == (500, "[DONE]")
    assert ((await place.line("broken"))["outcome"], (await place.line("broken"))["completion_tokens"]) == ("error", 3)
