"""What engines count themselves, by replica; an index of requests over midnight; sums of a day made anew."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from ias.db import ENGINE

ID = "analytics_0004_engines"
VERSION = "1.38.0"
DESCRIPTION = "engine_readings, engine_daily, usage_events_across, clear_day"

TABLES = (
    """
    CREATE TABLE IF NOT EXISTS analytics.engine_readings (
        url text PRIMARY KEY,
        read_at timestamptz NOT NULL,
        started_at timestamptz,
        prompt_tokens bigint NOT NULL,
        generation_tokens bigint NOT NULL,
        requests bigint NOT NULL
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS analytics.engine_daily (
        day date NOT NULL,
        url text NOT NULL,
        models text[] NOT NULL,
        prompt_tokens bigint NOT NULL,
        generation_tokens bigint NOT NULL,
        requests bigint NOT NULL,
        restarts integer NOT NULL,
        unseen integer NOT NULL,
        watched_s double precision NOT NULL,
        first_read_at timestamptz NOT NULL,
        last_read_at timestamptz NOT NULL,
        PRIMARY KEY (day, url)
    )
    """,
)

# Few requests, of which the engines' day may be another than ours. By `=`, of which the planner expects few rows.
INDEX = """
CREATE INDEX IF NOT EXISTS usage_events_across ON analytics.usage_events (started_at)
WHERE (settled_at AT TIME ZONE 'UTC')::date - (started_at AT TIME ZONE 'UTC')::date = 1
"""

CLEAR = """
CREATE OR REPLACE FUNCTION analytics.clear_day(wanted date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    part text;
BEGIN
    FOREACH part IN ARRAY ARRAY['usage_hourly', 'usage_daily', 'model_hourly', 'model_daily', 'platform_hourly',
        'platform_daily'] LOOP
        EXECUTE format('DELETE FROM analytics.%I WHERE bucket >= $1 AND bucket < $2', part)
            USING wanted::timestamptz, wanted::timestamptz + INTERVAL '1 day';
    END LOOP;
END $$
"""

RULE = "(NULLIF(current_setting('app.everywhere', true), ''))::boolean"
RULES = tuple(
    statement
    for table in ("engine_readings", "engine_daily")
    for statement in (
        f"ALTER TABLE analytics.{table} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE analytics.{table} FORCE ROW LEVEL SECURITY",
        f"DROP POLICY IF EXISTS platform ON analytics.{table}",
        f"CREATE POLICY platform ON analytics.{table} USING ({RULE}) WITH CHECK ({RULE})",
    )
)
GRANTS = (
    "GRANT SELECT, INSERT, UPDATE, DELETE ON analytics.engine_readings, analytics.engine_daily TO ias_app",
    "REVOKE ALL ON FUNCTION analytics.clear_day(date) FROM PUBLIC",
    "GRANT EXECUTE ON FUNCTION analytics.clear_day(date) TO ias_app",
)

COUNTED = {
    "prompt_tokens": "vllm:prompt_tokens_total",
    "generation_tokens": "vllm:generation_tokens_total",
    "requests": "vllm:request_success_total",
}
COMMENTS = {
    "engine_readings": (
        "What engines counted when they were read last; they begin anew with their process",
        {
            "url": "The replica",
            "read_at": "When, by the clock of the gateway that read it",
            "started_at": "When the process of the engine began, where it tells",
            **COUNTED,
        },
    ),
    "engine_daily": (
        "What engines counted in a day (UTC)",
        {
            "day": "The day on which it was read",
            "url": "The replica",
            "models": "Public names of the models that it served then",
            **{name: f"By how much {metric} grew" for name, metric in COUNTED.items()},
            "restarts": "How often its counters began anew",
            "unseen": "How often they did while nobody had read them for longer than usual",
            "watched_s": "Seconds of the day through which it was read at the usual pace",
            "first_read_at": "When it was read first on that day",
            "last_read_at": "When it was read last on that day",
        },
    ),
}


def comments() -> list[str]:
    statements = ["COMMENT ON FUNCTION analytics.clear_day(date) IS 'Deletes sums of a day (UTC) that are made anew'"]
    for table, (about, columns) in COMMENTS.items():
        statements.append(f"COMMENT ON TABLE analytics.{table} IS '{about}'")
        statements += [f"COMMENT ON COLUMN analytics.{table}.{name} IS '{text}'" for name, text in columns.items()]
    return statements


UP = (*TABLES, INDEX, CLEAR, *RULES, *GRANTS, *comments())

DOWN = (
    "DROP FUNCTION IF EXISTS analytics.clear_day(date)",
    "DROP INDEX IF EXISTS analytics.usage_events_across",
    "DROP TABLE IF EXISTS analytics.engine_daily",
    "DROP TABLE IF EXISTS analytics.engine_readings",
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
