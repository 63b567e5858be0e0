"""What a message may hold: text, images, and what else vLLM knows and a model may not take."""

from zlib import crc32

import msgspec

from ias.dev.engine.refusals import Refused, unsupported
from ias.dev.engine.served import Generator

_TEXTS = ("text", "input_text", "output_text", "refusal", "thinking")
_IMAGES = ("image_url", "input_image")
_OTHERS = {"input_audio": "audio", "audio_url": "audio", "video_url": "video"}


class ImageUrl(msgspec.Struct):
    """Where an image is."""

    url: str = ""


class Part(msgspec.Struct):
    """A part of a message's content."""

    type: str = "text"
    text: str | None = None
    refusal: str | None = None
    image_url: str | ImageUrl | None = None


class Eye(msgspec.Struct, frozen=True):
    """What a model makes of parts that are not text: `image_tokens` is what an image costs."""

    model: Generator
    image_tokens: int

    def text(self, part: Part | str) -> str:
        """What stands for a part in the prompt.

        Raises:
            Refused: the model does not take it.
        """
        if isinstance(part, str):
            return part
        if part.type in _TEXTS:
            return _known(part.text if part.text is not None else part.refusal)
        if part.type in _IMAGES:
            return self._image(part)
        if part.type in _OTHERS and self.model.sees:
            kind = _OTHERS[part.type]
            raise Refused(400, f"At most 0 {kind}(s) may be provided in one prompt.")
        if part.type in _OTHERS:
            raise self._blind()
        raise _misfit()

    def images(self, parts: list[Part | str]) -> int:
        """Images among parts."""
        return sum(not isinstance(part, str) and part.type in _IMAGES for part in parts)

    def _image(self, part: Part) -> str:
        """So many tokens of four bytes each, which only depend on the address."""
        if not self.model.sees:
            raise self._blind()
        url = part.image_url.url if isinstance(part.image_url, ImageUrl) else part.image_url
        if url is None:
            raise _misfit()
        if url.startswith("data:"):
            _check_data(url)
        return f"{crc32(url.encode()) & 0xFFFF:04x}" * self.image_tokens

    def _blind(self) -> Refused:
        return Refused(400, f"{self.model.name} is not a multimodal model")


def _known(text: str | None) -> str:
    if text is None:
        raise _misfit()
    return text


def _misfit() -> Refused:
    """A part that fits no kind; vLLM says at length what each kind would have needed."""
    return Refused(400, "8 validation errors for ValidatorIterator")


def _check_data(url: str) -> None:
    kind, comma, _ = url[5:].partition(",")
    if not comma:
        raise Refused(400, f"Invalid data URL {url[:32]!r}: missing ',' separator.")
    if not kind.endswith(";base64"):
        raise unsupported("Only base64 data URLs are supported for now.")
