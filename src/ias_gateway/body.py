"""The strict request body: decoded fully typed, and rebuilt for the engine from what was decoded.

An unknown field is refused by name. Only the rebuilt body travels, so gateway and engine cannot disagree about what a
request says.
"""

import re

import msgspec

from ias.contract.admission import NO_OUTPUT, NOT_ASKED, Ask
from ias_gateway.fields import Body, ChatBody, EmbeddingsBody, Message, Prompts, StreamOptions, TextBody

MESSAGE_OVERHEAD = 8
"""Tokens a chat template may add to a message, in the strict bound of a prompt."""
MAX_N = 128
BEGINNING_BYTES = 512
MAX_OUTPUT = 2**31 - 1
"""More than any engine's context; the Function library counts in doubles, and estimates must stay exact."""
UNUSED = (
    *("store", "metadata", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"),
    *("prompt_cache_options", "moderation", "modalities", "audio", "prediction", "verbosity", "web_search_options"),
    *("functions", "function_call"),
)
"""Fields of OpenAI's chat request that vLLM has no use for: accepted, and left out of what travels."""

_encode = msgspec.json.Encoder().encode
_DECODERS: dict[str, msgspec.json.Decoder[ChatBody | TextBody | EmbeddingsBody]] = {
    "/v1/chat/completions": msgspec.json.Decoder(ChatBody),
    "/v1/completions": msgspec.json.Decoder(TextBody),
    "/v1/embeddings": msgspec.json.Decoder(EmbeddingsBody),
}
ENDPOINTS = tuple(_DECODERS)
_UNKNOWN = re.compile(r"unknown field `([^`]*)`(?: - at `\$\.?([^`]*)`)?")
_MISSING = re.compile(r"missing required field `([^`]*)`(?: - at `\$\.?([^`]*)`)?")
_PLACE = re.compile(r" - at `\$\.?([^`]*)`")


class BadBody(Exception):
    """The body is refused; `param` names the field where one is to blame."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


def read(endpoint: str, raw: bytes) -> Body:
    """The body of a request to `endpoint`.

    Raises:
        BadBody: it is not JSON, or a field is unknown, missing, of the wrong type or out of range.
    """
    try:
        body = _DECODERS[endpoint].decode(raw)
    except msgspec.ValidationError as error:
        raise _explain(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadBody(f"We could not parse the JSON body of your request: {error}.") from None
    except RecursionError:
        raise BadBody("The JSON body of your request is nested too deeply.") from None
    if not isinstance(body, EmbeddingsBody):
        _check(body)
    return body


def ask(endpoint: str, body: Body) -> Ask:
    """What the request wants to hold: a strict upper bound of its prompt, and its output limit."""
    if isinstance(body, EmbeddingsBody):
        return Ask(body.model, _prompts(body.input)[0], 1, NO_OUTPUT, endpoint, streamed=False)
    streamed = bool(body.stream)
    if isinstance(body, ChatBody):
        limit = body.max_completion_tokens or body.max_tokens or NOT_ASKED
        return Ask(body.model, _chat_bound(body), body.n or 1, limit, endpoint, streamed)
    prompt, count = _prompts(body.prompt)
    n = count * max(body.n or 1, body.best_of or 1)
    return Ask(body.model, prompt, n, body.max_tokens or NOT_ASKED, endpoint, streamed)


def rebuild(body: Body, upstream_name: str, output: int, salt: str | None) -> bytes:
    """The body for the engine: its name of the model, the output limit granted, running usage on streams."""
    body.model = upstream_name
    if isinstance(body, EmbeddingsBody):
        body.user = None
        return _encode(body)
    body.user = None
    if isinstance(body, ChatBody):
        for name in UNUSED:
            setattr(body, name, None)
        body.max_tokens, body.max_completion_tokens = None, output
    else:
        body.max_tokens = output
    body.stream_options = StreamOptions(include_usage=True, continuous_usage_stats=True) if body.stream else None
    encoded = _encode(body)
    return encoded if salt is None else b'%b,"cache_salt":"%b"}' % (encoded[:-1], salt.encode())


def wants_usage(body: Body) -> tuple[bool, bool]:
    """Whether the client of a stream asked for usage at its end, and for running usage."""
    options = None if isinstance(body, EmbeddingsBody) else body.stream_options
    if options is None or not options.include_usage:
        return False, False
    return True, bool(options.continuous_usage_stats)


def beginning(body: Body) -> bytes:
    """The beginning of the prompt, up to `BEGINNING_BYTES`: requests that share it share a prefix cache."""
    if isinstance(body, ChatBody):
        first = body.messages[0].content
        given: object = first if isinstance(first, str) else [part.text for part in first or ()]
        if len(body.messages) > 1 and isinstance(given, str) and len(given) < BEGINNING_BYTES:
            second = body.messages[1].content
            given += second if isinstance(second, str) else ""
    else:
        given = body.input if isinstance(body, EmbeddingsBody) else body.prompt
    return given[:BEGINNING_BYTES].encode() if isinstance(given, str) else _encode(given)[:BEGINNING_BYTES]


def _check(body: ChatBody | TextBody) -> None:
    limits = [("max_tokens", body.max_tokens, MAX_OUTPUT), ("n", body.n, MAX_N)]
    if isinstance(body, ChatBody):
        limits.append(("max_completion_tokens", body.max_completion_tokens, MAX_OUTPUT))
        if not body.messages:
            raise BadBody("messages: give at least one message.", "messages")
    else:
        limits.append(("best_of", body.best_of, MAX_N))
    for name, value, most in limits:
        if value is not None and not 1 <= value <= most:
            raise BadBody(f"{name}: must be from 1 to {most}, not {value}.", name)
    if body.stream_options is not None and not body.stream:
        raise BadBody("stream_options: only allowed when stream is true.", "stream_options")


def _chat_bound(body: ChatBody) -> int:
    bound = sum(map(_message_bound, body.messages))
    if body.tools:
        bound += len(_encode(body.tools))
    # A template may print what it is given.
    return bound + len(_encode(body.chat_template_kwargs)) if body.chat_template_kwargs else bound


def _message_bound(message: Message) -> int:
    bound = MESSAGE_OVERHEAD
    content = message.content
    if isinstance(content, str):
        bound += _size(content)
    elif content is not None:
        bound += sum(_size(part.text or "") + _size(part.refusal or "") for part in content)
    return bound + _extras_bound(message)


def _extras_bound(message: Message) -> int:
    texts = (message.name, message.refusal, message.reasoning, message.reasoning_content, message.tool_call_id)
    bound = sum(_size(text) for text in texts if text)
    if message.tool_calls:
        bound += len(_encode(message.tool_calls))
    return bound + len(_encode(message.function_call)) if message.function_call else bound


def _prompts(given: Prompts) -> tuple[int, int]:
    """Upper bound of tokens, and how many prompts there are."""
    if isinstance(given, str):
        return _size(given), 1
    if not given:
        raise BadBody("prompt: give at least one prompt.", "prompt")
    if len({type(one) for one in given}) > 1:
        raise BadBody("prompt: give texts, or tokens, or lists of tokens, not a mixture.", "prompt")
    return sum(map(_prompt_bound, given)), 1 if isinstance(given[0], int) else len(given)


def _prompt_bound(prompt: str | int | list[int]) -> int:
    if isinstance(prompt, str):
        return _size(prompt)
    return len(prompt) if isinstance(prompt, list) else 1


def _size(text: str) -> int:
    """Bytes of UTF-8: no byte-level tokenizer makes more tokens than that."""
    return len(text) if text.isascii() else len(text.encode())


def _explain(error: str) -> BadBody:
    """Say msgspec's message in words that name the field."""
    for pattern, verb in ((_UNKNOWN, "is not a field of this request"), (_MISSING, "is required")):
        found = pattern.search(error)
        if found:
            param = f"{found[2]}.{found[1]}" if found[2] else found[1]
            return BadBody(f"{param}: {verb}.", param)
    place = _PLACE.search(error)
    return BadBody(f"{place[1]}: {error[: place.start()]}." if place else f"{error}.", place[1] if place else None)
