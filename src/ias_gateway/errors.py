"""Errors as OpenAI's clients read them: one object with message, type, param, code; and the engine's, translated."""

import re
from random import uniform

import msgspec

REASONS = {
    200: b"OK",
    400: b"Bad Request",
    401: b"Unauthorized",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    409: b"Conflict",
    413: b"Content Too Large",
    415: b"Unsupported Media Type",
    421: b"Misdirected Request",
    429: b"Too Many Requests",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
}
ENGINE_OVERLOADED = frozenset((429, 503))
ENGINE_REFUSES = frozenset((400, 404, 413, 422, 501))
_NOT_FOUND = 404
_ENGINES_PROMPT = "input_tokens"
"""What vLLM calls a prompt that is too long."""
_NOT_IMPLEMENTED = 501
_NO_SUCH_PATH = frozenset(("", "Not Found"))
_VALIDATION = re.compile(r"^\d+ validation errors?:.*?'msg': (?:'([^']*)'|\"([^\"]*)\")", re.DOTALL)
"""vLLM tells what its type checker said, with the client's own input in it: only the sentence is told on."""
_CONTEXT = re.compile(r"maximum (?:context|model) length|max_model_len|context length", re.IGNORECASE)


class ApiError(Exception):
    """What a caller is told instead of an answer.

    Args:
        status: HTTP status.
        message: one or two sentences that say what to do.
        kind: OpenAI's `type`.
        code: OpenAI's `code`, a string or None.
        param: the field that is to blame.
        headers: further response headers.
    """

    def __init__(  # noqa: PLR0913 - the four keys of the wire form, its status and its headers
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers
        self.detail = Detail(message=message, type=kind, param=param, code=code)

    @property
    def body(self) -> bytes:
        """The wire form."""
        return _encode(Envelope(error=self.detail))

    @property
    def event(self) -> bytes:
        """The wire form as the last event of a stream; `[DONE]` never follows it."""
        return b"data: " + self.body + b"\n\n"


class Detail(msgspec.Struct):
    """All four keys are always there."""

    message: str
    type: str
    param: str | None
    code: str | None


class Envelope(msgspec.Struct):
    """`{"error": {…}}`."""

    error: Detail


class _EngineDetail(msgspec.Struct):
    message: str = ""
    param: str | None = None


class _EngineEnvelope(msgspec.Struct):
    error: _EngineDetail | None = None
    message: str = ""


_encode = msgspec.json.Encoder().encode
_decode_engine = msgspec.json.Decoder(_EngineEnvelope).decode


def server_error(status: int, message: str, code: str, *, retry_after: float | None = None) -> ApiError:
    """A failure on this side of the door; `retry_after` is seconds, about which callers are told to come back."""
    headers = () if retry_after is None else _come_back(retry_after)
    return ApiError(status, message, kind="server_error", code=code, headers=headers)


def upstream_broke() -> ApiError:
    """The engine went away or answered what cannot be understood."""
    message = "The model server failed while it answered. Please try again."
    return server_error(502, message, "upstream_error", retry_after=1)


def upstream_timed_out() -> ApiError:
    """The engine took too long."""
    message = "The model server took too long to answer. Please try again."
    return server_error(504, message, "upstream_timeout", retry_after=1)


def overloaded() -> ApiError:
    """No replica can take the request now."""
    message = "The model is overloaded or starting. Please try again shortly."
    return server_error(503, message, "server_overloaded", retry_after=2)


def busy() -> ApiError:
    """This process has as much to do as it can."""
    message = "The service is overloaded at the moment. Please try again shortly."
    return server_error(503, message, "server_overloaded", retry_after=2)


def restarting() -> ApiError:
    """This process ends."""
    message = "The gateway had to end this request. Please try again."
    return server_error(503, message, "server_restarting", retry_after=1)


def not_ready() -> ApiError:
    """Admission cannot be decided now."""
    message = "The service cannot check your key and limits at the moment. Please try again shortly."
    return server_error(503, message, "not_ready", retry_after=1)


def _come_back(about_s: float) -> tuple[tuple[str, str], ...]:
    """When to try again, different for each caller: those who were refused together do not return together."""
    wait_ms = round(1000 * about_s * uniform(0.5, 1.5))  # noqa: S311 - no secret
    return ("retry-after", str(-(-wait_ms // 1000))), ("retry-after-ms", str(wait_ms))


def translate(status: int, body: bytes, names: tuple[str, str], prompt: str = "messages") -> ApiError:
    """The engine's error in OpenAI's shape.

    `names` is the engine's name of the model and the public one, `prompt` the field that the caller's prompt is in.
    """
    if status in ENGINE_OVERLOADED:
        return overloaded()
    if status == _NOT_IMPLEMENTED:
        return _unserved(names[1])
    if status not in ENGINE_REFUSES:
        return upstream_broke()
    try:
        envelope = _decode_engine(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return upstream_broke()
    detail = envelope.error or _EngineDetail(message=envelope.message)
    if status == _NOT_FOUND:
        # With an error, the engine does not know its own model; without one, it has no such path.
        return _unserved(names[1]) if detail.message in _NO_SUCH_PATH else upstream_broke()
    return _refused(detail, names, prompt)


def _unserved(model: str) -> ApiError:
    return ApiError(400, f"The model `{model}` does not serve this endpoint.", param="model")


def _refused(detail: _EngineDetail, names: tuple[str, str], prompt: str) -> ApiError:
    param = detail.param.removeprefix("body.") if detail.param else None
    if param == _ENGINES_PROMPT:
        param = prompt
    message = detail.message
    found = _VALIDATION.match(message)
    if found is not None:
        message = f"{param or 'The body'}: {found[1] or found[2] or 'the model server cannot read it'}."
    if names[0] != names[1]:
        message = message.replace(names[0], names[1])
    code = "context_length_exceeded" if _CONTEXT.search(message) else None
    return ApiError(400, message or "The model server refused the request.", code=code, param=param)
