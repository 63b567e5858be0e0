"""`POST /v1/audio/transcriptions`: a form with a file, metered by what the engine reports."""

import math
from typing import Literal

import msgspec

from ias.contract.admission import NOT_ASKED, Ask
from ias_gateway.bodies import audio, form, prompts
from ias_gateway.bodies.messages import OVERHEAD
from ias_gateway.bodies.metered import MAX_OUTPUT
from ias_gateway.bodies.shape import Strict
from ias_gateway.bodies.strict import BadBody, Whole, convert, within

UNUSED = frozenset(
    ("chunking_strategy", "include", "keywords", "known_speaker_names", "known_speaker_references", "languages", "user")
)
"""Fields of OpenAI's request that vLLM has no use for: accepted, and left out of what travels."""
CLIP_S = 29
"""An engine cuts longer sounds into clips of 30 seconds, up to a second less where it is quiet, and each of them may be
answered with as many tokens as are granted."""


class Transcription(Strict, kw_only=True):
    """What a caller may send; the last lines are vLLM's own."""

    model: str
    language: str | None = None
    prompt: str | None = None
    response_format: Literal["json", "text", "verbose_json", "diarized_json"] | None = None
    temperature: float | None = None
    timestamp_granularities: list[Literal["word", "segment"]] | None = msgspec.field(
        default=None, name="timestamp_granularities[]"
    )
    stream: bool | None = None
    stream_include_usage: bool | None = None
    stream_continuous_usage_stats: bool | None = None
    hotwords: str | None = None
    seed: Whole | None = None
    top_p: float | None = None
    top_k: Whole | None = None
    min_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    repetition_penalty: float | None = None
    max_completion_tokens: Whole | None = None


class Body:
    """The fields and the file."""

    __slots__ = ("_fields", "_file", "_seconds")

    def __init__(self, fields: Transcription, file: bytes) -> None:
        self._fields = fields
        self._file = file
        self._seconds = audio.seconds(file)

    def ask(self, endpoint: str) -> Ask:
        """What the request wants to hold: the most that its sound can be, and the output of all of its clips."""
        fields = self._fields
        prompt = self._seconds * audio.TOKENS_PER_SECOND + 2 * OVERHEAD
        prompt += prompts.size(fields.prompt or "") + prompts.size(fields.hotwords or "")
        clips = -(-self._seconds // CLIP_S)
        output = fields.max_completion_tokens or NOT_ASKED
        return Ask(fields.model, prompt, clips, output, endpoint, bool(fields.stream))

    def rebuild(self, name: str, output: int, salt: str | None) -> bytes:  # noqa: ARG002 - a sound has no cached prefix
        """The form for the engine: its name of the model, the output limit granted, running usage on streams."""
        fields = self._fields
        fields.model = name
        fields.max_completion_tokens = output
        fields.stream_include_usage = fields.stream_continuous_usage_stats = True if fields.stream else None
        built: dict[str, object] = msgspec.to_builtins(fields)
        return form.write({name: _text(value) for name, value in built.items() if value is not None}, self._file)

    def wants_usage(self) -> tuple[bool, bool]:
        """Whether the client of a stream asked for usage at its end, and for running usage."""
        wanted = bool(self._fields.stream_include_usage)
        return wanted, wanted and bool(self._fields.stream_continuous_usage_stats)

    def beginning(self) -> bytes:
        """How the file begins."""
        return self._file[: prompts.BEGINNING_BYTES]


def read(raw: bytes) -> Body:
    """The body of a request.

    Raises:
        BadBody: it is no form, or a field is unknown, missing, there twice, of the wrong type or out of range.
    """
    texts, file = form.read(raw)
    texts = {name: value for name, value in texts.items() if name.partition("[")[0] not in UNUSED}
    fields = convert(texts, Transcription)
    within("max_completion_tokens", fields.max_completion_tokens, MAX_OUTPUT)
    for name in ("temperature", "top_p", "min_p", "frequency_penalty", "presence_penalty", "repetition_penalty"):
        value = getattr(fields, name)
        if value is not None and not math.isfinite(value):
            raise BadBody(f"{name}: must be a number.", name)
    if not fields.stream and (fields.stream_include_usage or fields.stream_continuous_usage_stats):
        raise BadBody("stream_include_usage: only allowed when stream is true.", "stream_include_usage")
    return Body(fields, file)


def _text(value: object) -> str | list[str]:
    if isinstance(value, list):
        return [str(one) for one in value]
    return str(value).lower() if isinstance(value, bool) else str(value)
