"""Usage as it is asked for and answered: by what it is grouped, and the sums of each group."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

import msgspec
from msgspec import UNSET

from ias.analytics.usage.spans import LONGEST_BY_HOUR, BadRange, Grain, Span
from ias.contract import sound
from ias.contract.usage import UsageRecorded
from ias.problems import FieldError, Problem

_AHEAD = timedelta(days=2)
MOST_ITEMS: Final = 10_000
"""Of one answer; a CSV has as many as there are."""


class BadGrouping(Problem):
    """Usage cannot be grouped like that."""

    title = "Bad grouping"


class Grouping(StrEnum):
    """What an answer's items are of."""

    MODEL = "model"
    USER = "user"
    KEY = "key"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


OWNERS: Final = {Grouping.MODEL: "model", Grouping.USER: "user_id", Grouping.KEY: "key_id"}
"""Groupings that are not of time, and what they are called in an item."""


class Groups(msgspec.Struct, frozen=True):
    """What items are of: up to two of model, user and key, and a grain of time."""

    owners: tuple[Grouping, ...]
    grain: Grain | None

    @property
    def said(self) -> list[Grouping]:
        """All of them, time first."""
        return [*([] if self.grain is None else [Grouping(self.grain)]), *self.owners]

    @property
    def columns(self) -> list[str]:
        """What they are called in an item."""
        return [*([] if self.grain is None else ["start"]), *(OWNERS[owner] for owner in self.owners)]


class Filter(msgspec.Struct, frozen=True):
    """Only this model, user or key; None is any."""

    model: str | None = None
    user_id: UUID | None = None
    key_id: UUID | None = None


class Totals(msgspec.Struct, kw_only=True):
    """Sums of usage. `failed` are the requests that the platform did not bring to an end."""

    requests: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    total_tokens: int = 0


SUMS: Final = Totals.__struct_fields__


class UsageItem(Totals, omit_defaults=False):
    """Sums of one group.

    Of `model`, `user_id`, `key_id` and `start` those are there that were grouped by; `start` is in the time zone that
    was asked for.
    """

    start: datetime | msgspec.UnsetType = msgspec.UNSET
    model: str | msgspec.UnsetType = msgspec.UNSET
    user_id: UUID | msgspec.UnsetType = msgspec.UNSET
    key_id: UUID | msgspec.UnsetType = msgspec.UNSET


class Usage(msgspec.Struct, kw_only=True):
    """Usage from `start` to before `end`. `totals` are the sums of the items.

    `data_as_of` is when an event was last taken in, of any organisation; null where none ever was.
    """

    start: datetime
    end: datetime
    timezone: str
    group_by: list[Grouping]
    items: list[UsageItem]
    totals: Totals
    data_as_of: datetime | None


def fault_in(event: UsageRecorded) -> str | None:
    """Why an event cannot be taken in, None where it can."""
    if event.started_at > event.settled_at + _AHEAD:
        return "started long after it was settled"
    return sound.fault_in(event)


def groups(by: Sequence[Grouping], asked: Span) -> Groups:
    """What is grouped by.

    Raises:
        BadGrouping: more than one grain of time, more than two others, or something twice.
        BadRange: by the hour, and longer than three months.
    """
    grains = [Grain(each) for each in by if each not in OWNERS]
    owners = tuple(each for each in OWNERS if each in by)
    if len(grains) > 1 or len(owners) > 2 or len(set(by)) < len(by):  # noqa: PLR2004 - as the sentence says
        said = "give at most one of hour, day and month, and at most two of model, user and key, each once"
        raise BadGrouping(f"group_by: {said}", (FieldError(UNSET, said, parameter="group_by"),))
    if grains == [Grain.HOUR] and asked.end - asked.start > LONGEST_BY_HOUR:
        raise BadRange("by the hour, from and to may be three months apart at most; group by day for more")
    return Groups(owners, grains[0] if grains else None)


def totals(items: Sequence[Totals]) -> Totals:
    """The sums of the items."""
    return Totals(**{name: sum(getattr(item, name) for item in items) for name in SUMS})
