"""What a request comes to: prompts, how much to say to each, and how; and the outline that follows from it."""

import msgspec

from ias.dev.engine import answers, tokens
from ias.dev.engine.directives import Behaviour
from ias.dev.engine.engine import Engine
from ias.dev.engine.oracle import Written
from ias.dev.engine.outline import Outline
from ias.dev.engine.refusals import Refused
from ias.dev.engine.requests import Asked, Chat, Text
from ias.dev.engine.routes.admission import room
from ias.dev.engine.served import Generator

_THOUGHT = 8


class Order(msgspec.Struct, kw_only=True):
    """A request, read and admitted.

    Attributes:
        model: who answers.
        prompts: the ink of each prompt.
        limit: the output limit that was asked for.
        image_tokens: tokens of the prompt that are images.
    """

    asked: Asked
    model: Generator
    prompts: list[bytes]
    limit: int | None
    told: Behaviour
    image_tokens: int = 0

    @property
    def choices(self) -> int:
        """Choices a prompt.

        Raises:
            Refused: there would be none.
        """
        number = 1 if self.asked.n is None else self.asked.n
        if number < 1:
            raise Refused(400, f"n must be at least 1, got {number}.")
        return number


def outline(engine: Engine, order: Order, entry: Written) -> Outline:
    """The outline of a completion; its oracle entry and the prefix cache learn of it.

    Raises:
        Refused: it does not fit.
    """
    asked, told = order.asked, _thoughtful(order)
    sizes = [len(prompt) // tokens.BYTES_PER_TOKEN for prompt in order.prompts]
    rooms = [room(engine.context, size, order.limit) for size in sizes]
    said = tuple(
        answers.compose(asked, told, prompt, choice, most)
        for prompt, most in zip(order.prompts, rooms, strict=True)
        for choice in range(order.choices)
    )
    entry.model, entry.stream, entry.salt = order.model.name, bool(asked.stream), asked.cache_salt or ""
    found = [engine.cache.reuse(prompt, entry.salt) for prompt in order.prompts]
    options = asked.stream_options or {}
    include = bool(options.get("include_usage"))
    return Outline(
        chat=isinstance(asked, Chat),
        model=order.model.name,
        answers=said,
        prompts=tuple(size for size in sizes for _ in range(order.choices)),
        prompt_tokens=sum(sizes),
        cached_tokens=found[0][0] if told.cached is None else told.cached,
        created_tokens=found[0][1],
        image_tokens=order.image_tokens,
        include=include,
        continuous=include and bool(options.get("continuous_usage_stats")),
        top_logprobs=_top_logprobs(asked),
        echo=_echo(order),
        reasons=order.model.reasons or told.reasoning > 0,
        room=rooms[0],
        told=told,
    )


def _thoughtful(order: Order) -> Behaviour:
    if order.model.reasons and not order.told.reasoning:
        return msgspec.structs.replace(order.told, reasoning=_THOUGHT)
    return order.told


def _top_logprobs(asked: Asked) -> int | None:
    if isinstance(asked, Chat):
        return (asked.top_logprobs or 0) if asked.logprobs and asked.include_reasoning else None
    return asked.logprobs if isinstance(asked, Text) else None


def _echo(order: Order) -> tuple[bytes, ...]:
    if not isinstance(order.asked, Text) or not order.asked.echo:
        return ()
    return tuple(prompt for prompt in order.prompts for _ in range(order.choices))
