"""Booking usage: each line once, priced, added to what is spent, in one transaction per batch."""

from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID

import asyncpg
import msgspec
from prometheus_client import Counter

from ias.billing.catalogue.rates import HOLD_SHARED
from ias.billing.ledger.domain import FREE, Rate, cost_of, rate_at, sums
from ias.billing.ledger.queries import QUARANTINE, told_so_far
from ias.contract.amends import amends
from ias.contract.crashpoints import Crashpoint, reached
from ias.contract.sound import fingerprint
from ias.contract.usage import UsageRecorded
from ias.db import EVERYWHERE, Connection, transaction, uuid7
from ias.intake import Reject, Unfit
from ias.seen import Seen, each_once, is_fresh

INGESTED = Counter("ias_ledger_lines", "Lines written into the ledger.")
DUPLICATES = Counter("ias_ledger_duplicates", "Events that the ledger had already.")
QUARANTINED = Counter("ias_ledger_quarantined", "Events set aside because they could not be booked.")

SEEN = Seen("billing.ledger_seen", "ledger_incoming")
OTHER_BODY = "the ledger has another body under this request and line"

# Rows come in by COPY, which is the cheapest way in by far. It knows neither conflicts nor row-level security, hence
# the table in between, which a connection makes once.
_INCOMING = """
CREATE TEMPORARY TABLE IF NOT EXISTS ledger_incoming (
    request_id uuid, line integer, period text, org_id uuid, user_id uuid, key_id uuid,
    model text, model_id uuid, endpoint text, prompt_tokens bigint, completion_tokens bigint, cached_tokens bigint,
    cost text, rate_id uuid, outcome text, estimated boolean, lower_bound boolean, streamed boolean,
    status integer, gateway text, started_at timestamptz, settled_at timestamptz, body_hash bytea
) ON COMMIT DELETE ROWS
"""

_RATES = "SELECT id, model_id, valid_from, input, output, cached_input FROM billing.rates WHERE model_id = ANY($1)"

_LINES = """
INSERT INTO billing.ledger_lines (
    request_id, line, period, org_id, user_id, key_id, model, model_id, endpoint,
    prompt_tokens, completion_tokens, cached_tokens, cost, rate_id, outcome,
    estimated, lower_bound, streamed, status, gateway, started_at, settled_at
)
SELECT request_id, line, period, org_id, user_id, key_id, model, model_id, endpoint,
    prompt_tokens, completion_tokens, cached_tokens, cost::numeric, rate_id, outcome,
    estimated, lower_bound, streamed, status, gateway, started_at, settled_at
FROM pg_temp.ledger_incoming
"""

_SPEND = """
INSERT INTO billing.spend AS s (
    period, org_id, user_id, key_id, model, requests, prompt_tokens, completion_tokens, cached_tokens, cost,
    last_used_at
)
SELECT * FROM unnest(
    $1::text[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[],
    $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::numeric[], $11::timestamptz[]
)
ON CONFLICT (period, org_id, user_id, key_id, model) DO UPDATE SET
    requests = s.requests + excluded.requests,
    prompt_tokens = s.prompt_tokens + excluded.prompt_tokens,
    completion_tokens = s.completion_tokens + excluded.completion_tokens,
    cached_tokens = s.cached_tokens + excluded.cached_tokens,
    cost = s.cost + excluded.cost,
    last_used_at = greatest(s.last_used_at, excluded.last_used_at),
    updated_at = now()
"""

# The same by organisation; whoever has a row of these has all that it wants of the others.
_ORG_SPEND = """
INSERT INTO billing.org_spend AS s (
    period, org_id, requests, prompt_tokens, completion_tokens, cached_tokens, cost
)
SELECT period, org_id, sum(requests)::bigint, sum(prompt_tokens)::bigint, sum(completion_tokens)::bigint,
    sum(cached_tokens)::bigint, sum(cost)
FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::numeric[])
    AS added (period, org_id, requests, prompt_tokens, completion_tokens, cached_tokens, cost)
GROUP BY period, org_id ORDER BY period, org_id
ON CONFLICT (org_id, period) DO UPDATE SET
    requests = s.requests + excluded.requests,
    prompt_tokens = s.prompt_tokens + excluded.prompt_tokens,
    completion_tokens = s.completion_tokens + excluded.completion_tokens,
    cached_tokens = s.cached_tokens + excluded.cached_tokens,
    cost = s.cost + excluded.cost
"""


async def record(events: Sequence[UsageRecorded]) -> list[Reject]:
    """Book a batch in one transaction. What is in the ledger already is left as it is.

    Answers the events that contradict what is in the ledger.

    Raises:
        Unfit: PostgreSQL refuses something in the batch.
        DatabaseDown: the batch may or may not be booked; book it again.
    """
    batch = each_once(events)
    try:
        async with transaction(EVERYWHERE) as connection:
            rates = await _rates(connection, batch)
            costs = list(map(cost_of, batch, rates))
            await _bring(connection, batch, rates, costs)
            known = await SEEN.note(connection, len(events))
            fresh = [(event, cost) for event, cost in zip(batch, costs, strict=True) if is_fresh(event, known)]
            await _book(connection, fresh)
            reached(Crashpoint.BEFORE_COMMIT)
    except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
        raise Unfit(str(error)) from error
    reached(Crashpoint.AFTER_COMMIT)
    INGESTED.inc(len(fresh))
    second = SEEN.contradicting(events, known)
    lines, contradicting = amends(second, await told_so_far([event.request_id for event in second]))
    DUPLICATES.inc(len(events) - len(fresh) - len(contradicting))
    rejects = [Reject.of(event, OTHER_BODY) for event in contradicting]
    return rejects + await record(lines) if lines else rejects


async def quarantine(rejects: Sequence[Reject]) -> None:
    """Set aside what cannot be booked; the same body is kept once.

    Raises:
        DatabaseDown: PostgreSQL does not answer.
    """
    QUARANTINED.inc(await QUARANTINE.add([(uuid7(), *reject.row()) for reject in rejects]))


async def _rates(connection: Connection, batch: Sequence[UsageRecorded]) -> list[Rate]:
    """The rate of each event."""
    known: dict[int, list[Rate]] = {event.model_id.int: [] for event in batch}
    await connection.execute(HOLD_SHARED)
    for row in await connection.fetch(_RATES, [UUID(int=model_id) for model_id in known]):
        rate = Rate(row["id"], row["valid_from"], row["input"], row["output"], row["cached_input"])
        known[row["model_id"].int].append(rate)
    return [rate_at(known[event.model_id.int], event.started_at) or FREE for event in batch]


async def _bring(
    connection: Connection, batch: Sequence[UsageRecorded], rates: Sequence[Rate], costs: Sequence[Decimal]
) -> None:
    await connection.execute(_INCOMING)
    rows = [
        (*_whose(event), *_tokens(event), str(cost), None if rate is FREE else rate.id, *_how(event))
        for event, rate, cost in zip(batch, rates, costs, strict=True)
    ]
    await connection.copy_records_to_table("ledger_incoming", schema_name="pg_temp", records=rows)


async def _book(connection: Connection, fresh: Sequence[tuple[UsageRecorded, Decimal]]) -> None:
    if not fresh:
        return
    for period in sorted({event.period for event, _ in fresh}):
        await connection.execute("SELECT billing.open_period($1)", period)
    await connection.execute(_LINES)
    accounts = [(*msgspec.structs.astuple(account), *msgspec.structs.astuple(added)) for account, added in sums(fresh)]
    columns = list(map(list, zip(*accounts, strict=True)))
    await connection.execute(_SPEND, *columns)
    await connection.execute(_ORG_SPEND, *columns[:2], *columns[5:10])


def _whose(event: UsageRecorded) -> tuple[object, ...]:
    who = (event.organisation, event.user, event.key)
    return (event.request_id, event.line, event.period, *who, event.model, event.model_id, event.endpoint)


def _tokens(event: UsageRecorded) -> tuple[int, int, int]:
    return event.prompt_tokens, event.completion_tokens, event.cached_tokens


def _how(event: UsageRecorded) -> tuple[object, ...]:
    flags = (event.outcome.value, event.estimated, event.lower_bound, event.streamed)
    return (*flags, event.status, event.gateway, event.started_at, event.settled_at, fingerprint(event))
