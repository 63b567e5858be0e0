"""The heads of the audit log's chains are seen by those whose chain it is."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from ias.db import ENGINE

ID = "identity_0006_heads"
VERSION = "1.38.0"
DESCRIPTION = "Row-level security on audit_heads"

MINE = "chain = NULLIF(current_setting('app.org_id', true), '')::uuid OR current_setting('app.everywhere', true) = 'on'"

UP = (
    "ALTER TABLE identity.audit_heads ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE identity.audit_heads FORCE ROW LEVEL SECURITY",
    "DROP POLICY IF EXISTS own_rows ON identity.audit_heads",
    f"CREATE POLICY own_rows ON identity.audit_heads USING ({MINE}) WITH CHECK ({MINE})",
)

DOWN = (
    "DROP POLICY IF EXISTS own_rows ON identity.audit_heads",
    "ALTER TABLE IF EXISTS identity.audit_heads NO FORCE ROW LEVEL SECURITY",
    "ALTER TABLE IF EXISTS identity.audit_heads DISABLE ROW LEVEL SECURITY",
)


async def up() -> None:
    for statement in UP:
        await ENGINE.run_ddl(statement)


async def down() -> None:
    for statement in DOWN:
        await ENGINE.run_ddl(statement)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="identity", description=DESCRIPTION)
    manager.add_raw(up)
    manager.add_raw_backwards(down)
    return manager
