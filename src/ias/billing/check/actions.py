"""Making right what the check found wrong, and keeping what it found: with an audit entry, a metric and a log line."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from loguru import logger
from prometheus_client import Counter

from ias.billing.check.domain import Fields, size
from ias.billing.check.queries import Check
from ias.contract import books
from ias.contract.books import Correction, Month
from ias.db import EVERYWHERE, transaction
from ias.edge import Edge
from ias.identity import Actor, Tenant, record

FOUND = Counter("ias_check_drift_found", "Tokens, or requests under way, that a check found wrong.", ["kind"])
REPAIRED = Counter("ias_check_repaired", "Those of them that were made right.", ["kind"])
REPAIRS = Counter("ias_check_repairs", "Repairs: of an organisation's month, or of what it holds.", ["kind"])

USED, HELD, ANALYTICS = "used", "held", "analytics"

_NOTE = """
INSERT INTO billing.checks (kind, checked_at, took_s, organisations, drifting, tokens, oldest_open)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (kind) DO UPDATE SET checked_at = excluded.checked_at, took_s = excluded.took_s,
    organisations = excluded.organisations, drifting = excluded.drifting, tokens = excluded.tokens,
    oldest_open = excluded.oldest_open
"""
_OPEN = "UPDATE billing.checks SET oldest_open = $2 WHERE kind = $1"
_FORGET = "DELETE FROM billing.drifts WHERE kind = $1"
_DRIFT = """
INSERT INTO billing.drifts (kind, org_id, period, account, difference)
SELECT $1, * FROM unnest($2::uuid[], $3::text[], $4::text[], $5::bigint[])
"""

Drifts = dict[tuple[UUID, str], Fields]
"""Differences by organisation and month."""


class BegunAnew(Exception):
    """Redis began to count anew since the books were read; the next check knows more."""


async def repair(edge: Edge, org: Tenant, month: Month, wrong: Fields) -> None:
    """Add differences to what Redis counts of a month.

    Raises:
        BegunAnew: it counts from something else now.
        EdgeDown: Redis did not confirm. Nothing is in the audit log then, either time.
    """
    before = {field: month.counted.get(field, 0) for field in wrong}
    after = {field: before[field] + tokens for field, tokens in wrong.items()}
    period = {"period": month.period}
    async with transaction(EVERYWHERE):
        await record(Actor(org_id=org.id), "use.repaired", org.id, {**period, **before}, {**period, **after})
        if await edge.call(books.repair(org.tag, month, wrong)) != 1:
            raise BegunAnew(f"organisation {org.id} is counted anew")
    REPAIRS.labels(USED).inc()
    REPAIRED.labels(USED).inc(size(wrong))
    logger.warning("repaired what Redis counts of organisation {} in {}: {}", org.id, month.period, wrong)


async def tell_recounted(org: Tenant, corrections: Sequence[Correction]) -> None:
    """Note what Redis held of an organisation and should not have, or the other way round; it is right already."""
    wrong = extent(corrections)
    for counter in (FOUND, REPAIRED):
        counter.labels(HELD).inc(wrong)
    REPAIRS.labels(HELD).inc()
    before = {f"{one.where} {one.field}": one.was for one in corrections}
    after = {f"{one.where} {one.field}": one.now for one in corrections}
    async with transaction(EVERYWHERE):
        await record(Actor(org_id=org.id), "reservations.recounted", org.id, before, after)
    logger.warning("recounted what is held of organisation {}: {} was {}", org.id, after, before)


def extent(corrections: Sequence[Correction]) -> int:
    """By how many tokens: of all, of members or of keys, whichever is most; requests, where no token was wrong."""
    tokens = {"resv": 0, "r": 0, "h": 0, "l": 0}
    for one in corrections:
        tokens[one.field.partition(":")[0]] += abs(one.now - one.was)
    return max(tokens["resv"], tokens["r"], tokens["h"]) or tokens["l"]


async def note(check: Check, drifts: Drifts) -> None:
    """Keep what a check found; its differences take the place of those that the last one of the kind found."""
    row = (check.checked_at, check.took_s, check.organisations, check.drifting, check.tokens, check.oldest_open)
    rows = [(*place, account, tokens) for place, wrong in drifts.items() for account, tokens in wrong.items()]
    async with transaction(EVERYWHERE) as connection:
        await connection.execute(_NOTE, check.kind, *row)
        await connection.execute(_FORGET, check.kind)
        if rows:
            await connection.execute(_DRIFT, check.kind, *map(list, zip(*rows, strict=True)))


async def note_open(kind: str, oldest: datetime | None) -> None:
    """Keep when the oldest settlement was made that a consumer did not have."""
    async with transaction(EVERYWHERE) as connection:
        await connection.execute(_OPEN, kind, oldest)
