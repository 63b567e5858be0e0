"""The OpenAPI document of the gateway: its table of routes, the Structs that it decodes, and how it refuses."""

from collections.abc import Mapping
from typing import NamedTuple, get_type_hints

import msgspec

from ias.openapi.schemas import Schemas
from ias_gateway import errors, limits, models
from ias_gateway.bodies.chat import ChatBody
from ias_gateway.bodies.chat_fields import Chat
from ias_gateway.bodies.endpoints import BY_PATH, JSON, Endpoint
from ias_gateway.bodies.transcriptions import Transcription
from scripts.manual.json_types import Json

_ABOUT = """\
OpenAI's API in front of an organisation's own models. Send an API key as `Authorization: Bearer …`. Only what stands
here is served; a field that is not listed is refused with 400, and `param` names it. Answers pass as the engine gives
them. docs/openai-surface.md says what is sent on, left out and charged.
"""
_CHAT = {"model": "mock-gpt", "messages": [{"role": "user", "content": "Hello!"}], "max_completion_tokens": 64}


class _Told(NamedTuple):
    """What the code does not say of a route: its name here, one sentence, and a body that it takes."""

    id: str
    summary: str
    example: Mapping[str, object]


_TOLD = {
    "/v1/chat/completions": _Told("chat", "Answer a conversation", {**_CHAT, "stream": True}),
    "/v1/completions": _Told("complete", "Continue a text", {"model": "mock-gpt", "prompt": "Once upon a time"}),
    "/v1/embeddings": _Told("embed", "Embed texts", {"model": "mock-embed", "input": ["a text", "another"]}),
    "/v1/responses": _Told("respond", "Answer items, without a store", {"model": "mock-gpt", "input": "Hello!"}),
    "/v1/rerank": _Told(
        "rerank",
        "Order documents by how well they fit a query",
        {"model": "mock-rerank", "query": "capital of France", "documents": ["Paris", "Rome"], "top_n": 1},
    ),
    "/v1/score": _Told(
        "score",
        "Say how well pairs of texts fit together",
        {"model": "mock-rerank", "queries": "capital of France", "documents": ["Paris", "Rome"]},
    ),
    "/tokenize": _Told("tokenize", "Take a prompt apart into tokens", {"model": "mock-gpt", "prompt": "Hello!"}),
    "/detokenize": _Told("detokenize", "Make text of tokens", {"model": "mock-gpt", "tokens": [1, 2, 3]}),
    "/v1/audio/transcriptions": _Told("transcribe", "Write down what is said in a recording", {}),
}
_REFUSALS = {
    400: "A field is unknown, missing or of the wrong type, or the engine refuses it; `param` names the field.",
    401: "There is no key, or it is unknown, revoked, expired or malformed: the answer is the same.",
    403: "The organisation or the member is suspended, or the key was withdrawn while the request ran.",
    404: "There is no such model for this key, or no such path.",
    408: "The head or the body did not come in time.",
    409: "The request's id was used before.",
    413: "The body is too long.",
    415: "The body is not of the type that the route takes.",
    421: "The gateway is not known by this name (`IAS_ALLOWED_HOSTS`).",
    429: "A rate limit (`rate_limit_exceeded`) or a budget (`insufficient_quota`) does not suffice.",
    431: "The head is too long.",
    500: "The gateway failed.",
    502: "The engine failed while it answered.",
    503: "It cannot decide now (`not_ready`), is overloaded (`server_overloaded`), or restarts (`server_restarting`).",
    504: "The engine took too long.",
}
_OF_READING = (401, 403, 404, 408, 421, 431, 500, 503)
_AGAIN = (429, 500, 502, 503, 504)
_HEADERS: dict[str, Json] = {
    "x-request-id": {"description": "The request, as the ledger and `ias-admin usage trace` know it."},
    "retry-after": {"description": "Seconds after which it may be tried again."},
    "retry-after-ms": {"description": "The same in milliseconds."},
    "x-should-retry": {"description": "`false` where trying again soon is of no use; OpenAI's SDKs go by it."},
    **{
        f"x-ratelimit-{what}-{kind}": {"description": f"{said} {kind}; not there without such a limit."}
        for what, said in (
            ("limit", "The bucket's size, in"),
            ("remaining", "What is left of"),
            ("reset", "Until whole:"),
        )
        for kind in ("requests", "tokens")
    },
}
_RATES = [name for name in _HEADERS if name.startswith("x-ratelimit")]


def document() -> Json:
    """The document (OpenAPI 3.1)."""
    bodies = {endpoint.path: _body(endpoint) for endpoint in BY_PATH.values()}
    schemas = Schemas([*bodies.values()], [models.ModelList, models.Model, limits.LimitList, errors.Envelope])
    paths: dict[str, Json] = {}
    for path, endpoint in BY_PATH.items():
        name = path.decode()
        paths[name] = {"post": _proxied(name, endpoint, schemas, bodies[endpoint.path])}
    listed, one = models.PATH.decode(), models.PATH.decode() + "/{model}"
    paths[listed] = {"get": _read("list_models", "The models that this key may call", schemas.of(models.ModelList))}
    paths[one] = {"get": _read("get_model", "One of them", schemas.of(models.Model), name="model")}
    said = "Every limit that applies to the caller, and what is used of it"
    paths[limits.PATH.decode()] = {"get": _read("get_limits", said, schemas.of(limits.LimitList))}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Inference-as-a-Service: gateway",
            "version": "1",
            "description": _ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": "gateway", "description": "What is served to those who hold a key."}],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "responses": {str(status): _refusal(status, schemas) for status in _REFUSALS},
            "headers": {name: {**told, "schema": {"type": "string"}} for name, told in _HEADERS.items()},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "An API key, `ias_…`."}},
        },
        "security": [{"key": []}],
    }


def written() -> bytes:
    """The same as JSON, indented: docs/gateway-openapi.json."""
    return msgspec.json.format(msgspec.json.encode(document()), indent=2) + b"\n"


def _body(endpoint: Endpoint) -> type:
    """What a route decodes its body into."""
    body: type = Transcription if endpoint.content_type != JSON else get_type_hints(endpoint.read)["return"]
    return Chat if body is ChatBody else body


def _proxied(path: str, endpoint: Endpoint, schemas: Schemas, body: type) -> Json:
    told = _TOLD[endpoint.name]
    streams = any(field.name == "stream" for field in msgspec.structs.fields(body))
    other = path != endpoint.name
    said = f"Another name of `{endpoint.name}`." if other else f"{told.summary}. The answer is the engine's."
    if streams:
        said += " With `stream: true` it comes as events, and a stream that breaks ends with an `error` event."
    answers: Json = {"application/json": {"schema": {"type": "object", "description": "As the engine answers."}}}
    if streams:
        answers["text/event-stream"] = {
            "schema": {"type": "string", "description": "Events, as the engine sends them."}
        }
    good: Json = {"description": "Done.", "headers": _headers("x-request-id", *_RATES), "content": answers}
    return {
        "tags": ["gateway"],
        "summary": told.summary + (f" ({path})" if other else ""),
        "description": said,
        "operationId": told.id + (path.replace("/", "_") if other else ""),
        "parameters": [],
        "requestBody": {"required": True, "content": _content(endpoint, schemas.of(body), told)},
        "responses": {"200": good} | {str(status): _reference(status) for status in _REFUSALS},
    }


def _content(endpoint: Endpoint, schema: Json, told: _Told) -> Json:
    if endpoint.content_type == JSON:
        return {"application/json": {"schema": schema, "example": told.example}}
    file: Json = {
        "type": "object",
        "properties": {"file": {"type": "string", "format": "binary"}},
        "required": ["file"],
    }
    return {"multipart/form-data": {"schema": {"allOf": [schema, file]}}}


def _read(id_: str, summary: str, schema: Json, name: str = "") -> Json:
    place = {"name": name, "in": "path", "required": True, "schema": {"type": "string"}, "description": "Its name."}
    good: Json = {
        "description": "Done.",
        "headers": _headers("x-request-id"),
        "content": {"application/json": {"schema": schema}},
    }
    return {
        "tags": ["gateway"],
        "summary": summary,
        "description": f"{summary}.",
        "operationId": id_,
        "parameters": [place] if name else [],
        "responses": {"200": good} | {str(status): _reference(status) for status in _OF_READING},
    }


def _refusal(status: int, schemas: Schemas) -> Json:
    names = ["x-request-id", *(("retry-after", "retry-after-ms", "x-should-retry") if status in _AGAIN else ())]
    return {
        "description": _REFUSALS[status],
        "headers": _headers(*names),
        "content": {"application/json": {"schema": schemas.of(errors.Envelope)}},
    }


def _headers(*names: str) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _reference(status: int) -> Json:
    return {"$ref": f"#/components/responses/{status}"}
