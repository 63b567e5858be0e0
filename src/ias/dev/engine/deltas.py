"""What the chunks of a chat add to its message, as vLLM's parsers of reasoning and of calls let it through."""

from collections.abc import Iterable
from zlib import crc32

import msgspec

from ias.dev.engine.answers import Answer, Kind
from ias.dev.engine.shapes import chat_message

_NOTHING = b"{}"
_MANY, _SOME = 1 << 24, 1 << 12
_encode = msgspec.json.encode


def seed(identity: str, choice: int) -> int:
    """What the ids of a choice's calls are made from, for a completion of this id."""
    return crc32(identity.encode()) * _MANY + choice * _SOME


def delta(answer: Answer, at: int, identity: int) -> bytes:
    """What a token adds; `identity` makes the ids of calls."""
    piece = answer.pieces[at]
    part = answer.part(at) if answer.parts else None
    if part is None:
        return (b'{"content":"%b"%b}' % (piece, b',"reasoning":null' if answer.hushed else b"")) if piece else _NOTHING
    if answer.unseen(at):
        return _NOTHING
    if part.kind is Kind.REASONING:
        return b'{"reasoning":"%b"}' % piece
    if at > part.first:
        return b'{"content":null,"tool_calls":[{"index":%d,"function":{"arguments":"%b"}}]}' % (part.index, piece)
    begun = b'{"id":"%b","type":"function","index":%d,"function":{"name":%b}}'
    return b'{"content":null,"tool_calls":[%b]}' % (
        begun % (call_id(identity, part.index), part.index, _encode(part.name))
    )


def message(answer: Answer, identity: int) -> bytes:
    """The message of a whole chat completion."""
    content = answer.said(None)
    said = b'"%b"' % content if content or answer.forced or not answer.parts else b"null"
    reasoning = answer.said(Kind.REASONING)
    thought = b'"%b"' % reasoning if reasoning else b"null"
    return chat_message(said, b",".join(_calls(answer, identity)), thought)


def call_id(identity: int, index: int) -> bytes:
    """The id of a call."""
    return b"chatcmpl-tool-%016x" % (identity + index)


def _calls(answer: Answer, identity: int) -> Iterable[bytes]:
    made = b'{"id":"%b","type":"function","function":{"name":%b,"arguments":"%b"}}'
    for part in answer.calls:
        arguments = b"".join(answer.pieces[part.first : part.end])
        yield made % (call_id(identity, part.index), _encode(part.name), arguments)
