"""Rollups by organisation and model and of the platform, with how requests went; what listing requests needs."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from ias.db import ENGINE

ID = "analytics_0002_rollups"
VERSION = "1.38.0"
DESCRIPTION = "model_hourly, model_daily, platform_hourly, platform_daily; indexes of usage_events; no retention policy"

# Rows of up to 8 KiB stay where they are: they are written again and again, and out of line that costs twice.
ROLLUP = """
CREATE TABLE IF NOT EXISTS analytics.{table} (
    {place} {kind} NOT NULL,
    bucket timestamptz NOT NULL,
    model text NOT NULL,
    requests bigint NOT NULL,
    failed bigint NOT NULL,
    prompt_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL,
    cached_tokens bigint NOT NULL,
    counts bigint[] NOT NULL,
    PRIMARY KEY ({place}, bucket, model)
) WITH (toast_tuple_target = 8160, fillfactor = 70)
"""
ROLLUPS = (
    ("model_hourly", "org_id", "uuid"),
    ("model_daily", "org_id", "uuid"),
    ("platform_hourly", "slot", "smallint"),
    ("platform_daily", "slot", "smallint"),
)

FUNCTIONS = (
    """
    CREATE OR REPLACE FUNCTION analytics.folded(counts bigint[]) RETURNS bigint[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
        SELECT coalesce(array_agg(code << 32 | number), '{}') FROM (
            SELECT part >> 32 AS code, sum(part & 4294967295)::bigint AS number FROM unnest(counts) AS part GROUP BY 1
        ) AS folded
    $$
    """,
    # A time's bin, as `ias.analytics.usage.sketch.bin_of` has it. Without settings of its own, so that it is inlined.
    """
    CREATE OR REPLACE FUNCTION analytics.bin_of(value double precision) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT CASE WHEN value > 1 THEN least(255, ceil(ln(value) / ln(1.05 / 0.95)))::bigint
            WHEN value IS NOT NULL THEN 0 END
    $$
    """,
    # What is older than the horizon, organisation by organisation, since that is what the keys begin with.
    """
    CREATE OR REPLACE FUNCTION analytics.forget_rollups_before(horizon timestamptz) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        part text;
        owner uuid;
        gone bigint;
        deleted bigint := 0;
    BEGIN
        IF horizon > now() - INTERVAL '31 days' THEN
            RAISE EXCEPTION 'rollups are kept for a month at least' USING ERRCODE = 'invalid_parameter_value';
        END IF;
        FOREACH part IN ARRAY ARRAY['usage_hourly', 'usage_daily', 'model_hourly', 'model_daily'] LOOP
            owner := '00000000-0000-0000-0000-000000000000';
            LOOP
                EXECUTE format('SELECT org_id FROM analytics.%I WHERE org_id > $1 ORDER BY org_id LIMIT 1', part)
                    INTO owner USING owner;
                EXIT WHEN owner IS NULL;
                EXECUTE format('DELETE FROM analytics.%I WHERE org_id = $1 AND bucket < $2', part) USING owner, horizon;
                GET DIAGNOSTICS gone = ROW_COUNT;
                deleted := deleted + gone;
            END LOOP;
        END LOOP;
        DELETE FROM analytics.platform_hourly WHERE bucket < horizon;
        DELETE FROM analytics.platform_daily WHERE bucket < horizon;
        RETURN deleted;
    END $$
    """,
)

INDEXES = (
    "CREATE INDEX IF NOT EXISTS model_daily_bucket ON analytics.model_daily (bucket, org_id)",
    # TimescaleDB has made this one.
    "CREATE INDEX IF NOT EXISTS usage_events_started_at_idx ON analytics.usage_events (started_at DESC)",
    "CREATE INDEX IF NOT EXISTS usage_events_user ON analytics.usage_events (user_id, started_at DESC)",
    "CREATE INDEX IF NOT EXISTS usage_events_key ON analytics.usage_events (key_id, started_at DESC)",
    """
    CREATE INDEX IF NOT EXISTS usage_events_failed ON analytics.usage_events (org_id, started_at DESC)
    WHERE outcome IN ('upstream_failed', 'upstream_timeout', 'gateway_lost') OR status >= 400
    """,
    """
    CREATE INDEX IF NOT EXISTS usage_events_slow ON analytics.usage_events (org_id, started_at DESC)
    WHERE duration_ms >= 30000
    """,
)

EVERYWHERE = "current_setting('app.everywhere', true) = 'on'"
MINE = f"org_id = NULLIF(current_setting('app.org_id', true), '')::uuid OR {EVERYWHERE}"
RULES = {"model_hourly": MINE, "model_daily": MINE, "platform_hourly": EVERYWHERE, "platform_daily": EVERYWHERE}

GRANTS = (
    "GRANT SELECT, INSERT, UPDATE ON analytics.model_hourly, analytics.model_daily TO ias_app",
    "GRANT SELECT, INSERT, UPDATE ON analytics.platform_hourly, analytics.platform_daily TO ias_app",
    "REVOKE ALL ON FUNCTION analytics.folded(bigint[]), analytics.bin_of(double precision) FROM PUBLIC",
    "REVOKE ALL ON FUNCTION analytics.forget_rollups_before(timestamptz) FROM PUBLIC",
    "GRANT EXECUTE ON FUNCTION analytics.folded(bigint[]), analytics.bin_of(double precision) TO ias_app",
    "GRANT EXECUTE ON FUNCTION analytics.forget_rollups_before(timestamptz) TO ias_app",
)

# What was taken in before: sums out of the rollups that there are, and how requests went as long as events are kept.
CODED = """
INSERT INTO analytics.model_hourly (org_id, bucket, model, {sums}, counts)
WITH coded AS (
    SELECT e.org_id, date_trunc('hour', e.started_at, 'UTC') AS bucket, e.model, m.code, count(*) AS number
    FROM analytics.usage_events e CROSS JOIN LATERAL (VALUES
        (array_position(ARRAY['completed', 'rejected', 'client_aborted', 'upstream_failed', 'upstream_timeout', 'cut',
            'drained', 'gateway_lost'], e.outcome)::bigint - 1),
        (CASE WHEN e.streamed THEN 256 + analytics.bin_of(e.first_token_ms) END),
        (512 + analytics.bin_of(e.duration_ms)),
        (768 + analytics.bin_of(e.queue_ms)),
        (CASE WHEN e.streamed AND e.completion_tokens >= 2 AND e.duration_ms > e.first_token_ms THEN
            1024 + analytics.bin_of((e.completion_tokens - 1) * 10000 / (e.duration_ms - e.first_token_ms)) END)
    ) AS m (code)
    WHERE e.line = 1 AND m.code IS NOT NULL GROUP BY 1, 2, 3, 4
), counted AS (
    SELECT org_id, bucket, model, array_agg(code << 32 | number) AS counts FROM coded GROUP BY 1, 2, 3
), summed AS (
    SELECT org_id, date_trunc('hour', bucket, 'UTC') AS bucket, model, {added} FROM analytics.usage_hourly
    GROUP BY 1, 2, 3
)
SELECT s.*, coalesce(c.counts, '{{}}') FROM summed s LEFT JOIN counted c USING (org_id, bucket, model)
ON CONFLICT DO NOTHING
"""
COARSER = """
INSERT INTO analytics.{table} ({place}, bucket, model, {sums}, counts)
WITH fine AS (
    SELECT {place_of} AS place, {bucket_of} AS bucket, model, {sums}, counts FROM analytics.{source}
), coded AS (
    SELECT place, bucket, model, part >> 32 AS code, sum(part & 4294967295)::bigint AS number
    FROM fine, unnest(counts) AS part GROUP BY 1, 2, 3, 4
), counted AS (
    SELECT place, bucket, model, array_agg(code << 32 | number) AS counts FROM coded GROUP BY 1, 2, 3
), summed AS (
    SELECT place, bucket, model, {added} FROM fine GROUP BY 1, 2, 3
)
SELECT s.*, coalesce(c.counts, '{{}}') FROM summed s LEFT JOIN counted c USING (place, bucket, model)
ON CONFLICT DO NOTHING
"""
NAMES = ("requests", "failed", "prompt_tokens", "completion_tokens", "cached_tokens")
ADDED = {"sums": ", ".join(NAMES), "added": ", ".join(f"sum({name})::bigint AS {name}" for name in NAMES)}
DAY = "date_trunc('day', bucket, 'UTC')"
FILL = (
    "SELECT set_config('app.everywhere', 'on', true)",
    "LOCK TABLE analytics.usage_hourly IN SHARE MODE",
    CODED.format(**ADDED),
    COARSER.format(
        table="model_daily", place="org_id", place_of="org_id", bucket_of=DAY, source="model_hourly", **ADDED
    ),
    COARSER.format(
        table="platform_hourly", place="slot", place_of="0", bucket_of="bucket", source="model_hourly", **ADDED
    ),
    COARSER.format(table="platform_daily", place="slot", place_of="0", bucket_of=DAY, source="model_hourly", **ADDED),
)

# Retention is a setting of the worker, which drops chunks under either licence.
POLICIES = """
DO $$
BEGIN
    IF current_setting('timescaledb.license', true) IS DISTINCT FROM 'timescale' THEN RETURN; END IF;
    PERFORM remove_retention_policy('analytics.usage_events', if_exists => true);
    BEGIN -- of its own, so that what is refused undoes nothing else
        ALTER TABLE analytics.usage_events SET (timescaledb.compress, timescaledb.compress_segmentby = 'org_id',
            timescaledb.compress_orderby = 'started_at DESC, request_id, line');
        PERFORM add_compression_policy('analytics.usage_events', INTERVAL '7 days', if_not_exists => true);
    EXCEPTION WHEN feature_not_supported THEN
        RAISE NOTICE 'usage events stay uncompressed: %', SQLERRM;
    END;
END $$
"""
NO_POLICIES = """
DO $$
BEGIN
    IF current_setting('timescaledb.license', true) IS DISTINCT FROM 'timescale' THEN RETURN; END IF;
    PERFORM remove_compression_policy('analytics.usage_events', if_exists => true);
    PERFORM add_retention_policy('analytics.usage_events', INTERVAL '90 days', if_not_exists => true);
END $$
"""

SUMS = {
    "model": "The public name that was called",
    "requests": "Requests that started in it",
    "failed": "Those of them that the platform did not bring to an end",
    "prompt_tokens": "Prompt tokens",
    "completion_tokens": "Completion tokens",
    "cached_tokens": "Those prompt tokens that the engine had in its prefix cache",
    "counts": "How requests went: 2^32 * (256 * measure + bin) + how many; the same code may come more than once",
}
OF_ORG = {"org_id": "The organisation", **SUMS}
OF_ALL = {"slot": "Writers choose one, so as not to wait for each other; a sum is of all of them", **SUMS}
COMMENTS = {
    "model_hourly": (
        "Usage of organisations by the hour (UTC) and model",
        {"bucket": "Start of the hour", **OF_ORG},
    ),
    "model_daily": ("Usage of organisations by the day (UTC) and model", {"bucket": "Start of the day", **OF_ORG}),
    "platform_hourly": (
        "Usage of all organisations by the hour (UTC) and model",
        {"bucket": "Start of the hour", **OF_ALL},
    ),
    "platform_daily": (
        "Usage of all organisations by the day (UTC) and model",
        {"bucket": "Start of the day", **OF_ALL},
    ),
}
BEFORE = {
    "usage_hourly": ("Sums of usage events by the hour (UTC)", "Start of the hour"),
    "usage_events": ("One row for each line of a request, kept 90 days, for exploring", None),
}
AFTER = {
    "usage_hourly": (
        "Sums of usage events by the quarter of an hour (UTC), where all time zones begin their hours and days",
        "Start of the quarter of an hour; of the hour where it was written by an older release",
    ),
    "usage_events": ("One row for each line of a request, for exploring, kept as long as the worker is told to", None),
}


def rules() -> list[str]:
    """Each organisation sees its own rows; what belongs to none is the platform's."""
    statements = []
    for table, rule in RULES.items():
        statements += [
            f"ALTER TABLE analytics.{table} ENABLE ROW LEVEL SECURITY",
            f"ALTER TABLE analytics.{table} FORCE ROW LEVEL SECURITY",
            f"DROP POLICY IF EXISTS own_rows ON analytics.{table}",
            f"CREATE POLICY own_rows ON analytics.{table} USING ({rule}) WITH CHECK ({rule})",
        ]
    return statements


def comments() -> list[str]:
    statements = [
        "COMMENT ON FUNCTION analytics.folded(bigint[]) IS 'Counts with each code once'",
        "COMMENT ON FUNCTION analytics.bin_of(double precision) IS 'The bin of the histogram that a value falls into'",
        "COMMENT ON FUNCTION analytics.forget_rollups_before(timestamptz) IS 'Deletes sums of what is older'",
    ]
    for table, (about, columns) in COMMENTS.items():
        statements.append(f"COMMENT ON TABLE analytics.{table} IS '{about}'")
        statements += [f"COMMENT ON COLUMN analytics.{table}.{name} IS '{text}'" for name, text in columns.items()]
    return statements


def changed(comments: dict[str, tuple[str, str | None]]) -> list[str]:
    """What is said of tables that were there."""
    return [
        statement
        for table, (about, bucket) in comments.items()
        for statement in (
            f"COMMENT ON TABLE analytics.{table} IS '{about}'",
            *([f"COMMENT ON COLUMN analytics.{table}.bucket IS '{bucket}'"] if bucket else []),
        )
    ]


UP = (
    *(ROLLUP.format(table=table, place=place, kind=kind) for table, place, kind in ROLLUPS),
    *FUNCTIONS,
    *INDEXES,
    *GRANTS,
    *rules(),
    *comments(),
    *changed(AFTER),
    POLICIES,
    *FILL,
)

# TimescaleDB made the same index for itself.
NO_INDEX = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_class WHERE oid = 'analytics.usage_events'::regclass AND relkind = 'p') THEN
        DROP INDEX IF EXISTS analytics.usage_events_started_at_idx;
    END IF;
END $$
"""

# Sums by the quarter of an hour stay: they are as right for whoever expects hours.
DOWN = (
    NO_POLICIES,
    NO_INDEX,
    *changed(BEFORE),
    *(f"DROP INDEX IF EXISTS analytics.usage_events_{name}" for name in ("slow", "failed", "key", "user")),
    "DROP FUNCTION IF EXISTS analytics.forget_rollups_before(timestamptz)",
    "DROP TABLE IF EXISTS analytics.platform_daily, analytics.platform_hourly",
    "DROP TABLE IF EXISTS analytics.model_daily, analytics.model_hourly",
    "DROP FUNCTION IF EXISTS analytics.bin_of(double precision), analytics.folded(bigint[])",
)


async def up() -> None:
    for statement in UP:
        await ENGINE.run_ddl(statement)


async def down() -> None:
    for statement in DOWN:
        await ENGINE.run_ddl(statement)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="analytics", description=DESCRIPTION)
    manager.add_raw(up)
    manager.add_raw_backwards(down)
    return manager
