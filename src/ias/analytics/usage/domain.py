"""Usage as it is explored: which hours and days events fall into, and how answers are grouped."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from operator import itemgetter
from uuid import UUID

import msgspec

from ias.contract import sound
from ias.contract.usage import Outcome, UsageRecorded
from ias.problems import FieldError, Problem

_AHEAD = timedelta(days=2)
_FAILED = frozenset({Outcome.UPSTREAM_FAILED, Outcome.UPSTREAM_TIMEOUT, Outcome.GATEWAY_LOST})
LONGEST = timedelta(days=366 * 5)
LONGEST_BY_HOUR = timedelta(days=93)


class BadRange(Problem):
    """A span of time that cannot be answered."""

    title = "Bad range"


class Grouping(StrEnum):
    """What an answer's items are of."""

    MODEL = "model"
    USER = "user"
    KEY = "key"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


class Bucket(msgspec.Struct, frozen=True, order=True):
    """What rollups are summed by; `start` is that of the hour or day (UTC)."""

    organisation: UUID
    start: datetime
    user: UUID
    key: UUID
    model: str


class Sum(msgspec.Struct):
    """What a bucket holds."""

    requests: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0


class Span(msgspec.Struct, frozen=True):
    """A half-open span of time, from hour to hour (UTC)."""

    start: datetime
    end: datetime

    @property
    def of_days(self) -> bool:
        """Whether it begins and ends at midnight, so that whole days make it up."""
        return self.start == day_of(self.start) and self.end == day_of(self.end)


class Filter(msgspec.Struct, frozen=True):
    """Only this model, user or key; None is any."""

    model: str | None = None
    user_id: UUID | None = None
    key_id: UUID | None = None


class Totals(msgspec.Struct, kw_only=True):
    """Sums over all items. `failed` are the requests that the platform did not bring to an end."""

    requests: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    total_tokens: int = 0


class UsageItem(Totals, omit_defaults=False):
    """Sums of one group; of `model`, `user_id`, `key_id` and `start` (UTC) the one that was grouped by is there."""

    model: str | msgspec.UnsetType = msgspec.UNSET
    user_id: UUID | msgspec.UnsetType = msgspec.UNSET
    key_id: UUID | msgspec.UnsetType = msgspec.UNSET
    start: datetime | msgspec.UnsetType = msgspec.UNSET


class Usage(msgspec.Struct, kw_only=True):
    """Usage from `start` to before `end`. `totals` are the sums of the items.

    `data_as_of` is when an event was last taken in, of any organisation; null where none ever was.
    """

    start: datetime
    end: datetime
    group_by: Grouping
    items: list[UsageItem]
    totals: Totals
    data_as_of: datetime | None


def hour_of(moment: datetime) -> datetime:
    """The start of the hour (UTC)."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def day_of(moment: datetime) -> datetime:
    """The start of the day (UTC)."""
    return hour_of(moment).replace(hour=0)


def fault_in(event: UsageRecorded) -> str | None:
    """Why an event cannot be taken in, None where it can."""
    if event.started_at > event.settled_at + _AHEAD:
        return "started long after it was settled"
    return sound.fault_in(event)


def rolled_up(events: Iterable[UsageRecorded]) -> list[tuple[Bucket, Sum]]:
    """What events add to each hour, in the buckets' order: writers never wait in a circle."""
    # By the numbers of the ids: hashing and comparing a UUID is slow, and this runs for every event.
    totals: dict[tuple[int, datetime, int, int, str], tuple[Bucket, Sum]] = {}
    for event in events:
        start = hour_of(event.started_at)
        place = (event.organisation.int, start, event.user.int, event.key.int, event.model)
        entry = totals.get(place)
        if entry is None:
            entry = totals[place] = (Bucket(event.organisation, start, event.user, event.key, event.model), Sum())
        total = entry[1]
        total.requests += event.line == 1
        total.failed += event.line == 1 and event.outcome in _FAILED
        total.prompt_tokens += event.prompt_tokens
        total.completion_tokens += event.completion_tokens
        total.cached_tokens += event.cached_tokens
    return [totals[place] for place in sorted(totals)]


def days(hours: Iterable[tuple[Bucket, Sum]]) -> list[tuple[Bucket, Sum]]:
    """What sums by the hour add to each day, in the buckets' order."""
    totals: dict[Bucket, Sum] = {}
    for bucket, added in hours:
        total = totals.setdefault(msgspec.structs.replace(bucket, start=day_of(bucket.start)), Sum())
        total.requests += added.requests
        total.failed += added.failed
        total.prompt_tokens += added.prompt_tokens
        total.completion_tokens += added.completion_tokens
        total.cached_tokens += added.cached_tokens
    return sorted(totals.items(), key=itemgetter(0))


def span(start: datetime | None, end: datetime | None, moment: datetime) -> Span:
    """The span that is asked for, widened to whole hours; this month so far where nothing is said.

    Raises:
        BadRange: it ends before it begins, is too long, or its times have no offset from UTC.
    """
    for pointer, said in (("/from", start), ("/to", end)):
        if said is not None and said.tzinfo is None:
            raise BadRange(
                "times need an offset from UTC, such as 2026-01-31T00:00:00Z", (FieldError(pointer, "UTC?"),)
            )
    last = moment if end is None else end
    first = day_of(last).replace(day=1) if start is None else start
    try:
        wide = Span(hour_of(first), hour_of(last + timedelta(hours=1) - timedelta(microseconds=1)))
    except OverflowError:
        raise BadRange("from and to must be times that a calendar has") from None
    if not timedelta(0) < wide.end - wide.start <= LONGEST:
        raise BadRange("to must come after from, by five years at most")
    return wide
