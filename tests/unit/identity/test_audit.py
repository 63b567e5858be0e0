"""What the audit log keeps of a change, never a secret; and how people read it."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from ias.identity.audit.domain import MASKED, Change, Entry, changes, masked, subject


@pytest.mark.parametrize(
    "name", ["password", "new_password", "password_hash", "token", "refresh_token", "Secret", "fingerprint"]
)
def test_a_secret_is_masked_by_its_name(name: str) -> None:
    assert masked({name: "hush"}) == {name: MASKED}


def test_what_only_sounds_like_a_secret_stays() -> None:
    fields = {"monthly_tokens": 5, "tokens_per_minute": None, "tokenizer": "x", "label": "token", "hashes": 2}
    assert masked(fields) == fields


def entry(before: dict[str, object] | None, after: dict[str, object] | None) -> Entry:
    return Entry(
        id=uuid4(),
        org_id=None,
        actor_id=None,
        actor="system",
        action="x",
        target_id=None,
        before=before,
        after=after,
        source="system",
        request_id="",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        seq=1,
        hash="",
    )


def test_fields_that_stayed_and_those_left_empty_are_not_told() -> None:
    found = changes(entry({"name": "a", "role": "x"}, {"name": "b", "role": "x", "expires_at": None}))
    assert found == (Change("name", "a", "b"),)


def test_what_was_made_has_no_before_and_what_ended_no_after() -> None:
    assert changes(entry(None, {"label": "x"})) == (Change("label", None, "x"),)
    assert changes(entry({"label": "x"}, None)) == (Change("label", "x", None),)


def test_of_a_secret_it_is_told_that_it_was_changed() -> None:
    assert changes(entry({"password": MASKED}, {"password": MASKED})) == (Change("password", MASKED, MASKED),)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1234567, "1,234,567"),
        (True, "yes"),
        (False, "no"),
        (None, "none"),
        ([50, 80], "50, 80"),
        ([], "nothing"),
        ({"a": [1]}, '{"a":[1]}'),
        (1.5, "1.5"),
    ],
)
def test_values_are_told_as_people_write_them(value: object, said: str) -> None:
    assert changes(entry({"x": "-"}, {"x": value})) == (Change("x", "-", said),)


def test_an_entry_says_what_its_thing_is_called_where_it_knows() -> None:
    assert subject(entry({"name": "old"}, {"role": "x", "email": "ada@example.org"})) == "ada@example.org"
    assert subject(entry({"name": "old"}, {"role": "x"})) == "old"
    assert subject(entry(None, {"name": 5})) == ""
