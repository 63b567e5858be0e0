"""When a key was last used: the ledger's sums say it, by the month and model."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from ias.db import ENGINE

ID = "billing_0009_last_use"
VERSION = "1.38.0"
DESCRIPTION = "spend: last_used_at, an index by key; drifts of keys"

# Sums that are older than the column have none: their `updated_at` is near enough, and a table is not written anew.
UP = (
    "ALTER TABLE billing.spend ADD COLUMN IF NOT EXISTS last_used_at timestamptz",
    "CREATE INDEX IF NOT EXISTS spend_key ON billing.spend (key_id, period)",
    """
    COMMENT ON COLUMN billing.spend.last_used_at IS
        'When the last request was admitted; null where that was before this was kept: then updated_at says it'
    """,
    """
    COMMENT ON COLUMN billing.drifts.account IS
        'used: all of it, u:<user>: a member''s, k:<key>: a capped key''s; tokens, requests: of analytics'
    """,
)

DOWN = (
    "DROP INDEX IF EXISTS billing.spend_key",
    "ALTER TABLE billing.spend DROP COLUMN IF EXISTS last_used_at",
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
