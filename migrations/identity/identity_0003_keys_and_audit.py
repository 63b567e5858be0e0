"""API keys, what is owed to the projection, and the audit log that is only ever added to."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from ias.db import ENGINE

ID = "identity_0003_keys_and_audit"
VERSION = "1.38.0"
DESCRIPTION = "api_keys, projection_debts, audit_log"

TABLES = (
    """
    CREATE TABLE IF NOT EXISTS identity.api_keys (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        org_id uuid NOT NULL REFERENCES identity.organizations (id),
        user_id uuid NOT NULL,
        label text NOT NULL,
        prefix text NOT NULL,
        fingerprint text NOT NULL UNIQUE CHECK (fingerprint ~ '^[0-9a-f]{64}$'),
        created_at timestamptz NOT NULL DEFAULT now(),
        expires_at timestamptz,
        revoked_at timestamptz,
        revoked_by uuid,
        FOREIGN KEY (org_id, user_id) REFERENCES identity.users (org_id, id)
    )
    """,
    "CREATE INDEX IF NOT EXISTS api_keys_org ON identity.api_keys (org_id, id DESC)",
    "CREATE INDEX IF NOT EXISTS api_keys_user ON identity.api_keys (user_id, id DESC)",
    """
    CREATE TABLE IF NOT EXISTS identity.projection_debts (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        org_id uuid NOT NULL REFERENCES identity.organizations (id),
        created_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    "CREATE INDEX IF NOT EXISTS projection_debts_age ON identity.projection_debts (created_at)",
    """
    CREATE TABLE IF NOT EXISTS identity.audit_log (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        org_id uuid,
        actor_id uuid,
        actor text NOT NULL,
        action text NOT NULL,
        target_id uuid,
        before jsonb,
        after jsonb,
        source text NOT NULL CHECK (source IN ('ui', 'cli', 'api', 'git', 'system')),
        request_id text NOT NULL DEFAULT '',
        created_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    "CREATE INDEX IF NOT EXISTS audit_log_org ON identity.audit_log (org_id, id DESC)",
    "CREATE INDEX IF NOT EXISTS audit_log_actor ON identity.audit_log (actor_id, id DESC)",
    "CREATE INDEX IF NOT EXISTS audit_log_target ON identity.audit_log (target_id, id DESC)",
)

GRANTS = (
    "GRANT SELECT, INSERT, UPDATE ON identity.api_keys TO ias_app",
    "GRANT SELECT, INSERT, DELETE ON identity.projection_debts TO ias_app",
    "GRANT SELECT, INSERT ON identity.audit_log TO ias_app",
)

MINE = (
    "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid OR current_setting('app.everywhere', true) = 'on'"
)

COMMENTS = {
    "api_keys": (
        "API keys; the token itself is stored nowhere",
        {
            "id": "UUIDv7",
            "org_id": "The organisation that pays",
            "user_id": "Who holds it",
            "label": "What its owner calls it",
            "prefix": "The start of the token, to recognise it by",
            "fingerprint": "SHA-256 of the token",
            "created_at": "When it was issued",
            "expires_at": "When it stops working; null for never",
            "revoked_at": "When it was revoked",
            "revoked_by": "Who revoked it",
        },
    ),
    "projection_debts": (
        "Changes that are committed and not yet confirmed by Redis; the worker pays what is left over",
        {
            "id": "UUIDv7",
            "org_id": "The organisation to project again",
            "created_at": "Since when",
        },
    ),
    "audit_log": (
        "Every write: who, what, before and after; the application may add to it and read it, nothing else",
        {
            "id": "UUIDv7",
            "org_id": "The organisation that it happened in; null for the platform",
            "actor_id": "Who did it; null for the system",
            "actor": "The address or name of who did it, as it was then",
            "action": "noun.verb",
            "target_id": "What it was done to",
            "before": "The fields that changed, as they were",
            "after": "The fields that changed, as they are",
            "source": "By which door: ui, cli, api, git, system",
            "request_id": "The request that did it",
            "created_at": "When",
        },
    ),
}


def policies() -> list[str]:
    """Each organisation sees its own rows; the platform sees all."""
    statements = []
    for table in COMMENTS:
        statements += [
            f"ALTER TABLE identity.{table} ENABLE ROW LEVEL SECURITY",
            f"ALTER TABLE identity.{table} FORCE ROW LEVEL SECURITY",
            f"DROP POLICY IF EXISTS own_rows ON identity.{table}",
            f"CREATE POLICY own_rows ON identity.{table} USING ({MINE}) WITH CHECK ({MINE})",
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
    for table in ("audit_log", "projection_debts", "api_keys"):
        await ENGINE.run_ddl(f"DROP TABLE IF EXISTS identity.{table}")


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="identity", description=DESCRIPTION)
    manager.add_raw(up)
    manager.add_raw_backwards(down)
    return manager
