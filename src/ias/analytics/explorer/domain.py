"""What a page of usage is asked for by its address, and the columns of its chart."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from msgspec import UNSET

from ias.analytics.shares.domain import Owner
from ias.analytics.usage.domain import BadGrouping, Filter, Totals
from ias.analytics.usage.periods import Period, bad_day, day_of
from ias.analytics.usage.spans import UTC_ZONE, Grain, Span, month_of, span, zone_of
from ias.problems import FieldError

MOST_COLUMNS: Final = 200
"""Of a chart; more are too narrow to be told apart."""
_DAY = timedelta(days=1)
_HOURLY: Final = timedelta(hours=49)
"""Up to here hours are shown where nothing is said; two days of which one has 25 hours."""
_DAILY: Final = timedelta(days=93)
_PARTS: Final = ("Prompt", "Prompt, cached", "Completion")


class By(StrEnum):
    """What usage is told apart by."""

    MODEL = "model"
    USER = "user"
    KEY = "key"
    DAY = "day"


OWNERS: Final = {By.MODEL: Owner.MODEL, By.USER: Owner.USER, By.KEY: Owner.KEY}


class View(msgspec.Struct, frozen=True, kw_only=True):
    """What the address of the page asks for. `since` and `until` are days of the time zone, both included, as text."""

    by: By = By.MODEL
    period: Period = Period.MONTH
    since: str = msgspec.field(default="", name="from")
    until: str = msgspec.field(default="", name="to")
    every: Grain | None = None
    timezone: str = UTC_ZONE
    model: str | None = None
    user: UUID | None = None
    key: UUID | None = None

    @property
    def only(self) -> Filter:
        """What of the usage is looked at."""
        return Filter(self.model, self.user, self.key)


def span_of(view: View, moment: datetime) -> Span:
    """The span of time that is looked at; `moment` is now.

    Raises:
        UnknownZone: there is no such time zone.
        BadRange: it ends before it begins, or is too long.
    """
    here = moment.astimezone(zone_of(view.timezone)).replace(tzinfo=None)
    today = datetime.combine(here.date(), time())
    month = month_of(today)
    presets: dict[Period, tuple[datetime, datetime]] = {
        Period.HOUR: (moment - timedelta(hours=1), moment),
        Period.DAY: (moment - _DAY, moment),
        Period.WEEK: (today - 6 * _DAY, moment),
        Period.THIRTY: (today - 29 * _DAY, moment),
        Period.MONTH: (month, moment),
        Period.LAST: (month_of(month - _DAY), month),
    }
    if view.period is Period.CUSTOM:
        return _custom(view, today, moment)
    return span(*presets[view.period], view.timezone, moment)


def grain_of(view: View, asked: Span) -> Grain:
    """How wide the columns are; hours, days or months by the length of the span where nothing is said.

    Raises:
        BadGrouping: those would be too many columns.
    """
    length = asked.end - asked.start
    grain = view.every or (Grain.HOUR if length <= _HOURLY else Grain.DAY if length <= _DAILY else Grain.MONTH)
    count = {Grain.HOUR: length / timedelta(hours=1), Grain.DAY: length / _DAY, Grain.MONTH: length / (30 * _DAY)}
    if count[grain] > MOST_COLUMNS:
        said = f"that would be more than {MOST_COLUMNS} columns; choose wider ones, or a shorter time"
        raise BadGrouping(f"every: {said}", (FieldError(UNSET, said, parameter="every"),))
    return grain


def buckets(asked: Span, grain: Grain) -> list[datetime]:
    """When each column begins, in the time zone of the span; the first may begin before the span."""
    there = ZoneInfo(asked.zone)
    found, at = [], _begun(asked.start.astimezone(there), grain)
    while at.astimezone(UTC) < asked.end:
        found.append(at)
        at = _next(at, grain)
    return found


def label(at: datetime, grain: Grain) -> str:
    """What a column is called under it."""
    forms = {Grain.HOUR: "%H:%M", Grain.DAY: "%-d %b", Grain.MONTH: "%b %Y"}
    return at.strftime(forms[grain])


def whole_label(at: datetime, grain: Grain) -> str:
    """What a column is called in a table."""
    forms = {Grain.HOUR: "%-d %b %Y %H:%M", Grain.DAY: "%a %-d %b %Y", Grain.MONTH: "%B %Y"}
    return at.strftime(forms[grain])


def series(
    columns: Sequence[datetime], rows: Sequence[tuple[datetime, str, int]], grain: Grain, names: Sequence[str]
) -> dict[str, list[int]]:
    """Tokens of each column by name, in the order of `names`; a name without any is left out."""
    places = {_place(at, grain): number for number, at in enumerate(columns)}
    found = {name: [0] * len(columns) for name in names}
    for at, name, tokens in rows:
        there = places.get(_place(at.astimezone(columns[0].tzinfo), grain)) if columns else None
        if there is None and grain is Grain.HOUR:
            there = _amid(columns, at)
        if there is not None and name in found:
            found[name][there] += tokens
    return {name: values for name, values in found.items() if any(values)}


def _amid(columns: Sequence[datetime], at: datetime) -> int | None:
    """The column that an hour begins in: where clocks are changed by half an hour, hours begin amid columns."""
    place = bisect_right(columns, at) - 1
    return place if place >= 0 and at < columns[place] + timedelta(hours=1) else None


def parts(totals: Totals) -> tuple[tuple[str, int], ...]:
    """What tokens are of, where nobody is told apart."""
    counts = (totals.prompt_tokens - totals.cached_tokens, totals.cached_tokens, totals.completion_tokens)
    return tuple(zip(_PARTS, counts, strict=True))


PARTS: Final = _PARTS


def change(now: int, before: int) -> float | None:
    """By what share of itself it changed; None from nothing."""
    return (now - before) / before if before else None


def query(view: View, **changes: object) -> dict[str, str]:
    """The address of a view, with changes, without what is as it is anyway."""
    usual, fields = View(), msgspec.structs.fields(View)
    shown = {field.encode_name: changes.get(field.name, getattr(view, field.name)) for field in fields}
    return {
        field.encode_name: str(shown[field.encode_name])
        for field in fields
        if shown[field.encode_name] != getattr(usual, field.name)
    }


def opened(view: View, moment: datetime) -> View:
    """The same time as days that can be changed."""
    if view.period is Period.CUSTOM:
        return view
    asked = span_of(view, moment)
    there = ZoneInfo(asked.zone)
    last = asked.end.astimezone(there) - timedelta(microseconds=1)
    return msgspec.structs.replace(view, since=f"{asked.start.astimezone(there):%Y-%m-%d}", until=f"{last:%Y-%m-%d}")


def _custom(view: View, today: datetime, moment: datetime) -> Span:
    since, until = day_of("from", view.since), day_of("to", view.until)
    if until < since:
        raise bad_day("to", "must not be before the first day")
    if since > today.date():
        raise bad_day("from", "must not lie in the future")
    end = datetime.combine(until, time()) + _DAY if until < today.date() else None
    return span(datetime.combine(since, time()), end, view.timezone, moment)


def _begun(at: datetime, grain: Grain) -> datetime:
    if grain is Grain.HOUR:
        return at.replace(minute=0, second=0, microsecond=0)
    day = at.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    return day if grain is Grain.DAY else month_of(day)


def _next(at: datetime, grain: Grain) -> datetime:
    if grain is Grain.HOUR:
        return (at.astimezone(UTC) + timedelta(hours=1)).astimezone(at.tzinfo)
    return at + _DAY if grain is Grain.DAY else month_of(at + 32 * _DAY)


def _place(at: datetime, grain: Grain) -> object:
    """What tells columns of a grain apart; days by their dates, for not every day has a midnight."""
    return {Grain.HOUR: at.astimezone(UTC), Grain.DAY: at.date(), Grain.MONTH: (at.year, at.month)}[grain]
