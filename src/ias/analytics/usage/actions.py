"""Taking usage in: each event once, into the events and the rollups, in one transaction per batch."""

from collections.abc import Sequence
from datetime import UTC
from uuid import UUID

import asyncpg
import msgspec
from prometheus_client import Counter

from ias.analytics.usage.domain import fingerprint, rolled_up
from ias.contract.usage import UsageRecorded
from ias.db import EVERYWHERE, Connection, transaction, uuid7
from ias.intake import Reject, Unfit

INGESTED = Counter("ias_usage_events", "Usage events taken in.")
DUPLICATES = Counter("ias_usage_duplicates", "Usage events that were there already.")
QUARANTINED = Counter("ias_usage_quarantined", "Usage events set aside because they could not be taken in.")

OTHER_BODY = "another body was taken in under this request and line"

_SEEN = """
INSERT INTO analytics.usage_seen (request_id, line, body_hash)
SELECT * FROM unnest($1::uuid[], $2::integer[], $3::bytea[])
ON CONFLICT DO NOTHING RETURNING request_id, line
"""

_KNOWN = """
SELECT s.request_id, s.line, s.body_hash FROM analytics.usage_seen s
JOIN unnest($1::uuid[], $2::integer[]) AS asked (request_id, line) USING (request_id, line)
"""

_EVENTS = """
INSERT INTO analytics.usage_events (
    request_id, line, org_id, user_id, key_id, model, endpoint, prompt_tokens, completion_tokens, cached_tokens,
    outcome, estimated, lower_bound, streamed, status, gateway, replica,
    duration_ms, queue_ms, first_token_ms, started_at, settled_at
)
SELECT * FROM unnest(
    $1::uuid[], $2::integer[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::text[],
    $8::bigint[], $9::bigint[], $10::bigint[], $11::text[], $12::boolean[], $13::boolean[], $14::boolean[],
    $15::integer[], $16::text[], $17::text[], $18::double precision[], $19::double precision[],
    $20::double precision[], $21::timestamptz[], $22::timestamptz[]
)
"""

_ROLLUP = """
INSERT INTO analytics.{table} AS r (
    org_id, bucket, user_id, key_id, model, requests, failed, prompt_tokens, completion_tokens, cached_tokens
)
SELECT * FROM unnest(
    $1::uuid[], $2::timestamptz[], $3::uuid[], $4::uuid[], $5::text[],
    $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[]
)
ON CONFLICT (org_id, bucket, user_id, key_id, model) DO UPDATE SET
    requests = r.requests + excluded.requests,
    failed = r.failed + excluded.failed,
    prompt_tokens = r.prompt_tokens + excluded.prompt_tokens,
    completion_tokens = r.completion_tokens + excluded.completion_tokens,
    cached_tokens = r.cached_tokens + excluded.cached_tokens
"""
_HOURLY = _ROLLUP.format(table="usage_hourly")
_DAILY = _ROLLUP.format(table="usage_daily")

_QUARANTINE = """
INSERT INTO analytics.quarantine (id, request_id, line, origin, reason, body, body_hash)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::text[], $5::text[], $6::bytea[], $7::bytea[])
ON CONFLICT (body_hash) DO NOTHING RETURNING id
"""


async def record(events: Sequence[UsageRecorded]) -> list[Reject]:
    """Take a batch in, in one transaction. What is there already is left as it is.

    Answers the events that contradict what is there.

    Raises:
        Unfit: PostgreSQL refuses something in the batch.
        DatabaseDown: the batch may or may not be there; take it in again.
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
    """Set aside what cannot be taken in; the same body is kept once.

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
    months = {(event.started_at.astimezone(UTC).year, event.started_at.astimezone(UTC).month): event for event in fresh}
    for month in sorted(months):
        await connection.execute("SELECT analytics.open_month($1)", months[month].started_at)
    await connection.execute(_EVENTS, *map(list, zip(*map(_row, fresh), strict=True)))
    for sql, by_day in ((_HOURLY, False), (_DAILY, True)):
        sums = rolled_up(fresh, by_day=by_day)
        rows = [(*msgspec.structs.astuple(bucket), *msgspec.structs.astuple(added)) for bucket, added in sums]
        await connection.execute(sql, *map(list, zip(*rows, strict=True)))


async def _contradicting(connection: Connection, events: Sequence[UsageRecorded]) -> list[Reject]:
    ids, lines = [event.request_id for event in events], [event.line for event in events]
    rows = await connection.fetch(_KNOWN, ids, lines)
    known = {(row["request_id"], row["line"]): row["body_hash"] for row in rows}
    return [Reject.of(event, OTHER_BODY) for event in events if known.get(_place(event)) != fingerprint(event)]


def _row(event: UsageRecorded) -> tuple[object, ...]:
    who = (event.request_id, event.line, event.organisation, event.user, event.key, event.model, event.endpoint)
    tokens = (event.prompt_tokens, event.completion_tokens, event.cached_tokens)
    how = (event.outcome.value, event.estimated, event.lower_bound, event.streamed)
    served = (event.status, event.gateway, event.replica)
    times = (event.duration_ms, event.queue_ms, event.first_token_ms, event.started_at, event.settled_at)
    return (*who, *tokens, *how, *served, *times)
