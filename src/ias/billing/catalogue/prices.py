"""Prices: money per 1,000 tokens, with as many digits as are stored, and the rates that are made of them."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import msgspec

from ias.problems import FieldError, Problem

Money = Decimal
"""Money per 1,000 tokens, a string in JSON."""

HIGHEST_RATE = Decimal(1_000_000)
RATE_PLACES = 10


class BadModel(Problem):
    """What was sent does not describe a model that can be served."""

    title = "Bad model"


class Rates(msgspec.Struct, frozen=True):
    """Money per 1,000 tokens."""

    input: Money
    output: Money
    cached_input: Money


class NewRate(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What a model is to cost, in money per 1,000 tokens."""

    input_rate: Money
    output_rate: Money
    cached_input_rate: Money | None = None
    """Where it is left out, cached prompt tokens cost what others cost."""
    valid_from: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    """When it begins, for requests that are admitted from then on; left out, now."""


class ModelRate(msgspec.Struct, kw_only=True, frozen=True):
    """What a model costs from `valid_from` to before `valid_until`, null where no other rate follows yet.

    Money per 1,000 tokens, exact.
    """

    id: UUID
    model_id: UUID
    valid_from: datetime
    valid_until: datetime | None
    input_rate: str
    output_rate: str
    cached_input_rate: str
    created_at: datetime


def check_rates(new: NewRate) -> Rates:
    """The rates, if they can be stored to the last digit.

    Raises:
        BadModel: names every one that is wrong.
    """
    cached = new.input_rate if new.cached_input_rate is None else new.cached_input_rate
    errors = faults_in(new.input_rate, new.output_rate, cached)
    if errors:
        raise bad_model(errors)
    return Rates(new.input_rate, new.output_rate, cached)


def faults_in(per_input: Money, per_output: Money, per_cached: Money) -> list[FieldError]:
    """What is wrong with each: input, output, cached input."""
    rates = {"/input_rate": per_input, "/output_rate": per_output}
    if per_cached is not per_input:
        rates["/cached_input_rate"] = per_cached
    return [
        FieldError(pointer, f"must be 0 to {HIGHEST_RATE} with at most {RATE_PLACES} decimal places")
        for pointer, rate in rates.items()
        if not _is_rate(rate)
    ]


def bad_model(errors: Sequence[FieldError]) -> BadModel:
    """All that is wrong, in one."""
    return BadModel("; ".join(error.said() for error in errors), tuple(errors))


def written(money: Decimal) -> str:
    """The amount without exponent and trailing zeros."""
    text = format(money or Decimal(0), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _is_rate(rate: Decimal) -> bool:
    if not rate.is_finite() or not 0 <= rate <= HIGHEST_RATE:
        return False
    return rate == rate.quantize(Decimal(1).scaleb(-RATE_PLACES))
