"""The engine's port: which route answers what, and how a refusal is answered."""

from collections.abc import Callable
from time import time

from ias.dev.engine.engine import Engine
from ias.dev.engine.oracle import Written
from ias.dev.engine.refusals import NOT_FOUND, Refused
from ias.dev.engine.routes import completions, embeddings, ranking, responses, status, tokenizers, transcriptions
from ias.dev.engine.server import Connection

_NOT_ALLOWED = b'{"detail":"Method Not Allowed"}'
Route = Callable[[Engine, Connection], None]
_METERED: dict[str, Callable[[Engine, Connection, Written], None]] = {
    "/v1/chat/completions": completions.complete_chat,
    "/v1/completions": completions.complete_text,
    "/v1/responses": responses.respond,
    "/v1/audio/transcriptions": transcriptions.transcribe,
    "/v1/embeddings": embeddings.embed,
    "/rerank": ranking.rerank,
    "/v1/rerank": ranking.rerank,
    "/v2/rerank": ranking.rerank,
    "/score": ranking.score,
    "/v1/score": ranking.score,
}
_POSTED: dict[str, Route] = {
    "/tokenize": tokenizers.tokenize,
    "/detokenize": tokenizers.detokenize,
}
_GOT: dict[str, Route] = {
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
    elif (found := _found(path)) is None:
        connection.answer(404, NOT_FOUND)
    elif found[0] == method:
        _try(engine, connection, found[1])
    else:
        connection.answer(405, _NOT_ALLOWED, more=b"allow: %b\r\n" % found[0].encode())


def _found(path: str) -> tuple[str, Route] | None:
    """The method that a path takes, and what answers it without a line in the oracle."""
    if path in _GOT:
        return "GET", _GOT[path]
    if path in _POSTED or path in _METERED:
        return "POST", _POSTED.get(path, status.health)
    if path.startswith(f"{responses.PATH}/"):
        return "POST" if path.endswith("/cancel") else "GET", responses.fetch
    return None


def _meter(engine: Engine, connection: Connection) -> None:
    request = connection.request
    entry = Written(request_id=request.request_id, path=request.path, started_at=time())
    try:
        _METERED[request.path](engine, connection, entry)
    except Refused as refused:
        entry.outcome, entry.status, entry.ended_at = "refused", refused.status, time()
        engine.oracle.end(entry)
        connection.answer(refused.status, refused.body)


def _try(engine: Engine, connection: Connection, route: Route) -> None:
    try:
        route(engine, connection)
    except Refused as refused:
        connection.answer(refused.status, refused.body)
