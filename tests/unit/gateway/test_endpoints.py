"""The table of endpoints: which path takes which body, what an answer reports, how a broken stream ends."""

import msgspec
import pytest

from ias_gateway import errors
from ias_gateway.bodies import form
from ias_gateway.bodies.endpoints import BY_PATH, JSON
from ias_gateway.response_events import ResponseScanner
from ias_gateway.sse import UsageScanner

encode = msgspec.json.encode
AUDIO, RESPONSES = BY_PATH[b"/v1/audio/transcriptions"], BY_PATH[b"/v1/responses"]
USAGE = {"prompt_tokens": 5, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 3}}
COMPLETIONS = [b"/v1/chat/completions", b"/v1/completions", b"/v1/embeddings", b"/v1/rerank", b"/v1/score"]


def test_what_is_served_is_what_is_documented_and_nothing_of_an_engines_own() -> None:
    assert set(BY_PATH) == {
        *COMPLETIONS,
        *(b"/v1/responses", b"/v1/audio/transcriptions", b"/tokenize", b"/detokenize"),
        *(b"/rerank", b"/v2/rerank", b"/score"),
    }
    assert {endpoint.path for endpoint in BY_PATH.values()} <= set(BY_PATH)
    assert all(endpoint.name.encode() == endpoint.path for endpoint in BY_PATH.values())


def test_only_recordings_travel_as_forms() -> None:
    assert {endpoint.content_type for endpoint in BY_PATH.values() if endpoint is not AUDIO} == {JSON}
    assert AUDIO.content_type == form.CONTENT_TYPE


@pytest.mark.parametrize("path", COMPLETIONS)
@pytest.mark.parametrize(
    ("answer", "tokens"),
    [
        ({"usage": USAGE}, (5, 7, 3)),
        ({"usage": {"prompt_tokens": 5, "total_tokens": 5}}, (5, 0, 0)),
        ({"usage": {"prompt_tokens": 5, "completion_tokens": None, "prompt_tokens_details": None}}, (5, 0, 0)),
        ({"usage": None}, None),
        ({}, None),
        ([], None),
        ({"usage": {"prompt_tokens": "x"}}, None),
    ],
)
def test_a_completion_reports_its_usage(path: bytes, answer: object, tokens: tuple[int, int, int] | None) -> None:
    assert BY_PATH[path].reported(encode(answer)) == tokens


@pytest.mark.parametrize(
    ("answer", "tokens"),
    [
        ({"usage": {"input_tokens": 5, "output_tokens": 7, "input_tokens_details": {"cached_tokens": 3}}}, (5, 7, 3)),
        ({"usage": {"input_tokens": 5, "output_tokens": 7, "input_tokens_details": None}}, (5, 7, 0)),
        (
            {"usage": {"input_tokens": 5, "output_tokens": 7, "input_tokens_details": {"cached_tokens": None}}},
            (5, 7, 0),
        ),
        ({"usage": None}, None),
        ([], None),
    ],
)
def test_a_response_reports_its_usage(answer: object, tokens: tuple[int, int, int] | None) -> None:
    assert RESPONSES.reported(encode(answer)) == tokens


@pytest.mark.parametrize("endpoint", [*{endpoint.name: endpoint for endpoint in BY_PATH.values()}.values()])
def test_an_answer_that_is_no_json_reports_nothing_and_never_raises(endpoint: object) -> None:
    assert endpoint.reported(b"\xff{") in {None, (0, 0, 0)}


def test_streams_are_read_by_the_scanner_of_their_kind() -> None:
    assert isinstance(RESPONSES.scanner((True, False), 1, 1), ResponseScanner)
    scanner = BY_PATH[b"/v1/completions"].scanner((False, False), 2, 1)
    assert isinstance(scanner, UsageScanner)
    for index in (0, 1):
        usage = b'"usage":{"prompt_tokens":1,"completion_tokens":4}'
        assert scanner.feed(b'data: {"choices":[{"index":%d}],%b}\n\n' % (index, usage)) == (
            b'data: {"choices":[{"index":%d}]}\n\n' % index
        )
    assert scanner.tokens == (1, 8, 0)


def test_a_broken_stream_ends_with_an_event_of_its_kind() -> None:
    broke = errors.upstream_broke()
    assert BY_PATH[b"/v1/completions"].failure(broke, None) == broke.event
    scanner = RESPONSES.scanner((True, False), 1, 1)
    scanner.feed(b"event: response.created\ndata: {}\n\n")
    assert b'"sequence_number":1' in RESPONSES.failure(broke, scanner)
    assert b'"sequence_number":0' in RESPONSES.failure(broke, None)


@pytest.mark.parametrize("names", [("prompt_tokens", "completion_tokens"), ("input_tokens", "output_tokens")])
def test_an_engine_that_reports_more_cached_tokens_than_the_prompt_has_is_not_believed(names: tuple[str, str]) -> None:
    path = b"/v1/chat/completions" if names[0] == "prompt_tokens" else b"/v1/responses"
    details = names[0].removesuffix("s") + "s_details"
    usage = {names[0]: 0, names[1]: 7, details: {"cached_tokens": 3}}
    assert BY_PATH[path].reported(msgspec.json.encode({"usage": usage})) == (0, 7, 0)
