"""The scanner of a response's events: what passes, what is charged, and how a stream ends that broke."""

from itertools import pairwise

import httpx
import msgspec
import openai
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ias_gateway import errors, response_events, sse
from ias_gateway.response_events import ResponseScanner
from ias_gateway.sse import EventTooLong

TREACHEROUS = [
    "event: response.completed",
    "\nevent: error\ndata: {}\n\n",
    'data: {"error":{"message":"not one"}}\n\n',
    '"usage":{"input_tokens":999}',
    "\r\n\r\n",
    "}}]}{{[[",
    "Größe 😀 \u2028 \x00",
]
TEXTS = st.lists(st.sampled_from(TREACHEROUS) | st.text(max_size=12), max_size=6)
NEWLINES = st.sampled_from(["\n", "\r\n"])
USAGE = {
    "input_tokens": 34,
    "input_tokens_details": {"cached_tokens": 16, "cache_write_tokens": 0},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 41,
}


def event(name: str, number: int, newline: str = "\n", **more: object) -> bytes:
    data = msgspec.json.encode({"sequence_number": number, "type": name, **more}).decode()
    return f"event: {name}{newline}data: {data}{newline}{newline}".encode()


def events(texts: list[str], newline: str = "\n", end: str = "response.completed") -> list[bytes]:
    """A stream as vLLM writes it."""
    begun = {"id": "resp_1", "status": "in_progress", "usage": None, "tools": [{"type": "response.completed"}]}
    out = [
        event("response.created", 0, newline, response=begun),
        event("response.in_progress", 1, newline, response=begun),
    ]
    for text in texts:
        out.append(event("response.output_text.delta", len(out), newline, delta=text, logprobs=[]))
    out.append(event("response.output_text.done", len(out), newline, text="".join(texts)))
    whole = {"id": "resp_1", "status": "completed", "usage": USAGE, "output": [{"text": "".join(texts)}]}
    return [*out, event(end, len(out), newline, response=whole)]


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({place % (len(stream) + 1) for place in places} | {0, len(stream)})
    return [stream[start:end] for start, end in pairwise(edges)]


@given(TEXTS, NEWLINES, st.lists(st.integers(0, 10**6), max_size=40))
@example(TREACHEROUS, "\n", list(range(5000)))
@example(TREACHEROUS, "\r\n", list(range(5000)))
def test_every_byte_passes_and_the_end_tells_the_usage_however_it_is_cut(
    texts: list[str], newline: str, places: list[int]
) -> None:
    stream = b"".join(events(texts, newline))
    scanner = ResponseScanner()
    assert b"".join(map(scanner.feed, cut(stream, places))) == stream
    assert scanner.tokens == (34, 7, 16)
    assert (scanner.done, scanner.error) == (True, None)
    assert scanner.events == len(texts) + 1
    assert scanner.passed == len(texts) + 4


@given(TEXTS, NEWLINES, st.integers(0, 10**6))
def test_of_a_stream_that_breaks_off_whole_events_have_passed_and_its_deltas_are_known(
    texts: list[str], newline: str, place: int
) -> None:
    script = events(texts, newline)
    stream = b"".join(script)
    read = stream[: place % len(stream)]
    scanner = ResponseScanner()
    out = scanner.feed(read)
    assert out == b"".join(script[: scanner.passed])
    assert len(read) - len(out) < len(script[scanner.passed])
    assert scanner.events == max(0, min(len(texts), scanner.passed - 2))
    assert (scanner.done, scanner.tokens) == (False, None)


@given(st.lists(st.binary(max_size=60) | st.sampled_from(events(["a"])), max_size=12))
def test_no_stream_makes_the_scanner_fail(reads: list[bytes]) -> None:
    scanner = ResponseScanner()
    for read in reads:
        scanner.feed(read)
    assert scanner.tokens is None or min(scanner.tokens) >= 0


def test_a_response_that_ran_out_of_tokens_is_complete_too() -> None:
    scanner = ResponseScanner()
    scanner.feed(b"".join(events(["a"], end="response.incomplete")))
    assert scanner.done
    assert scanner.tokens == (34, 7, 16)


@pytest.mark.parametrize(
    "last",
    [
        b'data: {"error":{"message":"EngineCore died","code":500}}\n\n',
        b'event: error\ndata: {"type":"error","message":"EngineCore died"}\n\n',
        b'event: error\r\ndata: {"error":{"message":"EngineCore died"}}\r\n\r\n',
        event("response.failed", 4, response={"error": {"message": "EngineCore died"}}),
    ],
)
def test_nothing_passes_from_an_error_of_the_engine_on(last: bytes) -> None:
    scanner = ResponseScanner()
    script = events(["a"])[:-1]
    assert scanner.feed(b"".join(script) + last + event("response.completed", 9)) == b"".join(script)
    assert scanner.error is not None
    assert b"EngineCore" in scanner.error
    assert not scanner.done
    assert scanner.feed(event("response.output_text.delta", 9)) == b""


def test_a_failed_response_is_charged_what_it_reports() -> None:
    scanner = ResponseScanner()
    scanner.feed(event("response.failed", 0, response={"usage": USAGE}))
    assert scanner.tokens == (34, 7, 16)


@pytest.mark.parametrize("data", [b"data: nope", b'data: {"response":{"usage":"x"}}', b'data: {"response":null}', b""])
def test_an_end_that_cannot_be_read_reports_nothing(data: bytes) -> None:
    scanner = ResponseScanner()
    scanner.feed(b"event: response.completed\n" + data + b"\n\n")
    assert scanner.tokens is None
    assert scanner.done


def test_an_event_without_end_is_refused() -> None:
    scanner = ResponseScanner()
    whole = b"data: " + b"x" * (1024 * 1024) + b"\n\n"
    assert scanner.feed(whole) == whole
    assert scanner.feed(b"x" * sse.MAX_EVENT_BYTES) == b""
    with pytest.raises(EventTooLong):
        scanner.feed(b"x")


def test_what_ends_a_broken_stream_is_raised_by_openais_client() -> None:
    begun = events(["a"])[:3]
    stream = b"".join(begun) + response_events.failure(errors.upstream_broke(), len(begun))

    def engine(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=stream)

    with openai.OpenAI(
        base_url="http://engine/v1", api_key="k", http_client=httpx.Client(transport=httpx.MockTransport(engine))
    ) as client:
        seen = []
        with pytest.raises(openai.APIError, match="Please try again"):
            seen += list(client.responses.create(model="m", input="x", stream=True))


def test_what_ends_a_broken_stream_is_an_error_event_of_openais_kind() -> None:
    name, data, *_ = response_events.failure(errors.upstream_broke(), 3).split(b"\n")
    assert name == b"event: error"
    said = msgspec.json.decode(data.removeprefix(b"data: "))
    assert said["type"] == "error"
    assert said["sequence_number"] == 3
    assert (said["code"], said["message"]) == (said["error"]["code"], said["error"]["message"])
    assert set(said["error"]) == {"message", "type", "param", "code"}
