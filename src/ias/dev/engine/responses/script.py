"""A response as a stream: events with a name and a number each, item after item; there is no `[DONE]`."""

import msgspec

from ias.dev.engine.answers import Answer, Kind, Part
from ias.dev.engine.chunks import frame
from ias.dev.engine.deltas import call_id, seed
from ias.dev.engine.logprobs import response_logprobs, without_bytes
from ias.dev.engine.outline import Outline
from ias.dev.engine.responses import items
from ias.dev.engine.responses.asked import Asked
from ias.dev.engine.responses.body import response
from ias.dev.engine.responses.items import Json

_CONTENT = "content"


class Script:
    """The events of one response; `created` in Unix seconds."""

    def __init__(self, asked: Asked, outline: Outline, identity: str, created: int) -> None:
        self._asked = asked
        self._outline = outline
        self._answer: Answer = outline.answers[0]
        self._identity = identity
        self._created = created
        self._seed = seed(identity, 0)
        self._number = 0
        self._output: list[Json] = []
        self._open: Part | str | None = None
        self._item = ""
        self._text: list[bytes] = []
        self._logprobs: list[Json] = []

    def greeting(self) -> bytes:
        """The response is there before its first token."""
        begun = response(self._asked, self._outline, self._identity, self._created, None)
        return self._event("response.created", response=begun) + self._event("response.in_progress", response=begun)

    def opening(self) -> bytes:
        """Nothing: items open themselves."""
        return b""

    def steps(self, first: int, end: int) -> bytes:
        """The tokens of these steps."""
        return b"".join(self._step(at) for at in range(first, min(end, len(self._answer.pieces))))

    def closing(self) -> bytes:
        """The end of the last item, and the whole response."""
        last = self._close()
        over = response(self._asked, self._outline, self._identity, self._created, self._output)
        return last + self._event("response.completed", response=over)

    # -- items -------------------------------------------------------------------------------------------------------

    def _step(self, at: int) -> bytes:
        part, piece = self._answer.part(at), self._answer.pieces[at]
        if self._answer.unseen(at) or (part is None and not piece):
            return b""
        target = part or _CONTENT
        begun = b"" if target == self._open else self._close() + self._begin(target)
        return begun + (self._delta(at, piece) if piece else b"")

    def _begin(self, target: Part | str) -> bytes:
        self._open, self._text, self._logprobs = target, [], []
        place = len(self._output)
        if isinstance(target, Part) and target.kind is Kind.CALL:
            self._item = items.item_id("fc", self._seed, place)
            item = items.function_call(self._item, self._call(target), target.name, "", "in_progress")
            return self._about("response.output_item.added", item=item)
        if isinstance(target, Part):
            self._item = items.item_id("rs", self._seed, place)
            item, part = items.reasoning(self._item, None, "in_progress"), items.reasoning_part("")
        else:
            self._item = items.item_id("msg", self._seed, place)
            item, part = items.message(self._item, [], "in_progress"), items.text_part("", [])
        added = self._about("response.output_item.added", item=item)
        return added + self._inside("response.content_part.added", part=part)

    def _delta(self, at: int, piece: bytes) -> bytes:
        self._text.append(piece)
        said = msgspec.Raw(b'"%b"' % piece)
        if isinstance(self._open, Part) and self._open.kind is Kind.CALL:
            return self._inside("response.function_call_arguments.delta", placed=False, delta=said)
        if isinstance(self._open, Part):
            return self._inside("response.reasoning_text.delta", delta=said)
        top = self._outline.top_logprobs
        found = [] if top is None else response_logprobs([self._answer.pieces[at]], top)
        self._logprobs += found
        return self._inside("response.output_text.delta", delta=said, logprobs=without_bytes(found))

    def _close(self) -> bytes:
        """The end of the item that is open, if one is."""
        target, self._open = self._open, None
        if target is None:
            return b""
        text = msgspec.json.decode(b'"%b"' % b"".join(self._text), type=str)
        if isinstance(target, Part) and target.kind is Kind.CALL:
            item = items.function_call(self._item, self._call(target), target.name, text, "completed")
            name = "response.function_call_arguments.done"
            told = self._inside(name, placed=False, arguments=text, name=target.name)
        elif isinstance(target, Part):
            item = items.reasoning(self._item, text, "completed")
            told = self._inside("response.reasoning_text.done", text=text)
            told += self._inside("response.content_part.done", part=items.reasoning_part(text))
        else:
            part = items.text_part(text, self._logprobs or None)
            item = items.message(self._item, [part], "completed")
            told = self._inside("response.output_text.done", text=text, logprobs=[])
            told += self._inside("response.content_part.done", part=part)
        told += self._about("response.output_item.done", item=item)
        self._output.append(item)
        return told

    def _call(self, part: Part) -> str:
        return call_id(self._seed, part.index).decode()

    # -- events ------------------------------------------------------------------------------------------------------

    def _inside(self, kind: str, *, placed: bool = True, **fields: object) -> bytes:
        """An event about what is inside the open item."""
        place: Json = {"content_index": 0} if placed else {}
        return self._event(kind, **place, item_id=self._item, output_index=len(self._output), **fields)

    def _about(self, kind: str, *, item: Json) -> bytes:
        """An event about an item."""
        return self._event(kind, item=item, output_index=len(self._output))

    def _event(self, kind: str, **fields: object) -> bytes:
        numbered = {**fields, "sequence_number": self._number, "type": kind}
        self._number += 1
        order = sorted(numbered, key=_rank)
        data = msgspec.json.encode({name: numbered[name] for name in order})
        return frame(b"event: %b\ndata: %b\n\n" % (kind.encode(), data))


def _rank(field: str) -> tuple[int, str]:
    """Required fields come in the order of the alphabet, `name` is not one of them."""
    return int(field == "name"), field
