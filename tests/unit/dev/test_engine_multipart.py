"""Forms are read as they are sent."""

import pytest

from ias.dev.engine.multipart import Form, parse

TYPE = b"multipart/form-data; boundary=line"


def part(name: str, content: bytes, more: str = "") -> bytes:
    return b'--line\r\ncontent-disposition: form-data; name="%b"%b\r\n\r\n%b\r\n' % (
        name.encode(),
        more.encode(),
        content,
    )


def form(*parts: bytes) -> Form:
    return parse(b"".join(parts) + b"--line--\r\n", TYPE)


def test_fields_and_files_are_told_apart_by_the_file_name() -> None:
    found = form(part("model", b"a"), part("file", b"\r\n\0--lin\r\n", '; filename="a.wav"'))
    assert (found.fields, found.files) == ({"model": "a"}, {"file": b"\r\n\0--lin\r\n"})


def test_the_last_of_two_equal_fields_wins_unless_it_is_a_list() -> None:
    found = form(part("model", b"a"), part("model", b"b"), part("of[]", b"word"), part("of[]", b"segment"))
    assert found.fields == {"model": "b", "of[]": ["word", "segment"]}


def test_a_file_name_before_the_name_does_not_hide_it() -> None:
    raw = b'--line\r\ncontent-disposition: form-data; filename="x"; name="file"\r\n\r\nabc\r\n--line--\r\n'
    assert parse(raw, TYPE).files == {"file": b"abc"}


@pytest.mark.parametrize("content_type", [b"application/json", b"multipart/form-data", b""])
def test_what_is_no_form_is_empty(content_type: bytes) -> None:
    found = parse(part("model", b"a"), content_type)
    assert (found.fields, found.files) == ({}, {})


def test_a_quoted_boundary_is_the_same() -> None:
    raw = part("model", b"a") + b"--line--\r\n"
    assert parse(raw, b'multipart/form-data; boundary="line"').fields == {"model": "a"}
