"""Booking usage: each line once, priced, added to what is spent, in one transaction per batch."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg
import msgspec
from prometheus_client import Counter

from ias.billing.ledger.domain import FREE, Rate, cost_of, fingerprint, rate_at, sums
from ias.contract.usage import UsageRecorded
from ias.db import EVERYWHERE, Connection, transaction, uuid7
from ias.intake import Reject, Unfit

INGESTED = Counter("ias_ledger_lines", "Lines written into the ledger.")
DUPLICATES = Counter("ias_ledger_duplicates", "Events that the ledger had already.")
QUARANTINED = Counter("ias_ledger_quarantined", "Events set aside because they could not be booked.")

OTHER_BODY = "the ledger has another body under this request and line"

_SEEN = """
INSERT INTO billing.ledger_seen (request_id, line, body_hash)
SELECT * FROM unnest($1::uuid[], $2::integer[], $3::bytea[])
ON CONFLICT DO NOTHING RETURNING request_id, line
"""

_KNOWN = """
SELECT s.request_id, s.line, s.body_hash FROM billing.ledger_seen s
JOIN unnest($1::uuid[], $2::integer[]) AS asked (request_id, line) USING (request_id, line)
"""

_RATES = "SELECT id, model_id, valid_from, input, output, cached_input FROM billing.rates WHERE model_id = ANY($1)"

_LINES = """
INSERT INTO billing.ledger_lines (
    request_id, line, period, org_id, user_id, key_id, model, model_id, endpoint,
    prompt_tokens, completion_tokens, cached_tokens, cost, rate_id, outcome,
    estimated, lower_bound, streamed, status, gateway, started_at, settled_at
)
SELECT * FROM unnest(
    $1::uuid[], $2::integer[], $3::text[], $4::uuid[], $5::uuid[], $6::uuid[], $7::text[], $8::uuid[], $9::text[],
    $10::bigint[], $11::bigint[], $12::bigint[], $13::numeric[], $14::uuid[], $15::text[],
    $16::boolean[], $17::boolean[], $18::boolean[], $19::integer[], $20::text[], $21::timestamptz[], $22::timestamptz[]
)
"""

_SPEND = """
INSERT INTO billing.spend AS s (
    period, org_id, user_id, key_id, model, requests, prompt_tokens, completion_tokens, cached_tokens, cost
)
SELECT * FROM unnest(
    $1::text[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[],
    $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::numeric[]
)
ON CONFLICT (period, org_id, user_id, key_id, model) DO UPDATE SET
    requests = s.requests + excluded.requests,
    prompt_tokens = s.prompt_tokens + excluded.prompt_tokens,
    completion_tokens = s.completion_tokens + excluded.completion_tokens,
    cached_tokens = s.cached_tokens + excluded.cached_tokens,
    cost = s.cost + excluded.cost,
    updated_at = now()
"""

_QUARANTINE = """
INSERT INTO billing.quarantine (id, request_id, line, origin, reason, body, body_hash)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::text[], $5::text[], $6::bytea[], $7::bytea[])
ON CONFLICT (body_hash) DO NOTHING RETURNING id
"""


async def record(events: Sequence[UsageRecorded]) -> list[Reject]:
    """Book a batch in one transaction. What is in the ledger already is left as it is.

    Answers the events that contradict what is in the ledger.

    Raises:
        Unfit: PostgreSQL refuses something in the batch.
        DatabaseDown: the batch may or may not be booked; book it again.
    """
    by_line = {_place(event): event for event in reversed(events)}
    batch = [by_line[place] for place in sorted(by_line)]
    try:
        async with transaction(EVERYWHERE) as connection:
            fresh = await _unseen(connection, batch)
            await _write(connection, fresh)
            rejects = await _contradicting(connection, events) if len(fresh) < len(events) else []
    except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
        raise Unfit(str(error)) from error
    INGESTED.inc(len(fresh))
    DUPLICATES.inc(len(events) - len(fresh) - len(rejects))
    return rejects


async def quarantine(rejects: Sequence[Reject]) -> None:
    """Set aside what cannot be booked; the same body is kept once.

    Raises:
        DatabaseDown: PostgreSQL does not answer.
    """
    columns = zip(*((uuid7(), *reject.row()) for reject in rejects), strict=True)
    async with transaction(EVERYWHERE) as connection:
        added = await connection.fetch(_QUARANTINE, *map(list, columns))
    QUARANTINED.inc(len(added))


def _place(event: UsageRecorded) -> tuple[UUID, int]:
    return event.request_id, event.line


async def _unseen(connection: Connection, batch: Sequence[UsageRecorded]) -> list[UsageRecorded]:
    ids, lines = [event.request_id for event in batch], [event.line for event in batch]
    rows = await connection.fetch(_SEEN, ids, lines, [fingerprint(event) for event in batch])
    fresh = {(row["request_id"], row["line"]) for row in rows}
    return [event for event in batch if _place(event) in fresh]


async def _write(connection: Connection, fresh: Sequence[UsageRecorded]) -> None:
    if not fresh:
        return
    for period in sorted({event.period for event in fresh}):
        await connection.execute("SELECT billing.open_period($1)", period)
    rates = await _rates(connection, {event.model_id for event in fresh})
    priced = [(event, rate_at(rates.get(event.model_id, ()), event.started_at) or FREE) for event in fresh]
    costs = [cost_of(event, rate) for event, rate in priced]
    rows = [
        (*_whose(event), *_tokens(event), cost, None if rate is FREE else rate.id, *_how(event))
        for (event, rate), cost in zip(priced, costs, strict=True)
    ]
    await connection.execute(_LINES, *map(list, zip(*rows, strict=True)))
    accounts = [
        (*msgspec.structs.astuple(account), *msgspec.structs.astuple(added))
        for account, added in sums(zip(fresh, costs, strict=True))
    ]
    await connection.execute(_SPEND, *map(list, zip(*accounts, strict=True)))


async def _rates(connection: Connection, model_ids: set[UUID]) -> dict[UUID, list[Rate]]:
    rates: dict[UUID, list[Rate]] = {}
    for row in await connection.fetch(_RATES, list(model_ids)):
        rate = Rate(row["id"], row["valid_from"], row["input"], row["output"], row["cached_input"])
        rates.setdefault(row["model_id"], []).append(rate)
    return rates


async def _contradicting(connection: Connection, events: Sequence[UsageRecorded]) -> list[Reject]:
    ids, lines = [event.request_id for event in events], [event.line for event in events]
    rows = await connection.fetch(_KNOWN, ids, lines)
    known = {(row["request_id"], row["line"]): row["body_hash"] for row in rows}
    return [Reject.of(event, OTHER_BODY) for event in events if known.get(_place(event)) != fingerprint(event)]


def _whose(event: UsageRecorded) -> tuple[object, ...]:
    who = (event.organisation, event.user, event.key)
    return (event.request_id, event.line, event.period, *who, event.model, event.model_id, event.endpoint)


def _tokens(event: UsageRecorded) -> tuple[int, int, int]:
    return event.prompt_tokens, event.completion_tokens, event.cached_tokens


def _how(event: UsageRecorded) -> tuple[object, ...]:
    flags = (event.outcome.value, event.estimated, event.lower_bound, event.streamed)
    return (*flags, event.status, event.gateway, event.started_at, event.settled_at)
