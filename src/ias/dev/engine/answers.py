"""What the engine says: the pieces of an answer, a token each, and why it ends.

An answer of its own accord ends with an end mark, which is a token without text, as a model's is.
"""

from collections.abc import Sequence
from enum import Enum

import msgspec

from ias.dev.engine import tokens
from ias.dev.engine.calls import Tool, chosen
from ias.dev.engine.directives import Behaviour
from ias.dev.engine.refusals import bad_field
from ias.dev.engine.requests import Asked, Chat
from ias.dev.engine.structured import sample

_END_MARK = b""
_PIECE = 4
_ASIDE = 1 << 16


class Kind(Enum):
    """What a part of an answer is; what no part covers is plain content."""

    REASONING = "reasoning"
    MARK = "mark"
    CALL = "call"


class Part(msgspec.Struct, frozen=True):
    """The tokens from `first` up to `end` of an answer.

    A mark is nothing that anyone sees. The first token of a call says whom it calls, the others are its arguments.

    Attributes:
        name: the function called.
        index: which call of the answer this is.
    """

    kind: Kind
    first: int
    end: int
    name: str = ""
    index: int = 0


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One choice of a completion.

    Attributes:
        pieces: what each token says, ready to stand inside a JSON string.
        finish: why it ends.
        stop: the stop string that ended it.
        parts: what is more than content, in order.
        hushed: whether it has reasoning that was not wanted.
        forced: whether the request, and not the model, decided that a function is called.
    """

    pieces: tuple[bytes, ...]
    finish: str
    stop: str | None = None
    parts: tuple[Part, ...] = ()
    hushed: bool = False
    forced: bool = False

    @property
    def calls(self) -> list[Part]:
        """Its calls."""
        return [part for part in self.parts if part.kind is Kind.CALL]

    def part(self, at: int) -> Part | None:
        """The part that a token belongs to, if it is more than content."""
        return next((part for part in self.parts if part.first <= at < part.end), None)

    def reasoned(self, at: int) -> int:
        """Tokens of reasoning among the first `at`."""
        return sum(max(0, min(part.end, at) - part.first) for part in self.parts if part.kind is Kind.REASONING)

    def unseen(self, at: int) -> bool:
        """Whether a token is nothing that anyone sees."""
        part = self.part(at) if self.parts else None
        return part is not None and (part.kind is Kind.MARK or (self.hushed and part.kind is Kind.REASONING))

    def said(self, kind: Kind | None) -> bytes:
        """The text of all that is of this kind and seen; of content without one."""
        if not self.parts:
            return b"".join(self.pieces) if kind is None else b""
        places = [at for at in range(len(self.pieces)) if not self.unseen(at)]
        found = [(at, part.kind if (part := self.part(at)) else None) for at in places]
        return b"".join(self.pieces[at] for at, one in found if one is kind)

    def told(self, at: int) -> int:
        """How many of the first `at` tokens anyone was told of: what is unseen is counted with the next event."""
        while 0 < at < len(self.pieces) and self.unseen(at - 1):
            at -= 1
        return at


def limit_of(asked: Asked, context: int) -> int | None:
    """The output limit that was asked for.

    Raises:
        Refused: it is below 1 or above the context.
    """
    if isinstance(asked, Chat) and asked.max_completion_tokens is not None:
        return checked_limit("max_completion_tokens", asked.max_completion_tokens, context)
    return None if asked.max_tokens is None else checked_limit("max_tokens", asked.max_tokens, context)


def checked_limit(name: str, limit: int, context: int) -> int:
    """An output limit in a field of this name.

    Raises:
        Refused: it is below 1 or above the context.
    """
    if limit > context:
        words = f"{name}={limit} cannot be greater than max_model_len={context}. Please request fewer output tokens."
        raise bad_field(name, words, limit)
    if limit < 1:
        raise bad_field("max_tokens", f"max_tokens must be at least 1, got {limit}.", limit)
    return limit


def compose(asked: Asked, told: Behaviour, prompt: bytes, choice: int, room: int) -> Answer:
    """One choice's answer to a prompt (its ink), of at most `room` tokens."""
    thought = told.reasoning if isinstance(asked, Chat) and asked.thinks else 0
    if not thought:
        return _answer(asked, told, prompt, choice, room)
    hushed = isinstance(asked, Chat) and not asked.include_reasoning
    said = (*tokens.words(prompt, choice + _ASIDE, thought), _END_MARK)[:room]
    parts = (Part(Kind.REASONING, 0, min(thought, room)), Part(Kind.MARK, thought, thought + 1))
    if room <= len(said):
        return Answer(pieces=said, finish="length", parts=parts, hushed=hushed)
    answer = _answer(asked, told, prompt, choice, room - len(said))
    moved = tuple(
        msgspec.structs.replace(part, first=part.first + len(said), end=part.end + len(said)) for part in answer.parts
    )
    return msgspec.structs.replace(answer, pieces=(*said, *answer.pieces), parts=(*parts, *moved), hushed=hushed)


def _answer(asked: Asked, told: Behaviour, prompt: bytes, choice: int, room: int) -> Answer:
    if isinstance(asked, Chat) and (tools := chosen(asked, told)):
        forced = asked.tool_choice not in (None, "auto")
        return _call(tools, room, forced=forced, named=isinstance(asked.tool_choice, dict))
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


def _call(tools: list[Tool], room: int, *, forced: bool, named: bool) -> Answer:
    said: list[bytes] = []
    parts: list[Part] = []
    for index, (name, schema) in enumerate(tools):
        first = len(said)
        said += (_END_MARK, *map(_escape, _cut(msgspec.json.encode(sample(schema)).decode())))
        parts.append(Part(Kind.CALL, first, len(said), name, index))
    if len(said) < room:
        finish = "stop" if named else "tool_calls"
        return Answer(pieces=(*said, _END_MARK), finish=finish, parts=tuple(parts), forced=forced)
    kept = tuple(msgspec.structs.replace(part, end=min(part.end, room)) for part in parts if part.first < room)
    return Answer(pieces=tuple(said[:room]), finish="length", parts=kept, forced=forced)


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
    cut = tuple(_escape(kept[at : at + _PIECE]) for at in range(0, used * _PIECE, _PIECE))
    return Answer(pieces=cut, finish="stop", stop=stop)


def _cut(text: str) -> list[str]:
    return [text[at : at + _PIECE] for at in range(0, len(text), _PIECE)]


def _escape(text: str) -> bytes:
    return msgspec.json.encode(text)[1:-1]
