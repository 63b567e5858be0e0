"""The event stream of a response without I/O: whole events pass as they are, the last one tells the usage."""

import re

import msgspec

from ias_gateway.errors import ApiError, Detail
from ias_gateway.scanner import UNREADABLE, Count, Tokens
from ias_gateway.sse import MAX_EVENT_BYTES, EventTooLong

_EVENT = re.compile(rb"^event: ?([^\r\n]*)", re.MULTILINE)
_DATA = re.compile(rb"^data: ?([^\r\n]*)", re.MULTILINE)
_ERROR = re.compile(rb'^(?:event: ?error\r?\n)?data: ?(\{"error":[^\r\n]*)', re.MULTILINE)
_ENDS = frozenset((b"response.completed", b"response.incomplete"))
_FAILS = frozenset((b"response.failed", b"error"))


class _InputDetails(msgspec.Struct):
    cached_tokens: Count | None = 0


class ResponseUsage(msgspec.Struct):
    """`usage` of a response."""

    input_tokens: Count = 0
    output_tokens: Count = 0
    input_tokens_details: _InputDetails | None = None

    @property
    def tokens(self) -> Tokens:
        """Prompt, completion, cached: no more than the prompt, whatever is reported."""
        details = self.input_tokens_details
        cached = (details.cached_tokens or 0) if details else 0
        return self.input_tokens, self.output_tokens, min(cached, self.input_tokens)


class Response(msgspec.Struct):
    """A response, as far as it is read."""

    usage: ResponseUsage | None = None


class _End(msgspec.Struct):
    response: Response | None = None


class ErrorEvent(msgspec.Struct, tag="error"):
    """OpenAI's error event. Its clients raise where there is an `error`, so that it is told in both ways."""

    sequence_number: int
    code: str | None
    message: str
    param: str | None
    error: Detail


_decode_end = msgspec.json.Decoder(_End).decode


class ResponseScanner:
    """Feed it the stream as it passes; read `tokens` at its end.

    vLLM tells no running usage here. `events` counts the deltas, of a token each unless they are bundled, and the end.
    """

    __slots__ = ("_rest", "_tokens", "done", "error", "events", "passed")

    def __init__(self) -> None:
        self.done = False
        self.error: bytes | None = None
        self.events = 0
        self.passed = 0
        """How many events have passed; OpenAI numbers them from 0."""
        self._rest = b""
        self._tokens: Tokens | None = None

    @property
    def tokens(self) -> Tokens | None:
        """Prompt, completion and cached tokens; None before the end."""
        return self._tokens

    def feed(self, data: bytes) -> bytes:
        """What of the stream may go on to the client now: whole events.

        Raises:
            EventTooLong: an event passes `MAX_EVENT_BYTES`.
        """
        whole = self._whole(data)
        if not whole or self.error is not None:
            return b""
        failed = _ERROR.search(whole)
        if failed is not None:
            self.error = failed[1]
            whole = whole[: failed.start()]
        for found in _EVENT.finditer(whole):
            if not self._note(found, whole):
                return whole[: found.start()]
        return whole

    def _note(self, found: re.Match[bytes], whole: bytes) -> bool:
        """Take in one event; answers whether it may pass."""
        name = found[1].rstrip()
        if name.endswith(b".delta"):
            self.events += 1
        elif name in _ENDS or name in _FAILS:
            data = _DATA.search(whole, found.end())
            said = data[1] if data else b""
            self._tokens = _tokens(said) or self._tokens
            if name in _FAILS:
                self.error = said
                return False
            self.events += 1
            self.done = True
        self.passed += 1
        return True

    def _whole(self, data: bytes) -> bytes:
        data = self._rest + data if self._rest else data
        bare, crlf = data.rfind(b"\n\n"), data.rfind(b"\r\n\r\n")
        end = max(bare + 2 if bare >= 0 else 0, crlf + 4 if crlf >= 0 else 0)
        self._rest = data[end:]
        if len(self._rest) > MAX_EVENT_BYTES:
            raise EventTooLong
        return data[:end]


def failure(error: ApiError, passed: int) -> bytes:
    """The last event of a stream of which so many passed before it broke."""
    detail = error.detail
    event = ErrorEvent(passed, detail.code, detail.message, detail.param, detail)
    return b"event: error\ndata: " + msgspec.json.encode(event) + b"\n\n"


def _tokens(data: bytes) -> Tokens | None:
    try:
        response = _decode_end(data).response
    except UNREADABLE:
        return None
    return response.usage.tokens if response is not None and response.usage is not None else None
