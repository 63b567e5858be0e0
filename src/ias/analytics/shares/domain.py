"""What part each has in usage, and how that changed since the time before."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from ias.analytics.usage.domain import SUMS, Totals
from ias.analytics.usage.rollups import day_of, hour_of
from ias.analytics.usage.sketch import Performance
from ias.analytics.usage.spans import UTC_ZONE, Span

_TICK = timedelta(microseconds=1)


class Owner(StrEnum):
    """Whose shares are told, as they are called in an item."""

    MODEL = "model"
    USER = "user_id"
    KEY = "key_id"
    ORGANISATION = "org_id"


class Sort(StrEnum):
    """What comes first: most tokens, the greatest change in tokens up or down, most requests, most that failed."""

    TOKENS = "tokens"
    CHANGE = "change"
    REQUESTS = "requests"
    FAILED = "failed"


class Part(Totals, omit_defaults=False):
    """Sums of one model, user, key or organisation, or of all, and the same of the time before.

    Attributes:
        share: of all tokens, 0 to 1; null where there are none.
        failed_share: of its requests, those that the platform did not bring to an end, 0 to 1.
        cached_share: of its prompt tokens, those that the engine had in its prefix cache, 0 to 1.
        previous_requests: requests of the time before.
        previous_tokens: prompt and completion tokens of the time before.
        change_tokens: by how much its tokens changed since.
        performance: how its requests went; of models, and of all of them.
    """

    model: str | UnsetType = UNSET
    user_id: UUID | UnsetType = UNSET
    key_id: UUID | UnsetType = UNSET
    org_id: UUID | UnsetType = UNSET
    share: float | None = None
    failed_share: float | None = None
    cached_share: float | None = None
    previous_requests: int = 0
    previous_tokens: int = 0
    change_tokens: int = 0
    performance: Performance | UnsetType = UNSET


COUNTED: Final = (*SUMS, "previous_requests", "previous_tokens")
"""What of a part is counted; all else follows from it."""


class Shares(msgspec.Struct, kw_only=True):
    """Who and what makes up usage from `start` to before `end`, compared with the time before.

    Attributes:
        previous_start: where the time begins that it is compared with: of months the same part of the month before,
            else as much time right before.
        items: the first ones by `sort`.
        rest: all others together; null where there are none.
        totals: the sums of `items` and `rest`.
        data_as_of: when an event was last taken in, of any organisation; null where none ever was.
    """

    start: datetime
    end: datetime
    previous_start: datetime
    previous_end: datetime
    timezone: str
    sort: Sort
    items: list[Part]
    rest: Part | None
    totals: Part
    data_as_of: datetime | None


def part(counted: Mapping[str, object], whole_tokens: int) -> Part:
    """A part out of what was counted of it; `whole_tokens` are everybody's."""
    made = msgspec.convert(counted, Part)
    made.share = ratio(made.total_tokens, whole_tokens)
    made.failed_share = ratio(made.failed, made.requests)
    made.cached_share = ratio(made.cached_tokens, made.prompt_tokens)
    made.change_tokens = made.total_tokens - made.previous_tokens
    return made


def rest_of(totals: Part, items: Sequence[Part]) -> Part | None:
    """What the items leave of the totals."""
    left = {name: getattr(totals, name) - sum(getattr(item, name) for item in items) for name in COUNTED}
    return part(left, totals.total_tokens) if any(left.values()) else None


def ratio(some: int, whole: int) -> float | None:
    """A share, to four digits after the point; None of nothing."""
    return round(some / whole, 4) if whole else None


def in_whole_hours(asked: Span) -> Span:
    """The span widened to whole hours of UTC, in which it is counted how requests went."""
    return Span(hour_of(asked.start), hour_of(asked.end + timedelta(hours=1) - _TICK), UTC_ZONE)


def in_whole_days(asked: Span) -> Span:
    """The span widened to whole days of UTC, by which organisations are summed."""
    return Span(day_of(asked.start), day_of(asked.end + timedelta(days=1) - _TICK), UTC_ZONE)
