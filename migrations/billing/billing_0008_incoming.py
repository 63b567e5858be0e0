"""Consumers bring events in by COPY into a temporary table, and must be able to make one where PUBLIC may not."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from ias.db import ENGINE

ID = "billing_0008_incoming"
VERSION = "1.38.0"
DESCRIPTION = "ias_app may make temporary tables"

UP = """
DO $$
BEGIN
    IF NOT has_database_privilege('ias_app', current_database(), 'TEMPORARY') THEN
        EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO ias_app', current_database());
    END IF;
END $$
"""

# Only what was given to the role itself; what PUBLIC may do is left as it is.
DOWN = """
DO $$
BEGIN
    IF EXISTS (
        SELECT FROM pg_database d, aclexplode(d.datacl) a
        WHERE d.datname = current_database() AND a.grantee = 'ias_app'::regrole AND a.privilege_type = 'TEMPORARY'
    ) THEN
        EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM ias_app', current_database());
    END IF;
END $$
"""


async def up() -> None:
    await ENGINE.run_ddl(UP)


async def down() -> None:
    await ENGINE.run_ddl(DOWN)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="billing", description=DESCRIPTION)
    manager.add_raw(up)
    manager.add_raw_backwards(down)
    return manager
