"""Organisations, their members, invites and sessions, and whose rows each may see."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from ias.db import ENGINE

ID = "identity_0002_members"
VERSION = "1.38.0"
DESCRIPTION = "organizations, users, invites, refresh_tokens"

TABLES = (
    """
    CREATE TABLE IF NOT EXISTS identity.organizations (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        name text NOT NULL,
        name_folded text NOT NULL,
        tag text NOT NULL UNIQUE CHECK (tag ~ '^[0-9A-Za-z]{8}$'),
        status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended', 'removed')),
        created_at timestamptz NOT NULL DEFAULT now(),
        removed_at timestamptz
    )
    """,
    """
    CREATE UNIQUE INDEX IF NOT EXISTS organizations_name_folded
        ON identity.organizations (name_folded) WHERE status <> 'removed'
    """,
    """
    CREATE TABLE IF NOT EXISTS identity.users (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        org_id uuid REFERENCES identity.organizations (id),
        email text NOT NULL,
        email_folded text NOT NULL,
        name text NOT NULL,
        password_hash text NOT NULL,
        role text NOT NULL REFERENCES identity.roles (name),
        status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended', 'removed')),
        created_at timestamptz NOT NULL DEFAULT now(),
        removed_at timestamptz,
        UNIQUE (org_id, id),
        CONSTRAINT only_system_admins_belong_nowhere CHECK ((role = 'system-admin') = (org_id IS NULL))
    )
    """,
    """
    CREATE UNIQUE INDEX IF NOT EXISTS users_email_folded
        ON identity.users (email_folded) WHERE status <> 'removed'
    """,
    """
    CREATE TABLE IF NOT EXISTS identity.invites (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        org_id uuid NOT NULL REFERENCES identity.organizations (id),
        email text NOT NULL,
        email_folded text NOT NULL,
        role text NOT NULL REFERENCES identity.roles (name) CHECK (role <> 'system-admin'),
        token_hash text NOT NULL UNIQUE,
        invited_by uuid NOT NULL REFERENCES identity.users (id),
        created_at timestamptz NOT NULL DEFAULT now(),
        expires_at timestamptz NOT NULL,
        closed_at timestamptz
    )
    """,
    """
    CREATE UNIQUE INDEX IF NOT EXISTS invites_open
        ON identity.invites (org_id, email_folded) WHERE closed_at IS NULL
    """,
    """
    CREATE TABLE IF NOT EXISTS identity.refresh_tokens (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        org_id uuid REFERENCES identity.organizations (id),
        user_id uuid NOT NULL REFERENCES identity.users (id),
        family_id uuid NOT NULL,
        token_hash text NOT NULL UNIQUE,
        created_at timestamptz NOT NULL DEFAULT now(),
        expires_at timestamptz NOT NULL,
        used_at timestamptz,
        revoked_at timestamptz
    )
    """,
    "CREATE INDEX IF NOT EXISTS refresh_tokens_family ON identity.refresh_tokens (family_id)",
    "CREATE INDEX IF NOT EXISTS refresh_tokens_user ON identity.refresh_tokens (user_id) WHERE revoked_at IS NULL",
)

GRANTS = (
    "GRANT SELECT, INSERT, UPDATE ON identity.organizations, identity.users TO ias_app",
    "GRANT SELECT, INSERT, UPDATE ON identity.invites, identity.refresh_tokens TO ias_app",
)

OWNERS = {"organizations": "id", "users": "org_id", "invites": "org_id", "refresh_tokens": "org_id"}
MINE = (
    "{column} = NULLIF(current_setting('app.org_id', true), '')::uuid OR current_setting('app.everywhere', true) = 'on'"
)

COMMENTS = {
    "organizations": (
        "Tenants",
        {
            "id": "UUIDv7",
            "name": "As people write it",
            "name_folded": "The name without case and Unicode twins; unique among those that are not removed",
            "tag": "Eight base62 characters: the organisation in key tokens and the hash tag of its state in Redis",
            "status": "active; suspended: nothing gets in; removed: as if it were not there",
            "created_at": "When it was created",
            "removed_at": "When it was removed",
        },
    ),
    "users": (
        "People: members of one organisation, or system admins",
        {
            "id": "UUIDv7",
            "org_id": "The organisation; null for system admins",
            "email": "As its owner writes it",
            "email_folded": "The address without case and Unicode twins; unique among those that are not removed",
            "name": "How the person is called",
            "password_hash": "bcrypt",
            "role": "The set of permissions",
            "status": "active; suspended: neither sessions nor keys work; removed: as if they were not there",
            "created_at": "When the invite was accepted",
            "removed_at": "When they were removed",
        },
    ),
    "invites": (
        "Links by which one address may join an organisation",
        {
            "id": "UUIDv7",
            "org_id": "The organisation to join",
            "email": "The address that is invited",
            "email_folded": "The address without case and Unicode twins",
            "role": "The role that the new member gets",
            "token_hash": "SHA-256 of the token in the link",
            "invited_by": "Who invited",
            "created_at": "When",
            "expires_at": "When the link stops working",
            "closed_at": "When it was accepted, replaced or withdrawn",
        },
    ),
    "refresh_tokens": (
        "Refresh tokens of sessions; all of one session are a family",
        {
            "id": "UUIDv7",
            "org_id": "The organisation of the user",
            "user_id": "Whose session it is",
            "family_id": "The session",
            "token_hash": "SHA-256 of the token",
            "created_at": "When it was given out",
            "expires_at": "When it stops working",
            "used_at": "When it was exchanged for the next one; a second use revokes the family",
            "revoked_at": "When the session was ended",
        },
    ),
}


def policies() -> list[str]:
    """Each organisation sees its own rows; the platform sees all."""
    statements = []
    for table, column in OWNERS.items():
        rule = MINE.format(column=column)
        statements += [
            f"ALTER TABLE identity.{table} ENABLE ROW LEVEL SECURITY",
            f"ALTER TABLE identity.{table} FORCE ROW LEVEL SECURITY",
            f"DROP POLICY IF EXISTS own_rows ON identity.{table}",
            f"CREATE POLICY own_rows ON identity.{table} USING ({rule}) WITH CHECK ({rule})",
        ]
    return statements


def comments() -> list[str]:
    statements = []
    for table, (text, columns) in COMMENTS.items():
        statements.append(f"COMMENT ON TABLE identity.{table} IS '{text}'")
        statements += [f"COMMENT ON COLUMN identity.{table}.{name} IS '{said}'" for name, said in columns.items()]
    return statements


async def up() -> None:
    for statement in (*TABLES, *GRANTS, *policies(), *comments()):
        await ENGINE.run_ddl(statement)


async def down() -> None:
    for table in ("refresh_tokens", "invites", "users", "organizations"):
        await ENGINE.run_ddl(f"DROP TABLE IF EXISTS identity.{table}")


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="identity", description=DESCRIPTION)
    manager.add_raw(up)
    manager.add_raw_backwards(down)
    return manager
