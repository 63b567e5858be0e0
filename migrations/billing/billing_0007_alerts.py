"""Alerts about budgets and their thresholds; what an alert says cannot be changed. Nor can a rate that has begun."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from ias.db import ENGINE

ID = "billing_0007_alerts"
VERSION = "1.38.0"
DESCRIPTION = "alerts, alert_thresholds; rates begin now or later, and stay once they have begun"

TABLES = (
    """
    CREATE TABLE IF NOT EXISTS billing.alert_thresholds (
        org_id uuid PRIMARY KEY,
        thresholds smallint[] NOT NULL CHECK (
            cardinality(thresholds) BETWEEN 1 AND 10 AND 1 <= ALL (thresholds) AND 100 >= ALL (thresholds)
        ),
        updated_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS billing.alerts (
        id uuid PRIMARY KEY,
        org_id uuid NOT NULL,
        user_id uuid,
        period text NOT NULL CHECK (period ~ '^20[0-9][0-9](0[1-9]|1[0-2])$'),
        threshold smallint NOT NULL CHECK (threshold BETWEEN 1 AND 100),
        limit_tokens bigint NOT NULL CHECK (limit_tokens >= 0),
        used_tokens bigint NOT NULL,
        refused boolean NOT NULL,
        raised_at timestamptz NOT NULL DEFAULT now(),
        cleared_at timestamptz,
        acknowledged_at timestamptz,
        acknowledged_by uuid
    )
    """,
    # Any number of workers look, and one of them raises it.
    """
    CREATE UNIQUE INDEX IF NOT EXISTS alerts_once ON billing.alerts (period, org_id, user_id, threshold)
        NULLS NOT DISTINCT WHERE cleared_at IS NULL
    """,
    "CREATE INDEX IF NOT EXISTS alerts_newest ON billing.alerts (org_id, id DESC)",
)

GRANTS = (
    "GRANT SELECT, INSERT, UPDATE ON billing.alert_thresholds TO ias_app",
    "GRANT SELECT, INSERT ON billing.alerts TO ias_app",
    "GRANT UPDATE (cleared_at, acknowledged_at, acknowledged_by) ON billing.alerts TO ias_app",
)

# now() is when the transaction began: what it adds begins later, by whatever clock.
RATES = (
    "ALTER TABLE billing.rates ENABLE ROW LEVEL SECURITY",
    "DROP POLICY IF EXISTS all_are_read ON billing.rates",
    "CREATE POLICY all_are_read ON billing.rates FOR SELECT USING (true)",
    "DROP POLICY IF EXISTS none_begins_in_the_past ON billing.rates",
    "CREATE POLICY none_begins_in_the_past ON billing.rates FOR INSERT WITH CHECK (valid_from >= now())",
    "DROP POLICY IF EXISTS none_that_has_begun_goes ON billing.rates",
    "CREATE POLICY none_that_has_begun_goes ON billing.rates FOR DELETE USING (valid_from > clock_timestamp())",
    "GRANT DELETE ON billing.rates TO ias_app",
)

OWNED = ("alert_thresholds", "alerts")
MINE = (
    "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid OR current_setting('app.everywhere', true) = 'on'"
)

COMMENTS = {
    "alert_thresholds": (
        "At how many per cent of a budget alerts are raised; a missing row is the platform''s default",
        {
            "org_id": "The organisation",
            "thresholds": "1 to 10 whole numbers from 1 to 100, in their order",
            "updated_at": "When they were last changed",
        },
    ),
    "alerts": (
        "A budget''s use has passed a threshold: once for each budget, threshold and month while it holds",
        {
            "id": "UUIDv7",
            "org_id": "The organisation",
            "user_id": "The member whose budget it is; null where it is the organisation''s",
            "period": "The month YYYYMM (UTC)",
            "threshold": "Per cent of the budget",
            "limit_tokens": "The budget when it was raised",
            "used_tokens": "What was used of it when it was raised",
            "refused": "Whether it was raised since a request was refused, the use being just below the threshold",
            "raised_at": "When it was raised",
            "cleared_at": "When a changed budget left the threshold behind; null while the alert holds",
            "acknowledged_at": "When somebody said that they know",
            "acknowledged_by": "Who did",
        },
    ),
}


def policies() -> list[str]:
    """Each organisation sees its own rows; the platform sees all."""
    statements = []
    for table in OWNED:
        statements += [
            f"ALTER TABLE billing.{table} ENABLE ROW LEVEL SECURITY",
            f"ALTER TABLE billing.{table} FORCE ROW LEVEL SECURITY",
            f"DROP POLICY IF EXISTS own_rows ON billing.{table}",
            f"CREATE POLICY own_rows ON billing.{table} USING ({MINE}) WITH CHECK ({MINE})",
        ]
    return statements


def comments() -> list[str]:
    statements = []
    for table, (about, columns) in COMMENTS.items():
        statements.append(f"COMMENT ON TABLE billing.{table} IS '{about}'")
        statements += [f"COMMENT ON COLUMN billing.{table}.{name} IS '{text}'" for name, text in columns.items()]
    return statements


UP = (*TABLES, *GRANTS, *RATES, *policies(), *comments())

DOWN = (
    "REVOKE DELETE ON billing.rates FROM ias_app",
    "DROP POLICY IF EXISTS none_that_has_begun_goes ON billing.rates",
    "DROP POLICY IF EXISTS none_begins_in_the_past ON billing.rates",
    "DROP POLICY IF EXISTS all_are_read ON billing.rates",
    "ALTER TABLE billing.rates DISABLE ROW LEVEL SECURITY",
    "DROP TABLE IF EXISTS billing.alerts, billing.alert_thresholds",
)


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
