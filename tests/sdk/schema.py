"""What OpenAI's own types say of an answer: nothing missing, nothing of another type, nothing that they do not know.

The models of `openai.types` take anything when the SDK builds them, and keep fields that they do not know. Here they
validate strictly, and whatever they did not know must be on the list of vLLM's fields.
"""

import base64
import re
import struct
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args

import msgspec
from openai.types import Completion, CompletionChoice, CreateEmbeddingResponse, Model
from openai.types.audio import Transcription, TranscriptionSegment, TranscriptionVerbose
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from openai.types.shared import ErrorObject
from pydantic import BaseModel, ConfigDict

from tests.sdk.tape import Request

_HANDED_OVER = frozenset(("kv_transfer_params", "ec_transfer_params"))
_IDS = frozenset(("token_ids", "prompt_token_ids"))
VLLM: Mapping[str, frozenset[str]] = {
    "chat.chat_completion.ChatCompletion": _HANDED_OVER
    | {"metrics", "prompt_logprobs", "prompt_text", "prompt_token_ids"},
    "chat.chat_completion.Choice": _IDS | {"routed_experts", "stop_reason"},
    "chat.chat_completion_message.ChatCompletionMessage": frozenset(("reasoning",)),
    "chat.chat_completion_chunk.ChatCompletionChunk": frozenset(("prompt_text", "prompt_token_ids")),
    "chat.chat_completion_chunk.Choice": _IDS | {"stop_reason"},
    "chat.chat_completion_chunk.ChoiceDelta": frozenset(("reasoning",)),
    "completion.Completion": _HANDED_OVER | {"metrics", "service_tier"},
    "completion_choice.CompletionChoice": _IDS | {"prompt_logprobs", "routed_experts", "stop_reason"},
    "completion_usage.PromptTokensDetails": frozenset(("created_cache_tokens", "multimodal_tokens")),
    "create_embedding_response.CreateEmbeddingResponse": frozenset(("created", "id")),
    "create_embedding_response.Usage": frozenset(
        ("completion_tokens", "completion_tokens_details", "prompt_tokens_details")
    ),
    "model.Model": frozenset(("max_model_len",)),
    "responses.response.Response": _HANDED_OVER
    | {"frequency_penalty", "input_messages", "output_messages", "presence_penalty"},
    "responses.response_function_call_arguments_done_event.ResponseFunctionCallArgumentsDoneEvent": frozenset(
        ("name",)
    ),
    "responses.response_usage.InputTokensDetails": frozenset(("cached_tokens_per_turn", "input_tokens_per_turn")),
    "responses.response_usage.OutputTokensDetails": frozenset(
        ("output_tokens_per_turn", "tool_output_tokens", "tool_output_tokens_per_turn")
    ),
}
"""Fields that vLLM adds, by the type of OpenAI's that they are added to. They pass through untouched."""
DONE = "[DONE]"
_EVENT = re.compile(r"^data: ?(.*)$", re.MULTILINE)
_WHOLE: Mapping[str, type[BaseModel]] = {
    "/v1/chat/completions": ChatCompletion,
    "/v1/completions": Completion,
    "/v1/embeddings": CreateEmbeddingResponse,
    "/v1/responses": Response,
    "/v1/audio/transcriptions": Transcription,
}
_REFUSED = 400


class _TextPieceChoice(CompletionChoice):
    finish_reason: Literal["stop", "length", "content_filter"] | None


class _TextPiece(Completion):
    """OpenAI has no type of its own for the events of a text completion, which have no finish reason but the last."""

    choices: list[_TextPieceChoice]


class _Segment(TranscriptionSegment):
    no_speech_prob: float | None


class _Verbose(TranscriptionVerbose):
    """vLLM does not know how probable it is that nothing was said, and says null."""

    segments: list[_Segment] | None


class _Heard(BaseModel):
    model_config = ConfigDict(extra="forbid")
    content: str


class _HeardChoice(BaseModel):
    model_config = ConfigDict(extra="forbid")
    delta: _Heard
    finish_reason: str | None = None
    stop_reason: str | int | None = None


class _TranscriptionChunk(BaseModel):
    """vLLM's events of a transcription are made after those of a chat: not OpenAI's `transcript.text.delta`."""

    model_config = ConfigDict(extra="forbid")
    id: str
    object: Literal["transcription.chunk"]
    created: int
    model: str
    choices: list[_HeardChoice]


_STREAMED: Mapping[str, object] = {
    "/v1/chat/completions": ChatCompletionChunk,
    "/v1/completions": _TextPiece,
    "/v1/responses": ResponseStreamEvent,
    "/v1/audio/transcriptions": _TranscriptionChunk,
}


class Misfit(AssertionError):
    """An answer is not what OpenAI's types say."""


def check(request: Request) -> None:
    """Hold one answer against OpenAI's types.

    Raises:
        Misfit: with the field.
    """
    streamed = request.answer_headers["content-type"].startswith("text/event-stream")
    if request.status >= _REFUSED:
        refused(msgspec.json.decode(request.answer))
    elif streamed:
        for event in events(request.answer):
            fits(_event_type(request.path, event), event)
    elif request.path == "/v1/models":
        listed(msgspec.json.decode(request.answer))
    else:
        body = _numbers(msgspec.json.decode(request.answer))
        fits(_whole_type(request.path, body), body)


def check_all(requests: list[Request]) -> int:
    """Hold every answer that came to its end against OpenAI's types; how many there were."""
    whole = [request for request in requests if request.whole]
    for request in whole:
        check(request)
    return len(whole)


def events(stream: bytes) -> list[dict[str, Any]]:
    """The events of a stream less its end mark, which may only be the last."""
    said = _EVENT.findall(stream.decode())
    if DONE in said[:-1]:
        raise Misfit(f"{DONE} is not the last event")
    return [msgspec.json.decode(event) for event in said if event != DONE]


def fits(kind: type[BaseModel], value: object) -> None:
    """Hold a value against a type.

    Raises:
        Misfit: it does not fit, or has a field that neither OpenAI nor vLLM's list knows.
    """
    try:
        known = kind.model_validate(value, strict=True)
    except ValueError as error:
        raise Misfit(f"{kind.__name__}: {error}\n{value}") from None
    unknown = sorted(set(extras(known)) - {f"{name}.{field}" for name, fields in VLLM.items() for field in fields})
    if unknown:
        raise Misfit(f"OpenAI's types do not know {unknown}")


def extras(value: object) -> Iterator[str]:
    """Every field that a validated value has and its type does not, as `module.Type.field`."""
    if isinstance(value, BaseModel):
        theirs = next(kind for kind in type(value).__mro__ if not kind.__module__.startswith("tests."))
        name = f"{theirs.__module__.removeprefix('openai.types.')}.{theirs.__name__}"
        yield from (f"{name}.{field}" for field in value.model_extra or ())
        for field in type(value).model_fields:
            yield from extras(getattr(value, field))
    elif isinstance(value, list):
        for one in value:
            yield from extras(one)


def refused(body: object) -> None:
    """Hold an error against OpenAI's shape: all four keys, `code` a string or null.

    Raises:
        Misfit: it has another one.
    """
    keys = {"message", "type", "param", "code"}
    if not isinstance(body, dict) or set(body) != {"error"} or set(body["error"]) != keys:
        raise Misfit(f"not OpenAI's shape of an error: {body}")
    fits(ErrorObject, body["error"])


def listed(body: object) -> None:
    """Hold a list of models against OpenAI's shape.

    Raises:
        Misfit: it has another one.
    """
    if not isinstance(body, dict) or set(body) != {"object", "data"} or body["object"] != "list":
        raise Misfit(f"not OpenAI's shape of a list: {body}")
    for model in body["data"]:
        fits(Model, model)


def _whole_type(path: str, body: Any) -> type[BaseModel]:
    if _WHOLE.get(path) is Transcription and "segments" in body:
        return _Verbose
    return Model if path.startswith("/v1/models/") else _WHOLE[path]


def _event_type(path: str, event: dict[str, Any]) -> type[BaseModel]:
    kind = _STREAMED[path]
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind
    union = get_args(kind)[0]  # of Annotated
    for member in get_args(union):
        if event.get("type") in get_args(member.model_fields["type"].annotation):
            return member
    raise Misfit(f"OpenAI's types know no event {event.get('type')!r}")


def _numbers(body: Any) -> Any:
    """An answer with embeddings in base64, which OpenAI's type does not tell of, as the numbers that they are."""
    for one in body.get("data", ()) if isinstance(body, dict) else ():
        if isinstance(one.get("embedding"), str):
            raw = base64.b64decode(one["embedding"], validate=True)
            one["embedding"] = list(struct.unpack(f"<{len(raw) // 4}f", raw))
    return body
