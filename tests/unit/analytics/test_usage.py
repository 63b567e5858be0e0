"""Which hours and days events fall into, and which spans can be asked for."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest

from ias.analytics.usage.domain import (
    BadRange,
    Bucket,
    Span,
    Sum,
    day_of,
    days,
    fault_in,
    hour_of,
    rolled_up,
    span,
)
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


def test_adjustments_add_tokens_but_no_request() -> None:
    events = [an_event(), an_event(line=2, prompt_tokens=0, completion_tokens=-4, cached_tokens=0)]

    [(bucket, total)] = days(rolled_up(events))

    assert bucket == Bucket(UUID(int=2), datetime(2026, 1, 31, tzinfo=UTC), UUID(int=3), UUID(int=4), "mock-gpt")
    assert total == Sum(requests=1, prompt_tokens=100, completion_tokens=6, cached_tokens=60)


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
    [(_, total)] = rolled_up([an_event(outcome=outcome)])

    assert total.failed == failed


def test_buckets_come_in_order() -> None:
    events = [an_event(started_at=MOMENT + timedelta(hours=hours)) for hours in (3, -3, 0)]

    starts = [bucket.start for bucket, _ in rolled_up(events)]

    assert starts == sorted(starts)
    assert len(starts) == 3


def test_the_days_hold_what_their_hours_do() -> None:
    moments = [MOMENT + timedelta(hours=hours) for hours in (-5, -1, 0, 3)]
    events = [
        an_event(started_at=moment, settled_at=moment, user=UUID(int=9 + n % 2)) for n, moment in enumerate(moments)
    ]

    by_day = [(bucket.start.day, bucket.user.int, total.requests) for bucket, total in days(rolled_up(events))]

    assert by_day == [(31, 9, 2), (31, 10, 1), (1, 10, 1)]


def test_where_nothing_is_said_it_is_the_month_so_far() -> None:
    assert span(None, None, MOMENT) == Span(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))


def test_a_span_is_widened_to_whole_hours() -> None:
    asked = span(MOMENT - timedelta(hours=2), MOMENT, MOMENT)

    assert asked == Span(datetime(2026, 1, 31, 21, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))
    assert not asked.of_days


def test_a_span_from_midnight_to_midnight_is_of_days() -> None:
    assert span(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC), MOMENT).of_days


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (MOMENT, MOMENT - timedelta(hours=2)),
        (MOMENT - timedelta(days=4000), MOMENT),
        (MOMENT.replace(tzinfo=None), None),
        (None, MOMENT.replace(tzinfo=None)),
        (None, datetime.max.replace(tzinfo=UTC)),
    ],
)
def test_a_span_that_cannot_be_answered_is_refused(start: datetime | None, end: datetime | None) -> None:
    with pytest.raises(BadRange):
        span(start, end, MOMENT)
