"""What Redis has confirmed is kept until the outbox no longer has it."""

import pytest

from ias_gateway import kept
from ias_gateway.kept import Kept

MOMENT = 1_700_000_000_000


def holding(*entries: str) -> Kept:
    made = Kept()
    for entry in entries:
        made.keep("tag", entry, f"of {entry}", b"packed")
    return made


def left(made: Kept) -> list[str]:
    count = made.count
    entries = [entry for entry, _, _ in made.take("tag")]
    assert (count, made.count) == (len(entries), 0)
    return entries


@pytest.mark.parametrize(
    ("first", "stays"),
    [
        (f"{MOMENT}-0", 4),
        (f"{MOMENT}-2", 4),
        (f"{MOMENT}-3", 3),
        (f"{MOMENT}-10", 3),
        (f"{MOMENT}-11", 2),
        (f"{MOMENT + 1}-0", 2),
        (f"{MOMENT + 1}-1", 1),
        (f"{MOMENT * 10}-0", 1),
        (f"{MOMENT * 10}-1", 0),
        ("", 0),
    ],
)
def test_what_came_before_the_first_entry_of_the_outbox_is_forgotten(first: str, stays: int) -> None:
    entries = [f"{MOMENT}-2", f"{MOMENT}-10", f"{MOMENT + 1}-0", f"{MOMENT * 10}-0"]
    made = holding(*entries)
    made.let_go("tag", first)
    made.let_go("another", first)
    assert left(made) == entries[len(entries) - stays :]


def test_short_entries_are_compared_by_their_numbers() -> None:
    made = holding("9-100", "10-99", "100-1")
    made.let_go("tag", "10-99")
    assert left(made) == ["10-99", "100-1"]


def test_each_organisation_has_its_own() -> None:
    made = holding("7-1")
    made.keep("other", "5-1", "request", b"settled")
    assert set(made.tags) == {"tag", "other"}
    assert (made.oldest_ms("tag"), made.oldest_ms("other"), made.oldest_ms("third")) == (7, 5, None)
    assert list(made.take("other")) == [("5-1", "request", b"settled")]
    assert (set(made.tags), made.count) == ({"tag"}, 1)
    assert list(made.take("other")) == []


def test_what_made_no_entry_is_not_kept() -> None:
    assert left(holding("")) == []


def test_no_more_than_so_many_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MAX_KEPT", 2)
    assert left(holding("1-1", "2-1", "3-1")) == ["1-1", "2-1"]
