"""What models cost, from when on: rates are added and, before they begin, withdrawn; none is ever changed.

A rate is valid until the next one of its model begins, so that no two overlap. Ledger lines are priced under a lock
that their writers share and that whoever adds or withdraws a rate holds alone: no request that starts after a rate
begins is priced before that rate is known.
"""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg
from asyncpg.exceptions import UniqueViolationError

from ias.billing.catalogue.prices import ModelRate, NewRate, Rates, check_rates, written
from ias.billing.catalogue.queries import one
from ias.db import Connection, transaction, uuid7
from ias.identity import Principal, record
from ias.paging import BadCursor, Page, decode_cursor, page
from ias.problems import Conflict, FieldError, NotFound, Problem

HOLD_ALONE: Final = "SELECT pg_advisory_xact_lock(hashtext('billing.rates'))"
HOLD_SHARED: Final = "SELECT pg_advisory_xact_lock_shared(hashtext('billing.rates'))"
"""For whoever prices lines, in the transaction that writes them and before rates are read."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_ADD = """
INSERT INTO billing.rates (id, model_id, valid_from, input, output, cached_input)
SELECT $1, $2, coalesce($3, clock_timestamp()), $4, $5, $6
WHERE $3::timestamptz IS NULL OR $3 > clock_timestamp()
RETURNING id
"""
_KNOWN = """
SELECT * FROM (
    SELECT r.*, lead(r.valid_from) OVER (PARTITION BY r.model_id ORDER BY r.valid_from) AS valid_until
    FROM billing.rates r WHERE r.model_id = $1
) known
"""
_PAGE = f"{_KNOWN} WHERE $2::timestamptz IS NULL OR valid_from < $2 ORDER BY valid_from DESC LIMIT $3"
_ONE = f"{_KNOWN} WHERE id = $2"
_WITHDRAW = "DELETE FROM billing.rates WHERE id = $1 AND valid_from > clock_timestamp() RETURNING id"


class RateIsPast(Problem):
    """A rate cannot begin in the past: ledger lines have been priced."""

    title = "In the past"


class RateOverlaps(Conflict):
    """Another rate of the model begins at the same moment."""

    title = "Rates overlap"


class RateHasBegun(Conflict):
    """A rate that is or was valid stays: ledger lines name it."""

    title = "Rate has begun"


async def history(principal: Principal, model_id: UUID, cursor: str | None, limit: int) -> Page[ModelRate]:
    """The rates of a model, the one that begins last first.

    Raises:
        NotFound: there is no such model, or it is not for the caller's organisation.
        BadCursor: the cursor is not one of this API's.
    """
    await one(principal, model_id)
    after = _after(cursor)
    async with transaction(principal) as connection:
        rows = await connection.fetch(_PAGE, model_id, after, limit + 1)
    return page([_rate(row) for row in rows], limit, lambda rate: _position(rate.valid_from))


async def announce(principal: Principal, model_id: UUID, new: NewRate) -> ModelRate:
    """Add a rate that begins now or later.

    Raises:
        NotFound: there is no such model.
        BadModel: names every rate that is wrong.
        RateIsPast: it would begin in the past.
        RateOverlaps: another begins at that moment.
    """
    rates = check_rates(new)
    await one(principal, model_id)
    async with transaction(principal) as connection:
        rate_id = await add(connection, model_id, rates, new.valid_from)
        made = _rate(await connection.fetchrow(_ONE, model_id, rate_id))
        await record(principal, "rate.announced", model_id, after=_audited(made))
    return made


async def withdraw(principal: Principal, model_id: UUID, rate_id: UUID) -> None:
    """Take back a rate that has not begun.

    Raises:
        NotFound: there is no such model or rate.
        RateHasBegun: it has.
    """
    await one(principal, model_id)
    async with transaction(principal) as connection:
        await connection.execute(HOLD_ALONE)
        row = await connection.fetchrow(_ONE, model_id, rate_id)
        if row is None:
            raise NotFound("no such rate")
        if await connection.fetchval(_WITHDRAW, rate_id) is None:
            raise RateHasBegun("the rate has begun, and ledger lines are priced by it; announce another one instead")
        await record(principal, "rate.withdrawn", model_id, before=_audited(_rate(row)))


async def add(connection: Connection, model_id: UUID, rates: Rates, valid_from: datetime | None = None) -> UUID:
    """Add a rate inside the caller's transaction, from now on where no moment is given. Answers its id.

    Raises:
        RateIsPast: it would begin in the past.
        RateOverlaps: another begins at that moment.
    """
    await connection.execute(HOLD_ALONE)
    amounts = (rates.input, rates.output, rates.cached_input)
    try:
        rate_id: UUID | None = await connection.fetchval(_ADD, uuid7(), model_id, valid_from, *amounts)
    except UniqueViolationError:
        said = f"a rate of this model begins at {valid_from} already; choose another moment"
        raise RateOverlaps(said, (FieldError("/valid_from", said),)) from None
    if rate_id is None:
        said = "has passed; leave it out for a rate that begins now"
        raise RateIsPast(f"valid_from {said}", (FieldError("/valid_from", said),))
    return rate_id


def _position(valid_from: datetime) -> UUID:
    """What a cursor holds: of a model no two rates begin at once, and the rate itself may be withdrawn by then."""
    return UUID(int=(valid_from - _EPOCH) // _MICROSECOND)


def _after(cursor: str | None) -> datetime | None:
    position = decode_cursor(cursor)
    try:
        return None if position is None else _EPOCH + position.int * _MICROSECOND
    except OverflowError:
        raise BadCursor("cursor: not one that this list gave; leave it out to start at the first page") from None


def _rate(row: asyncpg.Record | None) -> ModelRate:
    if row is None:
        raise NotFound("no such rate")
    return ModelRate(
        id=row["id"],
        model_id=row["model_id"],
        valid_from=row["valid_from"],
        valid_until=row["valid_until"],
        input_rate=written(row["input"]),
        output_rate=written(row["output"]),
        cached_input_rate=written(row["cached_input"]),
        created_at=row["created_at"],
    )


def _audited(rate: ModelRate) -> dict[str, object]:
    return {
        "rate_id": rate.id,
        "valid_from": rate.valid_from,
        "input_rate": rate.input_rate,
        "output_rate": rate.output_rate,
        "cached_input_rate": rate.cached_input_rate,
    }
