"""What an engine's whole answer reports of its tokens, read from its end where that can be done."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ias_gateway.bodies.reports import completion

USAGE = (
    b'"usage":{"prompt_tokens":7,"total_tokens":10,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":2}}'
)
REPORTED = (7, 3, 2)


@pytest.mark.parametrize(
    "answer",
    [
        b'{"choices":[{"index":0}],%b}' % USAGE,
        b'{%b,"choices":[{"index":0}]}' % USAGE,
        b'{"choices":[],%b,"prompt_logprobs":null,"kv_transfer_params":{"a":[1]}}' % USAGE,
        b'{"choices":[],%b}\n' % USAGE,
        USAGE.replace(b",", b", ").replace(b":", b": ").join((b"{", b"}")),
        b'{"usage":{"prompt_tokens":1},%b}' % USAGE,
        b'{%b,"choices":[{"usage":{"prompt_tokens":900}}]}' % USAGE,
        b'{"choices":[{"message":{"usage":{"prompt_tokens":900}}}],%b}' % USAGE,
        rb'{%b,"a\"usage":{"prompt_tokens":900}}' % USAGE,
    ],
)
def test_the_usage_of_the_answer_itself_is_read_wherever_it_stands(answer: bytes) -> None:
    assert completion(answer) == REPORTED


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"{}",
        b'"usage":',
        b'{"usage":null}',
        b'{"choices":[]}',
        b'{"choices":[{"usage":{"prompt_tokens":900}}]}',
        b'{"choices":[{"usage":{"prompt_tokens":900}}],"usage":null}',
        b'{"choices":[],"usage":{"prompt_tokens":-1}}',
        b'{"choices":[],"usage":{"prompt_tokens":7}',
    ],
)
def test_an_answer_that_reports_nothing_of_its_own_says_nothing(answer: bytes) -> None:
    assert completion(answer) is None


@given(st.text())
def test_nothing_that_a_model_writes_is_taken_for_usage(text: str) -> None:
    content = text + '"usage":{"prompt_tokens":900}}' + text
    body = {"choices": [{"message": {"content": content}}], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}
    assert completion(msgspec.json.encode(body)) == (7, 3, 0)
    body["usage"] = None
    assert completion(msgspec.json.encode(body)) is None
