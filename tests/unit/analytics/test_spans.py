"""Which spans can be asked for, in which time zones, and which rollups they are put together from."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ias.analytics.usage.spans import (
    BadRange,
    Grain,
    Piece,
    Span,
    UnknownZone,
    cuts,
    has_whole_hours,
    pieces,
    previous,
    span,
    zone_of,
)

MOMENT = datetime(2026, 1, 31, 23, 59, 30, tzinfo=UTC)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe")


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


def test_where_nothing_is_said_it_is_the_month_so_far() -> None:
    assert span(None, None, "UTC", MOMENT) == Span(utc(2026, 1, 1), utc(2026, 2, 1))


def test_a_month_begins_where_the_time_zone_is() -> None:
    assert span(None, None, "Europe/Berlin", MOMENT).start == utc(2026, 1, 31, 23)
    assert span(None, None, "America/New_York", MOMENT).start == utc(2026, 1, 1, 5)


def test_a_span_is_widened_to_whole_hours_of_the_time_zone() -> None:
    start, end = MOMENT - timedelta(hours=2), MOMENT

    assert span(start, end, "UTC", MOMENT) == Span(utc(2026, 1, 31, 21), utc(2026, 2, 1))
    kolkata = span(start, end, "Asia/Kolkata", MOMENT)
    assert (kolkata.start, kolkata.end) == (utc(2026, 1, 31, 21, 30), utc(2026, 2, 1, 0, 30))


def test_times_without_an_offset_are_the_time_zones() -> None:
    asked = span(datetime(2026, 7, 1), datetime(2026, 7, 2), "Europe/Berlin", MOMENT)  # noqa: DTZ001 - on purpose

    assert (asked.start, asked.end) == (utc(2026, 6, 30, 22), utc(2026, 7, 1, 22))


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (MOMENT, MOMENT - timedelta(hours=2)),
        (MOMENT - timedelta(days=4000), MOMENT),
        (None, datetime.max.replace(tzinfo=UTC)),
        (datetime.min.replace(tzinfo=UTC), None),
        (datetime.min, None),  # noqa: DTZ901 - on purpose
    ],
)
@pytest.mark.parametrize("zone", ZONES)
def test_a_span_that_cannot_be_answered_is_refused(start: datetime | None, end: datetime | None, zone: str) -> None:
    with pytest.raises(BadRange):
        span(start, end, zone, MOMENT)


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "../../etc/passwd", "Europe/Berlin\0", "UTC+3", "x" * 10_000])
def test_a_time_zone_that_there_is_not_is_refused_with_what_to_do(zone: str) -> None:
    with pytest.raises(UnknownZone, match="Europe/Berlin"):
        zone_of(zone)


@pytest.mark.parametrize("zone", ZONES)
def test_hours_are_whole_where_the_zone_is_whole_hours_from_utc(zone: str) -> None:
    year = Span(utc(2026, 1, 1), utc(2027, 1, 1), zone)

    assert has_whole_hours(year) == (zone in {"UTC", "Europe/Berlin", "America/New_York"})


def test_whole_days_are_taken_from_daily_sums_and_the_rest_from_finer_ones() -> None:
    asked = Span(utc(2026, 1, 1, 5), utc(2026, 1, 9, 3))

    daily = Piece(daily=True, start=utc(2026, 1, 2), end=utc(2026, 1, 9))
    edges = (
        Piece(daily=False, start=asked.start, end=utc(2026, 1, 2)),
        Piece(daily=False, start=utc(2026, 1, 9), end=asked.end),
    )
    assert pieces(asked, Grain.DAY) == (edges[0], daily, edges[1])
    assert pieces(asked, Grain.HOUR) == (Piece(daily=False, start=asked.start, end=asked.end),)


def test_days_of_another_time_zone_are_put_together_from_hours_unless_days_do_not_matter() -> None:
    berlin = Span(utc(2025, 12, 31, 23), utc(2026, 1, 31, 23), "Europe/Berlin")

    assert [piece.daily for piece in pieces(berlin, Grain.DAY)] == [False, True, False]
    assert [piece.daily for piece in pieces(berlin, Grain.HOUR)] == [False]
    assert [piece.daily for piece in pieces(berlin, None)] == [False, True, False]


@given(
    hours=st.integers(0, 3000),
    length=st.integers(1, 3000),
    zone=st.sampled_from(ZONES),
    grain=st.sampled_from([None, *Grain]),
)
def test_the_pieces_are_the_span_and_daily_ones_are_of_days(
    hours: int, length: int, zone: str, grain: Grain | None
) -> None:
    start = utc(2026, 1, 1) + timedelta(hours=hours)
    asked = span(start, start + timedelta(hours=length), zone, MOMENT)

    parts = pieces(asked, grain)

    assert [part.start for part in parts] == [asked.start, *(part.end for part in parts[:-1])]
    assert parts[-1].end == asked.end
    assert all(part.start < part.end for part in parts)
    assert all(part.start.hour == part.end.hour == 0 for part in parts if part.daily)


@settings(deadline=None)
@given(
    days=st.integers(0, 3650), zone=st.sampled_from(sorted(available_timezones())), grain=st.sampled_from(list(Grain))
)
def test_cuts_are_what_is_in_another_day_or_month_than_the_noon_of_its_day(days: int, zone: str, grain: Grain) -> None:
    there, start = ZoneInfo(zone), utc(2026, 1, 1) + timedelta(days=days)
    asked = Span(start - timedelta(hours=3), start + timedelta(days=3, hours=5), zone)

    def place(moment: datetime) -> tuple[int, ...]:
        local = moment.astimezone(there)
        return (local.year, local.month, local.day)[: 2 if grain is Grain.MONTH else 3]

    quarters = [start + number * timedelta(minutes=15) for number in range(3 * 96)]
    noons = {quarter: quarter.replace(hour=12, minute=0) for quarter in quarters}
    moved = {quarter: noon for quarter, noon in noons.items() if place(quarter) != place(noon)}
    found = {q: cut.noon for cut in cuts(asked, grain) for q in quarters if cut.start <= q < cut.end}
    assert found == ({} if grain is Grain.HOUR else moved)


@given(hours=st.integers(0, 3000), length=st.integers(1, 3000), zone=st.sampled_from(ZONES))
def test_a_span_holds_what_was_asked_and_less_than_two_hours_more(hours: int, length: int, zone: str) -> None:
    start = utc(2026, 1, 1, 0, 20) + timedelta(hours=hours)
    end = start + timedelta(hours=length)

    asked = span(start, end, zone, MOMENT)

    assert asked.start <= start < end <= asked.end
    assert asked.end - asked.start < end - start + timedelta(hours=2)
    assert asked.start.astimezone(ZoneInfo(zone)).minute in {0, 30}  # Lord Howe changes its clocks by half an hour


def test_the_month_so_far_is_compared_with_the_same_part_of_the_month_before() -> None:
    asked = Span(utc(2026, 3, 1), utc(2026, 3, 11, 5))

    assert previous(asked) == Span(utc(2026, 2, 1), utc(2026, 2, 11, 5))


def test_whole_months_are_compared_however_long_they_are_and_no_hour_is_counted_twice() -> None:
    assert previous(Span(utc(2026, 3, 1), utc(2026, 4, 1))) == Span(utc(2026, 2, 1), utc(2026, 3, 1))
    assert previous(Span(utc(2026, 3, 1), utc(2026, 3, 31))) == Span(utc(2026, 2, 1), utc(2026, 3, 1))


def test_other_spans_are_compared_with_as_much_time_before() -> None:
    for start, end in ((utc(2026, 3, 5), utc(2026, 3, 9)), (utc(2026, 1, 1), utc(2026, 3, 1))):
        before = previous(Span(start, end))
        assert (before.start, before.end) == (start - (end - start), start)


def test_a_month_of_another_time_zone_is_compared_with_the_one_before_there() -> None:
    march = span(datetime(2026, 3, 1), datetime(2026, 4, 1), "Europe/Berlin", MOMENT)  # noqa: DTZ001 - on purpose

    assert previous(march) == Span(utc(2026, 1, 31, 23), utc(2026, 2, 28, 23), "Europe/Berlin")
