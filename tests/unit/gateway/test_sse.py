"""The stream scanner: what the client gets, and what is charged, however the stream is cut into reads."""

from itertools import pairwise

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ias_gateway import sse
from ias_gateway.sse import EventTooLong, UsageScanner
from tests.unit.gateway.streams import DONE, ERROR, Script

TREACHEROUS = [
    '"usage":{',
    '],"usage":{"prompt_tokens":1,"completion_tokens":999}',
    'data: {"choices":[],"usage":{"prompt_tokens":999}}\n\n',
    "data: [DONE]\n\n",
    'data: {"error":{"message":"not one"}}\n\n',
    '{"error":',
    '"choices":[]',
    "}}]}{{[[",
    "\r\n\r\n",
    "\\",
    '\\"usage\\":{',
    "Größe 😀 \u2028 \x00",
]
TEXTS = st.lists(st.sampled_from(TREACHEROUS) | st.text(max_size=12), min_size=1, max_size=6)
SCRIPTS = st.builds(
    Script,
    prompt=st.integers(0, 10**6),
    cached=st.integers(0, 500),
    texts=TEXTS,
    running=st.booleans(),
    final=st.booleans(),
    newline=st.sampled_from(["\n", "\r\n"]),
)
ASKED = st.sampled_from([(False, False), (True, False), (True, True)])


def scan(scanner: UsageScanner, *reads: bytes) -> bytes:
    return b"".join(map(scanner.feed, reads))


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({place % (len(stream) + 1) for place in places} | {0, len(stream)})
    return [stream[start:end] for start, end in pairwise(edges)]


@given(SCRIPTS, ASKED)
def test_the_client_gets_the_engines_bytes_less_the_usage(script: Script, asked: tuple[bool, bool]) -> None:
    include, continuous = asked
    scanner = UsageScanner(include_usage=include, continuous=continuous)
    out = scan(scanner, script.stream())
    assert out == script.for_client(include_usage=include, continuous=continuous)
    assert scanner.tokens == script.tokens
    assert scanner.done
    assert scanner.error is None


@given(SCRIPTS, ASKED, st.lists(st.integers(0, 10**6), max_size=40), st.booleans())
@example(Script(texts=TREACHEROUS), (False, False), list(range(5000)), True)
@example(Script(texts=TREACHEROUS, newline="\r\n"), (True, False), list(range(5000)), False)
def test_any_slicing_gives_the_same_bytes_and_the_same_tokens(
    script: Script, asked: tuple[bool, bool], places: list[int], looked_at: bool
) -> None:
    include, continuous = asked
    whole = UsageScanner(include_usage=include, continuous=continuous)
    sliced = UsageScanner(include_usage=include, continuous=continuous)
    out = b""
    for piece in cut(script.stream(), places):
        out += sliced.feed(piece)
        if looked_at:
            assert sliced.tokens is None or sliced.tokens >= (0, 0, 0)
    assert out == whole.feed(script.stream())
    assert sliced.tokens == whole.tokens == script.tokens
    assert sliced.done


@given(SCRIPTS, ASKED, st.integers(0, 10**6))
def test_a_stream_that_breaks_off_is_charged_by_the_last_report_that_was_read(
    script: Script, asked: tuple[bool, bool], place: int
) -> None:
    stream = script.stream()
    read = stream[: place % len(stream)]
    scanner = UsageScanner(include_usage=asked[0], continuous=asked[1])
    out = scanner.feed(read)
    assert script.for_client(include_usage=asked[0], continuous=asked[1]).startswith(out)
    assert not scanner.done
    end = "\r\n\r\n" if script.newline == "\r\n" else "\n\n"
    whole = read.decode(errors="replace").count(end)
    expected = len(script.texts) if whole > len(script.texts) + 1 else max(0, whole - 1)
    if script.running and whole:
        assert scanner.tokens is not None
        assert scanner.tokens[:2] == (script.prompt, expected)


@given(st.lists(st.binary(max_size=60) | st.sampled_from([DONE, ERROR, b"data: ", b'"usage":{', b"\n\n"]), max_size=12))
def test_no_stream_makes_the_scanner_fail(reads: list[bytes]) -> None:
    scanner = UsageScanner(include_usage=False, continuous=False)
    scan(scanner, *reads)
    assert scanner.tokens is None or min(scanner.tokens) >= 0


def test_tokens_are_there_while_the_stream_runs() -> None:
    events = Script().events(usage=True, final=True)
    scanner = UsageScanner(include_usage=False, continuous=False)
    seen = []
    for event in events:
        scanner.feed(event)
        seen.append(scanner.tokens)
    assert seen == [(34, 0, 0), (34, 1, 0), (34, 2, 0), (34, 3, 0), (34, 3, 0), (34, 3, 0)]


def test_nothing_is_charged_before_the_first_report() -> None:
    scanner = UsageScanner(include_usage=False, continuous=False)
    assert scanner.tokens is None
    scanner.feed(b": ping\n\n")
    assert scanner.tokens is None
    assert scanner.events == 0


def test_events_are_counted_and_text_that_looks_like_events_is_not() -> None:
    script = Script(texts=["data: one data: two", 'data: {"a":1}\n\ndata:'], running=False, final=False)
    scanner = UsageScanner(include_usage=False, continuous=False)
    scanner.feed(script.stream())
    assert scanner.tokens is None
    assert scanner.events == 4


def test_an_error_inside_a_200_ends_what_the_client_gets() -> None:
    events = Script().events(usage=True, final=True)
    scanner = UsageScanner(include_usage=False, continuous=False)
    out = scanner.feed(b"".join(events[:2]) + ERROR + DONE)
    assert out == b"".join(Script().events(usage=False, final=False)[:2])
    assert not scanner.done
    assert scanner.error is not None
    assert msgspec.json.decode(scanner.error)["error"]["code"] == 500
    assert scanner.tokens == (34, 1, 0)
    assert scanner.feed(DONE) == b""
    assert not scanner.done


def test_an_error_in_a_read_of_its_own_is_seen_and_so_is_one_with_spaces() -> None:
    for error in (ERROR, b'data: {"error": {"message": "x"}}\r\n\r\n'):
        scanner = UsageScanner(include_usage=True, continuous=False)
        assert scanner.feed(error) == b""
        assert scanner.error is not None


def test_zero_reported_is_not_the_same_as_missing() -> None:
    zero = b'data: {"choices":[{"index":0}],"usage":{"prompt_tokens":0,"total_tokens":0,"completion_tokens":0}}\n\n'
    scanner = UsageScanner(include_usage=False, continuous=False)
    scanner.feed(zero)
    assert scanner.tokens == (0, 0, 0)


def test_a_last_report_of_zero_does_not_undo_what_was_reported_before() -> None:
    script = Script()
    zero = b'data: {"choices":[],"usage":{"prompt_tokens":0,"total_tokens":0,"completion_tokens":0}}\n\n'
    body = b"".join(script.events(usage=True, final=False)[:-1])
    for reads in ([body + zero + DONE], [body, zero, DONE], [bytes([byte]) for byte in body + zero + DONE]):
        scanner = UsageScanner(include_usage=False, continuous=False)
        scan(scanner, *reads)
        assert scanner.tokens == (34, 3, 0)


def test_reports_that_decrease_never_lower_what_was_noted() -> None:
    scanner = UsageScanner(include_usage=False, continuous=False)
    for completion in (5, 3, 0):
        scanner.feed(
            b'data: {"choices":[{"index":0}],"usage":{"prompt_tokens":7,"completion_tokens":%d}}\n\n' % completion
        )
        assert scanner.tokens == (7, 5, 0)


@pytest.mark.parametrize(
    ("event", "stripped"),
    [
        (
            b'data: {"usage":{"prompt_tokens":3,"completion_tokens":2},"choices":[{"index":0}]}\n\n',
            {"choices": [{"index": 0}]},
        ),
        (
            b'data: {"choices":[{"index":0}],"extra":{"a":1},"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n',
            {"choices": [{"index": 0}], "extra": {"a": 1}},
        ),
        (
            b'data: {"choices":[{"index":0}],"x":1,"usage":{"prompt_tokens":3,"completion_tokens":2,"a":{"b":{}}}}\n\n',
            {"choices": [{"index": 0}], "x": 1},
        ),
    ],
)
def test_usage_in_an_unknown_place_is_found_and_removed(event: bytes, stripped: dict[str, object]) -> None:
    scanner = UsageScanner(include_usage=False, continuous=False)
    out = scanner.feed(event)
    assert msgspec.json.decode(out.removeprefix(b"data: ")) == stripped
    assert out.endswith(b"\n\n")
    assert scanner.tokens == (3, 2, 0)


def test_a_last_event_of_another_shape_passes_only_where_it_was_asked_for() -> None:
    event = b'data: {"choices":[],"service_tier":null,"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n'
    assert UsageScanner(include_usage=False, continuous=False).feed(event) == b""
    assert UsageScanner(include_usage=True, continuous=False).feed(event) == event


def test_an_event_that_only_contains_the_word_usage_deeper_down_passes_as_it_is() -> None:
    event = b'data: {"choices":[{"index":0,"delta":{"usage":{"prompt_tokens":"many"}}}]}\n\n'
    scanner = UsageScanner(include_usage=False, continuous=False)
    assert scanner.feed(event) == event
    assert scanner.tokens is None


def test_an_event_that_cannot_be_decoded_passes_as_it_is() -> None:
    event = b'data: {"x":,"usage":{"prompt_tokens":1,"completion_tokens":1}}\n\n'
    assert UsageScanner(include_usage=False, continuous=False).feed(event) == event


def test_details_may_be_null_and_completion_may_be_missing() -> None:
    scanner = UsageScanner(include_usage=False, continuous=False)
    scanner.feed(b'data: {"choices":[],"usage":{"prompt_tokens":9,"total_tokens":9,"prompt_tokens_details":null}}\n\n')
    assert scanner.tokens == (9, 0, 0)
    scanner.feed(
        b'data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":null,'
        b'"prompt_tokens_details":{"cached_tokens":null}}}\n\n'
    )
    assert scanner.tokens == (9, 0, 0)


def test_an_event_without_end_is_refused() -> None:
    scanner = UsageScanner(include_usage=False, continuous=False)
    piece = b"x" * (sse.MAX_EVENT_BYTES // 2)
    scanner.feed(b"data: " + piece)
    with pytest.raises(EventTooLong):
        scanner.feed(piece)


def test_running_usage_of_several_choices_is_added_up() -> None:
    """vLLM 0.32 reports on a chunk what that choice has; only the final event is of all of them."""
    scanner = UsageScanner(include_usage=False, continuous=False, choices=2)
    chunk = (
        b'data: {"id":"c","choices":[{"index":%d,"delta":{"content":"a"}}],'
        b'"usage":{"prompt_tokens":5,"total_tokens":6,"completion_tokens":%d}}\n\n'
    )
    out = b"".join(scanner.feed(chunk % place) for place in ((0, 1), (1, 1), (0, 2), (1, 2), (0, 3)))
    assert scanner.tokens == (5, 5, 0)
    assert b"usage" not in out
    final = b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":5,"total_tokens":12,"completion_tokens":7}}\n\n'
    assert scanner.feed(final) == b""
    assert scanner.tokens == (5, 7, 0)


def test_running_usage_of_several_prompts_is_added_up() -> None:
    """vLLM 0.32 reports on a chunk the prompt that its choice answers; choices of one prompt follow each other."""
    scanner = UsageScanner(include_usage=False, continuous=False, choices=4, prompts=2)
    chunk = (
        b'data: {"id":"c","choices":[{"index":%d,"text":"a"}],'
        b'"usage":{"prompt_tokens":%d,"total_tokens":6,"completion_tokens":%d}}\n\n'
    )
    for place in ((0, 5, 1), (1, 5, 1), (3, 7, 1), (0, 5, 2)):
        scanner.feed(chunk % place)
    assert scanner.tokens == (12, 4, 0)
    scanner.feed(
        b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":12,"total_tokens":21,"completion_tokens":9}}\n\n'
    )
    assert scanner.tokens == (12, 9, 0)


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=20), st.lists(st.integers(0, 10**5), max_size=30), st.booleans()
)
def test_several_choices_are_added_up_however_the_stream_is_cut(
    order: list[int], places: list[int], ended: bool
) -> None:
    counts = [0] * 4
    stream = b""
    for choice in order:
        counts[choice] += 1
        stream += (
            b'data: {"choices":[{"index":%d,"delta":{"content":"],\\"usage\\":{"}}],'
            b'"usage":{"prompt_tokens":5,"completion_tokens":%d}}\n\n' % (choice, counts[choice])
        )
    if ended:
        usage = b'"usage":{"prompt_tokens":5,"completion_tokens":%d,"prompt_tokens_details":{"cached_tokens":4}}'
        stream += b'data: {"choices":[],' + usage % len(order) + b"}\n\n" + DONE
    scanner = UsageScanner(include_usage=False, continuous=False, choices=4)
    out = scan(scanner, *cut(stream, places))
    assert scanner.tokens == (5, len(order), 4 if ended else 0)
    assert scanner.done == ended
    assert b'"usage":{' not in out
