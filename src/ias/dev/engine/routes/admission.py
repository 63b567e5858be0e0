"""What is checked before an answer is made: the model, the directive, the room in the context."""

from http import HTTPStatus

from ias.dev.engine.directives import BadDirective, Behaviour, behaviour
from ias.dev.engine.engine import Engine
from ias.dev.engine.refusals import NoSuchRoute, Refused, bad_field, told_to, unknown_model
from ias.dev.engine.served import Generator, Names


def writer(engine: Engine, name: str | None) -> Generator:
    """The model that writes under a name; none at all means the first.

    Raises:
        Refused: there is none of this name, or it does something else.
    """
    admit(engine, engine.served.generators, name)
    return engine.served.generator(name)


def admit(engine: Engine, names: Names, name: str | None) -> None:
    """Check a name against those that a route serves.

    Raises:
        Refused: there is none of this name, or it does something else.
    """
    if name and name not in names:
        raise NoSuchRoute if name in engine.served.names else unknown_model(name, names)


def admit_pooled(engine: Engine, names: Names, name: str | None) -> None:
    """Check a name as the routes of embeddings and of ranking do, which find out later and say less.

    Raises:
        Refused: there is none of this name, or it does something else.
    """
    if name and name not in names:
        if name in engine.served.names:
            raise NoSuchRoute
        raise Refused(404, f"The model `{name}` does not exist.", "NotFoundError")


def told_by(engine: Engine, text: str) -> Behaviour:
    """How to behave for a request with this text.

    Raises:
        Refused: the directive is bad, or says to refuse.
    """
    try:
        told = behaviour(text, engine.settings)
    except BadDirective as error:
        raise Refused(400, str(error)) from None
    if told.status != HTTPStatus.OK:
        raise told_to(told.status)
    return told


def room(context: int, prompt: int, limit: int | None) -> int:
    """Tokens that an answer may have: what was asked for, or what the context leaves.

    Raises:
        Refused: the prompt leaves none.
    """
    fits(context, prompt)
    if prompt == context:
        raise bad_field("max_tokens", "max_tokens must be at least 1, got 0.", 0)
    return context - prompt if limit is None else min(limit, context - prompt)


def fits(context: int, prompt: int) -> None:
    """Check the length of a prompt.

    Raises:
        Refused: it is longer than the context.
    """
    if prompt > context:
        message = (
            f"This model's maximum context length is {context} tokens. However, your prompt contains at least "
            f"{context + 1} input tokens, which exceeds this limit even without any output tokens. "
            "Please reduce the length of the input prompt."
        )
        raise bad_field("input_tokens", message, context + 1)
