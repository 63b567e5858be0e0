"""Taking usage in: each event once, into the events and the rollups, in one transaction per batch."""

from collections.abc import Sequence

import asyncpg
from prometheus_client import Counter

from ias.analytics.usage.adding import add, some_slot
from ias.analytics.usage.queries import QUARANTINE, told_so_far
from ias.analytics.usage.rollups import rolled_up
from ias.contract.amends import amends
from ias.contract.crashpoints import Crashpoint, reached
from ias.contract.sound import fingerprint
from ias.contract.usage import UsageRecorded
from ias.db import EVERYWHERE, Connection, transaction, uuid7
from ias.intake import Reject, Unfit
from ias.seen import Seen, each_once, is_fresh

INGESTED = Counter("ias_usage_events", "Usage events taken in.")
DUPLICATES = Counter("ias_usage_duplicates", "Usage events that were there already.")
QUARANTINED = Counter("ias_usage_quarantined", "Usage events set aside because they could not be taken in.")

SEEN = Seen("analytics.usage_seen", "usage_incoming")
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


async def record(events: Sequence[UsageRecorded]) -> list[Reject]:
    """Take a batch in, in one transaction. What is there already is left as it is.

    Answers the events that contradict what is there.

    Raises:
        Unfit: PostgreSQL refuses something in the batch.
        DatabaseDown: the batch may or may not be there; take it in again.
    """
    batch = each_once(events)
    try:
        async with transaction(EVERYWHERE) as connection:
            await connection.execute(_INCOMING)
            await connection.copy_records_to_table("usage_incoming", schema_name="pg_temp", records=map(_row, batch))
            known = await SEEN.note(connection, len(events))
            fresh = [event for event in batch if is_fresh(event, known)]
            await _write(connection, fresh)
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
    """Set aside what cannot be taken in; the same body is kept once.

    Raises:
        DatabaseDown: PostgreSQL does not answer.
    """
    QUARANTINED.inc(await QUARANTINE.add([(uuid7(), *reject.row()) for reject in rejects]))


async def _write(connection: Connection, fresh: Sequence[UsageRecorded]) -> None:
    if not fresh:
        return
    rollups = rolled_up(fresh, some_slot())
    for month in sorted({bucket.start.replace(day=1) for bucket, _ in rollups.model_days}):
        await connection.execute("SELECT analytics.open_month($1)", month)
    await connection.execute(_EVENTS)
    await add(connection, rollups)


def _row(event: UsageRecorded) -> tuple[object, ...]:
    who = (event.request_id, event.line, event.organisation, event.user, event.key, event.model, event.endpoint)
    tokens = (event.prompt_tokens, event.completion_tokens, event.cached_tokens)
    how = (event.outcome.value, event.estimated, event.lower_bound, event.streamed)
    served = (event.status, event.gateway, event.replica)
    times = (event.duration_ms, event.queue_ms, event.first_token_ms, event.started_at, event.settled_at)
    return (*who, *tokens, *how, *served, *times, fingerprint(event))
