"""The times that pages offer to look at, and days as an address says them."""

from datetime import date
from enum import StrEnum

from msgspec import UNSET

from ias.analytics.usage.spans import BadRange
from ias.problems import FieldError


class Period(StrEnum):
    """Which time is looked at."""

    HOUR = "1h"
    DAY = "24h"
    WEEK = "7d"
    THIRTY = "30d"
    MONTH = "month"
    LAST = "last-month"
    CUSTOM = "custom"


def day_of(name: str, said: str) -> date:
    """A day as the address says it, in the parameter of this name.

    Raises:
        BadRange: it is none.
    """
    try:
        return date.fromisoformat(said)
    except ValueError:
        raise bad_day(name) from None


def bad_day(name: str, said: str = "write a day, such as 2026-01-31, or choose another period") -> BadRange:
    """What is wrong with the day in this parameter."""
    return BadRange(f"{name}: {said}", (FieldError(UNSET, said, parameter=name),))
