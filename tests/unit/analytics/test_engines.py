"""Counters of engines that begin anew, gaps in which nobody read them, and what a difference may come from."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest

from ias.analytics.engines.counters import GAP_S, Growth, growth
from ias.analytics.engines.domain import Cause, Ours, Reconciled, Theirs, reconciled
from ias.contract.readings import Reading

DAY = date(2026, 3, 1)
AFTER = datetime(2026, 3, 5, tzinfo=UTC)
WHOLE_DAY_S = 86_400.0


def read(at: float, *counters: int, started_at: float = 0.0) -> Reading:
    prompt, generation, requests = counters
    return Reading("http://a", at, started_at, prompt, generation, requests)


def theirs(*models: str, prompt: int = 100, generation: int = 50, requests: int = 5, **told: float) -> Theirs:
    return Theirs(
        models=models,
        prompt_tokens=prompt,
        generation_tokens=generation,
        requests=requests,
        restarts=int(told.get("restarts", 0)),
        unseen=int(told.get("unseen", 0)),
        watched_s=told.get("watched_s", WHOLE_DAY_S),
    )


def one(ours: Ours, *replicas: Theirs, now: datetime = AFTER) -> Reconciled:
    (item,) = reconciled(DAY, {"a": ours}, replicas, now)
    return item


def test_counters_grow_by_what_is_between_two_readings() -> None:
    assert growth(read(0, 10, 5, 1), read(10, 30, 6, 3)) == Growth(20, 1, 2, 0, 0, 10.0)


@pytest.mark.parametrize("now", [(3, 50, 9), (30, 2, 9), (30, 50, 0)], ids=["prompt", "generation", "requests"])
def test_a_counter_that_fell_began_anew(now: tuple[int, int, int]) -> None:
    grew = growth(read(0, 10, 5, 1), read(10, *now))
    assert (grew.prompt_tokens, grew.generation_tokens, grew.requests) == now
    assert (grew.restarts, grew.unseen) == (1, 0)


def test_another_process_that_has_counted_further_already_began_anew_too() -> None:
    before, after = read(0, 10, 5, 1, started_at=100.0), read(10, 11, 6, 2, started_at=5000.0)
    assert growth(before, after) == Growth(11, 6, 2, 1, 0, 10.0)


@pytest.mark.parametrize("started", [(100.0, 100.4), (0.0, 900.0), (900.0, 0.0)])
def test_the_same_process_or_one_that_does_not_say_when_it_began_goes_on(started: tuple[float, float]) -> None:
    before, after = read(0, 10, 5, 1, started_at=started[0]), read(10, 11, 6, 2, started_at=started[1])
    assert growth(before, after) == Growth(1, 1, 1, 0, 0, 10.0)


@pytest.mark.parametrize("now", [(3, 9, 2), (11, 2, 2), (11, 9, 0)], ids=["prompt", "generation", "requests"])
def test_a_process_of_which_a_core_has_gone_counts_nothing_anew(now: tuple[int, int, int]) -> None:
    before, after = read(0, 10, 5, 1, started_at=100.0), read(10, *now, started_at=100.0)
    grown = (max(new - old, 0) for new, old in zip(now, (10, 5, 1), strict=True))
    assert growth(before, after) == Growth(*grown, 0, 0, 0.0)


def test_two_processes_behind_one_url_add_nothing_however_they_take_turns() -> None:
    day = 86_400.0
    older, younger = {"started_at": day}, {"started_at": 2 * day}
    turns = [
        read(3 * day, 900, 90, 9, **older),
        read(3 * day + 10, 50, 5, 1, **younger),
        read(3 * day + 20, 990, 99, 10, **older),
    ]
    nothing = Growth(0, 0, 0, 0, 0, 0.0)
    assert [growth(*pair) for pair in pairwise(turns)] == [nothing, nothing]


def test_a_gap_loses_nothing_unless_the_engine_began_anew_in_it() -> None:
    later = GAP_S + 1
    assert growth(read(0, 10, 5, 1), read(later, 30, 6, 3)) == Growth(20, 1, 2, 0, 0, 0.0)
    assert growth(read(0, 10, 5, 1), read(later, 3, 6, 3)) == Growth(3, 6, 3, 1, 1, 0.0)


def test_equal_sums_agree_and_need_no_reason() -> None:
    item = one(Ours(5, 100, 50, early=1, came_in=1), theirs("a", restarts=1))
    assert (item.agrees, item.reasons) == (True, [])
    assert (item.prompt_difference, item.completion_difference, item.watched_share) == (0, 0, 1.0)


def test_a_day_on_which_nobody_read_engines_is_said_as_such() -> None:
    item = one(Ours(5, 100, 50))
    assert (item.engine_prompt_tokens, item.prompt_difference, item.agrees) == (None, None, None)
    assert [reason.cause for reason in item.reasons] == [Cause.NOT_READ]


@dataclass(frozen=True)
class Case:
    """What there is on a day, and what it is told as."""

    ours: Ours
    theirs: Theirs
    cause: Cause
    requests: int | None = None
    now: datetime = AFTER


OURS = Ours(5, 100, 50)
MORE = {"prompt": 110}
CASES = (
    Case(OURS, theirs("a", **MORE, watched_s=40_000.0), Cause.NOT_WATCHED),
    Case(OURS, theirs("a", **MORE, restarts=2), Cause.RESTARTED),
    Case(OURS, theirs("a", **MORE, restarts=1, unseen=1), Cause.RESTARTED_UNSEEN),
    Case(Ours(5, 100, 50, early=2), theirs("a", **MORE), Cause.ENDED_EARLY, 2),
    Case(Ours(5, 100, 50, came_in=1, went_out=2), theirs("a", **MORE), Cause.ACROSS_MIDNIGHT, 3),
    Case(OURS, theirs("a", **MORE), Cause.UNDER_WAY, now=datetime(2026, 3, 1, 18, tzinfo=UTC)),
    Case(OURS, theirs("a", **MORE, requests=9), Cause.PAST_THE_GATEWAY, 4),
    Case(OURS, theirs("a", **MORE), Cause.UNEXPLAINED),
    Case(OURS, theirs("a", generation=40), Cause.UNEXPLAINED),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.cause.value)
def test_a_difference_is_told_with_what_it_may_come_from(case: Case) -> None:
    item = one(case.ours, case.theirs, now=case.now)
    assert item.agrees is False
    assert [(reason.cause, reason.requests) for reason in item.reasons] == [(case.cause, case.requests)]
    assert item.reasons[0].said


def test_a_day_that_is_not_over_counts_as_watched_by_what_has_passed_of_it() -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert one(OURS, theirs("a", watched_s=21_600.0), now=noon).watched_share == 0.5
    assert one(OURS, theirs("a"), now=noon - timedelta(hours=11)).watched_share == 1.0


def test_models_that_share_a_replica_are_told_together() -> None:
    ours = {"a": Ours(1, 10, 1), "b": Ours(2, 20, 2), "c": Ours(3, 30, 3), "d": Ours(4, 40, 4)}
    replicas = (theirs("a"), theirs("a", "b"), theirs("b", "c"), theirs("e"))
    found = {tuple(item.models): item for item in reconciled(DAY, ours, replicas, AFTER)}
    assert set(found) == {("a", "b", "c"), ("d",), ("e",)}
    together, alone = found["a", "b", "c"], found["e",]
    assert (together.prompt_tokens, together.engine_prompt_tokens, together.replicas) == (60, 300, 3)
    assert (alone.requests, alone.prompt_difference, found["d",].agrees) == (0, 100, None)
