"""The messages of a chat, and how many tokens they are at most."""

from typing import Literal

from ias_gateway.bodies import parts
from ias_gateway.bodies.parts import Part
from ias_gateway.bodies.prompts import size
from ias_gateway.bodies.strict import JSON, BadBody, Strict, printed

OVERHEAD = 8
"""Tokens a chat template may add to a message, in the strict bound of a prompt."""


class FunctionCall(Strict):
    """A call that the model made."""

    name: str
    arguments: str


class CustomCall(Strict):
    """A call of a tool that takes a text."""

    name: str
    input: str


class ToolCall(Strict):
    """A tool call of an assistant message."""

    id: str
    type: str
    function: FunctionCall | None = None
    custom: CustomCall | None = None


class Message(Strict):
    """One message of a chat."""

    role: Literal["developer", "system", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None
    name: str | None = None
    refusal: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    function_call: FunctionCall | None = None
    audio: dict[str, JSON] | None = None
    annotations: list[JSON] | None = None


def check(given: list[Message]) -> None:
    """Refuse a chat without messages, and content that cannot be served.

    Raises:
        BadBody: it names the field.
    """
    if not given:
        raise BadBody("messages: give at least one message.", "messages")
    for number, message in enumerate(given):
        if isinstance(message.content, list):
            parts.check(message.content, f"messages[{number}].content")
        if message.audio is not None or message.annotations is not None:
            message.audio = message.annotations = None


def measured(given: list[Message]) -> tuple[int, int]:
    """Tokens of messages at most, the bytes of all that a template may print; and how many images there are."""
    tokens, count = OVERHEAD * len(given), 0
    for message in given:
        content = message.content
        if isinstance(content, str):
            tokens += len(content) if content.isascii() else len(content.encode())
        elif content is not None:
            tokens += parts.bound(content)
            count += parts.images(content)
        if message.name or message.refusal or message.reasoning or message.reasoning_content or message.tool_call_id:
            tokens += _texts(message)
        if message.tool_calls or message.function_call:
            tokens += printed((message.tool_calls, message.function_call))
    return tokens, count


def _texts(message: Message) -> int:
    texts = (message.name, message.refusal, message.reasoning, message.reasoning_content, message.tool_call_id)
    return sum(size(text) for text in texts if text)
