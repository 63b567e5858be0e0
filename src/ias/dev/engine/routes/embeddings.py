"""`POST /v1/embeddings`."""

import base64
import struct
from time import time
from zlib import crc32

import msgspec

from ias.dev.engine import tokens
from ias.dev.engine.engine import Engine
from ias.dev.engine.oracle import Written
from ias.dev.engine.requests import Embeddings, decoder, read
from ias.dev.engine.routes.admission import admit, room, told_by
from ias.dev.engine.routes.prompts import inks
from ias.dev.engine.server import Connection

DIMENSIONS = 8
_SCALE = 1 << 16
_body = decoder(Embeddings)


def embed(engine: Engine, connection: Connection, entry: Written) -> None:
    """Answer at once: vectors that only depend on the input.

    Raises:
        Refused: it cannot be answered.
    """
    request = connection.request
    asked = read(request.body, request.content_type, _body)
    admit(engine.embedders, engine.models, asked.model)
    prompts = inks(asked.input)
    told = told_by(engine, tokens.text_of(tokens.ids(prompts[-1])) if prompts else "")
    used = 0
    for prompt in prompts:
        used += len(prompt) // tokens.BYTES_PER_TOKEN
        room(engine.context + 1, len(prompt) // tokens.BYTES_PER_TOKEN, None)
    number = asked.dimensions or DIMENSIONS
    data = [
        {"index": index, "object": "embedding", "embedding": _written(vector(prompt, number), asked.encoding_format)}
        for index, prompt in enumerate(prompts)
    ]
    shown = 0 if told.zero_usage else used
    usage = {"prompt_tokens": shown, "total_tokens": shown, "completion_tokens": 0}
    nothing = {"prompt_tokens_details": None, "completion_tokens_details": None}
    answer = {"id": f"embd-{request.request_id}", "object": "list", "created": int(time())}
    answer |= {"model": asked.model or engine.embedders[0], "data": data}
    if not told.no_usage:
        answer |= {"usage": usage | nothing}
    engine.metrics.prompt_tokens += used
    entry.prompt_tokens, entry.outcome, entry.ended_at = used, "finished", time()
    engine.oracle.end(entry)
    connection.answer(200, msgspec.json.encode(answer))


def vector(prompt: bytes, number: int) -> list[float]:
    """Numbers between -1 and 1 that are exact in 32 bits."""
    return [crc32(prompt, place) % (2 * _SCALE) / _SCALE - 1 for place in range(number)]


def _written(numbers: list[float], how: str | None) -> list[float] | str:
    if how != "base64":
        return numbers
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
