"""`/v1/responses`, of a vLLM that was started without a store: nothing is kept, so nothing can be fetched."""

import random
from functools import partial

from ias.dev.engine.answers import checked_limit
from ias.dev.engine.engine import Engine
from ias.dev.engine.generation import Generation
from ias.dev.engine.manner import Manner
from ias.dev.engine.oracle import Written
from ias.dev.engine.refusals import Refused
from ias.dev.engine.requests import decoder, read
from ias.dev.engine.responses.asked import Asked, not_found
from ias.dev.engine.responses.body import body
from ias.dev.engine.responses.script import Script
from ias.dev.engine.routes.admission import writer
from ias.dev.engine.routes.completions import chat_order
from ias.dev.engine.routes.orders import outline
from ias.dev.engine.server import Connection
from ias.dev.engine.tokens import BYTES_PER_TOKEN

PATH = "/v1/responses"
_body = decoder(Asked)


def respond(engine: Engine, connection: Connection, entry: Written) -> None:
    """Answer.

    Raises:
        Refused: it cannot be answered.
    """
    asked = read(connection.request.body, connection.request.content_type, _body)
    asked.checked()
    writer(engine, asked.model)
    asked.stored()
    order = chat_order(engine, asked.chat())
    if asked.max_output_tokens is not None:
        order.limit = checked_limit("max_output_tokens", asked.max_output_tokens, engine.context)
    if len(order.prompts[0]) // BYTES_PER_TOKEN == engine.context:
        raise _full(engine.context)
    manner = Manner(
        identity=lambda _: asked.request_id or f"resp_{random.getrandbits(64):016x}",
        body=partial(body, asked),
        script=partial(Script, asked),
    )
    Generation(engine, connection, outline(engine, order, entry), entry, manner).begin()


def fetch(_engine: Engine, connection: Connection) -> None:
    """`GET /v1/responses/{id}` and `POST /v1/responses/{id}/cancel`: no response is kept.

    Raises:
        Refused: always.
    """
    raise not_found(connection.request.path.removeprefix(f"{PATH}/").removesuffix("/cancel"))


def _full(context: int) -> Refused:
    """The prompt leaves no room for an answer."""
    message = f"The engine prompt length {context} exceeds the max_model_len {context}. Please reduce prompt."
    return Refused(400, message, "invalid_request_error", "input")
