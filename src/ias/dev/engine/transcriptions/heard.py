"""What is heard in a recording: the words of each clip, a token each."""

import math
from zlib import crc32

import msgspec

from ias.dev.engine import tokens
from ias.dev.engine.answers import Answer
from ias.dev.engine.directives import Behaviour
from ias.dev.engine.refusals import bad_field
from ias.dev.engine.transcriptions.asked import Asked

CONTEXT = 448
"""Whisper's: of a clip's prompt and its words together."""

_PREFIX = 4
_FRAMES_A_SECOND = 100
_WITHOUT_SPACES = ("ja", "zh")
_END_MARK = b""


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """A recording, heard.

    Attributes:
        length: of the recording, in seconds.
        clips: lengths of the clips that it was cut into, in seconds.
        said: what was heard in each.
        prompt_tokens: of a clip's prompt.
    """

    length: float
    clips: tuple[float, ...]
    said: tuple[Answer, ...]
    prompt_tokens: int

    @property
    def used(self) -> int:
        """Prompt tokens that are reported: those of one clip's prompt, and a hundred a second for all the sound."""
        return self.prompt_tokens + math.ceil(self.length * _FRAMES_A_SECOND)

    @property
    def answer(self) -> Answer:
        """All clips together."""
        pieces = tuple(piece for answer in self.said for piece in answer.pieces)
        return Answer(pieces=pieces, finish=self.said[-1].finish)

    def place(self, at: int) -> tuple[int, int]:
        """The clip of a token, and the token's place in it."""
        clip = 0
        while at >= len(self.said[clip].pieces):
            at -= len(self.said[clip].pieces)
            clip += 1
        return clip, at


def hear(asked: Asked, told: Behaviour, recording: bytes, lengths: list[float]) -> Heard:
    """What a recording says, which only depends on its bytes; `lengths` are those of its clips.

    Raises:
        Refused: nothing may be said.
    """
    prompt = _PREFIX + (1 + tokens.count(asked.prompt) if asked.prompt else 0)
    room = max(1, CONTEXT - prompt)
    most = room if asked.max_completion_tokens is None else min(room, asked.max_completion_tokens)
    if most < 1:
        raise bad_field("max_tokens", f"max_tokens must be at least 1, got {most}.", most)
    seed = crc32(recording).to_bytes(4, "big")
    return Heard(
        length=sum(lengths),
        clips=tuple(lengths),
        said=tuple(_clip(seed, clip, told.tokens, most) for clip in range(len(lengths))),
        prompt_tokens=prompt,
    )


def separator(asked: Asked) -> str:
    """What stands between the words of two clips."""
    return "" if asked.spoken in _WITHOUT_SPACES else " "


def _clip(seed: bytes, clip: int, natural: int, most: int) -> Answer:
    if natural <= most:
        return Answer(pieces=(*tokens.words(seed, clip, max(natural, 1) - 1), _END_MARK), finish="stop")
    return Answer(pieces=tokens.words(seed, clip, most), finish="length")
