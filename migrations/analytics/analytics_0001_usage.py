"""Schema `analytics`: usage events (hypertable, or monthly partitions where TimescaleDB is not there) and rollups."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from ias.db import ENGINE

ID = "analytics_0001_usage"
VERSION = "1.38.0"
DESCRIPTION = "Schema analytics; usage_seen, usage_events, usage_hourly, usage_daily, quarantine"

KEEP_DAYS = 90

EVENTS = """
CREATE TABLE IF NOT EXISTS analytics.usage_events (
    request_id uuid NOT NULL,
    line integer NOT NULL CHECK (line > 0),
    org_id uuid NOT NULL,
    user_id uuid NOT NULL,
    key_id uuid NOT NULL,
    model text NOT NULL,
    endpoint text NOT NULL,
    prompt_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL,
    cached_tokens bigint NOT NULL,
    outcome text NOT NULL,
    estimated boolean NOT NULL,
    lower_bound boolean NOT NULL,
    streamed boolean NOT NULL,
    status integer NOT NULL,
    gateway text NOT NULL,
    replica text NOT NULL,
    duration_ms double precision,
    queue_ms double precision,
    first_token_ms double precision,
    started_at timestamptz NOT NULL,
    settled_at timestamptz NOT NULL,
    PRIMARY KEY (request_id, line, started_at)
)
"""

ROLLUP = """
CREATE TABLE IF NOT EXISTS analytics.{name} (
    org_id uuid NOT NULL,
    bucket timestamptz NOT NULL,
    user_id uuid NOT NULL,
    key_id uuid NOT NULL,
    model text NOT NULL,
    requests bigint NOT NULL,
    failed bigint NOT NULL,
    prompt_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL,
    cached_tokens bigint NOT NULL,
    PRIMARY KEY (org_id, bucket, user_id, key_id, model)
)
"""

TABLES = (
    """
    CREATE TABLE IF NOT EXISTS analytics.usage_seen (
        request_id uuid NOT NULL,
        line integer NOT NULL,
        body_hash bytea NOT NULL,
        seen_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (request_id, line)
    )
    """,
    "CREATE INDEX IF NOT EXISTS usage_seen_at ON analytics.usage_seen (seen_at)",
    ROLLUP.format(name="usage_hourly"),
    ROLLUP.format(name="usage_daily"),
    """
    CREATE TABLE IF NOT EXISTS analytics.quarantine (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        request_id uuid,
        line integer,
        origin text NOT NULL,
        reason text NOT NULL,
        body bytea NOT NULL,
        body_hash bytea NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        replayed_at timestamptz,
        UNIQUE (body_hash)
    )
    """,
    "CREATE INDEX IF NOT EXISTS quarantine_request ON analytics.quarantine (request_id, line)",
)

INDEXES = ("CREATE INDEX IF NOT EXISTS usage_events_org ON analytics.usage_events (org_id, started_at DESC)",)

TIMESCALE_THERE = """
SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb')
    OR EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb')
    AND EXISTS (SELECT FROM pg_settings WHERE name = 'shared_preload_libraries' AND setting LIKE '%timescaledb%')
    AS there
"""

HYPERTABLE = (
    "CREATE EXTENSION IF NOT EXISTS timescaledb",
    EVENTS,
    """
    SELECT create_hypertable('analytics.usage_events', 'started_at',
        chunk_time_interval => INTERVAL '7 days', if_not_exists => true)
    """,
    """
    CREATE OR REPLACE FUNCTION analytics.open_month(wanted timestamptz) RETURNS void
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog AS ''
    """,
    """
    CREATE OR REPLACE FUNCTION analytics.forget_before(horizon timestamptz) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog, pg_temp AS
    $$ SELECT count(*) FROM drop_chunks('analytics.usage_events', older_than => horizon) $$
    """,
)

PARTITIONS = (
    EVENTS + " PARTITION BY RANGE (started_at)",
    """
    CREATE OR REPLACE FUNCTION analytics.open_month(wanted timestamptz) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
    DECLARE
        first timestamptz := date_trunc('month', wanted);
        part text := 'usage_events_' || to_char(wanted, 'YYYYMM');
    BEGIN
        IF wanted NOT BETWEEN '2020-01-01' AND now() + INTERVAL '62 days' THEN
            RAISE EXCEPTION 'no usage can be of %', wanted USING ERRCODE = 'invalid_parameter_value';
        END IF;
        IF to_regclass('analytics.' || part) IS NOT NULL THEN RETURN; END IF;
        PERFORM pg_advisory_xact_lock(hashtext('analytics.open_month'));
        -- Not to_regclass: what it remembers is older than the lock.
        PERFORM FROM pg_class WHERE relname = part AND relnamespace = 'analytics'::regnamespace;
        IF FOUND THEN RETURN; END IF;
        EXECUTE format('CREATE TABLE analytics.%I (LIKE analytics.usage_events INCLUDING DEFAULTS '
            'INCLUDING CONSTRAINTS INCLUDING COMMENTS)', part);
        EXECUTE format('COMMENT ON TABLE analytics.%I IS %L', part, 'Usage events of ' || to_char(wanted, 'YYYY-MM'));
        EXECUTE format('ALTER TABLE analytics.usage_events ATTACH PARTITION analytics.%I FOR VALUES FROM (%L) TO (%L)',
            part, first, first + INTERVAL '1 month');
    END $$
    """,
    """
    CREATE OR REPLACE FUNCTION analytics.forget_before(horizon timestamptz) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
    DECLARE
        part text;
        dropped bigint := 0;
    BEGIN
        FOR part IN
            SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = 'analytics.usage_events'::regclass
                AND c.relname < 'usage_events_' || to_char(horizon, 'YYYYMM')
        LOOP
            EXECUTE format('DROP TABLE analytics.%I', part);
            dropped := dropped + 1;
        END LOOP;
        RETURN dropped;
    END $$
    """,
)

EVERYWHERE = "current_setting('app.everywhere', true) = 'on'"
MINE = f"org_id = NULLIF(current_setting('app.org_id', true), '')::uuid OR {EVERYWHERE}"
RULES = {"usage_events": MINE, "usage_hourly": MINE, "usage_daily": MINE, "quarantine": EVERYWHERE}

GRANTS = (
    "GRANT USAGE ON SCHEMA analytics TO ias_app",
    "GRANT SELECT, INSERT, DELETE ON analytics.usage_seen TO ias_app",
    "GRANT SELECT, INSERT ON analytics.usage_events TO ias_app",
    "GRANT SELECT, INSERT, UPDATE ON analytics.usage_hourly, analytics.usage_daily, analytics.quarantine TO ias_app",
    "REVOKE ALL ON FUNCTION analytics.open_month(timestamptz), analytics.forget_before(timestamptz) FROM PUBLIC",
    "GRANT EXECUTE ON FUNCTION analytics.open_month(timestamptz), analytics.forget_before(timestamptz) TO ias_app",
)

OWNERS = {"org_id": "The organisation", "user_id": "The member", "key_id": "The API key"}
SUMS = {
    **OWNERS,
    "model": "The public name that was called",
    "requests": "Requests that started in it",
    "failed": "Those of them that the platform did not bring to an end",
    "prompt_tokens": "Prompt tokens",
    "completion_tokens": "Completion tokens",
    "cached_tokens": "Those prompt tokens that the engine had in its prefix cache",
}
COMMENTS = {
    "usage_seen": (
        "Every event that was ever taken in; what is here is not taken in again",
        {
            "request_id": "UUIDv7 that the gateway gave the request",
            "line": "1, or the number of an adjustment",
            "body_hash": "SHA-256 of the event; another hash under the same id goes to quarantine",
            "seen_at": "When",
        },
    ),
    "usage_events": (
        f"One row for each line of a request, kept {KEEP_DAYS} days, for exploring",
        {
            "request_id": "UUIDv7 that the gateway gave the request",
            "line": "1, or the number of an adjustment",
            **OWNERS,
            "model": "The public name that was called",
            "endpoint": "Which of the API",
            "prompt_tokens": "Prompt tokens; a difference on lines above 1",
            "completion_tokens": "Completion tokens; a difference on lines above 1",
            "cached_tokens": "Prompt tokens out of the prefix cache; a difference on lines above 1",
            "outcome": "How the request ended",
            "estimated": "Whether tokens were counted by the gateway because the engine said nothing",
            "lower_bound": "Whether tokens come from the last checkpoint of a gateway that was lost",
            "streamed": "Whether the answer was a stream",
            "status": "HTTP status that the caller got; 0 where unknown",
            "gateway": "Which gateway served it",
            "replica": "Which engine answered",
            "duration_ms": "From the request''s arrival to the end of its answer, ms",
            "queue_ms": "From the request''s arrival to its dispatch, ms",
            "first_token_ms": "From the request''s arrival to the first token, ms",
            "started_at": "When the request was admitted",
            "settled_at": "When Redis settled it",
        },
    ),
    "usage_hourly": ("Sums of usage events by the hour (UTC)", {"bucket": "Start of the hour", **SUMS}),
    "usage_daily": ("Sums of usage events by the day (UTC)", {"bucket": "Start of the day", **SUMS}),
    "quarantine": (
        "Events that could not be taken in, until somebody replays them",
        {
            "id": "UUIDv7",
            "request_id": "The request, where that much could be read",
            "line": "The line, where that much could be read",
            "origin": "Where it came from: outbox or queue",
            "reason": "Why it was not taken in",
            "body": "The event as it came",
            "body_hash": "SHA-256 of the body: the same one is kept once",
            "created_at": "When",
            "replayed_at": "When it was put back",
        },
    ),
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
        "COMMENT ON SCHEMA analytics IS 'What was used, for exploring'",
        "COMMENT ON FUNCTION analytics.open_month(timestamptz) IS 'Makes the partition of a month if need be'",
        "COMMENT ON FUNCTION analytics.forget_before(timestamptz) IS 'Drops usage events that are older as a whole'",
    ]
    for table, (about, columns) in COMMENTS.items():
        statements.append(f"COMMENT ON TABLE analytics.{table} IS '{about}'")
        statements += [f"COMMENT ON COLUMN analytics.{table}.{name} IS '{text}'" for name, text in columns.items()]
    return statements


DOWN = (
    "DROP FUNCTION IF EXISTS analytics.forget_before(timestamptz)",
    "DROP FUNCTION IF EXISTS analytics.open_month(timestamptz)",
    "DROP TABLE IF EXISTS analytics.quarantine, analytics.usage_daily, analytics.usage_hourly",
    "DROP TABLE IF EXISTS analytics.usage_events",
    "DROP TABLE IF EXISTS analytics.usage_seen",
    "DROP SCHEMA IF EXISTS analytics",
)


async def up() -> None:
    await ENGINE.run_ddl("CREATE SCHEMA IF NOT EXISTS analytics")
    there = (await ENGINE.run_ddl(TIMESCALE_THERE))[0]["there"]
    for statement in HYPERTABLE if there else PARTITIONS:
        await ENGINE.run_ddl(statement)
    for statement in (*TABLES, *INDEXES, *GRANTS, *rules(), *comments()):
        await ENGINE.run_ddl(statement)
    if there and (await ENGINE.run_ddl("SHOW timescaledb.license"))[0]["timescaledb.license"] == "timescale":
        await ENGINE.run_ddl(
            f"SELECT add_retention_policy('analytics.usage_events', INTERVAL '{KEEP_DAYS} days', if_not_exists => true)"
        )


async def down() -> None:
    for statement in DOWN:
        await ENGINE.run_ddl(statement)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="analytics", description=DESCRIPTION)
    manager.add_raw(up)
    manager.add_raw_backwards(down)
    return manager
