"""Sums that answer what is asked most: of organisations by the day, of their models by the quarter of an hour."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from ias.db import ENGINE

ID = "analytics_0005_coarse"
VERSION = "1.38.0"
DESCRIPTION = "org_daily, model_quarters"

NAMES = ("requests", "failed", "prompt_tokens", "completion_tokens", "cached_tokens")
SUMS = ", ".join(NAMES)
ADDED = ", ".join(f"sum({name})::bigint" for name in NAMES)

TABLES = (
    """
    CREATE TABLE IF NOT EXISTS analytics.org_daily (
        org_id uuid NOT NULL,
        bucket timestamptz NOT NULL,
        requests bigint NOT NULL,
        failed bigint NOT NULL,
        prompt_tokens bigint NOT NULL,
        completion_tokens bigint NOT NULL,
        cached_tokens bigint NOT NULL,
        PRIMARY KEY (org_id, bucket)
    ) WITH (fillfactor = 70)
    """,
    """
    CREATE TABLE IF NOT EXISTS analytics.model_quarters (
        org_id uuid NOT NULL,
        bucket timestamptz NOT NULL,
        model text NOT NULL,
        requests bigint NOT NULL,
        failed bigint NOT NULL,
        prompt_tokens bigint NOT NULL,
        completion_tokens bigint NOT NULL,
        cached_tokens bigint NOT NULL,
        PRIMARY KEY (org_id, bucket, model)
    ) WITH (fillfactor = 70)
    """,
)
PLACES = {
    "org_daily": ("usage_daily", "org_id, bucket"),
    "model_quarters": ("usage_hourly", "org_id, bucket, model"),
}
"""Each table's source, and what it sums that up by."""

FILL = """
INSERT INTO analytics.{table} ({place}, {sums})
SELECT {place}, {added} FROM analytics.{source} GROUP BY {place} ORDER BY bucket, {place} ON CONFLICT DO NOTHING
"""
# Writers wait until what there is has been summed up; readers do not.
ALONE = (
    "SELECT set_config('app.everywhere', 'on', true)",
    "LOCK TABLE analytics.usage_hourly, analytics.usage_daily IN SHARE ROW EXCLUSIVE MODE",
)

INDEX = "CREATE INDEX IF NOT EXISTS org_daily_bucket ON analytics.org_daily (bucket)"

MINE = (
    "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid"
    " OR (NULLIF(current_setting('app.everywhere', true), ''))::boolean"
)
RULES = tuple(
    statement
    for table in PLACES
    for statement in (
        f"ALTER TABLE analytics.{table} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE analytics.{table} FORCE ROW LEVEL SECURITY",
        f"DROP POLICY IF EXISTS own_rows ON analytics.{table}",
        f"CREATE POLICY own_rows ON analytics.{table} USING ({MINE}) WITH CHECK ({MINE})",
        f"GRANT SELECT, INSERT, UPDATE ON analytics.{table} TO ias_app",
    )
)

CLEAR = """
CREATE OR REPLACE FUNCTION analytics.clear_day(wanted date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    part text;
BEGIN
    FOREACH part IN ARRAY ARRAY[{parts}] LOOP
        EXECUTE format('DELETE FROM analytics.%I WHERE bucket >= $1 AND bucket < $2', part)
            USING wanted::timestamptz, wanted::timestamptz + INTERVAL '1 day';
    END LOOP;
END $$
"""
FORGET = """
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
    FOREACH part IN ARRAY ARRAY[{parts}] LOOP
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
"""
OLDER = ("usage_hourly", "usage_daily", "model_hourly", "model_daily")
PLATFORM = ("platform_hourly", "platform_daily")


def named(tables: tuple[str, ...]) -> str:
    return ", ".join(f"'{table}'" for table in tables)


COUNTED = {
    "requests": "Requests that started in it",
    "failed": "Those of them that the platform did not bring to an end",
    "prompt_tokens": "Prompt tokens",
    "completion_tokens": "Completion tokens",
    "cached_tokens": "Those prompt tokens that the engine had in its prefix cache",
}
COMMENTS = {
    "org_daily": (
        "Usage of organisations by the day (UTC): what usage_daily comes to",
        {"org_id": "The organisation", "bucket": "Start of the day", **COUNTED},
    ),
    "model_quarters": (
        "Usage of organisations by the quarter of an hour (UTC) and model: what usage_hourly comes to",
        {
            "org_id": "The organisation",
            "bucket": "Start of the quarter of an hour",
            "model": "The public name that was called",
            **COUNTED,
        },
    ),
}


def comments() -> list[str]:
    statements = []
    for table, (about, columns) in COMMENTS.items():
        statements.append(f"COMMENT ON TABLE analytics.{table} IS '{about}'")
        statements += [f"COMMENT ON COLUMN analytics.{table}.{name} IS '{text}'" for name, text in columns.items()]
    return statements


def of_each(template: str) -> tuple[str, ...]:
    words = {"sums": SUMS, "added": ADDED}
    return tuple(
        template.format(table=table, source=source, place=place, **words) for table, (source, place) in PLACES.items()
    )


FILLED = of_each(FILL)

UP = (
    *TABLES,
    *RULES,
    *ALONE,
    *FILLED,
    INDEX,
    CLEAR.format(parts=named((*OLDER, *PLATFORM, *PLACES))),
    FORGET.format(parts=named((*OLDER, *PLACES))),
    *comments(),
)

DOWN = (
    FORGET.format(parts=named(OLDER)),
    CLEAR.format(parts=named((*OLDER, *PLATFORM))),
    "DROP TABLE IF EXISTS analytics.model_quarters, analytics.org_daily",
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
