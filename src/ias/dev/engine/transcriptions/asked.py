"""`POST /v1/audio/transcriptions` as it is asked for."""

from typing import Literal

import msgspec

from ias.dev.engine.multipart import parse
from ias.dev.engine.refusals import Refused, bad_body, bad_field

_SUPPORTED = (
    "af ar hy az be bs bg ca zh hr cs da nl en et fi fr gl de el he hi hu is id it ja kn kk ko lv lt mk ms mr mi ne no "
    "fa pl pt ro ru sr sk sl es sw sv tl ta th tr uk ur vi cy"
)
_OTHERS = (
    "la ml bn te sq sn km yo so si yi uz fo ht ps tk nn mt sa lb my bo mg as tt haw ln ha ba jw su yue am br gu ka lo "
    "mn oc pa sd tg eu"
)
_KNOWN = ("text", "json", "verbose_json", "diarized_json")


class Asked(msgspec.Struct, kw_only=True):
    """The form's fields."""

    model: str | None = None
    language: str | None = None
    prompt: str = ""
    response_format: Literal["json", "text", "srt", "verbose_json", "vtt", "diarized_json"] = "json"
    granularities: list[Literal["word", "segment"]] = msgspec.field(name="timestamp_granularities[]", default=[])
    stream: bool = False
    stream_include_usage: bool = False
    stream_continuous_usage_stats: bool = False
    temperature: float = 0.0
    max_completion_tokens: int | None = None

    @property
    def spoken(self) -> str:
        """The language: what was asked for, or what is heard, which is always English."""
        return self.language or "en"

    def checked(self, model: str) -> None:
        """What vLLM checks once it knows the model.

        Raises:
            Refused: with its words.
        """
        form, language = self.response_format, self.language
        if form not in _KNOWN:
            words = "`text`, `json`, `verbose_json` or `diarized_json`"
            raise Refused(400, f"Currently only support response_format: {words}")
        if form == "diarized_json":
            raise Refused(400, f"Currently do not support diarized_json for {model}")
        if form == "verbose_json" and self.stream:
            raise Refused(400, f"{form} format doesn't support streaming case")
        if language is not None and language not in (*_SUPPORTED.split(), *_OTHERS.split()):
            raise Refused(400, f"Unsupported language: {language!r}.  Must be one of {_SUPPORTED.split()}.")


def read(body: bytes, content_type: bytes) -> tuple[Asked, bytes]:
    """The fields, and the recording.

    Raises:
        Refused: a field does not fit, or there is no recording.
    """
    form = parse(body, content_type)
    if "file" in form.fields:
        words = "Expected 'file' to be a file-like object, not 'str'."
        raise Refused(422, words, "Unprocessable Entity")
    asked = _fields(form.fields)
    for name in ("stream_include_usage", "stream_continuous_usage_stats"):
        if getattr(asked, name) and not asked.stream:
            raise bad_field(name, "Stream options can only be defined when `stream=True`.")
    if "file" not in form.files:
        raise bad_body("body.file", "Field required", "missing")
    return asked, form.files["file"]


def _fields(given: dict[str, str | list[str]]) -> Asked:
    try:
        return msgspec.convert(given, Asked, strict=False)
    except msgspec.ValidationError as error:
        words, _, place = str(error).partition(" - at `$.")
        raise bad_body(f"body.{place.rstrip('`')}" if place else "body", words) from None
