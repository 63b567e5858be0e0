"""The stream as the client gets it: the engine's bytes, less the usage that nobody asked for."""

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ias_gateway import sse
from ias_gateway.sse import EventTooLong, UsageScanner

START = b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":['
RUNNING = b',"usage":{"prompt_tokens":34,"total_tokens":%d,"completion_tokens":%d,"completion_tokens_details":null}'
FINAL_USAGE = (
    b'"usage":{"prompt_tokens":34,"total_tokens":%d,"completion_tokens":%d,'
    b'"prompt_tokens_details":{"cached_tokens":16,"created_cache_tokens":0}}'
)
TEXTS = st.text(max_size=12) | st.sampled_from(
    [
        '"usage":{"prompt_tokens":9}',
        '],"usage":{"a":1}',
        "data: [DONE]\n\n",
        '{"error":1}',
        "é\u2028\U0001f600",
        "\r\n\r\n",
    ]
)


def quoted(text: str) -> bytes:
    return sse.msgspec.json.encode(text)


def role(usage: bytes) -> bytes:
    delta = b'{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]'
    return START + delta + usage + b',"prompt_token_ids":null,"prompt_text":null}\n\n'


def token(text: str, usage: bytes) -> bytes:
    return START + b'{"index":0,"delta":{"content":%b},"finish_reason":null}]%b}\n\n' % (quoted(text), usage)


def final(completion: int) -> bytes:
    usage = FINAL_USAGE % (34 + completion, completion)
    return START + b"]," + usage + b',"system_fingerprint":"f"}\n\n'


def engine(texts: list[str], *, usage: bool = True, done: bool = True) -> bytes:
    """What vLLM sends for these tokens."""
    running = [RUNNING % (34 + place, place) if usage else b"" for place in range(len(texts) + 1)]
    events = [role(running[0]), *(token(text, running[place]) for place, text in enumerate(texts, 1))]
    tail = [final(len(texts))] if usage else []
    return b"".join([*events, *tail, b"data: [DONE]\n\n" if done else b""])


def passed(stream: bytes, cuts: list[int], **asked: bool) -> tuple[bytes, UsageScanner]:
    scanner = UsageScanner(include_usage=asked.get("include_usage", False), continuous=asked.get("continuous", False))
    places = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    out = b"".join(scanner.feed(stream[start:end]) for start, end in pairwise(places))
    return out, scanner


@given(texts=st.lists(TEXTS, max_size=6), cuts=st.lists(st.integers(0, 10_000), max_size=8))
def test_usage_that_was_not_asked_for_is_gone_and_nothing_else(texts: list[str], cuts: list[int]) -> None:
    out, scanner = passed(engine(texts), cuts)
    assert out == engine(texts, usage=False)
    assert scanner.tokens == (34, len(texts), 16)
    assert scanner.done


@given(texts=st.lists(TEXTS, max_size=4))
@settings(max_examples=25)
def test_one_byte_at_a_time_gives_the_same(texts: list[str]) -> None:
    stream = engine(texts)
    out, scanner = passed(stream, list(range(len(stream))))
    assert out == engine(texts, usage=False)
    assert scanner.tokens == (34, len(texts), 16)


@given(texts=st.lists(TEXTS, max_size=6), cuts=st.lists(st.integers(0, 10_000), max_size=8))
def test_asked_for_usage_only_the_final_event_passes(texts: list[str], cuts: list[int]) -> None:
    out, _ = passed(engine(texts), cuts, include_usage=True)
    done = b"data: [DONE]\n\n"
    assert out == engine(texts, usage=False).removesuffix(done) + final(len(texts)) + done


@given(texts=st.lists(TEXTS, max_size=6), cuts=st.lists(st.integers(0, 10_000), max_size=8))
def test_asked_for_running_usage_everything_passes(texts: list[str], cuts: list[int]) -> None:
    assert passed(engine(texts), cuts, include_usage=True, continuous=True)[0] == engine(texts)


def test_carriage_returns_are_event_ends_too() -> None:
    stream = engine(["a", "b"]).replace(b"\n", b"\r\n")
    out, scanner = passed(stream, list(range(len(stream))))
    assert out == engine(["a", "b"], usage=False).replace(b"\n", b"\r\n")
    assert scanner.done


def test_text_completions_report_without_details() -> None:
    usage = b'"usage":{"prompt_tokens":3,"total_tokens":4,"completion_tokens":1}'
    chunk = b'data: {"id":"c","choices":[{"index":0,"text":"a"}],%b}\n\n' % usage
    out, scanner = passed(chunk, [])
    assert scanner.tokens == (3, 1, 0)
    assert b"usage" not in out


def test_usage_in_a_place_that_vllm_does_not_use_is_found_and_removed() -> None:
    odd = b'data: {"usage":{"prompt_tokens":3,"completion_tokens":1,"x":{"y":{"z":1}}},"choices":[{"index":0}]}\n\n'
    out, scanner = passed(odd, [])
    assert scanner.tokens == (3, 1, 0)
    assert out == b'data: {"choices":[{"index":0}]}\n\n'
    last = b'data: {"usage":{"prompt_tokens":3,"completion_tokens":1},"choices":[]}\n\n'
    assert passed(last, [])[0] == b""
    assert passed(last, [], include_usage=True)[0] == last


def test_what_is_no_json_passes_as_it_is() -> None:
    broken = b'data: {"a":"usage":{x}\n\n'
    out, scanner = passed(broken, [])
    assert out == broken
    assert scanner.tokens is None


def test_decreasing_usage_never_lowers_what_was_seen() -> None:
    stream = token("a", RUNNING % (44, 10)) + token("b", RUNNING % (35, 1))
    scanner = UsageScanner(include_usage=False, continuous=False)
    for event in re.findall(rb"data:.*?\n\n", stream):
        scanner.feed(event)
        assert scanner.tokens == (34, 10, 0)


def test_zero_reported_is_not_the_same_as_missing() -> None:
    assert passed(token("a", RUNNING % (0, 0)), [])[1].tokens is not None
    missing = passed(engine(["a", "b"], usage=False), [])[1]
    assert missing.tokens is None
    assert missing.events == 4


def test_nothing_passes_after_an_error_of_the_engine() -> None:
    error = b'data: {"error":{"message":"boom","code":500}}\n\ndata: [DONE]\n\n'
    stream = engine(["a"], done=False) + error
    out, scanner = passed(stream, list(range(0, len(stream), 7)))
    assert out == engine(["a"], usage=False, done=False)
    assert scanner.error == b'{"error":{"message":"boom","code":500}}'
    assert not scanner.done
    assert scanner.feed(token("late", b"")) == b""


def test_an_error_as_text_is_text() -> None:
    stream = token('{"error":{"x":1}}', b"")
    assert passed(stream, [])[0] == stream


def test_a_comment_passes() -> None:
    assert passed(b": ping\n\n", [])[0] == b": ping\n\n"


def test_an_event_without_end_is_refused() -> None:
    scanner = UsageScanner(include_usage=False, continuous=False)
    scanner.feed(b"data: ")
    with pytest.raises(EventTooLong):
        scanner.feed(b"x" * (sse.MAX_EVENT_BYTES + 1))
