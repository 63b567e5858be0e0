"""The application's role, the schema `identity`, the projection's tickets, and what each role may do."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from ias.db import ENGINE

ID = "identity_0001_foundation"
VERSION = "1.38.0"
DESCRIPTION = "Role ias_app, schema identity, projection tickets, roles and permissions"

ROLE = """
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'ias_app') THEN
        CREATE ROLE ias_app NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$
"""

# A superuser may act as any role; granting it to one would only make parallel runners trip over each other.
MEMBERSHIP = """
DO $$
BEGIN
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        EXECUTE format('GRANT ias_app TO %I', current_user);
    END IF;
END $$
"""

TABLES = (
    """
    CREATE TABLE IF NOT EXISTS identity.roles (
        name text PRIMARY KEY,
        description text NOT NULL
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS identity.permissions (
        name text PRIMARY KEY,
        description text NOT NULL
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS identity.role_permissions (
        role text NOT NULL REFERENCES identity.roles (name) ON DELETE CASCADE,
        permission text NOT NULL REFERENCES identity.permissions (name) ON DELETE CASCADE,
        PRIMARY KEY (role, permission)
    )
    """,
)

ROLES = {
    "system-admin": "Runs the platform; belongs to no organisation and holds no keys",
    "org-admin": "Manages one organisation",
    "org-user": "Uses the models of one organisation",
}

SYSTEM, ADMIN, USER = "system-admin", "org-admin", "org-user"
PERMISSIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "organisations:any": ("Act in every organisation", (SYSTEM,)),
    "organisations:read": ("See the organisation", (SYSTEM, ADMIN, USER)),
    "organisations:write": ("Create, rename, suspend and remove organisations", (SYSTEM,)),
    "members:read": ("See the members and invites of the organisation", (SYSTEM, ADMIN)),
    "members:write": ("Invite, change and remove members", (SYSTEM, ADMIN)),
    "passwords:reset": ("Set somebody else's password", (SYSTEM,)),
    "keys:create": ("Hold API keys", (ADMIN, USER)),
    "keys:read": ("See API keys: one's own", (SYSTEM, ADMIN, USER)),
    "keys:revoke": ("Revoke API keys: one's own", (SYSTEM, ADMIN, USER)),
    "keys:any": ("See and revoke every API key of the organisation", (SYSTEM, ADMIN)),
    "models:read": ("See the models that the organisation may call", (SYSTEM, ADMIN, USER)),
    "models:write": ("Register, change and remove models", (SYSTEM,)),
    "budgets:read": ("See budgets and limits", (SYSTEM, ADMIN, USER)),
    "budgets:write": ("Change budgets and limits of the organisation", (SYSTEM, ADMIN)),
    "usage:read": ("See the usage of the organisation", (SYSTEM, ADMIN, USER)),
    "usage:platform": ("See the usage of the whole platform", (SYSTEM,)),
    "audit:read": ("Read the audit log", (SYSTEM, ADMIN)),
}

COMMENTS = (
    ("SCHEMA identity", "Organisations, members, sessions, API keys, audit"),
    ("SEQUENCE identity.projection_version", "Tickets that order what is projected to Redis"),
    ("TABLE identity.roles", "Named sets of permissions"),
    ("COLUMN identity.roles.name", "What a user row refers to"),
    ("COLUMN identity.roles.description", "For people"),
    ("TABLE identity.permissions", "What the code asks for"),
    ("COLUMN identity.permissions.name", "noun:verb"),
    ("COLUMN identity.permissions.description", "For people"),
    ("TABLE identity.role_permissions", "What each role may do"),
    ("COLUMN identity.role_permissions.role", "The role"),
    ("COLUMN identity.role_permissions.permission", "The permission that it has"),
)

UP = (
    ROLE,
    MEMBERSHIP,
    "CREATE SCHEMA IF NOT EXISTS identity",
    "GRANT USAGE ON SCHEMA identity TO ias_app",
    "GRANT SELECT ON public.migration TO ias_app",
    "CREATE SEQUENCE IF NOT EXISTS identity.projection_version",
    "GRANT USAGE ON SEQUENCE identity.projection_version TO ias_app",
    *TABLES,
    "GRANT SELECT ON identity.roles, identity.permissions, identity.role_permissions TO ias_app",
    *(f"COMMENT ON {thing} IS '{text}'" for thing, text in COMMENTS),
)

DOWN = (
    "DROP TABLE IF EXISTS identity.role_permissions, identity.permissions, identity.roles",
    "DROP SEQUENCE IF EXISTS identity.projection_version",
    "REVOKE SELECT ON public.migration FROM ias_app",
    "DROP SCHEMA IF EXISTS identity",
)


async def up() -> None:
    for statement in UP:
        await ENGINE.run_ddl(statement)
    for role, text in ROLES.items():
        await ENGINE.run_ddl(f"INSERT INTO identity.roles VALUES ('{role}', '{text}') ON CONFLICT DO NOTHING")
    for permission, (text, roles) in PERMISSIONS.items():
        quoted = text.replace("'", "''")
        await ENGINE.run_ddl(
            f"INSERT INTO identity.permissions VALUES ('{permission}', '{quoted}') ON CONFLICT DO NOTHING"
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
