"""Taking usage in: each event once, into the events and the rollups, in one transaction per batch."""

from collections.abc import Mapping, Sequence

import asyncpg
import msgspec
from prometheus_client import Counter

from ias.analytics.usage.amending import amends
from ias.analytics.usage.domain import days, fingerprint, rolled_up
from ias.contract.crashpoints import Crashpoint, reached
from ias.contract.usage import UsageRecorded
from ias.db import EVERYWHERE, Connection, transaction, uuid7
from ias.intake import Reject, Unfit

INGESTED = Counter("ias_usage_events", "Usage events taken in.")
DUPLICATES = Counter("ias_usage_duplicates", "Usage events that were there already.")
QUARANTINED = Counter("ias_usage_quarantined", "Usage events set aside because they could not be taken in.")

Place = tuple[int, int]
"""A request's number, which is quicker than its id, and a line."""

OTHER_BODY = "another body was taken in under this request and line"

# Rows come in by COPY, which is the cheapest way in by far. It knows neither conflicts nor row-level security, hence
# the table in between, which a connection makes once.
_INCOMING = """
CREATE TEMPORARY TABLE IF NOT EXISTS usage_incoming (
    request_id uuid, line integer, org_id uuid, user_id uuid, key_id uuid, model text, endpoint text,
    prompt_tokens bigint, completion_tokens bigint, cached_tokens bigint,
    outcome text, estimated boolean, lower_bound boolean, streamed boolean, status integer, gateway text, replica text,
    duration_ms double precision, queue_ms double precision, first_token_ms double precision,
    started_at timestamptz, settled_at timestamptz, body_hash bytea
) ON COMMIT DELETE ROWS
"""

_SEEN = """
INSERT INTO analytics.usage_seen (request_id, line, body_hash)
SELECT request_id, line, body_hash FROM pg_temp.usage_incoming
ON CONFLICT DO NOTHING
"""

# Where it was this transaction that wrote them, they are fresh.
_KNOWN = """
SELECT s.request_id, s.line, s.body_hash, s.xmin = pg_current_xact_id()::xid AS fresh
FROM analytics.usage_seen s JOIN pg_temp.usage_incoming USING (request_id, line)
"""

_FORGET = """
DELETE FROM pg_temp.usage_incoming i USING analytics.usage_seen s
WHERE (s.request_id, s.line) = (i.request_id, i.line) AND s.xmin <> pg_current_xact_id()::xid
"""

_EVENTS = """
INSERT INTO analytics.usage_events (
    request_id, line, org_id, user_id, key_id, model, endpoint, prompt_tokens, completion_tokens, cached_tokens,
    outcome, estimated, lower_bound, streamed, status, gateway, replica,
    duration_ms, queue_ms, first_token_ms, started_at, settled_at
)
SELECT request_id, line, org_id, user_id, key_id, model, endpoint, prompt_tokens, completion_tokens, cached_tokens,
    outcome, estimated, lower_bound, streamed, status, gateway, replica,
    duration_ms, queue_ms, first_token_ms, started_at, settled_at
FROM pg_temp.usage_incoming
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
INSERT INTO analytics.quarantine AS q (id, request_id, line, origin, reason, body, body_hash)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::text[], $5::text[], $6::bytea[], $7::bytea[])
ON CONFLICT (body_hash) DO UPDATE SET replayed_at = NULL, reason = excluded.reason
    WHERE q.replayed_at IS NOT NULL RETURNING id
"""


async def record(events: Sequence[UsageRecorded]) -> list[Reject]:
    """Take a batch in, in one transaction. What is there already is left as it is.

    Answers the events that contradict what is there.

    Raises:
        Unfit: PostgreSQL refuses something in the batch.
        DatabaseDown: the batch may or may not be there; take it in again.
    """
    batch = _each_once(events)
    try:
        async with transaction(EVERYWHERE) as connection:
            await connection.execute(_INCOMING)
            await connection.copy_records_to_table("usage_incoming", schema_name="pg_temp", records=map(_row, batch))
            known = await _see(connection, len(events))
            fresh = [event for event in batch if _is_fresh(event, known)]
            await _write(connection, fresh)
            reached(Crashpoint.BEFORE_COMMIT)
    except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
        raise Unfit(str(error)) from error
    reached(Crashpoint.AFTER_COMMIT)
    INGESTED.inc(len(fresh))
    lines, contradicting = await amends([event for event in events if _contradicts(event, known)])
    DUPLICATES.inc(len(events) - len(fresh) - len(contradicting))
    rejects = [Reject.of(event, OTHER_BODY) for event in contradicting]
    return rejects + await record(lines) if lines else rejects


async def quarantine(rejects: Sequence[Reject]) -> None:
    """Set aside what cannot be taken in; the same body is kept once.

    Raises:
        DatabaseDown: PostgreSQL does not answer.
    """
    columns = zip(*((uuid7(), *reject.row()) for reject in rejects), strict=True)
    async with transaction(EVERYWHERE) as connection:
        added = await connection.fetch(_QUARANTINE, *map(list, columns))
    QUARANTINED.inc(len(added))


def _place(event: UsageRecorded) -> Place:
    return event.request_id.int, event.line


def _each_once(events: Sequence[UsageRecorded]) -> list[UsageRecorded]:
    """The first event of each request and line, in their order: writers never wait in a circle."""
    by_place = {_place(event): event for event in reversed(events)}
    return [by_place[place] for place in sorted(by_place)]


async def _see(connection: Connection, whole: int) -> Mapping[Place, asyncpg.Record]:
    """Note all that came as seen. Answers what is noted of it, or nothing where all of the `whole` is fresh."""
    done = await connection.execute(_SEEN)
    if int(done.rpartition(" ")[2]) == whole:
        return {}
    rows = await connection.fetch(_KNOWN)
    await connection.execute(_FORGET)
    return {(row["request_id"].int, row["line"]): row for row in rows}


def _is_fresh(event: UsageRecorded, known: Mapping[Place, asyncpg.Record]) -> bool:
    return not known or bool(known[_place(event)]["fresh"])


def _contradicts(event: UsageRecorded, known: Mapping[Place, asyncpg.Record]) -> bool:
    return bool(known) and known[_place(event)]["body_hash"] != fingerprint(event)


async def _write(connection: Connection, fresh: Sequence[UsageRecorded]) -> None:
    if not fresh:
        return
    by_hour = rolled_up(fresh)
    by_day = days(by_hour)
    for month in sorted({bucket.start.replace(day=1) for bucket, _ in by_day}):
        await connection.execute("SELECT analytics.open_month($1)", month)
    await connection.execute(_EVENTS)
    for sql, sums in ((_HOURLY, by_hour), (_DAILY, by_day)):
        rows = [(*msgspec.structs.astuple(bucket), *msgspec.structs.astuple(added)) for bucket, added in sums]
        await connection.execute(sql, *map(list, zip(*rows, strict=True)))


def _row(event: UsageRecorded) -> tuple[object, ...]:
    who = (event.request_id, event.line, event.organisation, event.user, event.key, event.model, event.endpoint)
    tokens = (event.prompt_tokens, event.completion_tokens, event.cached_tokens)
    how = (event.outcome.value, event.estimated, event.lower_bound, event.streamed)
    served = (event.status, event.gateway, event.replica)
    times = (event.duration_ms, event.queue_ms, event.first_token_ms, event.started_at, event.settled_at)
    return (*who, *tokens, *how, *served, *times, fingerprint(event))
