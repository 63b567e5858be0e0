"""The messages of a chat. Not compiled: mypyc keeps no annotations that msgspec could read."""

from typing import Literal

from ias_gateway.bodies.parts import Part
from ias_gateway.bodies.shape import Strict
from ias_gateway.bodies.strict import JSON

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
