"""What events add to the rollups: sums by quarter of an hour and day, and how requests went by hour and day.

The finest sums are by the quarter of an hour, since no time zone of today begins its day or hour at another moment.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from operator import itemgetter
from typing import Final, TypeVar
from uuid import UUID

import msgspec

from ias.analytics.usage.sketch import Counts, count
from ias.contract.usage import Outcome, UsageRecorded

FAILED = frozenset({Outcome.UPSTREAM_FAILED, Outcome.UPSTREAM_TIMEOUT, Outcome.GATEWAY_LOST})
"""What the platform did not bring to an end."""

QUARTER_S: Final = 900
"""Seconds of a quarter of an hour."""
QUARTERS: Final = 4
"""Of an hour."""
QUARTERS_OF_DAY: Final = 96

PlaceT = TypeVar("PlaceT", "Bucket", "ModelBucket", "PlatformBucket")


class Bucket(msgspec.Struct, frozen=True, order=True):
    """What usage is summed by; `start` is that of the quarter of an hour, or of the day (UTC)."""

    organisation: UUID
    start: datetime
    user: UUID
    key: UUID
    model: str


class ModelBucket(msgspec.Struct, frozen=True, order=True):
    """What is summed by for whole organisations; `start` is that of the hour or day (UTC)."""

    organisation: UUID
    start: datetime
    model: str


class OrgBucket(msgspec.Struct, frozen=True, order=True):
    """What is summed by for whole organisations by the day (UTC), whatever they called."""

    organisation: UUID
    start: datetime


class PlatformBucket(msgspec.Struct, frozen=True, order=True):
    """The same for the platform. Each writer has a slot of its own, if need be, so that none waits for others."""

    slot: int
    start: datetime
    model: str


class Sum(msgspec.Struct):
    """What a bucket holds."""

    requests: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0

    def add(self, other: "Sum") -> None:
        """Add another one to this."""
        self.requests += other.requests
        self.failed += other.failed
        self.prompt_tokens += other.prompt_tokens
        self.completion_tokens += other.completion_tokens
        self.cached_tokens += other.cached_tokens


class Tally(msgspec.Struct):
    """A sum, and how its requests went."""

    sums: Sum = msgspec.field(default_factory=Sum)
    counts: Counts = msgspec.field(default_factory=lambda: Counts(int))

    def add(self, other: "Tally") -> None:
        """Add another one to this."""
        self.sums.add(other.sums)
        for code, number in other.counts.items():
            self.counts[code] += number


Sums = list[tuple[Bucket, Sum]]
Hours = list[tuple[ModelBucket, Tally]]
ModelSums = list[tuple[ModelBucket, Sum]]
OrgSums = list[tuple[OrgBucket, Sum]]
_Place = tuple[int, int, int, int, str]
"""A bucket in numbers: organisation, which quarter or day since 1970, user, key, model."""
_Totals = dict[_Place, tuple[Bucket, Sum, Tally]]


class Rollups(msgspec.Struct, frozen=True):
    """What a batch adds, each in the order of its buckets: writers never wait in a circle."""

    usage_quarters: Sums
    usage_days: Sums
    model_quarters: ModelSums
    org_days: OrgSums
    model_hours: list[tuple[ModelBucket, Tally]]
    model_days: list[tuple[ModelBucket, Tally]]
    platform_hours: list[tuple[PlatformBucket, Tally]]
    platform_days: list[tuple[PlatformBucket, Tally]]


def hour_of(moment: datetime) -> datetime:
    """The start of the hour (UTC)."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def day_of(moment: datetime) -> datetime:
    """The start of the day (UTC)."""
    return hour_of(moment).replace(hour=0)


def rolled_up(events: Iterable[UsageRecorded], slot: int = 0) -> Rollups:
    """What events add to the rollups; `slot` is the writer's among the platform's."""
    totals, hours = _summed(events)
    model_days = _coarser(hours, lambda place: msgspec.structs.replace(place, start=day_of(place.start)))
    return Rollups(
        usage_quarters=[totals[place][:2] for place in sorted(totals)],
        usage_days=_days(totals),
        model_quarters=_model_quarters(totals),
        org_days=_org_days(totals),
        model_hours=hours,
        model_days=model_days,
        platform_hours=_coarser(hours, lambda place: PlatformBucket(slot, place.start, place.model)),
        platform_days=_coarser(model_days, lambda place: PlatformBucket(slot, place.start, place.model)),
    )


def _summed(events: Iterable[UsageRecorded]) -> tuple[_Totals, Hours]:
    """By quarter of an hour, and by hour and model."""
    # By numbers: hashing and comparing a UUID is slow, and so is rounding a moment; this runs for every event.
    totals: _Totals = {}
    hours: dict[tuple[int, int, str], tuple[ModelBucket, Tally]] = {}
    for event in events:
        quarter = int(event.started_at.timestamp()) // QUARTER_S
        org, model = event.organisation.int, event.model
        place = (org, quarter, event.user.int, event.key.int, model)
        entry = totals.get(place)
        if entry is None:
            bucket = Bucket(event.organisation, _moment(quarter), event.user, event.key, model)
            entry = totals[place] = bucket, Sum(), _hour(hours, quarter // QUARTERS, bucket)
        _, total, tally = entry
        if event.line == 1:
            total.requests += 1
            total.failed += event.outcome in FAILED
            count(tally.counts, event)
        total.prompt_tokens += event.prompt_tokens
        total.completion_tokens += event.completion_tokens
        total.cached_tokens += event.cached_tokens
    for _, total, tally in totals.values():
        tally.sums.add(total)
    return totals, [hours[place] for place in sorted(hours)]


def _hour(hours: dict[tuple[int, int, str], tuple[ModelBucket, Tally]], hour: int, bucket: Bucket) -> Tally:
    place = (bucket.organisation.int, hour, bucket.model)
    entry = hours.get(place)
    if entry is None:
        start = _moment(hour * QUARTERS)
        entry = hours[place] = ModelBucket(bucket.organisation, start, bucket.model), Tally()
    return entry[1]


def _model_quarters(quarters: _Totals) -> ModelSums:
    sums: dict[tuple[int, int, str], tuple[ModelBucket, Sum]] = {}
    for (org, quarter, _, _, model), (bucket, total, _) in quarters.items():
        place = (org, quarter, model)
        entry = sums.get(place)
        if entry is None:
            entry = sums[place] = ModelBucket(bucket.organisation, bucket.start, model), Sum()
        entry[1].add(total)
    return [sums[place] for place in sorted(sums)]


def _org_days(quarters: _Totals) -> OrgSums:
    sums: dict[tuple[int, int], tuple[OrgBucket, Sum]] = {}
    for (org, quarter, _, _, _), (bucket, total, _) in quarters.items():
        place = (org, quarter // QUARTERS_OF_DAY)
        entry = sums.get(place)
        if entry is None:
            start = _moment(place[1] * QUARTERS_OF_DAY)
            entry = sums[place] = OrgBucket(bucket.organisation, start), Sum()
        entry[1].add(total)
    return [sums[place] for place in sorted(sums)]


def _days(quarters: _Totals) -> Sums:
    days: dict[_Place, tuple[Bucket, Sum]] = {}
    for (org, quarter, user, key, model), (bucket, total, _) in quarters.items():
        day = quarter // QUARTERS_OF_DAY
        place = (org, day, user, key, model)
        entry = days.get(place)
        if entry is None:
            start = _moment(day * QUARTERS_OF_DAY)
            entry = days[place] = msgspec.structs.replace(bucket, start=start), Sum()
        entry[1].add(total)
    return [days[place] for place in sorted(days)]


def _moment(quarter: int) -> datetime:
    return datetime.fromtimestamp(quarter * QUARTER_S, UTC)


def _coarser(
    tallies: Iterable[tuple[ModelBucket, Tally]], place_of: Callable[[ModelBucket], PlaceT]
) -> list[tuple[PlaceT, Tally]]:
    totals: dict[PlaceT, Tally] = {}
    for bucket, added in tallies:
        totals.setdefault(place_of(bucket), Tally()).add(added)
    return sorted(totals.items(), key=itemgetter(0))
