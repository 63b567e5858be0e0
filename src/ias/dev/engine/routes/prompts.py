"""Prompts as they are written in requests, turned into ink."""

from ias.dev.engine import tokens
from ias.dev.engine.parts import Eye
from ias.dev.engine.refusals import Refused
from ias.dev.engine.requests import Message

Given = str | list[str | int | list[int]]


def spoken(messages: list[Message], eye: Eye) -> list[tuple[str, str]]:
    """Role and text of each message: its content, then the names and arguments of calls.

    Raises:
        Refused: there is none, or one holds something that the model does not take.
    """
    if not messages:
        message = "Cannot apply chat template to an empty conversation. Provide at least one message."
        raise Refused(400, message)
    return [(message.role, _text(message, eye)) for message in messages]


def images(messages: list[Message], eye: Eye) -> int:
    """Images in messages."""
    return sum(eye.images(message.content) for message in messages if isinstance(message.content, list))


def last_of_user(said: list[tuple[str, str]]) -> str:
    """The text of the last message of the user."""
    return next((text for role, text in reversed(said) if role == "user"), "")


def inks(given: Given) -> list[bytes]:
    """The ink of each prompt in a field that holds a text, several, token ids, or several lists of those.

    Raises:
        Refused: a token is not in the vocabulary.
    """
    if isinstance(given, str):
        return [tokens.ink(given)]
    numbers = [one for one in given if isinstance(one, int)]
    if len(numbers) == len(given):
        return [_known(numbers)]
    return [
        tokens.ink(one) if isinstance(one, str) else _known([one] if isinstance(one, int) else one) for one in given
    ]


def _text(message: Message, eye: Eye) -> str:
    told = message.content or ""
    if not isinstance(told, str):
        told = "".join(map(eye.text, told))
    for call in message.tool_calls or ():
        told += call.function.name + (call.function.arguments or "")
    return told


def _known(given: list[int]) -> bytes:
    for token in given:
        if not 0 <= token < tokens.VOCABULARY:
            raise Refused(400, f"Token id {token} is out of vocabulary")
    return tokens.ink_of(given)
