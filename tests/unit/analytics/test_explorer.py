"""Which time and which columns a page of usage shows, by its address."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ias.analytics.explorer.domain import (
    By,
    Period,
    View,
    buckets,
    change,
    grain_of,
    label,
    opened,
    parts,
    query,
    series,
    span_of,
    whole_label,
)
from ias.analytics.usage.domain import BadGrouping, Totals
from ias.analytics.usage.spans import BadRange, Grain, Span

NOW = datetime(2026, 3, 31, 10, 30, tzinfo=UTC)
ZONES = ("UTC", "Europe/Berlin", "Asia/Kathmandu", "America/Santiago", "Africa/Cairo")


def spanned(**asked: object) -> tuple[str, str]:
    found = span_of(msgspec.convert(asked, View), NOW)
    return f"{found.start:%Y-%m-%dT%H:%M}", f"{found.end:%Y-%m-%dT%H:%M}"


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ({"period": "1h"}, "2026-03-31T09:00", "2026-03-31T11:00"),
        ({"period": "24h"}, "2026-03-30T10:00", "2026-03-31T11:00"),
        ({"period": "7d"}, "2026-03-25T00:00", "2026-03-31T11:00"),
        ({"period": "30d"}, "2026-03-02T00:00", "2026-03-31T11:00"),
        ({}, "2026-03-01T00:00", "2026-03-31T11:00"),
        ({"period": "last-month"}, "2026-02-01T00:00", "2026-03-01T00:00"),
        ({"period": "last-month", "timezone": "Europe/Berlin"}, "2026-01-31T23:00", "2026-02-28T23:00"),
        ({"period": "custom", "from": "2026-03-01", "to": "2026-03-01"}, "2026-03-01T00:00", "2026-03-02T00:00"),
        ({"period": "custom", "from": "2026-03-30", "to": "2026-04-09"}, "2026-03-30T00:00", "2026-03-31T11:00"),
    ],
)
def test_a_period_is_of_the_days_of_the_time_zone(asked: dict[str, object], start: str, end: str) -> None:
    assert spanned(**asked) == (start, end)


@pytest.mark.parametrize(
    ("asked", "place"),
    [
        ({"from": "", "to": "2026-03-01"}, "from"),
        ({"from": "2026-03-01", "to": "soon"}, "to"),
        ({"from": "2026-03-02", "to": "2026-03-01"}, "to"),
        ({"from": "2026-04-02", "to": "2026-04-03"}, "from"),
    ],
)
def test_days_that_make_no_sense_are_refused_by_their_field(asked: dict[str, object], place: str) -> None:
    with pytest.raises(BadRange) as caught:
        spanned(period="custom", **asked)
    assert [error.place for error in caught.value.errors] == [place]


def test_columns_are_as_wide_as_the_time_is_long_or_as_is_asked_for() -> None:
    for period, grain in ((Period.DAY, Grain.HOUR), (Period.MONTH, Grain.DAY)):
        view = View(period=period)
        assert grain_of(view, span_of(view, NOW)) is grain
    year = View(period=Period.CUSTOM, since="2025-01-01", until="2026-01-01")
    assert grain_of(year, span_of(year, NOW)) is Grain.MONTH
    daily = msgspec.structs.replace(year, every=Grain.DAY)
    with pytest.raises(BadGrouping, match="200 columns"):
        grain_of(daily, span_of(daily, NOW))


@given(
    zone=st.sampled_from(ZONES),
    day=st.integers(0, 3000),
    days=st.integers(1, 40),
    grain=st.sampled_from(Grain),
    offset=st.integers(0, 10**6),
)
def test_every_moment_of_the_span_falls_into_one_column(
    zone: str, day: int, days: int, grain: Grain, offset: int
) -> None:
    first = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=day)
    shown = View(period=Period.CUSTOM, since=f"{first:%Y-%m-%d}", until=f"{first + timedelta(days=days):%Y-%m-%d}")
    span = span_of(msgspec.structs.replace(shown, timezone=zone), datetime(2040, 1, 1, tzinfo=UTC))
    columns = buckets(span, grain)
    moments = [at.astimezone(UTC) for at in columns]
    assert moments == sorted(set(moments))
    moment = min(span.start + timedelta(seconds=offset), span.end - timedelta(hours=1))
    place = max(number for number, at in enumerate(moments) if at <= moment)
    rows = [(moments[place], "m", 5), (columns[place], "n", 2)]
    found = series(columns, rows, grain, ("m", "n", "o"))
    told = {name: (sum(values), values.index(sum(values))) for name, values in found.items()}
    assert told == {"m": (5, place), "n": (2, place)}


def test_columns_are_labelled_by_their_width() -> None:
    at = datetime(2026, 3, 1, 14, tzinfo=UTC)
    assert [label(at, grain) for grain in Grain] == ["14:00", "1 Mar", "Mar 2026"]
    assert [whole_label(at, grain) for grain in Grain] == ["1 Mar 2026 14:00", "Sun 1 Mar 2026", "March 2026"]


def test_what_is_outside_of_the_chart_or_has_no_name_in_it_is_left_out() -> None:
    columns = buckets(Span(NOW - timedelta(hours=2), NOW), Grain.HOUR)
    rows = [(NOW - timedelta(days=3), "m", 5), (columns[0], "unknown", 5)]
    assert series(columns, rows, Grain.HOUR, ("m",)) == {}
    assert series([], rows, Grain.HOUR, ("m",)) == {}


def test_an_hour_that_begins_amid_a_column_is_in_it_where_clocks_change_by_half_an_hour() -> None:
    there = ZoneInfo("Australia/Lord_Howe")
    span = Span(datetime(2026, 4, 4, 13, tzinfo=UTC), datetime(2026, 4, 5, 13, 30, tzinfo=UTC), str(there))
    hours = [span.start + timedelta(minutes=30 * number) for number in range(49)]
    rows = [(at.astimezone(there).replace(minute=0), "m", 1) for at in hours]

    found = series(buckets(span, Grain.HOUR), rows, Grain.HOUR, ("m",))

    assert sum(found["m"]) == len(rows)


def test_the_address_says_what_is_not_as_it_is_anyway() -> None:
    view = View(by=By.USER, model="m", period=Period.WEEK)
    assert query(view) == {"by": "user", "period": "7d", "model": "m"}
    assert query(view, period=Period.MONTH, model=None) == {"by": "user"}
    assert query(opened(view, NOW), period=Period.CUSTOM) == {
        "by": "user",
        "period": "custom",
        "from": "2026-03-25",
        "to": "2026-03-31",
        "model": "m",
    }
    custom = View(period=Period.CUSTOM, since="2026-03-01", until="2026-03-02")
    assert opened(custom, NOW) is custom


def test_tokens_are_of_three_parts_and_a_change_is_a_share_of_before() -> None:
    totals = Totals(prompt_tokens=100, cached_tokens=40, completion_tokens=7)
    assert [count for _, count in parts(totals)] == [60, 40, 7]
    assert (change(15, 10), change(0, 10), change(5, 0)) == (0.5, -1.0, None)
