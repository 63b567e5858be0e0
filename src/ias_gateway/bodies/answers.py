"""Whole answers of engines, as far as they tell their tokens. Not compiled, as `usage` is not."""

from typing import Annotated

import msgspec

from ias_gateway.response_events import Response
from ias_gateway.scanner import Count
from ias_gateway.usage import Usage

Seconds = Annotated[float, msgspec.Meta(le=1e9)]


class Answer(msgspec.Struct):
    """What a completion, an embedding or a score says."""

    usage: Usage | None = None


class Duration(msgspec.Struct):
    """What a transcription says that it used: tokens or seconds."""

    seconds: Seconds | None = None
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None


class Transcript(msgspec.Struct):
    """What a transcription says."""

    usage: Duration | None = None
    duration: Seconds | None = None


decode_answer = msgspec.json.Decoder(Answer).decode
decode_response = msgspec.json.Decoder(Response).decode
decode_transcript = msgspec.json.Decoder(Transcript).decode
