"""What an engine's whole answer reports of its tokens."""

import math
from typing import Final

from ias_gateway.bodies.answers import Duration, decode_answer, decode_response, decode_transcript
from ias_gateway.bodies.audio import TOKENS_PER_SECOND
from ias_gateway.choices import tokens_of
from ias_gateway.scanner import UNREADABLE, Tokens
from ias_gateway.usage import Usage

_KEY: Final = b'"usage":'
_COMMA: Final = ord(",")
_OPENING: Final = ord("{")
_answer: Final = decode_answer
_response: Final = decode_response
_transcript: Final = decode_transcript


def completion(answer: bytes) -> Tokens | None:
    """What a completion, an embedding or a score says, None where it says nothing.

    From the last `"usage":` on an answer is an object that lacks its opening, where that key is its own and not
    one deeper in it: then what stands before need not be decoded. No string can hold a comma and the key unescaped.
    """
    at = answer.rfind(_KEY)
    before = answer[at - 1] if at > 0 else 0
    own = before == _COMMA or before == _OPENING  # noqa: PLR1714 - for `in` compiled code makes a set
    usage = _usage(b"{" + answer[at:]) if own else None
    if usage is None:
        usage = _usage(answer)
    return tokens_of(usage) if usage is not None else None


def _usage(answer: bytes) -> Usage | None:
    try:
        return _answer(answer).usage
    except UNREADABLE:
        return None


def response(answer: bytes) -> Tokens | None:
    """What a response says."""
    try:
        usage = _response(answer).usage
    except UNREADABLE:
        return None
    return usage.tokens if usage is not None else None


def transcript(answer: bytes) -> Tokens | None:
    """What a transcription says: tokens or seconds of its usage, or else how long it was."""
    try:
        said = _transcript(answer)
    except UNREADABLE:
        return None
    usage = said.usage or Duration()
    prompt = usage.input_tokens if usage.prompt_tokens is None else usage.prompt_tokens
    if prompt is not None:
        return prompt, usage.output_tokens or usage.completion_tokens or 0, 0
    seconds = said.duration if usage.seconds is None else usage.seconds
    return None if seconds is None else (max(0, math.ceil(seconds)) * TOKENS_PER_SECOND, 0, 0)


def nothing(_answer: bytes) -> Tokens:
    """Tokenizers cost no tokens."""
    return 0, 0, 0
