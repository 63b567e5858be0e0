"""An index of keys that end by themselves, so that those that end soon are told on an organisation's first page."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from ias.db import ENGINE

ID = "identity_0011_ending_keys"
VERSION = "1.38.0"
DESCRIPTION = "an index of keys by when they end"

UP = """
CREATE INDEX IF NOT EXISTS api_keys_ending ON identity.api_keys (org_id, expires_at)
WHERE revoked_at IS NULL AND expires_at IS NOT NULL
"""
DOWN = "DROP INDEX IF EXISTS identity.api_keys_ending"


async def up() -> None:
    await ENGINE.run_ddl(UP)


async def down() -> None:
    await ENGINE.run_ddl(DOWN)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="identity", description=DESCRIPTION)
    manager.add_raw(up)
    manager.add_raw_backwards(down)
    return manager
