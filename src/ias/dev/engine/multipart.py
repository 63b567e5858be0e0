"""`multipart/form-data`: the fields and the file of a form."""

import re

import msgspec

_BOUNDARY = re.compile(rb'boundary="?([^";,]+)"?', re.IGNORECASE)
_NAME = re.compile(rb'[; ]name="([^"]*)"')
_FILENAME = re.compile(rb'filename="')


class Form(msgspec.Struct):
    """What a form holds.

    Attributes:
        fields: the last value of each; those that end in `[]` are lists.
        files: contents by the name of the field.
    """

    fields: dict[str, str | list[str]]
    files: dict[str, bytes]


def parse(body: bytes, content_type: bytes) -> Form:
    """A form. A body that is none has neither fields nor files."""
    form = Form({}, {})
    found = _BOUNDARY.search(content_type)
    if not content_type.lower().startswith(b"multipart/form-data") or found is None:
        return form
    for part in (b"\r\n" + body).split(b"\r\n--" + found[1])[1:]:
        head, blank, content = part.partition(b"\r\n\r\n")
        name = _NAME.search(head)
        if blank and name is not None:
            _put(form, name[1].decode(errors="replace"), content, is_file=_FILENAME.search(head) is not None)
    return form


def _put(form: Form, name: str, content: bytes, *, is_file: bool) -> None:
    if is_file:
        form.files[name] = content
        return
    value = content.decode(errors="replace")
    known = form.fields.get(name, [])
    form.fields[name] = [*known, value] if name.endswith("[]") and isinstance(known, list) else value
