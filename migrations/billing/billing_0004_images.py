"""Models say what an image is held as."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from ias.db import ENGINE

ID = "billing_0004_images"
VERSION = "1.38.0"
DESCRIPTION = "models.image_tokens"

UP = (
    """
    ALTER TABLE billing.models
        ADD COLUMN IF NOT EXISTS image_tokens integer NOT NULL DEFAULT 0 CHECK (image_tokens >= 0)
    """,
    """
    COMMENT ON COLUMN billing.models.image_tokens
        IS 'What an image is held as until its tokens are known; 0: the model takes no images'
    """,
)

DOWN = ("ALTER TABLE billing.models DROP COLUMN IF EXISTS image_tokens",)


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
