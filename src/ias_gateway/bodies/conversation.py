"""What the messages of a chat must hold, and how many tokens they are at most."""

from ias_gateway.bodies import parts
from ias_gateway.bodies.messages import OVERHEAD, Message
from ias_gateway.bodies.prompts import size
from ias_gateway.bodies.strict import BadBody, printed


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
