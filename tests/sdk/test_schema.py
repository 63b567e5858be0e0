"""The schema itself: it must refuse what OpenAI's types do not know, or no test that leans on it can fail."""

from typing import Any

import msgspec
import pytest

from tests.sdk import schema
from tests.sdk.tape import Request

CHAT: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "a", "refusal": None}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
ERROR = {"error": {"message": "m", "type": "t", "param": None, "code": None}}


def answered(body: object, status: int = 200, path: str = "/v1/chat/completions") -> Request:
    headers = {"content-type": "application/json"}
    return Request(path=path, status=status, answer=msgspec.json.encode(body), answer_headers=headers, answered_at=1)


def streamed(*events: str) -> Request:
    body = "".join(f"data: {event}\n\n" for event in events).encode()
    headers = {"content-type": "text/event-stream; charset=utf-8"}
    return Request(path="/v1/chat/completions", status=200, answer=body, answer_headers=headers, answered_at=1)


def test_what_openai_knows_fits() -> None:
    assert schema.check_all([answered(CHAT), answered(ERROR, 400), Request()]) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"object": "chat.completions"},
        {"created": "1"},
        {"choices": [{**CHAT["choices"][0], "index": None}]},
        {"choices": [{**CHAT["choices"][0], "message": {"content": "a"}}]},
        {"choices": [{**CHAT["choices"][0], "secret": 1}]},
        {"usage": {"prompt_tokens": 1, "completion_tokens": 1}},
        {"internal": None},
    ],
)
def test_what_openai_does_not_know_does_not_fit(changes: dict[str, Any]) -> None:
    with pytest.raises(schema.Misfit):
        schema.check(answered({**CHAT, **changes}))


def test_a_field_of_vllms_fits_where_it_belongs_and_nowhere_else() -> None:
    schema.check(answered({**CHAT, "prompt_logprobs": None}))
    with pytest.raises(schema.Misfit, match=r"ChatCompletion\.stop_reason"):
        schema.check(answered({**CHAT, "stop_reason": None}))


@pytest.mark.parametrize(
    "body", [{}, {"error": "no"}, {"error": {"message": "m"}}, {"error": {**ERROR["error"], "code": 400}}]
)
def test_an_error_of_another_shape_does_not_fit(body: object) -> None:
    with pytest.raises((schema.Misfit, TypeError)):
        schema.check(answered(body, 400))


def test_nothing_may_follow_the_end_mark() -> None:
    chunk = '{"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[]}'
    schema.check(streamed(chunk, "[DONE]"))
    for events in (("[DONE]", chunk), (chunk, '{"id":"1"}', "[DONE]")):
        with pytest.raises(schema.Misfit):
            schema.check(streamed(*events))


def test_an_event_that_openai_does_not_know_does_not_fit() -> None:
    request = streamed('{"type":"response.surprise","sequence_number":1}')
    request.path = "/v1/responses"
    with pytest.raises(schema.Misfit):
        schema.check(request)
