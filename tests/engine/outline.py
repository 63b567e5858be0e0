"""What an answer is made of: its keys in their order, and what kind of value each has."""

from typing import Any

import msgspec

BY_TOKEN = (".logprobs.top_logprobs[]", ".prompt_logprobs[]", "prompt_logprobs[]")
"""Objects whose keys are tokens, and so differ from model to model."""


def outline(value: Any, at: str = "") -> list[str]:
    """Every key of a JSON value in the order sent, `choices[].message.content:text`; of an array, its first element."""
    if isinstance(value, dict) and at.endswith(BY_TOKEN):
        value = dict.fromkeys("*", next(iter(value.values()), None))
    if isinstance(value, dict):
        return [line for key, inner in value.items() for line in outline(inner, f"{at}.{key}" if at else key)] or [
            f"{at}:{{}}"
        ]
    if isinstance(value, list):
        return outline(value[0], f"{at}[]") if value else [f"{at}:[]"]
    return [f"{at}:{_kind(value)}"]


def of_stream(sent: bytes) -> list[list[str]]:
    """The outline of each event, of equal ones the first; `event:` lines are told, `[DONE]` is a word."""
    told: list[list[str]] = []
    for event in sent.replace(b"\r\n", b"\n").split(b"\n\n"):
        lines = [line for line in event.split(b"\n") if line]
        if not lines:
            continue
        now: list[str] = []
        for line in lines:
            name, _, rest = line.partition(b": ")
            if name == b"data" and rest != b"[DONE]":
                now += outline(msgspec.json.decode(rest))
            else:
                now.append(line.decode())
        if now not in told:
            told.append(now)
    return told


def of_answer(content_type: str, body: bytes) -> list[list[str]]:
    """The outline of a whole answer, as one event, or of a stream's."""
    if content_type.startswith("text/event-stream"):
        return of_stream(body)
    try:
        return [outline(msgspec.json.decode(body))]
    except msgspec.DecodeError:
        return [[f"text:{body[:60]!r}" if body else "empty"]]


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    return {bool: "bool", int: "number", float: "number", str: "text"}[type(value)]
