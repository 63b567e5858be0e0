"""Who called a model today and yesterday, without reading whoever called others."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from ias.db import ENGINE
from ias.indexes import build

ID = "analytics_0006_callers"
VERSION = "1.38.0"
DESCRIPTION = "usage_daily_model"


async def up() -> None:
    # The same values in a row take six bytes each in it, and rows that are added to stay where they are.
    await build("analytics.usage_daily", "usage_daily_model", "(model, bucket)")


async def down() -> None:
    await ENGINE.run_ddl("DROP INDEX CONCURRENTLY IF EXISTS analytics.usage_daily_model")


async def forwards() -> MigrationManager:
    manager = MigrationManager(
        migration_id=ID, app_name="analytics", description=DESCRIPTION, wrap_in_transaction=False
    )
    manager.add_raw(up)
    manager.add_raw_backwards(down)
    return manager
