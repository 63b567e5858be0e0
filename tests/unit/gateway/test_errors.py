"""Errors in OpenAI's shape; the engine's are translated and give nothing of the inside away."""

import msgspec
import pytest

from ias_gateway import errors
from ias_gateway.errors import ApiError


def vllm(message: str, **more: object) -> bytes:
    return msgspec.json.encode(
        {"error": {"message": message, "type": "BadRequestError", "param": None, "code": 400, **more}}
    )


def test_all_four_keys_are_always_there() -> None:
    assert msgspec.json.decode(ApiError(400, "no").body) == {
        "error": {"message": "no", "type": "invalid_request_error", "param": None, "code": None}
    }


def test_an_error_event_is_one_event_without_an_end_mark() -> None:
    event = errors.upstream_broke().event
    assert event.startswith(b"data: {")
    assert event.endswith(b"}\n\n")
    assert b"[DONE]" not in event


def test_a_context_overflow_keeps_its_words_and_gets_its_code() -> None:
    said = "This model's maximum context length is 10 tokens."
    error = errors.translate(400, vllm(said, param="max_tokens"), ("llama", "llama"))
    assert (error.status, error.detail.code, error.detail.param) == (400, "context_length_exceeded", "max_tokens")
    assert error.detail.message == said


def test_the_engines_name_of_a_model_is_not_told() -> None:
    error = errors.translate(400, vllm("inner-7b cannot do that"), ("inner-7b", "llama"))
    assert error.detail.message == "llama cannot do that"
    assert error.detail.code is None


@pytest.mark.parametrize(("status", "body"), [(404, b'{"detail":"Not Found"}'), (501, vllm("no Responses API"))])
def test_a_model_of_another_task_is_named_with_its_public_name(status: int, body: bytes) -> None:
    error = errors.translate(status, body, ("inner-7b", "llama"))
    assert error.detail.message == "The model `llama` does not serve this endpoint."
    assert error.detail.param == "model"


@pytest.mark.parametrize(
    ("problem", "told"),
    [("'Input should be a valid integer'", "Input should be a valid integer"), ("\"Use 'a'\"", "Use 'a'")],
)
def test_of_a_type_error_only_the_sentence_is_told(problem: str, told: str) -> None:
    one = f"{{'type': 'int_type', 'loc': 'body.seed', 'msg': {problem}, 'input': 'my secret prompt'}}"
    for said in (f"1 validation error:\n  {one}", f"2 validation errors:\n  {one}\n  {one}"):
        error = errors.translate(400, vllm(said, param="body.seed"), ("m", "m"))
        assert (error.detail.message, error.detail.param) == (f"seed: {told}.", "seed")


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (429, b"", 503),
        (503, b"", 503),
        (401, b"", 502),
        (404, b'{"detail":"Not Found"}', 400),
        (404, b'{"error":{"message":"Not Found","type":"Not Found","code":404}}', 400),
        (404, b'{"error":{"message":"The model `inner` does not exist.","type":"NotFoundError","code":404}}', 502),
        (501, b'{"error":{"message":"The model does not support Rerank (Score) API","code":501}}', 400),
        (500, b"x", 502),
        (400, b"not json", 502),
        (400, b"{}", 400),
        (422, b'{"message":"old shape"}', 400),
        (302, b"", 502),
    ],
)
def test_statuses_of_the_engine_become_ours(status: int, body: bytes, expected: int) -> None:
    assert errors.translate(status, body, ("m", "m")).status == expected


@pytest.mark.parametrize("error", [errors.overloaded(), errors.not_ready()])
def test_what_passes_says_when_to_come_back(error: ApiError) -> None:
    assert error.status == 503
    assert dict(error.headers)["retry-after"]


def test_a_time_out_is_a_504() -> None:
    assert errors.upstream_timed_out().status == 504
