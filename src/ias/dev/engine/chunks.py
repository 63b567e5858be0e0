"""A completion's outline turned into a stream, each event framed as an HTTP chunk of its own, as vLLM does it."""

import msgspec

from ias.dev.engine import deltas, logprobs, shapes, tokens
from ias.dev.engine.answers import Answer
from ias.dev.engine.bodies import usage_of
from ias.dev.engine.outline import Outline
from ias.dev.engine.shapes import NULL, Envelope, Token, Usage

_NOTHING = b""
_REMEMBERED = 256
_SOME_TIME = 1_000_000_000


def frame(event: bytes) -> bytes:
    """An HTTP chunk."""
    return b"%x\r\n%b\r\n" % (len(event), event)


class Script:
    """The events of one stream; `created` in Unix seconds."""

    def __init__(self, outline: Outline, identity: str, created: int) -> None:
        self._outline = outline
        self._envelope = Envelope(identity, created, outline.model, chat=outline.chat)
        self._identity = identity
        self._said = [0] * len(outline.answers)

    def greeting(self) -> bytes:
        """Nothing comes before the first token."""
        return _NOTHING

    def opening(self) -> bytes:
        """What comes with the first token, before it."""
        if not self._outline.chat:
            return _NOTHING
        choices = range(len(self._outline.answers))
        return b"".join(frame(self._envelope.role(choice, self._running(choice, 0))) for choice in choices)

    def steps(self, first: int, end: int) -> bytes:
        """The tokens of all choices in these steps."""
        answers = self._outline.answers
        return b"".join(
            frame(self._envelope.event(self._token(choice, answer, at)))
            for at in range(first, end)
            for choice, answer in enumerate(answers)
            if self._shown(answer, at)
        )

    def closing(self) -> bytes:
        """What comes after the last token."""
        outline = self._outline
        if not outline.include or outline.told.no_usage:
            return frame(shapes.DONE)
        return frame(self._envelope.final(usage_of(outline))) + frame(shapes.DONE)

    def _shown(self, answer: Answer, at: int) -> bool:
        if not answer.parts or self._outline.top_logprobs is not None:
            return at < len(answer.pieces)
        last = len(answer.pieces) - 1
        return at == last or (at < last and not answer.unseen(at))

    def _token(self, choice: int, answer: Answer, at: int) -> Token:
        said = self._delta(choice, answer, at) if self._outline.chat else answer.pieces[at]
        token = Token(choice, said, self._running(choice, at + 1), self._logprobs(choice, answer.pieces[at]))
        if at == 0 and self._outline.echo:
            prompt = tokens.ids(self._outline.echo[choice])
            token.prompt = msgspec.json.encode(prompt)
            token.said = shapes.escaped(tokens.text_of(prompt)) + token.said
        if at + 1 == len(answer.pieces):
            token.finish, token.stop, token.marked = answer.finish, answer.stop, not self._outline.include
        return token

    def _delta(self, choice: int, answer: Answer, at: int) -> bytes:
        if not answer.parts and answer.pieces[at]:
            return b'{"content":"%b"}' % answer.pieces[at]
        return deltas.delta(answer, at, deltas.seed(self._identity, choice))

    def _logprobs(self, choice: int, piece: bytes) -> bytes:
        top = self._outline.top_logprobs
        if top is None:
            return NULL
        if self._outline.chat:
            return logprobs.chat_logprobs([piece], top)
        offset = self._said[choice]
        self._said[choice] += len(piece)
        return logprobs.text_logprobs([piece], offset, top)

    def _running(self, choice: int, at: int) -> bytes:
        outline = self._outline
        if not outline.continuous or outline.told.no_usage:
            return _NOTHING
        usage = Usage(*outline.running(choice, at), reasoning=outline.reasoned(choice, at))
        return shapes.running_usage(usage, chat=outline.chat)


_streams: dict[tuple[int, Outline], bytes] = {}


def whole(outline: Outline, identity: str, created: int) -> bytes:
    """A stream from its first to its last event.

    Two answers to the same request differ in the id and the time only, so a stream of the usual kind is remembered
    with others in their place, which are as long.
    """
    if not outline.plain or shapes.escaped(identity) != identity.encode():
        return _rendered(outline, identity, created)
    anonymous = "0" * len(identity)
    key = (len(identity), outline)
    known = _streams.get(key)
    if known is None:
        if len(_streams) >= _REMEMBERED:
            del _streams[next(iter(_streams))]
        known = _streams[key] = _rendered(outline, anonymous, _SOME_TIME)
    return known.replace(_stamp(outline, anonymous, _SOME_TIME), _stamp(outline, identity, created))


def _stamp(outline: Outline, identity: str, created: int) -> bytes:
    kind = b"chat.completion.chunk" if outline.chat else b"text_completion"
    return b'"id":"%b","object":"%b","created":%d' % (identity.encode(), kind, created)


def _rendered(outline: Outline, identity: str, created: int) -> bytes:
    script = Script(outline, identity, created)
    return script.opening() + script.steps(0, outline.steps) + script.closing()
