"""A completion's outline turned into a whole body."""

from functools import partial

import msgspec

from ias.dev.engine import deltas, logprobs, shapes, tokens
from ias.dev.engine.answers import Answer
from ias.dev.engine.outline import Outline
from ias.dev.engine.shapes import Token, Usage


class _Start(msgspec.Struct):
    id: str
    object: str
    created: int
    model: str


def body(outline: Outline, identity: str, created: int) -> bytes:
    """The whole body; `created` in Unix seconds."""
    kind = "chat.completion" if outline.chat else "text_completion"
    start = msgspec.json.encode(_Start(identity, kind, created, outline.model))[:-1]
    one = partial(_chat_choice, identity) if outline.chat else _text_choice
    choices = [one(outline, index, answer) for index, answer in enumerate(outline.answers)]
    usage = b""
    if not outline.told.no_usage:
        usage = shapes.whole_usage(usage_of(outline), chat=outline.chat)
    return shapes.whole(start, choices, usage, chat=outline.chat)


def usage_of(outline: Outline) -> Usage:
    """The usage that is reported at the end."""
    images, reasoned = outline.image_tokens, outline.total_reasoned()
    return Usage(*outline.total(), outline.cached_tokens, outline.created_tokens, images, reasoned)


def _chat_choice(identity: str, outline: Outline, index: int, answer: Answer) -> bytes:
    message = deltas.message(answer, deltas.seed(identity, index))
    token = Token(index, message, finish=answer.finish, stop=answer.stop)
    if outline.top_logprobs is not None:
        token.logprobs = logprobs.chat_logprobs(list(answer.pieces), outline.top_logprobs)
    return shapes.chat_choice(token)


def _text_choice(outline: Outline, index: int, answer: Answer) -> bytes:
    token = Token(index, b"".join(answer.pieces), finish=answer.finish, stop=answer.stop)
    if outline.echo:
        token.said = shapes.escaped(tokens.text_of(tokens.ids(outline.echo[index]))) + token.said
    if outline.top_logprobs is not None:
        token.logprobs = logprobs.text_logprobs(list(answer.pieces), 0, outline.top_logprobs)
    return shapes.text_choice(token)
