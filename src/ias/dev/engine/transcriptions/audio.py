"""How long a recording is."""

import io
import wave

from ias.dev.engine.refusals import Refused

CLIP_S = 30
"""A longer recording is heard in clips of this length, as Whisper does."""

RATE = 16_000
"""Bytes that stand for a second of a recording that is not WAV; nothing here can decode those."""

_LONGEST = 25 << 20
_BEGINNINGS = (b"fLaC", b"ID3", b"OggS", b"\x1aE\xdf\xa3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2")
_FTYP = slice(4, 8)


def seconds(recording: bytes) -> float:
    """The length of a recording.

    Raises:
        Refused: it is too long, or it is none.
    """
    if len(recording) > _LONGEST:
        size = len(recording) / (1 << 20)
        words = f"Maximum file size exceeded (parameter=audio_filesize_mb, value={size})"
        raise Refused(400, words, param="audio_filesize_mb")
    if recording.startswith(b"RIFF"):
        return _of_wav(recording)
    if recording.startswith(_BEGINNINGS) or recording[_FTYP] == b"ftyp":
        return len(recording) / RATE
    raise _invalid()


def clips(length: float) -> list[float]:
    """The lengths of the clips that a recording is cut into."""
    if length <= CLIP_S:
        return [length]
    whole, rest = divmod(length, CLIP_S)
    return [float(CLIP_S)] * int(whole) + ([rest] if rest else [])


def _of_wav(recording: bytes) -> float:
    try:
        with wave.open(io.BytesIO(recording)) as opened:
            return float(opened.getnframes() / opened.getframerate())
    except (wave.Error, EOFError, ZeroDivisionError):
        raise _invalid() from None


def _invalid() -> Refused:
    return Refused(400, "Invalid or unsupported audio file.")
