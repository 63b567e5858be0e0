"""The response object: what was asked for, what came of it, and what it cost."""

import msgspec

from ias.dev.engine.deltas import seed
from ias.dev.engine.outline import Outline
from ias.dev.engine.responses import items
from ias.dev.engine.responses.asked import Asked, Json

_FUNCTION: Json = {
    "name": None,
    "parameters": None,
    "strict": None,
    "type": None,
    "allowed_callers": None,
    "async": None,
    "defer_loading": None,
    "description": None,
    "output_schema": None,
}
_REASONING: Json = {"context": None, "effort": None, "generate_summary": None, "mode": None, "summary": None}
_FORMAT: Json = {"name": None, "schema": None, "type": None, "description": None, "strict": None}


def body(asked: Asked, outline: Outline, identity: str, created: int) -> bytes:
    """A whole response; `created` in Unix seconds."""
    found = items.whole(outline.answers[0], outline.top_logprobs, seed(identity, 0))
    return msgspec.json.encode(response(asked, outline, identity, created, found))


def response(asked: Asked, outline: Outline, identity: str, created: int, output: list[Json] | None) -> Json:
    """The object. As long as there is no output it is in progress, and has no usage."""
    over, cut = output is not None, outline.answers[0].finish == "length"
    status = ("incomplete" if cut else "completed") if over else "in_progress"
    return {
        "id": identity,
        "created_at": created,
        "incomplete_details": {"reason": "max_output_tokens"} if over and cut else None,
        "instructions": asked.instructions,
        "metadata": asked.metadata,
        "model": outline.model,
        "object": "response",
        "output": output or [],
        "parallel_tool_calls": asked.parallel_tool_calls is not False,
        "temperature": 1.0 if asked.temperature is None else asked.temperature,
        "tool_choice": asked.choice,
        "tools": [_tool(tool) for tool in asked.tools],
        "top_p": 1.0 if asked.top_p is None else asked.top_p,
        "background": bool(asked.background),
        "max_output_tokens": outline.room,
        "max_tool_calls": asked.max_tool_calls,
        "previous_response_id": None,
        "prompt": None,
        "reasoning": None if asked.reasoning is None else _filled(_REASONING, asked.reasoning),
        "service_tier": asked.service_tier,
        "status": status,
        "text": _format(asked.text),
        "top_logprobs": outline.top_logprobs,
        "truncation": asked.truncation,
        "usage": usage(outline) if over and not outline.told.no_usage else None,
        "user": asked.user,
        "presence_penalty": asked.presence_penalty or 0.0,
        "frequency_penalty": asked.frequency_penalty or 0.0,
        "kv_transfer_params": None,
        "ec_transfer_params": None,
        "input_messages": None,
        "output_messages": None,
    }


def usage(outline: Outline) -> Json:
    """What it cost."""
    given, made = outline.total()
    details: Json = {"cached_tokens": outline.cached_tokens, "cache_write_tokens": outline.created_tokens}
    return {
        "input_tokens": given,
        "input_tokens_details": {**details, "input_tokens_per_turn": [], "cached_tokens_per_turn": []},
        "output_tokens": made,
        "output_tokens_details": {
            "reasoning_tokens": outline.total_reasoned() or 0,
            "tool_output_tokens": 0,
            "output_tokens_per_turn": [],
            "tool_output_tokens_per_turn": [],
        },
        "total_tokens": given + made,
    }


def _tool(tool: Json) -> Json:
    return _filled(_FUNCTION, tool) if tool.get("type") == "function" else tool


def _format(text: Json | None) -> Json | None:
    if text is None:
        return None
    wanted = text.get("format")
    if isinstance(wanted, dict) and wanted.get("type") == "json_schema":
        wanted = _filled(_FORMAT, wanted)
    return {"format": wanted, "verbosity": text.get("verbosity")}


def _filled(fields: Json, given: Json) -> Json:
    return {**fields, **given}
