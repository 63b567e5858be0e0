"""Cursors come back as they went, and forged ones are refused."""

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ias.paging import BadCursor, decode_cursor, encode_cursor, page
from ias.problems import FieldError, NotFound, details


@given(st.uuids())
def test_a_cursor_comes_back_as_it_went(last: UUID) -> None:
    assert decode_cursor(encode_cursor(last)) == last


def test_without_a_cursor_the_list_begins() -> None:
    assert decode_cursor(None) is None


@given(st.text(max_size=40))
def test_a_forged_cursor_is_refused_or_canonical(forged: str) -> None:
    try:
        last = decode_cursor(forged)
    except BadCursor:
        return
    assert last is not None
    assert encode_cursor(last) == forged


@pytest.mark.parametrize("forged", ["", "a", "AAAAAAAAAAAAAAAAAAAAAB", "%" * 22, "ä" * 22])
def test_what_is_no_cursor_says_what_to_do(forged: str) -> None:
    with pytest.raises(BadCursor, match="leave it out"):
        decode_cursor(forged)


def test_a_page_points_on_only_where_there_is_more() -> None:
    ids = [uuid4() for _ in range(3)]
    whole = page(ids, 3, lambda each: each)
    assert (whole.items, whole.next_cursor) == (ids, None)
    first = page(ids, 2, lambda each: each)
    assert (first.items, first.next_cursor) == (ids[:2], encode_cursor(ids[1]))


def test_a_problem_has_the_wire_form_of_rfc_9457() -> None:
    problem = NotFound("no such key", (FieldError("/id", "unknown"),))
    told = details(problem, "/api/v1/x", "r1")
    assert (told.type, told.title) == ("urn:ias:problem:not-found", "Not found")
    assert (told.status, told.detail) == (404, "no such key")
    assert (told.instance, told.request_id, told.errors) == ("/api/v1/x", "r1", problem.errors)
    assert NotFound().detail == "Not found"
