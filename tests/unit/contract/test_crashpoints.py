"""Crash points: named, counted, and nothing where none is armed."""

import os
import signal
from collections.abc import Iterator

import pytest

from ias.contract.crashpoints import Crashpoint, arm, checked, reached


@pytest.fixture
def kills(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, int]]]:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))
    yield sent
    arm("")


def test_the_process_is_killed_the_first_time_that_it_gets_there(kills: list) -> None:
    assert arm("after_settle") is Crashpoint.AFTER_SETTLE
    reached(Crashpoint.BEFORE_SETTLE)
    assert not kills
    reached(Crashpoint.AFTER_SETTLE)
    assert kills == [(os.getpid(), signal.SIGKILL)]


def test_a_number_says_which_time(kills: list) -> None:
    arm("after_reserve:3")
    for _ in range(2):
        reached(Crashpoint.AFTER_RESERVE)
    assert not kills
    reached(Crashpoint.AFTER_RESERVE)
    assert len(kills) == 1


def test_nothing_happens_where_none_is_set(kills: list) -> None:
    assert arm("") is None
    for point in Crashpoint:
        reached(point)
    assert not kills
    assert checked("") == ""


@pytest.mark.parametrize("told", ["nowhere", "after_settle:", "after_settle:0", "after_settle:x", "after_settle:-1"])
def test_an_unknown_name_is_refused_with_the_list(told: str) -> None:
    with pytest.raises(ValueError, match=r"after_reserve, after_dispatch, .*after_commit"):
        checked(told)


@pytest.mark.parametrize("point", Crashpoint)
def test_every_point_can_be_told(point: Crashpoint) -> None:
    assert checked(point) == point
    assert checked(f"{point}:12") == f"{point}:12"
