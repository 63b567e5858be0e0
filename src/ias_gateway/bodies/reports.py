"""What an engine's whole answer reports of its tokens."""

import math
from typing import Annotated

import msgspec

from ias_gateway.bodies.audio import TOKENS_PER_SECOND
from ias_gateway.response_events import Response
from ias_gateway.scanner import UNREADABLE, Count, Tokens
from ias_gateway.usage import Usage

_KEY = b'"usage":'
_BEFORE = (b",", b"{")
Seconds = Annotated[float, msgspec.Meta(le=1e9)]


class _Answer(msgspec.Struct):
    usage: Usage | None = None


class _Duration(msgspec.Struct):
    seconds: Seconds | None = None
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None


class _Transcript(msgspec.Struct):
    usage: _Duration | None = None
    duration: Seconds | None = None


_decode = msgspec.json.Decoder(_Answer).decode
_decode_response = msgspec.json.Decoder(Response).decode
_decode_transcript = msgspec.json.Decoder(_Transcript).decode


def completion(answer: bytes) -> Tokens | None:
    """What a completion, an embedding or a score says, None where it says nothing.

    From the last `"usage":` on an answer is an object that lacks its opening, where that key is its own and not
    one deeper in it: then what stands before need not be decoded. No string can hold a comma and the key unescaped.
    """
    at = answer.rfind(_KEY)
    usage = _usage(b"{" + answer[at:]) if answer[at - 1 : at] in _BEFORE else None
    if usage is None:
        usage = _usage(answer)
    return usage.tokens if usage is not None else None


def _usage(answer: bytes) -> Usage | None:
    try:
        return _decode(answer).usage
    except UNREADABLE:
        return None


def response(answer: bytes) -> Tokens | None:
    """What a response says."""
    try:
        usage = _decode_response(answer).usage
    except UNREADABLE:
        return None
    return usage.tokens if usage is not None else None


def transcript(answer: bytes) -> Tokens | None:
    """What a transcription says: tokens or seconds of its usage, or else how long it was."""
    try:
        said = _decode_transcript(answer)
    except UNREADABLE:
        return None
    usage = said.usage or _Duration()
    prompt = usage.input_tokens if usage.prompt_tokens is None else usage.prompt_tokens
    if prompt is not None:
        return prompt, usage.output_tokens or usage.completion_tokens or 0, 0
    seconds = said.duration if usage.seconds is None else usage.seconds
    return None if seconds is None else (max(0, math.ceil(seconds)) * TOKENS_PER_SECOND, 0, 0)


def nothing(_answer: bytes) -> Tokens:
    """Tokenizers cost no tokens."""
    return 0, 0, 0
