"""Which POSTs have been done, so that one which is sent again is answered again."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from ias.db import ENGINE

ID = "identity_0004_repeats"
VERSION = "1.38.0"
DESCRIPTION = "repeats"

UP = (
    """
    CREATE TABLE IF NOT EXISTS identity.repeats (
        user_id uuid NOT NULL REFERENCES identity.users (id),
        key_hash bytea NOT NULL CHECK (octet_length(key_hash) = 32),
        asked bytea NOT NULL CHECK (octet_length(asked) = 32),
        begun_at timestamptz NOT NULL DEFAULT now(),
        answer bytea,
        PRIMARY KEY (user_id, key_hash)
    )
    """,
    "CREATE INDEX IF NOT EXISTS repeats_begun_at ON identity.repeats (begun_at)",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON identity.repeats TO ias_app",
    # Sessions that ended long ago are deleted.
    "GRANT DELETE ON identity.refresh_tokens TO ias_app",
    "CREATE INDEX IF NOT EXISTS refresh_tokens_expires_at ON identity.refresh_tokens (expires_at)",
    "COMMENT ON TABLE identity.repeats IS 'POSTs with an Idempotency-Key, for a day'",
    "COMMENT ON COLUMN identity.repeats.user_id IS 'Who sent it'",
    "COMMENT ON COLUMN identity.repeats.key_hash IS 'SHA-256 of the key'",
    "COMMENT ON COLUMN identity.repeats.asked IS 'SHA-256 of method, path, query and body'",
    "COMMENT ON COLUMN identity.repeats.begun_at IS 'When it came'",
    "COMMENT ON COLUMN identity.repeats.answer IS 'The answer, sealed under the key; null while there is none'",
)


DOWN = (
    "DROP INDEX IF EXISTS identity.refresh_tokens_expires_at",
    "REVOKE DELETE ON identity.refresh_tokens FROM ias_app",
    "DROP TABLE IF EXISTS identity.repeats",
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
