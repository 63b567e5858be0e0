"""`POST /v1/chat/completions` and `/v1/completions`."""

import msgspec

from ias.dev.engine import answers, tokens
from ias.dev.engine.directives import Behaviour
from ias.dev.engine.engine import Engine
from ias.dev.engine.generation import Generation
from ias.dev.engine.oracle import Written
from ias.dev.engine.outline import Outline
from ias.dev.engine.refusals import Refused
from ias.dev.engine.requests import Asked, Chat, Text, decoder, read
from ias.dev.engine.routes.admission import admit, room, told_by
from ias.dev.engine.routes.prompts import inks, last_of_user, spoken
from ias.dev.engine.server import Connection

_DEFAULT_TEXT_LIMIT = 16
_chat = decoder(Chat)
_text = decoder(Text)


class _Order(msgspec.Struct):
    """What a request comes to: prompts as ink, how much to say to each, and how."""

    asked: Asked
    prompts: list[bytes]
    limit: int | None
    told: Behaviour

    @property
    def choices(self) -> int:
        number = 1 if self.asked.n is None else self.asked.n
        if number < 1:
            raise Refused(400, f"n must be at least 1, got {number}.")
        return number


def complete_chat(engine: Engine, connection: Connection, entry: Written) -> None:
    """Answer a chat.

    Raises:
        Refused: it cannot be answered.
    """
    asked = read(connection.request.body, connection.request.content_type, _chat)
    asked.checked()
    admit(engine.models, engine.embedders, asked.model)
    limit = answers.limit_of(asked, engine.context)
    said = spoken(asked.messages)
    told = told_by(engine, last_of_user(said))
    order = _Order(asked, [tokens.chat_ink(said, asked.tools_json)], limit, told)
    Generation(engine, connection, _outline(engine, order, entry), entry).begin()


def complete_text(engine: Engine, connection: Connection, entry: Written) -> None:
    """Answer a text completion.

    Raises:
        Refused: it cannot be answered.
    """
    asked = read(connection.request.body, connection.request.content_type, _text)
    asked.checked()
    admit(engine.models, engine.embedders, asked.model)
    limit = answers.limit_of(asked, engine.context) or _DEFAULT_TEXT_LIMIT
    prompts = inks(asked.prompt or "")
    told = told_by(engine, tokens.text_of(tokens.ids(prompts[-1])))
    order = _Order(asked, prompts, limit, told)
    Generation(engine, connection, _outline(engine, order, entry), entry).begin()


def _outline(engine: Engine, order: _Order, entry: Written) -> Outline:
    asked, told = order.asked, order.told
    sizes = [len(prompt) // tokens.BYTES_PER_TOKEN for prompt in order.prompts]
    rooms = [room(engine.context, size, order.limit) for size in sizes]
    said = tuple(
        answers.compose(asked, told, prompt, choice, most)
        for prompt, most in zip(order.prompts, rooms, strict=True)
        for choice in range(order.choices)
    )
    entry.model, entry.stream, entry.salt = engine.models[0], bool(asked.stream), asked.cache_salt or ""
    found = [engine.cache.reuse(prompt, entry.salt) for prompt in order.prompts]
    options = asked.stream_options or {}
    include = bool(options.get("include_usage"))
    return Outline(
        chat=isinstance(asked, Chat),
        model=engine.models[0],
        answers=said,
        prompts=tuple(size for size in sizes for _ in range(order.choices)),
        prompt_tokens=sum(sizes),
        cached_tokens=found[0][0] if told.cached is None else told.cached,
        created_tokens=found[0][1],
        include=include,
        continuous=include and bool(options.get("continuous_usage_stats")),
        top_logprobs=_top_logprobs(asked),
        echo=_echo(order),
        told=told,
    )


def _top_logprobs(asked: Asked) -> int | None:
    if isinstance(asked, Chat):
        return (asked.top_logprobs or 0) if asked.logprobs else None
    return asked.logprobs if isinstance(asked, Text) else None


def _echo(order: _Order) -> tuple[bytes, ...]:
    if not isinstance(order.asked, Text) or not order.asked.echo:
        return ()
    return tuple(prompt for prompt in order.prompts for _ in range(order.choices))
