"""`multipart/form-data`: taken apart strictly, and written anew. Names of files and types of parts do not travel."""

import re
import secrets
from typing import NamedTuple

from multipart import MultipartError, MultipartSegment, PushMultipartParser

from ias_gateway.bodies.strict import BadBody

MAX_FIELDS = 64
MAX_TEXT_BYTES = 64 * 1024
"""Of any field but the file."""
_BOUNDARY = secrets.token_hex(16).encode()
CONTENT_TYPE = b"multipart/form-data; boundary=" + _BOUNDARY
_LONGEST_BOUNDARY = 70
"""RFC 2046."""
_NAME = re.compile(r"[\w.-]+(?:\[[\w.-]*\])*", re.ASCII)
"""Of fields. What else can stand in a name, as quotes and ends of lines, could not be written anew as it was."""


class Form(NamedTuple):
    """Texts by field, those of a field whose name ends in `[]` as a list; and the file."""

    texts: dict[str, str | list[str]]
    file: bytes


def read(raw: bytes) -> Form:
    """The fields of a form whose file is named `file`.

    Raises:
        BadBody: it is no such form, or a field is there twice.
    """
    try:
        return _collect(_segments(raw))
    except (MultipartError, UnicodeDecodeError, ValueError) as error:
        # A parser's further arguments hold what it was given, which is not said again.
        why = error.args[0] if isinstance(error, MultipartError) else error
        raise BadBody(f"We could not parse the multipart/form-data body of your request: {why}.") from None


def write(texts: dict[str, str | list[str]], file: bytes) -> bytes:
    """The form anew, under this process's own boundary.

    Raises:
        BadBody: the file holds that boundary, which none does by chance.
    """
    parts: list[bytes] = []
    for name, value in texts.items():
        for text in value if isinstance(value, list) else [value]:
            parts += (_head(name), text.encode(), b"\r\n")
    parts += (_head("file", b'; filename="audio"\r\ncontent-type: application/octet-stream'), file, b"\r\n")
    if any(_BOUNDARY in part for part in parts[1::3]):
        raise BadBody("file: it cannot be sent on.", "file")
    return b"".join((*parts, b"--", _BOUNDARY, b"--\r\n"))


def _head(name: str, more: bytes = b"") -> bytes:
    return b'--%b\r\ncontent-disposition: form-data; name="%b"%b\r\n\r\n' % (_BOUNDARY, name.encode(), more)


def _boundary(raw: bytes) -> bytes:
    """What the first line says: the header's parameter could only say the same."""
    first, _, _ = raw[: _LONGEST_BOUNDARY + 4].partition(b"\r\n")
    if len(first) <= len(b"--") or not first.startswith(b"--") or len(first) > _LONGEST_BOUNDARY + 2:
        raise BadBody("The body of your request does not begin with the boundary of a multipart/form-data.")
    return first[2:]


def _segments(raw: bytes) -> list[tuple[MultipartSegment, bytes]]:
    boundary = _boundary(raw)
    if not raw[-len(boundary) - 8 :].removesuffix(b"\r\n").endswith(b"\r\n--%b--" % boundary):
        raise BadBody("The body of your request does not end with its boundary.")
    parser = PushMultipartParser(boundary, max_segment_count=MAX_FIELDS, strict=True)
    found: list[tuple[MultipartSegment, bytes]] = []
    for event in parser.parse(raw):
        if isinstance(event, MultipartSegment):
            found.append((event, b""))
        elif event is not None:
            # Given all at once, the parser hands on each body in one piece.
            found[-1] = (found[-1][0], bytes(event))
    parser.close()
    return found


def _collect(segments: list[tuple[MultipartSegment, bytes]]) -> Form:
    texts: dict[str, str | list[str]] = {}
    file: bytes | None = None
    for segment, body in segments:
        name = segment.name or ""
        if not _NAME.fullmatch(name):
            raise BadBody("The name of a form's field can have letters, digits, `_`, `.`, `-` and brackets alone.")
        if name == "file":
            if file is not None:
                raise BadBody("file: it is there twice.", "file")
            file = body
        else:
            _add(texts, name, body)
    if not file:
        raise BadBody("file: is required, and must not be empty.", "file")
    return Form(texts, file)


def _add(texts: dict[str, str | list[str]], name: str, body: bytes) -> None:
    if len(body) > MAX_TEXT_BYTES:
        raise BadBody(f"{name[:100]}: it is longer than {MAX_TEXT_BYTES} bytes.", name[:100])
    text = body.decode()
    if not name.endswith("[]"):
        if name in texts:
            raise BadBody(f"{name[:100]}: it is there twice.", name[:100])
        texts[name] = text
        return
    listed = texts.setdefault(name, [])
    if isinstance(listed, list):
        listed.append(text)
