"""What is served: completions, chats, embeddings, models, tokenizer, probes."""

from collections.abc import Callable

import msgspec

from ias.dev.engine import tokens
from ias.dev.engine.generation import Generation
from ias.dev.engine.requests import CHAT, EMBEDDINGS, TEXT, Asked
from ias.dev.engine.server import Connection
from ias.dev.engine.state import Engine

VERSION = "0.32.0+mock"
_PLAIN = b"text/plain; version=0.0.4; charset=utf-8"


class TokenizeBody(msgspec.Struct):
    """`POST /tokenize`."""

    prompt: str | None = None
    messages: list[msgspec.Raw] | None = None


class DetokenizeBody(msgspec.Struct):
    """`POST /detokenize`."""

    tokens: list[int]


def serve(engine: Engine, connection: Connection) -> None:
    """Answer one request."""
    path = connection.path
    if path in {CHAT, TEXT, EMBEDDINGS} and connection.method == b"POST":
        Generation(engine, connection).begin()
    elif path in _SMALL:
        try:
            body, kind = _SMALL[path](engine, connection)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            connection.refuse(400, str(error), "Bad Request")
        else:
            connection.answer(200, body, kind)
    else:
        connection.answer(404, b'{"detail":"Not Found"}')


def _models(engine: Engine, _: Connection) -> tuple[bytes, bytes]:
    data = [
        {"id": name, "object": "model", "created": 0, "owned_by": "vllm", "root": name, "max_model_len": engine.context}
        for name in engine.models
    ]
    return msgspec.json.encode({"object": "list", "data": data}), b"application/json"


def _metrics(engine: Engine, _: Connection) -> tuple[bytes, bytes]:
    return engine.metrics.exposition(engine.models, (engine.cache.queries, engine.cache.hits)), _PLAIN


def _tokenize(engine: Engine, connection: Connection) -> tuple[bytes, bytes]:
    asked = msgspec.json.decode(connection.body, type=TokenizeBody)
    if asked.messages is None:
        found = tokens.ids(asked.prompt or "")
        number = len(found)
    else:
        chat = msgspec.json.decode(connection.body, type=Asked) if b'"model"' in connection.body else None
        texts = chat or msgspec.convert({"model": "", "messages": _plain(connection.body)}, Asked)
        found, number = tokens.ids("".join(texts.prompts)), texts.prompt_tokens
    answer = {"count": number, "max_model_len": engine.context, "tokens": found, "token_strs": None}
    return msgspec.json.encode(answer), b"application/json"


def _plain(body: bytes) -> object:
    return msgspec.json.decode(body, type=dict[str, object]).get("messages")


def _detokenize(_: Engine, connection: Connection) -> tuple[bytes, bytes]:
    asked = msgspec.json.decode(connection.body, type=DetokenizeBody)
    return msgspec.json.encode({"prompt": tokens.text_of(asked.tokens)}), b"application/json"


def _load(engine: Engine, _: Connection) -> tuple[bytes, bytes]:
    return msgspec.json.encode({"server_load": engine.metrics.running}), b"application/json"


_SMALL: dict[str, Callable[[Engine, Connection], tuple[bytes, bytes]]] = {
    "/health": lambda _engine, _connection: (b"", b"application/json"),
    "/ping": lambda _engine, _connection: (b"", b"application/json"),
    "/version": lambda _engine, _connection: (b'{"version":"%b"}' % VERSION.encode(), b"application/json"),
    "/v1/models": _models,
    "/metrics": _metrics,
    "/tokenize": _tokenize,
    "/detokenize": _detokenize,
    "/load": _load,
}
