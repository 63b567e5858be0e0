"""The directive in a message that changes how one request is answered."""

import pytest

from ias.dev.engine.directives import BadDirective, Behaviour, Settings, behaviour

USUAL = Behaviour(tokens=7, delay_ms=3)


def test_a_text_without_a_directive_changes_nothing() -> None:
    assert behaviour("hello [[mock]] mock tokens=5", USUAL) is USUAL


def test_a_directive_changes_what_it_names_and_leaves_the_rest() -> None:
    told = behaviour("please [[mock tokens=50 die_after=5 first_ms=1.5]] now", USUAL)
    assert told == Behaviour(tokens=50, delay_ms=3, die_after=5, first_ms=1.5)


def test_a_name_alone_means_true() -> None:
    assert behaviour("[[mock no_usage tool]]", USUAL) == Behaviour(tokens=7, delay_ms=3, no_usage=True, tool=True)


@pytest.mark.parametrize("words", ["tokns=5", "tokens=many", "tokens", "refuse_connections"])
def test_a_directive_that_cannot_be_understood_is_refused(words: str) -> None:
    with pytest.raises(BadDirective, match=words.partition("=")[0]):
        behaviour(f"[[mock {words}]]", Settings())


@pytest.mark.parametrize(
    ("told", "after"),
    [
        (Behaviour(), None),
        (Behaviour(hang_after=0), 0),
        (Behaviour(die_after=5, error_chunk_after=3), 3),
    ],
)
def test_the_earliest_fault_is_the_one_that_happens(told: Behaviour, after: int | None) -> None:
    assert told.fault_after == after
