"""ETags are equal for equal things, and `If-Match` lets only the state that it names be changed."""

import msgspec
import pytest

from ias.conditions import Changed, etag, expect


class Thing(msgspec.Struct):
    name: str
    size: int = 1


class Meter(msgspec.Struct):
    limit: int
    used: int

    def lasting(self) -> object:
        return self.limit


def test_equal_things_have_equal_tags_and_others_have_others() -> None:
    assert etag(Thing("a")) == etag(Thing("a"))
    assert etag(Thing("a")) != etag(Thing("b"))
    assert etag(Thing("a")).startswith('"')
    assert etag(Thing("a")).endswith('"')


def test_what_moves_by_itself_has_no_say_in_a_tag() -> None:
    assert etag(Meter(5, 1)) == etag(Meter(5, 2))
    assert etag(Meter(5, 1)) != etag(Meter(6, 1))


@pytest.mark.parametrize("said", ["", "*", " * ", etag(Thing("a")), f'"other", {etag(Thing("a"))}'])
def test_a_change_goes_through_where_the_thing_is_as_the_caller_says(said: str) -> None:
    expect(said, Thing("a"))


@pytest.mark.parametrize("said", ['"other"', f"W/{etag(Thing('a'))}", etag(Thing("b")), "nonsense", ","])
def test_a_change_is_refused_where_the_thing_is_another(said: str) -> None:
    with pytest.raises(Changed, match="read it again"):
        expect(said, Thing("a"))
