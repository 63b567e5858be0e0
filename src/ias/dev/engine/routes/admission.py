"""What is checked before an answer is made: the model, the directive, the room in the context."""

from http import HTTPStatus

from ias.dev.engine.directives import BadDirective, Behaviour, behaviour
from ias.dev.engine.engine import Engine
from ias.dev.engine.refusals import NoSuchRoute, Refused, bad_field, told_to, unknown_model


def admit(served: tuple[str, ...], elsewhere: tuple[str, ...], model: str | None) -> None:
    """Check a model's name; none at all means the first that is served.

    Raises:
        Refused: there is none of this name, or it does something else.
    """
    if model and model not in served:
        raise NoSuchRoute if model in elsewhere else unknown_model(model, served)


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
    if prompt > context:
        message = (
            f"This model's maximum context length is {context} tokens. However, your prompt contains at least "
            f"{context + 1} input tokens, which exceeds this limit even without any output tokens. "
            "Please reduce the length of the input prompt."
        )
        raise bad_field("input_tokens", message, context + 1)
    if prompt == context:
        raise bad_field("max_tokens", "max_tokens must be at least 1, got 0.", 0)
    return context - prompt if limit is None else min(limit, context - prompt)
