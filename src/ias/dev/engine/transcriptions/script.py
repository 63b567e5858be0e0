"""A transcription as a stream: a chunk a token, clip after clip, each of which finishes by itself."""

import msgspec

from ias.dev.engine import shapes
from ias.dev.engine.chunks import frame
from ias.dev.engine.transcriptions.asked import Asked
from ias.dev.engine.transcriptions.heard import Heard, separator

_CHUNK = b'%b{"delta":{"content":"%b"}%b}]%b}\n\n'
_FINISH = b',"finish_reason":"%b","stop_reason":null'


class Script:
    """The events of one transcription; `created` in Unix seconds."""

    def __init__(self, asked: Asked, heard: Heard, model: str, identity: str, created: int) -> None:
        start = {"id": identity, "object": "transcription.chunk", "created": created, "model": model}
        self._head = b"data: " + msgspec.json.encode(start)[:-1] + b',"choices":['
        self._asked = asked
        self._heard = heard
        self._between = separator(asked).encode()

    def greeting(self) -> bytes:
        """Nothing comes before the first token."""
        return b""

    def opening(self) -> bytes:
        """Nothing comes with the first token."""
        return b""

    def steps(self, first: int, end: int) -> bytes:
        """The tokens of these steps."""
        return b"".join(self._step(at) for at in range(first, end))

    def closing(self) -> bytes:
        """What comes after the last token."""
        if not self._asked.stream_include_usage:
            return frame(shapes.DONE)
        made = len(self._heard.answer.pieces)
        return frame(b"%b]%b}\n\n" % (self._head, self._usage(made))) + frame(shapes.DONE)

    def _step(self, at: int) -> bytes:
        clip, place = self._heard.place(at)
        answer = self._heard.said[clip]
        piece = answer.pieces[place]
        said = self._between + piece if clip and not place and piece else piece
        last = place + 1 == len(answer.pieces)
        usage = self._usage(at + 1) if self._running else b""
        return frame(_CHUNK % (self._head, said, _FINISH % answer.finish.encode() if last else b"", usage))

    @property
    def _running(self) -> bool:
        return self._asked.stream_include_usage and self._asked.stream_continuous_usage_stats

    def _usage(self, made: int) -> bytes:
        given = self._heard.used
        told = b',"usage":{"prompt_tokens":%d,"total_tokens":%d,"completion_tokens":%d}'
        return told % (given, given + made, made)
