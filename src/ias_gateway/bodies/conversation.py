"""What the messages of a chat must hold, and how many tokens they are at most."""

from typing import Final

import msgspec

from ias_gateway.bodies import parts
from ias_gateway.bodies.messages import OVERHEAD, Message
from ias_gateway.bodies.prompts import size
from ias_gateway.bodies.strict import BadBody, printed

_fields: Final = msgspec.structs.astuple
_BEHIND_CONTENT: Final = 2
_NOTHING: Final = (None,) * (len(Message.__struct_fields__) - _BEHIND_CONTENT)


def measured(given: list[Message]) -> tuple[int, int]:
    """Tokens of messages at most, the bytes of all that a template may print; and how many images there are.

    Raises:
        BadBody: there is no message, or content that cannot be served; it names the field.
    """
    if not given:
        raise BadBody("messages: give at least one message.", "messages")
    tokens, count = OVERHEAD * len(given), 0
    for number, message in enumerate(given):
        content = message.content
        if isinstance(content, str):
            tokens += len(content) if content.isascii() else len(content.encode())
        elif content is not None:
            parts.check(content, f"messages[{number}].content")
            tokens += parts.bound(content)
            count += parts.images(content)
        # Nearly all have a role and a content alone: asked for each field, they would say so at ten times the cost.
        if _fields(message)[_BEHIND_CONTENT:] != _NOTHING:
            tokens += _beside_content(message)
    return tokens, count


def _beside_content(message: Message) -> int:
    """Tokens at most of the rest of a message; what no template prints is left out."""
    message.audio = message.annotations = None
    texts = (message.name, message.refusal, message.reasoning, message.reasoning_content, message.tool_call_id)
    tokens = sum(size(text) for text in texts if text)
    if message.tool_calls or message.function_call:
        tokens += printed((message.tool_calls, message.function_call))
    return tokens
