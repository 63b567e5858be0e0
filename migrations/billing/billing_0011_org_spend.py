"""What an organisation has spent in a month as one row: a page that says so need not sum up a hundred thousand."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from ias.db import ENGINE

ID = "billing_0011_org_spend"
VERSION = "1.38.0"
DESCRIPTION = "org_spend"

TABLE = """
CREATE TABLE IF NOT EXISTS billing.org_spend (
    org_id uuid NOT NULL,
    period text NOT NULL,
    requests bigint NOT NULL,
    prompt_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL,
    cached_tokens bigint NOT NULL,
    cost numeric(28, 13) NOT NULL,
    PRIMARY KEY (org_id, period)
) WITH (fillfactor = 50)
"""
MINE = (
    "org_id = (SELECT NULLIF(current_setting('app.org_id', true), '')::uuid)"
    " OR (SELECT (NULLIF(current_setting('app.everywhere', true), ''))::boolean)"
)
RULES = (
    "ALTER TABLE billing.org_spend ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE billing.org_spend FORCE ROW LEVEL SECURITY",
    "DROP POLICY IF EXISTS own_rows ON billing.org_spend",
    f"CREATE POLICY own_rows ON billing.org_spend USING ({MINE}) WITH CHECK ({MINE})",
    "GRANT SELECT, INSERT, UPDATE ON billing.org_spend TO ias_app",
)
# Writers wait until what there is has been summed up; readers do not.
FILL = (
    "SELECT set_config('app.everywhere', 'on', true)",
    "LOCK TABLE billing.spend IN SHARE ROW EXCLUSIVE MODE",
    """
    INSERT INTO billing.org_spend (
        org_id, period, requests, prompt_tokens, completion_tokens, cached_tokens, cost
    )
    SELECT org_id, period, sum(requests)::bigint, sum(prompt_tokens)::bigint, sum(completion_tokens)::bigint,
        sum(cached_tokens)::bigint, sum(cost)
    FROM billing.spend GROUP BY org_id, period ORDER BY org_id, period ON CONFLICT DO NOTHING
    """,
)
COLUMNS = {
    "org_id": "The organisation",
    "period": "The month YYYYMM (UTC)",
    "requests": "How many requests",
    "prompt_tokens": "Prompt tokens",
    "completion_tokens": "Completion tokens",
    "cached_tokens": "Those prompt tokens that the engine had in its prefix cache",
    "cost": "Money",
}
COMMENTS = (
    "COMMENT ON TABLE billing.org_spend IS 'What spend comes to for each organisation and month'",
    *(f"COMMENT ON COLUMN billing.org_spend.{name} IS '{text}'" for name, text in COLUMNS.items()),
)

UP = (TABLE, *RULES, *COMMENTS, *FILL)
DOWN = ("DROP TABLE IF EXISTS billing.org_spend",)


async def up() -> None:
    for statement in UP:
        await ENGINE.run_ddl(statement)


async def down() -> None:
    for statement in DOWN:
        await ENGINE.run_ddl(statement)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="billing", description=DESCRIPTION)
    manager.add_raw(up)
    manager.add_raw_backwards(down)
    return manager
