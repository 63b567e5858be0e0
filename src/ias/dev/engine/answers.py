"""What the engine says: the pieces of an answer, a token each, and why it ends.

An answer of its own accord ends with an end mark, which is a token without text, as a model's is.
"""

from collections.abc import Sequence

import msgspec

from ias.dev.engine import tokens
from ias.dev.engine.directives import Behaviour
from ias.dev.engine.refusals import bad_field
from ias.dev.engine.requests import Asked, Chat
from ias.dev.engine.structured import sample

_END_MARK = b""
_PIECE = 4


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One choice of a completion.

    Attributes:
        pieces: what each token says, ready to stand inside a JSON string.
        finish: why it ends.
        stop: the stop string that ended it.
        tool: the function that it calls; the pieces after the first are then its arguments.
    """

    pieces: Sequence[bytes]
    finish: str
    stop: str | None = None
    tool: str | None = None


def limit_of(asked: Asked, context: int) -> int | None:
    """The output limit that was asked for.

    Raises:
        Refused: it is below 1 or above the context.
    """
    name, limit = "max_tokens", asked.max_tokens
    if isinstance(asked, Chat) and asked.max_completion_tokens is not None:
        name, limit = "max_completion_tokens", asked.max_completion_tokens
    if limit is None:
        return None
    if limit > context:
        words = f"{name}={limit} cannot be greater than max_model_len={context}. Please request fewer output tokens."
        raise bad_field(name, words, limit)
    if limit < 1:
        raise bad_field("max_tokens", f"max_tokens must be at least 1, got {limit}.", limit)
    return limit


def compose(asked: Asked, told: Behaviour, prompt: bytes, choice: int, room: int) -> Answer:
    """One choice's answer to a prompt (its ink), of at most `room` tokens."""
    if isinstance(asked, Chat) and (called := _tool(asked, told)) is not None:
        return _call(called, room, named=isinstance(asked.tool_choice, dict))
    if (text := _structured(asked)) is not None:
        return _spoken(_cut(text), asked, room)
    natural = room if asked.ignore_eos else max(told.tokens, 1)
    if natural <= room and not asked.ignore_eos:
        pieces, finish = (*tokens.words(prompt, choice, natural - 1), _END_MARK), "stop"
    else:
        pieces, finish = tokens.words(prompt, choice, room), "length"
    return _stopped(pieces, asked) or Answer(pieces=pieces, finish=finish)


def _spoken(pieces: list[str], asked: Asked, room: int) -> Answer:
    said = tuple(map(_escape, pieces))
    if len(said) < room:
        return _stopped(said, asked) or Answer(pieces=(*said, _END_MARK), finish="stop")
    return _stopped(said[:room], asked) or Answer(pieces=said[:room], finish="length")


def _call(tool: tuple[str, object], room: int, *, named: bool) -> Answer:
    name, schema = tool
    arguments = msgspec.json.encode(sample(schema)).decode()
    said = (_END_MARK, *map(_escape, _cut(arguments)))
    if len(said) < room:
        return Answer(pieces=(*said, _END_MARK), finish="stop" if named else "tool_calls", tool=name)
    return Answer(pieces=said[:room], finish="length", tool=name)


def _tool(asked: Chat, told: Behaviour) -> tuple[str, object] | None:
    """The function to call and the schema of its arguments, if one is to be called."""
    choice = asked.tool_choice
    if not asked.tools_json or choice == "none" or not (told.tool or isinstance(choice, dict) or choice == "required"):
        return None
    functions = {tool.function.name: tool.function.parameters for tool in _tools.decode(asked.tools_json)}
    if not isinstance(choice, dict):
        return next(iter(functions.items()))
    named = choice.get("function")
    name = named.get("name") if isinstance(named, dict) else None
    if not isinstance(name, str) or name not in functions:
        raise bad_field(
            "tool_choice", "The tool specified in `tool_choice` does not match any of the specified `tools`"
        )
    return name, functions[name]


def _structured(asked: Asked) -> str | None:
    """The JSON to say, if a format is asked for."""
    wanted = asked.response_format or {}
    match wanted.get("type"):
        case "json_object":
            return '{"answer": "the one"}'
        case "json_schema":
            described = wanted.get("json_schema")
            schema = described.get("schema") if isinstance(described, dict) else None
            return msgspec.json.encode(sample(schema)).decode()
        case _:
            return None


def _stopped(pieces: Sequence[bytes], asked: Asked) -> Answer | None:
    """The answer cut at the first stop string in it, if there is one."""
    if not asked.stop:
        return None
    said = msgspec.json.decode(b'"%b"' % b"".join(pieces), type=str)
    stops = [asked.stop] if isinstance(asked.stop, str) else asked.stop
    found = [(place, stop) for stop in stops if stop and (place := said.find(stop)) >= 0]
    if not found:
        return None
    place, stop = min(found)
    used = -(-(place + len(stop)) // _PIECE)
    kept = said[: place + len(stop) if asked.include_stop_str_in_output else place]
    cut = [_escape(kept[at : at + _PIECE]) for at in range(0, used * _PIECE, _PIECE)]
    return Answer(pieces=cut, finish="stop", stop=stop)


def _cut(text: str) -> list[str]:
    return [text[at : at + _PIECE] for at in range(0, len(text), _PIECE)]


def _escape(text: str) -> bytes:
    return msgspec.json.encode(text)[1:-1]


class _Function(msgspec.Struct):
    name: str
    parameters: dict[str, object] | None = None


class _Tool(msgspec.Struct):
    function: _Function


_tools = msgspec.json.Decoder(list[_Tool])
