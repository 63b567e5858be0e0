"""Bodies are taken strictly, and refused with every fault at once."""

from datetime import datetime
from typing import Annotated

import msgspec
import pytest

from ias.bodies import MOST, decoded, fault_of, in_json_terms
from ias.problems import BadRequest, FieldError


class Engine(msgspec.Struct, forbid_unknown_fields=True):
    url: str


class Sent(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    size: Annotated[int, msgspec.Meta(ge=1, le=9)] | None = None
    engines: list[Engine] = []
    since: datetime | None = None


def refused(body: bytes) -> dict[object, str]:
    """The faults, by their places."""
    with pytest.raises(BadRequest) as problem:
        decoded(body, Sent)
    assert problem.value.detail == "; ".join(fault.said() for fault in problem.value.errors)
    return {fault.pointer: fault.detail for fault in problem.value.errors}


def test_what_fits_is_taken() -> None:
    assert decoded(b'{"name": "x", "size": 9, "engines": [{"url": "u"}]}', Sent) == Sent("x", 9, [Engine("u")])


def test_every_field_that_is_wrong_is_told_at_once() -> None:
    assert refused(b'{"nome": "x", "size": "5", "engines": [{"url": "u"}, {"uri": "u"}], "since": "yesterday"}') == {
        "/nome": "there is no such field; did you mean name?",
        "/name": "is required",
        "/size": "expected integer or null, got string",
        "/engines/1/uri": "there is no such field",
        "/since": "invalid RFC3339 encoded datetime",
    }


@pytest.mark.parametrize(
    ("body", "pointer", "detail"),
    [
        (b'{"name": "x", "size": 10}', "/size", "expected integer <= 9"),
        (b'{"name": "x", "size": 1.5}', "/size", "expected integer or null, got number"),
        (b'{"name": "x", "size": true}', "/size", "expected integer or null, got boolean"),
        (b'{"name": "x", "engines": [{}]}', "/engines/0/url", "is required"),
        (b'{"name": null}', "/name", "expected string, got null"),
        (b'{"name": "x", "a/b~c": 1}', "/a~1b~0c", "there is no such field"),
        (b"[]", "", "expected object, got array"),
        (b'"x"', "", "expected object, got string"),
        (b"[" * 100_000, "", "expected object, got array"),
    ],
)
def test_a_fault_says_where_it_is_and_what_is_expected(body: bytes, pointer: str, detail: str) -> None:
    assert refused(body) == {pointer: detail}


@pytest.mark.parametrize("body", [b"{", b'{"name": "x"', b"\xff", b'{"name": "\xff"}', b'{"name": "\\ud800"}'])
def test_what_is_no_json_is_told_so(body: bytes) -> None:
    [(pointer, detail)] = refused(body).items()
    assert pointer == ""
    assert detail.startswith("is not JSON: ")


def test_a_long_name_is_not_repeated_as_a_whole() -> None:
    [pointer] = refused(b'{"name": "x", "' + b"y" * 10_000 + b'": 1}')
    assert len(str(pointer)) < 200


def test_numbers_that_no_integer_can_be_are_refused() -> None:
    assert refused(b'{"name": "x", "size": 1e400}') == {"/size": "number out of range"}
    assert refused(b'{"name": "x", "other": 1e400}')


def test_names_of_types_are_those_of_json() -> None:
    assert in_json_terms("Expected `int | null`, got `str`") == "expected integer or null, got string"
    assert in_json_terms("Expected `array` of at most length 3") == "expected array of at most length 3"


def test_what_msgspec_says_of_a_mapping_ends_at_the_mapping() -> None:
    assert fault_of("Expected `int`, got `str` - at `$.users[...]`") == FieldError(
        "/users", "expected integer, got string"
    )


def test_of_very_many_faults_some_are_told() -> None:
    body = msgspec.json.encode({"name": "x", **{f"f{number}": 1 for number in range(1000)}})
    assert len(refused(body)) == MOST
