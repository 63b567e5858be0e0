"""What a request says, read as leniently as vLLM does: unknown fields are ignored, the last of two equal keys wins."""

import re
from typing import TypeVar

import msgspec

from ias.dev.engine.parts import Part
from ias.dev.engine.refusals import Refused, bad_body, bad_field

JSON_TYPE = b"application/json"
_AT = re.compile(r"^(.*) - at `\$(.*)`$", re.DOTALL)
_NO_TOOLS = (b"", b"null")
_MOST_LOGPROBS = 20
_Body = TypeVar("_Body", bound=msgspec.Struct)


class Called(msgspec.Struct):
    """A function as an earlier answer called it."""

    name: str = ""
    arguments: str | None = None


class ToolCall(msgspec.Struct):
    """A call in an earlier answer."""

    function: Called


class Message(msgspec.Struct):
    """A message of a chat."""

    role: str
    content: str | list[Part | str] | None = None
    tool_calls: list[ToolCall] | None = None


class Asked(msgspec.Struct, kw_only=True):
    """What chats and text completions share."""

    model: str | None = None
    stream: bool | None = None
    stream_options: dict[str, bool | None] | None = None
    max_tokens: int | None = None
    n: int | None = None
    stop: str | list[str] | None = None
    include_stop_str_in_output: bool | None = None
    ignore_eos: bool | None = None
    response_format: dict[str, object] | None = None
    cache_salt: str | None = None

    def checked(self) -> None:
        """What vLLM checks before it looks at the model.

        Raises:
            Refused: with its words.
        """
        if self.stream_options and not self.stream:
            raise bad_field("stream_options", "Stream options can only be defined when `stream=True`.")
        if self.cache_salt == "":
            raise bad_field("cache_salt", "Parameter 'cache_salt' must be a non-empty string if provided.")
        wanted = self.response_format or {}
        if wanted.get("type") == "json_schema" and not isinstance(wanted.get("json_schema"), dict):
            words = "When response_format type is 'json_schema', the 'json_schema' field must be provided."
            raise bad_field("response_format", words)


class Chat(Asked, kw_only=True):
    """`POST /v1/chat/completions`."""

    messages: list[Message]
    max_completion_tokens: int | None = None
    tools: msgspec.Raw = msgspec.Raw()
    tool_choice: str | dict[str, object] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: str | None = None
    include_reasoning: bool = True

    @property
    def thinks(self) -> bool:
        """Whether it may reason before it answers."""
        return self.reasoning_effort != "none"

    @property
    def tools_json(self) -> bytes:
        """The tools as they came, or nothing."""
        return tools_json(self.tools)

    def checked(self) -> None:
        super().checked()
        if self.tool_choice not in (None, "none", "auto") and not self.tools_json:
            raise bad_field("tool_choice", "When using `tool_choice`, `tools` must be set.")
        self._checked_logprobs()
        if self.tools_json.translate(None, b" \t\r\n") == b"[]":
            words = "must not be an empty array. Either provide at least one tool or omit the field entirely."
            raise bad_field("tools", f"`tools` {words}")

    def _checked_logprobs(self) -> None:
        top = self.top_logprobs or 0
        if top < 0:
            raise bad_field("top_logprobs", "`top_logprobs` must be a positive value or -1.", top)
        if top and not self.logprobs:
            raise bad_field("top_logprobs", "when using `top_logprobs`, `logprobs` must be set to true.")
        if top > _MOST_LOGPROBS:
            words = f"Requested sample logprobs of {top}, which is greater than max allowed: {_MOST_LOGPROBS}"
            raise bad_field("logprobs", words, top)


class Text(Asked, kw_only=True):
    """`POST /v1/completions`."""

    prompt: str | list[str | int | list[int]] | None = None
    echo: bool | None = None
    logprobs: int | None = None

    def checked(self) -> None:
        super().checked()
        if not self.prompt:
            raise bad_field("prompt", "Either prompt or prompt_embeds must be provided and non-empty.")


def tools_json(tools: msgspec.Raw) -> bytes:
    """A field that may be missing or null, as it came, or nothing."""
    raw = bytes(tools)
    return b"" if raw in _NO_TOOLS else raw


def decoder(body: type[_Body]) -> msgspec.json.Decoder[_Body]:
    """A decoder that takes "5" for 5, as vLLM does."""
    return msgspec.json.Decoder(body, strict=False)


def read(raw: bytes, content_type: bytes, decode: msgspec.json.Decoder[_Body]) -> _Body:
    """A body.

    Raises:
        Refused: it is not JSON, or does not fit.
    """
    if content_type.partition(b";")[0].strip().lower() != JSON_TYPE:
        message = "1 validation error:\n  Unsupported Media Type: Only 'application/json' is allowed"
        raise Refused(400, message, "Bad Request")
    if not raw:
        raise bad_body("body", "Field required", "missing")
    try:
        return decode.decode(raw)
    except msgspec.ValidationError as error:
        raise _misfit(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise bad_body("body", f"JSON decode error: {error}", "json_invalid") from None


def _misfit(message: str) -> Refused:
    found = _AT.match(message)
    words, place = (found[1], re.sub(r"\[(\d+)\]", r".\1", found[2])) if found else (message, "")
    missing = re.match(r"Object missing required field `(\w+)`", words)
    if missing:
        return bad_body(f"body{place}.{missing[1]}", "Field required", "missing")
    return bad_body(f"body{place}", words)
