"""Which path takes which body, how its stream is read, and what of it is charged."""

from collections.abc import Callable
from typing import Final

from ias_gateway import response_events
from ias_gateway.bodies import chat, embeddings, form, pooling, reports, responses, text, tokenizers, transcriptions
from ias_gateway.bodies.body import Body
from ias_gateway.errors import ApiError
from ias_gateway.response_events import ResponseScanner
from ias_gateway.scanner import Scanner, Tokens
from ias_gateway.sse import UsageScanner

JSON = b"application/json"


def _scan_completion(wanted: tuple[bool, bool], choices: int, prompts: int) -> Scanner:
    return UsageScanner(include_usage=wanted[0], continuous=wanted[1], choices=choices, prompts=prompts)


def _failed(error: ApiError, scanner: Scanner | None) -> bytes:  # noqa: ARG001 - where events are numbered it is needed
    return error.event


class Endpoint:
    """One path of the API that is proxied to an engine.

    Attributes:
        path: the engine's path.
        name: the same as text, for ledger lines and metrics.
        read: decodes a body, or raises BadBody.
        reported: the tokens that a whole answer reports, None where it does not.
        scanner: reads a stream, given what usage the client wants, and how many choices and prompts there are.
        failure: the last event of a stream that broke.
        content_type: of the body for the engine.
        prompt: the field that the prompt is in.
    """

    __slots__ = ("content_type", "failure", "name", "path", "prompt", "read", "reported", "scanner")

    def __init__(  # noqa: PLR0913 - what differs between endpoints
        self,
        path: bytes,
        read: Callable[[bytes], Body],
        *,
        reported: Callable[[bytes], Tokens | None] = reports.completion,
        scanner: Callable[[tuple[bool, bool], int, int], Scanner] = _scan_completion,
        failure: Callable[[ApiError, Scanner | None], bytes] = _failed,
        content_type: bytes = JSON,
        prompt: str = "messages",
    ) -> None:
        self.path = path
        self.name = path.decode()
        self.read = read
        self.reported = reported
        self.scanner = scanner
        self.failure = failure
        self.content_type = content_type
        self.prompt = prompt


def _scan_response(wanted: tuple[bool, bool], choices: int, prompts: int) -> Scanner:  # noqa: ARG001 - one choice, its usage at its end
    return ResponseScanner()


def _response_failed(error: ApiError, scanner: Scanner | None) -> bytes:
    return response_events.failure(error, scanner.passed if isinstance(scanner, ResponseScanner) else 0)


_CHAT = Endpoint(b"/v1/chat/completions", chat.read)
_RERANK = Endpoint(b"/v1/rerank", pooling.read_rerank, prompt="documents")
_SCORE = Endpoint(b"/v1/score", pooling.read_score, prompt="data_1")
_ALL = (
    _CHAT,
    Endpoint(b"/v1/completions", text.read, prompt="prompt"),
    Endpoint(b"/v1/embeddings", embeddings.read, prompt="input"),
    Endpoint(
        b"/v1/responses",
        responses.read,
        reported=reports.response,
        scanner=_scan_response,
        failure=_response_failed,
        prompt="input",
    ),
    _RERANK,
    _SCORE,
    Endpoint(b"/tokenize", tokenizers.read_tokenize, reported=reports.nothing),
    Endpoint(b"/detokenize", tokenizers.read_detokenize, reported=reports.nothing),
    Endpoint(
        b"/v1/audio/transcriptions",
        transcriptions.read,
        reported=reports.transcript,
        content_type=form.CONTENT_TYPE,
    ),
)
BY_PATH: Final = {endpoint.path: endpoint for endpoint in _ALL} | {
    b"/rerank": _RERANK,
    b"/v2/rerank": _RERANK,
    b"/score": _SCORE,
}
"""Paths as clients call them; the last ones are vLLM's other names."""
