"""A transcription in one piece. As text it is JSON all the same: vLLM 0.32 tells `text` and `json` alike."""

import math
import zlib

import msgspec

from ias.dev.engine import logprobs, tokens
from ias.dev.engine.transcriptions.asked import Asked
from ias.dev.engine.transcriptions.heard import Heard, separator


def body(asked: Asked, heard: Heard, *, usage: bool) -> bytes:
    """The whole answer; a verbose one has no usage, and any other tells seconds instead of tokens."""
    texts = [b"".join(answer.pieces).decode() for answer in heard.said]
    text = separator(asked).join(texts)
    if asked.response_format == "verbose_json":
        segments = _segments(asked, heard, texts)
        told: dict[str, object] = {"duration": heard.length, "language": asked.spoken, "text": text}
        return msgspec.json.encode({**told, "segments": segments, "words": None})
    told = {"text": text}
    if usage:
        told["usage"] = {"type": "duration", "seconds": math.ceil(heard.length)}
    return msgspec.json.encode(told)


def _segments(asked: Asked, heard: Heard, texts: list[str]) -> list[dict[str, object]]:
    """One a clip, each of them the first of its clip."""
    found: list[dict[str, object]] = []
    start = 0.0
    for text, length in zip(texts, heard.clips, strict=True):
        raw = text.encode()
        found.append(
            {
                "id": 0,
                "avg_logprob": logprobs.CHOSEN,
                "compression_ratio": len(raw) / len(zlib.compress(raw)),
                "end": start + length,
                "no_speech_prob": None,
                "seek": int(start),
                "start": start,
                "temperature": asked.temperature,
                "text": text,
                "tokens": tokens.ids(tokens.ink(text)),
            }
        )
        start += length
    return found
