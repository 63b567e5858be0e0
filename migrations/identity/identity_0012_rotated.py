"""When a key was rotated and would have ended by itself, so that its next successor does not end with its grace."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from ias.db import ENGINE

ID = "identity_0012_rotated"
VERSION = "1.38.0"
DESCRIPTION = "api_keys: rotated_at, meant_until"

UP = (
    """
    ALTER TABLE identity.api_keys
        ADD COLUMN IF NOT EXISTS rotated_at timestamptz,
        ADD COLUMN IF NOT EXISTS meant_until timestamptz
    """,
    "COMMENT ON COLUMN identity.api_keys.rotated_at IS 'When it was rotated first; null: it was not'",
    (
        "COMMENT ON COLUMN identity.api_keys.meant_until IS "
        "'When it would have ended, had it not been rotated; null: never, or it was not rotated'"
    ),
)

DOWN = "ALTER TABLE identity.api_keys DROP COLUMN IF EXISTS rotated_at, DROP COLUMN IF EXISTS meant_until"


async def up() -> None:
    for statement in UP:
        await ENGINE.run_ddl(statement)


async def down() -> None:
    await ENGINE.run_ddl(DOWN)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="identity", description=DESCRIPTION)
    manager.add_raw(up)
    manager.add_raw_backwards(down)
    return manager
