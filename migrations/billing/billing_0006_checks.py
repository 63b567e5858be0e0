"""What the minute check found: when, how much, and in which organisations."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from ias.db import ENGINE

ID = "billing_0006_checks"
VERSION = "1.38.0"
DESCRIPTION = "checks, drifts"

TABLES = (
    """
    CREATE TABLE IF NOT EXISTS billing.checks (
        kind text PRIMARY KEY,
        checked_at timestamptz NOT NULL,
        took_s double precision NOT NULL,
        organisations integer NOT NULL,
        drifting integer NOT NULL,
        tokens bigint NOT NULL,
        oldest_open timestamptz
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS billing.drifts (
        kind text NOT NULL,
        org_id uuid NOT NULL,
        period text NOT NULL,
        account text NOT NULL,
        difference bigint NOT NULL,
        found_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (kind, org_id, period, account)
    )
    """,
)
GRANTS = ("GRANT SELECT, INSERT, UPDATE, DELETE ON billing.checks, billing.drifts TO ias_app",)

EVERYWHERE = "current_setting('app.everywhere', true) = 'on'"
MINE = f"org_id = NULLIF(current_setting('app.org_id', true), '')::uuid OR {EVERYWHERE}"
RULES = {"checks": EVERYWHERE, "drifts": MINE}

COMMENTS = {
    "checks": (
        "The last check of each kind: of used and held tokens in Redis, and of analytics",
        {
            "kind": "used, held or analytics",
            "checked_at": "When it ended",
            "took_s": "How long it took, seconds",
            "organisations": "How many were looked at",
            "drifting": "Organisations in which something differed",
            "tokens": "By how many tokens, all together",
            "oldest_open": "The oldest settlement in an outbox that the ledger (used) or analytics did not have yet",
        },
    ),
    "drifts": (
        "What differed at the last check; the same difference twice in a row is repaired",
        {
            "kind": "Which check",
            "org_id": "The organisation",
            "period": "The month YYYYMM (UTC); empty where all months are compared",
            "account": "used: all of it, u:<user>: a member''s; tokens, requests: of analytics",
            "difference": "What is to be added to make it right",
            "found_at": "When",
        },
    ),
}


def rules() -> list[str]:
    """What belongs to no organisation is the platform's."""
    statements = []
    for table, rule in RULES.items():
        statements += [
            f"ALTER TABLE billing.{table} ENABLE ROW LEVEL SECURITY",
            f"ALTER TABLE billing.{table} FORCE ROW LEVEL SECURITY",
            f"DROP POLICY IF EXISTS own_rows ON billing.{table}",
            f"CREATE POLICY own_rows ON billing.{table} USING ({rule}) WITH CHECK ({rule})",
        ]
    return statements


def comments() -> list[str]:
    statements = []
    for table, (about, columns) in COMMENTS.items():
        statements.append(f"COMMENT ON TABLE billing.{table} IS '{about}'")
        statements += [f"COMMENT ON COLUMN billing.{table}.{name} IS '{text}'" for name, text in columns.items()]
    return statements


UP = (*TABLES, *GRANTS, *rules(), *comments())

DOWN = ("DROP TABLE IF EXISTS billing.drifts, billing.checks",)


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
