"""Items of a response's output, with vLLM's fields in vLLM's order."""

import msgspec

from ias.dev.engine.answers import Answer, Kind
from ias.dev.engine.deltas import call_id
from ias.dev.engine.logprobs import response_logprobs

Json = dict[str, object]


def text_part(text: str, logprobs: list[Json] | None) -> Json:
    """The text of a message."""
    return {"annotations": [], "text": text, "type": "output_text", "logprobs": logprobs}


def reasoning_part(text: str) -> Json:
    """The text of reasoning."""
    return {"text": text, "type": "reasoning_text"}


def message(identity: str, parts: list[Json], status: str) -> Json:
    """A message."""
    told = {"id": identity, "content": parts, "role": "assistant", "status": status, "type": "message"}
    return {**told, "phase": None}


def reasoning(identity: str, text: str | None, status: str | None) -> Json:
    """Reasoning; there is no text yet when it begins."""
    content = None if text is None else [reasoning_part(text)]
    told = {"id": identity, "summary": [], "type": "reasoning", "content": content}
    return {**told, "encrypted_content": None, "status": status}


def function_call(identity: str, call: str, name: str, arguments: str, status: str) -> Json:
    """A call."""
    told = {"arguments": arguments, "call_id": call, "name": name, "type": "function_call", "id": identity}
    return {**told, "async": None, "caller": None, "namespace": None, "status": status}


def whole(answer: Answer, top: int | None, seed: int) -> list[Json]:
    """The items of an answer in one piece; `seed` makes their ids."""
    found: list[Json] = []
    if thought := _text(answer.said(Kind.REASONING)):
        found.append(reasoning(item_id("rs", seed, 0), thought, None))
    if text := _text(answer.said(None)):
        logprobs = None if top is None else response_logprobs(list(answer.pieces), top)
        found.append(message(item_id("msg", seed, 1), [text_part(text, logprobs)], "completed"))
    for part in answer.calls:
        arguments = _text(b"".join(answer.pieces[part.first : part.end]))
        identity, call = item_id("fc", seed, 2 + part.index), call_id(seed, part.index).decode()
        found.append(function_call(identity, call, part.name, arguments, "completed"))
    return found


def item_id(kind: str, seed: int, place: int) -> str:
    """The id of an item."""
    return f"{kind}_{seed + place:016x}"


def _text(piece: bytes) -> str:
    return msgspec.json.decode(b'"%b"' % piece, type=str)
