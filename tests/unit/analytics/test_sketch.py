"""Percentiles of what was counted: at most 5 % off, and the same however the counts were put together."""

from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ias.analytics.usage.sketch import (
    ACCURACY,
    LAST,
    OUTCOMES,
    Counts,
    added,
    bin_of,
    count,
    performance,
    quantile,
    rate,
    read,
    value_of,
    written,
)
from ias.contract.usage import Outcome, UsageRecorded
from tests.unit import events

TIMES = st.floats(min_value=1, max_value=10**9)


def an_event(**changes: object) -> UsageRecorded:
    fields = {
        "completion_tokens": 11,
        "streamed": True,
        "duration_ms": 1200.0,
        "first_token_ms": 200.0,
        "queue_ms": 3.0,
    }
    return events.an_event(**fields | changes)


def counted(*some: UsageRecorded) -> Counts:
    counts = Counts(int)
    for event in some:
        count(counts, event)
    return counts


@given(TIMES)
def test_a_value_is_told_five_per_cent_off_at_most(value: float) -> None:
    assert abs(value_of(bin_of(value)) - value) <= ACCURACY * value * (1 + 1e-9)


@pytest.mark.parametrize(("value", "expected"), [(-1.0, 0), (0.0, 0), (0.5, 0), (1.0, 0), (1e300, LAST)])
def test_every_value_has_a_bin(value: float, expected: int) -> None:
    assert bin_of(value) == expected


@given(st.lists(TIMES, min_size=1, max_size=200), st.sampled_from([0.5, 0.9, 0.95, 0.99, 1.0]))
def test_a_percentile_is_five_per_cent_off_the_value_at_its_rank_at_most(values: list[float], share: float) -> None:
    exact = sorted(values)[ceil(share * len(values)) - 1]
    told = quantile(added((bin_of(value), 1) for value in values), share)

    assert told is not None
    assert abs(told - exact) <= ACCURACY * exact * (1 + 1e-9)


@settings(deadline=None)
@given(st.lists(st.lists(TIMES, max_size=20), max_size=10))
def test_counts_that_are_put_together_are_those_of_all(batches: list[list[float]]) -> None:
    whole = counted(*(an_event(duration_ms=value) for batch in batches for value in batch))
    parts = [written(counted(*(an_event(duration_ms=value) for value in batch))) for batch in batches]

    assert read(number for part in parts for number in part) == whole


def test_nothing_has_no_percentiles() -> None:
    told = performance({})

    assert (told.duration_ms.p50, told.duration_ms.count, told.outcomes) == (None, 0, {})


def test_each_time_is_told_of_the_requests_that_have_it() -> None:
    told = performance(counted(an_event(), an_event(duration_ms=None, queue_ms=None, outcome=Outcome.CUT)))

    assert told.outcomes == {Outcome.COMPLETED: 1, Outcome.CUT: 1}
    assert (told.duration_ms.count, told.first_token_ms.count, told.queue_ms.count) == (1, 2, 1)
    assert told.duration_ms.p99 == pytest.approx(1200, rel=ACCURACY)
    assert told.first_token_ms.p50 == pytest.approx(200, rel=ACCURACY)
    assert told.tokens_per_second.p50 == pytest.approx(10, rel=ACCURACY)


def test_what_is_no_stream_has_no_first_token_and_no_speed() -> None:
    told = performance(counted(an_event(streamed=False)))

    assert (told.first_token_ms.count, told.tokens_per_second.count, told.duration_ms.count) == (0, 0, 1)


@pytest.mark.parametrize(
    "changes",
    [{"completion_tokens": 1}, {"first_token_ms": None}, {"duration_ms": None}, {"duration_ms": 200.0}],
)
def test_speed_needs_a_time_and_two_tokens(changes: dict[str, object]) -> None:
    event = an_event(**changes)

    assert rate(event.completion_tokens, event.first_token_ms, event.duration_ms) is None


def test_every_outcome_has_a_number_of_its_own() -> None:
    assert OUTCOMES.keys() == set(Outcome)
    assert sorted(OUTCOMES.values()) == list(range(len(Outcome)))
