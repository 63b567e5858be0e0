"""What a request says, read as leniently as vLLM does: unknown fields are ignored, the last of two keys wins."""

from typing import cast

import msgspec

from ias.dev.engine import tokens

CHAT = "/v1/chat/completions"
TEXT = "/v1/completions"
EMBEDDINGS = "/v1/embeddings"
DEFAULT_MAX_TOKENS = 16


class Refused(Exception):
    """The request is refused as vLLM would: HTTP status, text, its `type`, and the field."""

    def __init__(self, status: int, message: str, kind: str = "BadRequestError", param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.kind, self.param = status, message, kind, param


class StreamOptions(msgspec.Struct):
    """Which usage a stream reports."""

    include_usage: bool = False
    continuous_usage_stats: bool = False


class Message(msgspec.Struct):
    """One message of a chat."""

    role: str
    content: str | list[dict[str, object]] | None = None

    @property
    def text(self) -> str:
        """Its text, parts joined."""
        if isinstance(self.content, list):
            return "".join(cast("str", part.get("text") or "") for part in self.content)
        return self.content or ""


class Asked(msgspec.Struct, kw_only=True):
    """The fields that the mock engine looks at."""

    model: str
    messages: list[Message] | None = None
    prompt: str | list[str | int | list[int]] | None = None
    input: str | list[str | int | list[int]] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    n: int | None = None
    tools: list[object] | None = None
    cache_salt: str | None = None
    dimensions: int | None = None

    @property
    def limit(self) -> int | None:
        """The output limit."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def prompts(self) -> list[str]:
        """The prompts as text; a chat is one."""
        if self.messages is not None:
            return ["".join(f"{message.role}\n{message.text}\n" for message in self.messages)]
        given = self.prompt if self.prompt is not None else self.input
        if given is None or isinstance(given, str):
            return [given or ""]
        if given and isinstance(given[0], int):
            return [" ".join(map(str, given))]
        return [one if isinstance(one, str) else " ".join(map(str, cast("list[int]", one))) for one in given]

    @property
    def last_text(self) -> str:
        """Where a directive is looked for."""
        if self.messages:
            return next((message.text for message in reversed(self.messages) if message.role == "user"), "")
        return self.prompts[-1] if self.prompts else ""

    @property
    def prompt_tokens(self) -> int:
        """Tokens of all prompts."""
        if self.messages is not None:
            text = sum(tokens.count(message.text) + tokens.PER_MESSAGE for message in self.messages)
            tools = tokens.count(msgspec.json.encode(self.tools).decode()) if self.tools else 0
            return text + tools + tokens.PRIMING
        given = self.prompt if self.prompt is not None else self.input
        if isinstance(given, list) and given and not isinstance(given[0], str):
            return sum(len(one) if isinstance(one, list) else 1 for one in given)
        return sum(tokens.count(prompt) for prompt in self.prompts)


_decode = msgspec.json.Decoder(Asked).decode


def read(path: str, raw: bytes, models: tuple[str, ...], context: int) -> Asked:
    """A request, checked as vLLM checks it.

    Raises:
        Refused: with vLLM's status, words and type.
    """
    try:
        asked = _decode(raw)
    except msgspec.ValidationError as error:
        raise Refused(400, str(error), "Bad Request") from None
    except msgspec.DecodeError as error:
        raise Refused(400, f"JSON decode error: {error}", "Bad Request") from None
    if asked.model not in models:
        raise Refused(404, f"The model `{asked.model}` does not exist.", "NotFoundError", "model")
    if asked.stream_options is not None and not asked.stream:
        raise Refused(400, "Stream options can only be defined when `stream=True`.", param="stream_options")
    limit = asked.limit or 0
    if path != EMBEDDINGS and asked.prompt_tokens + max(limit, 1) > context:
        message = (
            f"This model's maximum context length is {context} tokens. However, you requested {limit} output tokens "
            f"and your prompt contains {asked.prompt_tokens} input tokens. Please reduce the length of either one."
        )
        raise Refused(400, message, param="max_tokens" if limit else "input_tokens")
    return asked
