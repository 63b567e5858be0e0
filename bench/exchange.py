"""The bytes of a measurement: what clients ask, and what the engine answers, in the shapes of vLLM 0.32."""

import msgspec

from ias.dev.engine import shapes
from ias.dev.engine.shapes import Envelope, Usage

MODEL = "bench"
PATH = "/v1/chat/completions"
BURST_EVENTS = 66
"""A role, 64 tokens and `[DONE]`."""
PACE_S = 0.02
SMALL_BYTES = 600
LARGE_BYTES = 64 * 1024
WITH_USAGE = b'"continuous_usage_stats":true'
_BURST_TOKENS = BURST_EVENTS - 2
_CYCLE = 500
_PROMPT_TOKENS = 120
_WORD = " benchmark"

# Prompts begin with a mark that says how the engine answers; it survives every proxy.
UNARY = "[[unary]]"
BURST = "[[burst]]"
PACED = "[[paced]]"
BRIEF = "[[brief]]"
"""A paced stream that ends after a token."""
HUSH = "[[quiet]]"
"""No completion: the engine ends the streams that are open."""

_encode = msgspec.json.Encoder().encode


def request_body(mark: str, size: int = SMALL_BYTES) -> bytes:
    """A chat request of `size` bytes."""
    streamed = mark != UNARY
    empty = len(_body(mark, streamed=streamed))
    return _body(mark + "x" * (size - empty), streamed=streamed)


def unary_body() -> bytes:
    """A whole answer of some 600 bytes and more."""
    start: dict[str, object] = {"id": "chatcmpl-0", "created": 1_700_000_000, "model": MODEL}
    usage = shapes.final_usage(Usage(_PROMPT_TOKENS, 16), chat=True)
    return shapes.chat_body(start, [("benchmark", "stop")], usage)


def burst(*, usage: bool) -> list[bytes]:
    """The events of a burst; with `usage`, as the gateway asks for it, it is told on each and once more at the end."""
    words = [_envelope().token(0, _WORD, None, _running(place + 1, told=usage)) for place in range(_BURST_TOKENS)]
    final = [_envelope().final(Usage(_PROMPT_TOKENS, _BURST_TOKENS))] if usage else []
    return [opening(usage=usage), *words, *final, shapes.DONE]


def opening(*, usage: bool) -> bytes:
    """The first event of a stream."""
    return _envelope().role(0, _running(0, told=usage))


def paced(*, usage: bool) -> list[bytes]:
    """Token events of an endless stream, in turn."""
    return [_envelope().token(0, _WORD, None, _running(place + 1, told=usage)) for place in range(_CYCLE)]


def brief_end(*, usage: bool) -> bytes:
    """What follows the only token of a brief stream."""
    return (_envelope().final(Usage(_PROMPT_TOKENS, 1)) if usage else b"") + shapes.DONE


def _body(prompt: str, *, streamed: bool) -> bytes:
    options: dict[str, object] = {"model": MODEL, "max_tokens": 512, "temperature": 0.7}
    if streamed:
        options["stream"] = True
    return _encode({**options, "messages": [{"role": "user", "content": prompt}]})


def _envelope() -> Envelope:
    return Envelope("chatcmpl-0123456789abcdef", 1_700_000_000, MODEL, chat=True)


def _running(written: int, *, told: bool) -> bytes:
    return shapes.running_usage(Usage(_PROMPT_TOKENS, written)) if told else b""
