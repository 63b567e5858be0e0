"""Keys that were found good lately: for how long, and how many."""

from ias_gateway.vouching import LASTS_S, MOST_REMEMBERED, Recent


def test_a_key_is_remembered_for_a_minute() -> None:
    recent = Recent()
    assert not recent.has("a", 100.0)
    recent.note("a", 100.0)
    assert recent.has("a", 100.0 + LASTS_S - 1)
    assert not recent.has("b", 100.0)
    assert not recent.has("a", 100.0 + LASTS_S)


def test_no_more_keys_are_remembered_than_there_is_room_for() -> None:
    recent = Recent()
    for number in range(MOST_REMEMBERED + 1):
        recent.note(str(number), 0.0)
    assert sum(recent.has(str(number), 1.0) for number in range(MOST_REMEMBERED + 1)) <= MOST_REMEMBERED
    assert recent.has(str(MOST_REMEMBERED), 1.0)
