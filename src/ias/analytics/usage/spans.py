"""Spans of time that usage is asked for, in a time zone, and which rollups they are put together from."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

import msgspec
from msgspec import UNSET

from ias.analytics.usage.rollups import day_of, hour_of
from ias.problems import FieldError, Problem

LONGEST: Final = timedelta(days=366 * 5)
LONGEST_BY_HOUR: Final = timedelta(days=93)
UTC_ZONE: Final = "UTC"
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_TICK = timedelta(microseconds=1)
_WEEK = timedelta(days=7)
"""Clocks are changed for longer than that."""


class BadRange(Problem):
    """A span of time that cannot be answered."""

    title = "Bad range"


class UnknownZone(Problem):
    """There is no such time zone."""

    title = "Unknown time zone"


class Grain(StrEnum):
    """What time is cut into."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


class Span(msgspec.Struct, frozen=True):
    """From `start` to before `end`, both in UTC and at the beginning of an hour in `zone`."""

    start: datetime
    end: datetime
    zone: str = UTC_ZONE


class Piece(msgspec.Struct, frozen=True):
    """A part of a span that is of whole days (UTC), so that daily sums make it up, or one that is not."""

    daily: bool
    start: datetime
    end: datetime


class Cut(msgspec.Struct, frozen=True):
    """A part of a day (UTC) that is in another day, or month, of a time zone than its noon."""

    start: datetime
    end: datetime
    noon: datetime


def zone_of(name: str) -> ZoneInfo:
    """The time zone of this name.

    Raises:
        UnknownZone: there is none.
    """
    if name not in _names():
        said = "write an IANA time zone such as Europe/Berlin, or leave it out for UTC"
        raise UnknownZone(f"timezone: {said}", (FieldError(UNSET, said, parameter="timezone"),))
    return ZoneInfo(name)


@cache
def _names() -> frozenset[str]:
    return frozenset(available_timezones() | {UTC_ZONE})


def span(start: datetime | None, end: datetime | None, zone: str, moment: datetime) -> Span:
    """The span that is asked for, widened to whole hours of the time zone; this month so far where nothing is said.

    Times without an offset are the time zone's.

    Raises:
        UnknownZone: there is no such time zone.
        BadRange: it ends before it begins, or is too long.
    """
    there = zone_of(zone)
    try:
        last = moment if end is None else _in(there, end)
        first = month_of(last.astimezone(there)) if start is None else _in(there, start)
        wide = Span(_hour(first, there), _hour(last + _HOUR - _TICK, there), zone)
    except (OverflowError, ValueError):
        raise BadRange("from and to must be times that a calendar has") from None
    if wide.end <= wide.start:
        raise BadRange("to must come after from", (FieldError(UNSET, "comes after from", parameter="to"),))
    if wide.end - wide.start > LONGEST:
        raise BadRange("from and to may be five years apart at most; ask for less, or twice")
    return wide


def previous(asked: Span) -> Span:
    """The span before, of the same length; of whole or begun months it is the same part of the month before."""
    there, length = ZoneInfo(asked.zone), asked.end - asked.start
    start, end = asked.start.astimezone(there), asked.end.astimezone(there)
    following = month_of(start + 32 * _DAY)
    if start != month_of(start) or end > following:
        return Span(asked.start - length, asked.start, asked.zone)
    before = month_of(start - _DAY).astimezone(UTC)
    last = asked.start if end == following else min(before + length, asked.start)
    return Span(before, last, asked.zone)


def month_of(moment: datetime) -> datetime:
    """The beginning of the month, where the moment is."""
    return moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0, fold=0)


def has_whole_hours(asked: Span) -> bool:
    """Whether hours begin with those of UTC, as far as the span goes."""
    return all(not offset % _HOUR for offset in _offsets(asked))


def pieces(asked: Span, grain: Grain | None) -> tuple[Piece, ...]:
    """The parts of a span: of whole days (UTC), unless it is cut into hours, and what is left."""
    first, last = _whole_days(asked)
    if grain is Grain.HOUR or first >= last:
        return (Piece(daily=False, start=asked.start, end=asked.end),)
    cuts = ((False, asked.start, first), (True, first, last), (False, last, asked.end))
    parts = (Piece(*cut) for cut in cuts)
    return tuple(part for part in parts if part.start < part.end)


def cuts(asked: Span, grain: Grain | None) -> tuple[Cut, ...]:
    """What of the whole days (UTC) of a span is not in the day or month of the time zone that their noon is in."""
    return tuple(_cuts(asked, grain)) if grain in {Grain.DAY, Grain.MONTH} else ()


def _cuts(asked: Span, grain: Grain | None) -> Iterator[Cut]:
    there, (day, last) = ZoneInfo(asked.zone), _whole_days(asked)
    while day < last:
        noon, following = day + _DAY / 2, day + _DAY
        local = noon.astimezone(there).replace(hour=0, minute=0, fold=0)
        begins = month_of(local) if grain is Grain.MONTH else local
        ends = month_of(begins + 32 * _DAY) if grain is Grain.MONTH else begins + _DAY
        parts = ((day, min(begins.astimezone(UTC), following)), (max(ends.astimezone(UTC), day), following))
        yield from (Cut(start, end, noon) for start, end in parts if start < end)
        day = following


def _whole_days(asked: Span) -> tuple[datetime, datetime]:
    return day_of(asked.start + _DAY - _TICK), day_of(asked.end)


def _offsets(asked: Span) -> Iterator[timedelta]:
    there, moment = ZoneInfo(asked.zone), asked.start
    while moment < asked.end:
        yield moment.astimezone(there).utcoffset() or timedelta()
        moment += _WEEK
    yield asked.end.astimezone(there).utcoffset() or timedelta()


def _in(there: ZoneInfo, moment: datetime) -> datetime:
    return moment.replace(tzinfo=there).astimezone(UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _hour(moment: datetime, there: ZoneInfo) -> datetime:
    """The beginning of the hour that the clocks of the time zone show."""
    offset = moment.astimezone(there).utcoffset() or timedelta()
    return hour_of(moment + offset) - offset
