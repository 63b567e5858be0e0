"""The engine's port: which route answers what, and how a refusal is answered."""

from collections.abc import Callable
from time import time

from ias.dev.engine.engine import Engine
from ias.dev.engine.oracle import Written
from ias.dev.engine.refusals import NOT_FOUND, Refused
from ias.dev.engine.routes import completions, embeddings, status, tokenizers
from ias.dev.engine.server import Connection

_NOT_ALLOWED = b'{"detail":"Method Not Allowed"}'
_METERED: dict[str, Callable[[Engine, Connection, Written], None]] = {
    "/v1/chat/completions": completions.complete_chat,
    "/v1/completions": completions.complete_text,
    "/v1/embeddings": embeddings.embed,
}
_POSTED: dict[str, Callable[[Engine, Connection], None]] = {
    "/tokenize": tokenizers.tokenize,
    "/detokenize": tokenizers.detokenize,
}
_GOT: dict[str, Callable[[Engine, Connection], None]] = {
    "/v1/models": status.models,
    "/health": status.health,
    "/ping": status.health,
    "/load": status.load,
    "/version": status.version,
    "/metrics": status.exposition,
}


def serve(engine: Engine, connection: Connection) -> None:
    """Answer one request."""
    method, path = connection.request.method, connection.request.path
    if method == "POST" and path in _METERED:
        _meter(engine, connection)
    elif method == "POST" and path in _POSTED:
        _try(engine, connection, _POSTED[path])
    elif method == "GET" and path in _GOT:
        _GOT[path](engine, connection)
    elif path in _GOT:
        connection.answer(405, _NOT_ALLOWED, more=b"allow: GET\r\n")
    elif path in _METERED or path in _POSTED:
        connection.answer(405, _NOT_ALLOWED, more=b"allow: POST\r\n")
    else:
        connection.answer(404, NOT_FOUND)


def _meter(engine: Engine, connection: Connection) -> None:
    request = connection.request
    entry = Written(request_id=request.request_id, path=request.path, started_at=time())
    try:
        _METERED[request.path](engine, connection, entry)
    except Refused as refused:
        entry.outcome, entry.status, entry.ended_at = "refused", refused.status, time()
        engine.oracle.end(entry)
        connection.answer(refused.status, refused.body)


def _try(engine: Engine, connection: Connection, route: Callable[[Engine, Connection], None]) -> None:
    try:
        route(engine, connection)
    except Refused as refused:
        connection.answer(refused.status, refused.body)
