"""Usage of a large platform, put straight into PostgreSQL: events, and all that the consumer would have made of them.

The events are made by PostgreSQL itself, which takes minutes where taking them in would take hours. A few holders have
most of the traffic. The rollups are summed out of the events by SQL, and a test holds them to be what the consumer
makes of the same events.
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from uuid import UUID

import asyncpg
import msgspec

MIGRATIONS = Path(__file__).parents[1] / "migrations/analytics"
DAYS = 30
EVENTS_AT_ONCE = 500_000
SETTINGS = (
    "app.everywhere = 'on'",
    "work_mem = '512MB'",
    "maintenance_work_mem = '1GB'",
    "synchronous_commit = off",
    "jit = off",
)


class Holders(msgspec.Struct, frozen=True):
    """Who uses what: organisation, member and key of each holder, the busiest first; and the models' names."""

    orgs: Sequence[UUID]
    users: Sequence[UUID]
    keys: Sequence[UUID]
    models: Sequence[str]


class Loaded(msgspec.Struct, frozen=True):
    """How many events there are, and how long it took, in seconds."""

    events: int
    events_s: float
    rollups_s: float


# A holder's place is a power of a random number, so that the first ones are chosen far more often; first tokens come
# after a time that is nearly log-normal. Ids are UUIDv7, which grow with time, as those of the gateway do.
EVENTS = """
INSERT INTO analytics.usage_events (
    request_id, line, org_id, user_id, key_id, model, endpoint, prompt_tokens, completion_tokens, cached_tokens,
    outcome, estimated, lower_bound, streamed, status, gateway, replica, duration_ms, queue_ms, first_token_ms,
    started_at, settled_at
)
SELECT request_id, 1, ($1::uuid[])[holder], ($2::uuid[])[holder], ($3::uuid[])[holder],
    ($4::text[])[1 + floor(m * m * cardinality($4::text[]))::integer], 'chat', prompt, 1 + floor(r * 600)::bigint,
    floor(prompt * c * 0.8)::bigint,
    CASE WHEN f < 0.985 THEN 'completed' WHEN f < 0.995 THEN 'client_aborted' ELSE 'upstream_failed' END,
    false, false, true, CASE WHEN f < 0.995 THEN 200 ELSE 502 END, 'gateway-1', 'http://10.0.0.1:8000',
    exp(4.5 + n) + floor(r * 600) * (8 + 8 * c), 1 + c * 3, exp(4.5 + n), started_at,
    started_at + make_interval(secs => 1 + 20 * r)
FROM (
    SELECT (lpad(to_hex((extract(epoch FROM started_at) * 1000)::bigint), 12, '0') || '7' || substr(code, 1, 3) || '8'
        || substr(code, 4, 15))::uuid AS request_id, started_at,
        1 + floor(power(random(), 3) * cardinality($1::uuid[]))::integer AS holder,
        random() AS m, random() AS r, random() AS c, random() AS f, 50 + floor(random() * 4000)::bigint AS prompt,
        random() + random() + random() + random() - 2 AS n
    FROM (
        SELECT $5::timestamptz + random() * ($6::timestamptz - $5::timestamptz) AS started_at,
            md5(number::text || random()::text) AS code
        FROM generate_series(1, $7::integer) AS number
    ) AS moments
) AS made
"""
SEEN = """
INSERT INTO analytics.usage_seen (request_id, line, body_hash, seen_at)
SELECT request_id, line, sha256(uuid_send(request_id)), settled_at FROM analytics.usage_events ON CONFLICT DO NOTHING
"""
# In the order of time, as rows come in: where they lie decides what reading them takes.
QUARTERS = """
INSERT INTO analytics.usage_hourly (org_id, bucket, user_id, key_id, model, requests, failed, prompt_tokens,
    completion_tokens, cached_tokens)
SELECT org_id, date_bin('15 minutes', started_at, '2020-01-01Z'), user_id, key_id, model,
    count(*) FILTER (WHERE line = 1),
    count(*) FILTER (WHERE line = 1 AND outcome IN ('upstream_failed', 'upstream_timeout', 'gateway_lost')),
    sum(prompt_tokens), sum(completion_tokens), sum(cached_tokens)
FROM analytics.usage_events GROUP BY 1, 2, 3, 4, 5 ORDER BY 2, 1
"""
DAYS_OF_QUARTERS = """
INSERT INTO analytics.usage_daily (org_id, bucket, user_id, key_id, model, requests, failed, prompt_tokens,
    completion_tokens, cached_tokens)
SELECT org_id, date_trunc('day', bucket, 'UTC'), user_id, key_id, model, sum(requests), sum(failed),
    sum(prompt_tokens), sum(completion_tokens), sum(cached_tokens)
FROM analytics.usage_hourly GROUP BY 1, 2, 3, 4, 5 ORDER BY 2, 1
"""
# In one pass, which is what takes the time. The same code may come more than once; it is folded where that is long.
MODELS = """
INSERT INTO analytics.{table} (org_id, bucket, model, requests, failed, prompt_tokens, completion_tokens, cached_tokens,
    counts)
SELECT org_id, bucket, model, requests, failed, prompt, completion, cached,
    CASE WHEN cardinality(counts) > 384 THEN analytics.folded(counts) ELSE counts END
FROM (
    SELECT org_id, date_trunc('{grain}', started_at, 'UTC') AS bucket, model,
        count(*) FILTER (WHERE line = 1) AS requests,
        count(*) FILTER (WHERE line = 1 AND outcome IN ('upstream_failed', 'upstream_timeout', 'gateway_lost'))
            AS failed,
        sum(prompt_tokens) AS prompt, sum(completion_tokens) AS completion, sum(cached_tokens) AS cached,
        {counts} AS counts
    FROM analytics.usage_events GROUP BY 1, 2, 3
) AS summed ORDER BY 2, 1
"""
ENDED = """
array_position(ARRAY['completed', 'rejected', 'client_aborted', 'upstream_failed', 'upstream_timeout', 'cut', 'drained',
    'gateway_lost'], outcome)::bigint - 1
"""
SPEED = """
CASE WHEN streamed AND completion_tokens >= 2 AND duration_ms > first_token_ms THEN
    1024 + analytics.bin_of((completion_tokens - 1) * 10000 / (duration_ms - first_token_ms)) END
"""
CODES = (
    ENDED,
    "CASE WHEN streamed THEN 256 + analytics.bin_of(first_token_ms) END",
    "512 + analytics.bin_of(duration_ms)",
    "768 + analytics.bin_of(queue_ms)",
    SPEED,
)
COUNTS = " || ".join(
    f"coalesce(array_agg(({code}) << 32 | 1) FILTER (WHERE line = 1 AND ({code}) IS NOT NULL), '{{}}')"
    for code in CODES
)
# Made anew at the end: an index that is sorted once takes a fraction of the time of one that grows row by row.
INDEXES = """
SELECT format('DROP INDEX %s', i.indexrelid::regclass) AS gone, pg_get_indexdef(i.indexrelid) AS made
FROM pg_index i WHERE i.indrelid = $1::text::regclass AND NOT i.indisprimary
UNION ALL
SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', c.conrelid::regclass, c.conname),
    format('ALTER TABLE %s ADD CONSTRAINT %I %s', c.conrelid::regclass, c.conname, pg_get_constraintdef(c.oid))
FROM pg_constraint c WHERE c.conrelid = $1::text::regclass AND c.contype = 'p' AND $1::text <> 'analytics.usage_events'
"""
INDEXED = ("usage_events", "usage_seen", "usage_hourly", "usage_daily", "model_hourly", "model_quarters")


async def load(url: str, holders: Holders, count: int, until: datetime | None = None) -> Loaded:
    """Fill analytics, which must be empty, of a migrated database, as its owner: so many events of thirty days."""
    connection = await asyncpg.connect(url)
    began = time.monotonic()
    try:
        for setting in SETTINGS:
            await connection.execute(f"SET {setting}")
        indexes = [row for table in INDEXED for row in await connection.fetch(INDEXES, f"analytics.{table}")]
        for row in indexes:
            await connection.execute(row["gone"])
        await _events(connection, holders, count, until or datetime.now(UTC))
        made = time.monotonic()
        await roll_up(connection)
        for row in indexes:
            await connection.execute(row["made"])
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()
    return Loaded(count, round(made - began, 1), round(time.monotonic() - made, 1))


async def _events(connection: asyncpg.Connection, holders: Holders, count: int, until: datetime) -> None:
    start = until - timedelta(days=DAYS)
    for moment in (start, start + (until - start) / 2, until):
        await connection.execute("SELECT analytics.open_month($1)", moment)
    slices = -(-count // EVENTS_AT_ONCE)
    width = (until - start) / slices
    for number in range(slices):  # in the order of time, as they come in
        some = min(EVENTS_AT_ONCE, count - number * EVENTS_AT_ONCE)
        first = start + number * width
        who = (list(holders.orgs), list(holders.users), list(holders.keys), list(holders.models))
        await connection.execute(EVENTS, *who, first, first + width, some)


async def roll_up(connection: asyncpg.Connection) -> None:
    """Sum the events up into all rollups, which must be empty, as the consumer and the migration do it."""
    await connection.execute(SEEN)
    await connection.execute(QUARTERS)
    await connection.execute(DAYS_OF_QUARTERS)
    for table, grain in (("model_hourly", "hour"), ("model_daily", "day")):
        await connection.execute(MODELS.format(table=table, grain=grain, counts=COUNTS))
    for statement in _fill():
        await connection.execute(statement)


def _fill() -> Sequence[str]:
    """The statements that migrations fill the coarser tables with."""
    statements: Sequence[str] = _migration("analytics_0002_rollups").FILL
    filled: Sequence[str] = _migration("analytics_0005_coarse").FILLED
    hourly, daily = (each for each in statements if "INSERT INTO analytics.platform_" in each)
    return hourly, daily.replace("analytics.model_hourly", "analytics.model_daily"), *filled  # far less to read


def _migration(name: str) -> ModuleType:
    spec = spec_from_file_location(name, MIGRATIONS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
