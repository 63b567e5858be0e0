"""Which quarters of an hour, hours and days events fall into, and by what usage can be grouped."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest

from ias.analytics.usage.domain import BadGrouping, Grouping, Totals, UsageItem, fault_in, groups, totals
from ias.analytics.usage.rollups import (
    Bucket,
    ModelBucket,
    PlatformBucket,
    Sum,
    Tally,
    day_of,
    hour_of,
    rolled_up,
)
from ias.analytics.usage.sketch import OUTCOMES
from ias.analytics.usage.spans import BadRange, Grain, Span
from ias.contract.usage import Outcome, UsageRecorded
from tests.unit import events

MOMENT = datetime(2026, 1, 31, 23, 59, 30, tzinfo=UTC)
EAST = timezone(timedelta(hours=5, minutes=30))


def an_event(**changes: object) -> UsageRecorded:
    return events.an_event(**{"started_at": MOMENT, "settled_at": MOMENT + timedelta(seconds=1)} | changes)


def test_hours_and_days_are_utc_whatever_offset_a_time_is_written_with() -> None:
    assert hour_of(MOMENT.astimezone(EAST)) == datetime(2026, 1, 31, 23, tzinfo=UTC)
    assert day_of(MOMENT.astimezone(EAST)) == datetime(2026, 1, 31, tzinfo=UTC)


def test_what_started_long_after_it_was_settled_cannot_be_taken_in() -> None:
    assert fault_in(an_event()) is None
    assert fault_in(an_event(started_at=MOMENT + timedelta(days=1))) is None
    assert fault_in(an_event(started_at=MOMENT + timedelta(days=3))) == "started long after it was settled"


def test_what_no_one_can_record_cannot_be_taken_in() -> None:
    assert fault_in(an_event(replica="\0"))


def test_quarters_of_an_hour_are_utc() -> None:
    [(bucket, _)] = rolled_up([an_event(started_at=MOMENT.astimezone(EAST))]).usage_quarters

    assert bucket.start == datetime(2026, 1, 31, 23, 45, tzinfo=UTC)


def test_adjustments_add_tokens_but_no_request() -> None:
    events = [an_event(), an_event(line=2, prompt_tokens=0, completion_tokens=-4, cached_tokens=0)]

    rollups = rolled_up(events, 5)

    day, sums = datetime(2026, 1, 31, tzinfo=UTC), Sum(1, 0, 100, 6, 60)
    assert rollups.usage_days == [(Bucket(UUID(int=2), day, UUID(int=3), UUID(int=4), "mock-gpt"), sums)]
    tally = Tally(sums, {OUTCOMES[Outcome.COMPLETED]: 1})
    assert rollups.model_days == [(ModelBucket(UUID(int=2), day, "mock-gpt"), tally)]
    assert rollups.platform_days == [(PlatformBucket(5, day, "mock-gpt"), tally)]


@pytest.mark.parametrize(
    ("outcome", "failed"),
    [
        (Outcome.COMPLETED, 0),
        (Outcome.CLIENT_ABORTED, 0),
        (Outcome.UPSTREAM_FAILED, 1),
        (Outcome.UPSTREAM_TIMEOUT, 1),
        (Outcome.GATEWAY_LOST, 1),
    ],
)
def test_only_what_the_platform_did_not_bring_to_an_end_has_failed(outcome: Outcome, failed: int) -> None:
    rollups = rolled_up([an_event(outcome=outcome)])

    assert [total.failed for _, total in rollups.usage_quarters] == [failed]
    assert [tally.sums.failed for _, tally in rollups.model_hours] == [failed]


def test_buckets_come_in_order() -> None:
    events = [an_event(started_at=MOMENT + timedelta(hours=hours)) for hours in (3, -3, 0)]

    rollups = rolled_up(events)

    for rows in (rollups.usage_quarters, rollups.usage_days, rollups.model_hours, rollups.platform_days):
        assert [bucket for bucket, _ in rows] == sorted(bucket for bucket, _ in rows)
    assert len(rollups.usage_quarters) == 3


def test_every_rollup_holds_the_same() -> None:
    moments = [MOMENT + timedelta(minutes=minutes) for minutes in (-300, -60, -20, 0, 180)]
    events = [
        an_event(started_at=moment, settled_at=moment, user=UUID(int=9 + n % 2), model=f"model-{n % 3}")
        for n, moment in enumerate(moments)
    ]

    rollups = rolled_up(events)

    whole = Sum()
    for _, total in rollups.usage_quarters:
        whole.add(total)
    assert (len(rollups.usage_quarters), whole.requests) == (5, 5)
    assert sum(total.prompt_tokens for _, total in rollups.usage_days) == whole.prompt_tokens
    tallied = (rollups.model_hours, rollups.model_days, rollups.platform_hours, rollups.platform_days)
    for rows in tallied:
        tally = Tally()
        for _, each in rows:
            tally.add(each)
        assert tally == Tally(whole, {OUTCOMES[Outcome.COMPLETED]: 5})


DAY = Span(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))


def test_groups_are_in_one_order_however_they_are_asked_for() -> None:
    by = groups([Grouping.KEY, Grouping.DAY, Grouping.MODEL], DAY)

    assert (by.grain, by.owners) == (Grain.DAY, (Grouping.MODEL, Grouping.KEY))
    assert by.said == [Grouping.DAY, Grouping.MODEL, Grouping.KEY]
    assert by.columns == ["start", "model", "key_id"]
    assert groups([Grouping.USER], DAY).columns == ["user_id"]


@pytest.mark.parametrize(
    "by",
    [
        [Grouping.HOUR, Grouping.DAY],
        [Grouping.MODEL, Grouping.USER, Grouping.KEY],
        [Grouping.MODEL, Grouping.MODEL],
    ],
)
def test_what_cannot_be_grouped_by_is_refused(by: list[Grouping]) -> None:
    with pytest.raises(BadGrouping, match="at most"):
        groups(by, DAY)


def test_hours_are_told_of_three_months_at_most() -> None:
    with pytest.raises(BadRange, match="group by day"):
        groups([Grouping.HOUR], Span(DAY.start, DAY.start + timedelta(days=94)))


def test_totals_are_the_sums_of_the_items() -> None:
    items = [UsageItem(model="a", requests=1, prompt_tokens=2, total_tokens=2), UsageItem(model="b", requests=3)]

    assert totals(items) == Totals(requests=4, prompt_tokens=2, total_tokens=2)
