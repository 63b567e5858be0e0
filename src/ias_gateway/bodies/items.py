"""The items of a response's input: messages, calls of functions and what came of them, and reasoning."""

from typing import Literal

import msgspec

from ias_gateway.bodies.parts import check_url
from ias_gateway.bodies.shape import Strict
from ias_gateway.bodies.strict import JSON, BadBody


class ItemPart(Strict):
    """One part of an item's content or output."""

    type: Literal["input_text", "output_text", "input_image", "refusal", "reasoning_text", "summary_text"]
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = None
    detail: str | None = None
    annotations: list[JSON] | None = None
    logprobs: list[JSON] | None = None
    prompt_cache_breakpoint: JSON = None


class Item(Strict):
    """One item. What it has of these fields is said by its type, `message` where it has none."""

    type: (
        Literal[
            "message",
            "function_call",
            "function_call_output",
            "custom_tool_call",
            "custom_tool_call_output",
            "reasoning",
        ]
        | None
    ) = None
    role: Literal["developer", "system", "user", "assistant"] | None = None
    content: str | list[ItemPart] | None = None
    id: str | None = None
    status: str | None = None
    phase: str | None = None
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: str | None = None
    input: str | None = None
    output: str | list[ItemPart] | None = None
    summary: list[ItemPart] | None = None
    encrypted_content: str | None = None
    caller: JSON = None
    asynchronous: JSON = msgspec.field(default=None, name="async")
    async_: JSON = None  # as OpenAI's SDK for Python writes it when an answer's item is given back


def check(items: list[Item]) -> None:
    """Refuse items without what their type needs and images that the engine may not fetch; leave out what is of no use.

    Raises:
        BadBody: it names the item.
    """
    for number, item in enumerate(items):
        for name in _NEEDED[item.type or "message"]:
            if getattr(item, name) is None:
                place = f"input[{number}].{name}"
                raise BadBody(f"{place}: is required.", place)
        for name in ("content", "output", "summary"):
            parts = getattr(item, name)
            if isinstance(parts, list):
                _check_parts(parts, f"input[{number}].{name}")
        item.caller = item.asynchronous = item.async_ = None


def images(items: list[Item]) -> int:
    """How many images there are."""
    return sum(part.image_url is not None for item in items for part in _parts(item))


def urls(items: list[Item]) -> int:
    """Characters of the images' addresses."""
    return sum(len(part.image_url or "") for item in items for part in _parts(item))


def _parts(item: Item) -> list[ItemPart]:
    return [part for parts in (item.content, item.output, item.summary) if isinstance(parts, list) for part in parts]


def _check_parts(parts: list[ItemPart], place: str) -> None:
    for number, part in enumerate(parts):
        where = f"{place}[{number}]"
        if (part.type == "input_image") != (part.image_url is not None):
            raise BadBody(f"{where}: an `input_image` has an `image_url`, and no other part has one.", where)
        if part.image_url is not None:
            check_url(part.image_url, f"{where}.image_url")
        part.prompt_cache_breakpoint = part.logprobs = None
        if part.annotations:
            part.annotations = []


_NEEDED: dict[str, tuple[str, ...]] = {
    "message": ("role", "content"),
    "function_call": ("call_id", "name", "arguments"),
    "function_call_output": ("call_id", "output"),
    "custom_tool_call": ("call_id", "name", "input"),
    "custom_tool_call_output": ("call_id", "output"),
    "reasoning": (),
}
