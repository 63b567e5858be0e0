"""What organisations say of themselves, what manages them beside the API, and who may have them managed by Git."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from ias.db import ENGINE

ID = "identity_0008_managed"
VERSION = "1.38.0"
DESCRIPTION = "organizations: description, cost_center, tags, managed_by; permissions of gitops"

UP = (
    """
    ALTER TABLE identity.organizations
        ADD COLUMN IF NOT EXISTS description text NOT NULL DEFAULT '',
        ADD COLUMN IF NOT EXISTS cost_center text NOT NULL DEFAULT '',
        ADD COLUMN IF NOT EXISTS tags jsonb NOT NULL DEFAULT '{}',
        ADD COLUMN IF NOT EXISTS managed_by jsonb
    """,
    "COMMENT ON COLUMN identity.organizations.description IS 'What it is for, in its own words'",
    "COMMENT ON COLUMN identity.organizations.cost_center IS 'Whom its use is charged to'",
    "COMMENT ON COLUMN identity.organizations.tags IS 'Names and values for people to sort organisations by'",
    "COMMENT ON COLUMN identity.organizations.managed_by IS 'The file in Git that has its policy; null where none has'",
)

DOWN = (
    "DELETE FROM identity.permissions WHERE name LIKE 'gitops:%'",
    """
    ALTER TABLE identity.organizations
        DROP COLUMN IF EXISTS description, DROP COLUMN IF EXISTS cost_center, DROP COLUMN IF EXISTS tags,
        DROP COLUMN IF EXISTS managed_by
    """,
)


PERMISSIONS = {
    "gitops:read": ("See what Git manages, and what a file would change", ("system-admin", "org-admin")),
    "gitops:sync": ("Have Git looked at now", ("system-admin", "org-admin")),
    "gitops:write": ("Bind organisations to repositories, suspend Git, approve what is held", ("system-admin",)),
}


async def up() -> None:
    for statement in UP:
        await ENGINE.run_ddl(statement)
    for permission, (text, roles) in PERMISSIONS.items():
        await ENGINE.run_ddl(
            f"INSERT INTO identity.permissions VALUES ('{permission}', '{text}') ON CONFLICT DO NOTHING"
        )
        for role in roles:
            await ENGINE.run_ddl(
                f"INSERT INTO identity.role_permissions VALUES ('{role}', '{permission}') ON CONFLICT DO NOTHING"
            )


async def down() -> None:
    for statement in DOWN:
        await ENGINE.run_ddl(statement)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="identity", description=DESCRIPTION)
    manager.add_raw(up)
    manager.add_raw_backwards(down)
    return manager
