"""`POST /v1/embeddings`."""

import base64
import struct
from time import time
from zlib import crc32

import msgspec

from ias.dev.engine import tokens
from ias.dev.engine.engine import Engine
from ias.dev.engine.oracle import Written
from ias.dev.engine.pooled import Pooled
from ias.dev.engine.refusals import Refused
from ias.dev.engine.requests import decoder, read
from ias.dev.engine.routes.admission import admit_pooled, fits, told_by
from ias.dev.engine.routes.prompts import Given, inks
from ias.dev.engine.server import Connection
from ias.dev.engine.shapes import pooled_usage

DIMENSIONS = 8
_SCALE = 1 << 16


class Embeddings(msgspec.Struct, kw_only=True):
    """The body."""

    model: str | None = None
    input: Given
    dimensions: int | None = None
    encoding_format: str | None = None


_body = decoder(Embeddings)


def embed(engine: Engine, connection: Connection, entry: Written) -> None:
    """Answer with vectors that only depend on the input.

    Raises:
        Refused: it cannot be answered.
    """
    request, names = connection.request, engine.served.embedding
    asked = read(request.body, request.content_type, _body)
    admit_pooled(engine, names, asked.model)
    if not asked.input and isinstance(asked.input, list):
        raise Refused(400, "You must pass at least one prompt")
    prompts = inks(asked.input)
    told = told_by(engine, tokens.text_of(tokens.ids(prompts[-1])))
    sizes = [len(prompt) // tokens.BYTES_PER_TOKEN for prompt in prompts]
    for size in sizes:
        fits(engine.context, size)
    number = asked.dimensions or DIMENSIONS
    data = [
        {"index": index, "object": "embedding", "embedding": _written(vector(prompt, number), asked.encoding_format)}
        for index, prompt in enumerate(prompts)
    ]
    answer = {"id": f"embd-{request.request_id}", "object": "list", "created": int(time())}
    answer |= {"model": names[0], "data": data}
    if not told.no_usage:
        answer |= {"usage": pooled_usage(0 if told.zero_usage else sum(sizes))}
    entry.model = names[0]
    Pooled(engine, connection, entry, told, sum(sizes)).begin(msgspec.json.encode(answer))


def vector(prompt: bytes, number: int) -> list[float]:
    """Numbers between -1 and 1 that are exact in 32 bits."""
    return [crc32(prompt, place) % (2 * _SCALE) / _SCALE - 1 for place in range(number)]


def _written(numbers: list[float], how: str | None) -> list[float] | str:
    if how != "base64":
        return numbers
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
