"""How long a sound is at most, from its file alone."""

from struct import unpack_from

TOKENS_PER_SECOND = 100
"""What a second of sound counts as, where the engine reports seconds: the frames of Whisper's log-mel spectrogram, one
every 10 ms (Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", 2022, section 2.2), of which
its encoder makes 50 states. vLLM counts the frames in the usage of a stream (`get_num_audio_tokens`), so that a stream
and a whole answer cost alike."""
MAX_SECONDS = 600
"""vLLM decodes no more of a file (`VLLM_MAX_AUDIO_DECODE_DURATION_S`, 600 by default) and refuses longer ones."""
_PCM = frozenset((1, 3))
"""Integers and floats: as many bytes a second as the head says."""
_HEAD = 44


def seconds(file: bytes) -> int:
    """An upper bound, in whole seconds: by its head for a plain WAV file, else what an engine decodes at most.

    Compressed formats have none by their size: a minute of silence is a few bytes in FLAC or Opus.
    """
    rate = _wav_rate(file)
    bound = -(-len(file) // rate) if rate else MAX_SECONDS
    return max(1, min(bound, MAX_SECONDS))


def _wav_rate(file: bytes) -> int:
    """Bytes a second of a plain WAV file, 0 where it is none."""
    if len(file) < _HEAD or file[:4] != b"RIFF" or file[8:16] != b"WAVEfmt " or file.count(b"fmt ") != 1:
        return 0
    kind, channels, samples, _, _, bits = unpack_from("<HHIIHH", file, 20)
    return channels * samples * (bits // 8) if kind in _PCM else 0
