"""The audit log as a chain: each entry's hash covers the one before, so that a changed or lost entry shows."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from ias.db import ENGINE

ID = "identity_0005_audit_chain"
VERSION = "1.38.0"
DESCRIPTION = "audit_log: seq, hash; audit_heads"

# The chain of what happened in no organisation.
PLATFORM = "'00000000-0000-0000-0000-000000000000'::uuid"

HASH = """
CREATE OR REPLACE FUNCTION identity.audit_hash(previous bytea, entry identity.audit_log) RETURNS bytea
LANGUAGE sql STABLE AS $$
    SELECT sha256(previous || convert_to(jsonb_build_array(
        entry.id, entry.org_id, entry.seq, entry.actor_id, entry.actor, entry.action, entry.target_id,
        entry.before, entry.after, entry.source, entry.request_id,
        to_char(entry.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US')
    )::text, 'UTF8'))
$$
"""

# With the rights of its owner: the application may add to the log, but not say where in the chain.
CHAIN = f"""
CREATE OR REPLACE FUNCTION identity.audit_chain() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, identity AS $$
DECLARE
    own uuid := coalesce(NEW.org_id, {PLATFORM});
    head identity.audit_heads;
BEGIN
    INSERT INTO identity.audit_heads VALUES (own, 0, '') ON CONFLICT DO NOTHING;
    SELECT * INTO head FROM identity.audit_heads WHERE chain = own FOR UPDATE;
    NEW.seq := head.seq + 1;
    NEW.hash := identity.audit_hash(head.hash, NEW);
    UPDATE identity.audit_heads SET seq = NEW.seq, hash = NEW.hash WHERE chain = own;
    RETURN NEW;
END
$$
"""

TRIGGER = """
CREATE OR REPLACE TRIGGER audit_chain BEFORE INSERT ON identity.audit_log
    FOR EACH ROW EXECUTE FUNCTION identity.audit_chain()
"""

# What was logged before there was a chain is its beginning.
OLD_ENTRIES = f"""
DO $$
DECLARE
    entry identity.audit_log;
    head identity.audit_heads;
    own uuid;
BEGIN
    PERFORM set_config('app.everywhere', 'on', true);
    FOR entry IN SELECT * FROM identity.audit_log WHERE seq IS NULL ORDER BY created_at, id LOOP
        own := coalesce(entry.org_id, {PLATFORM});
        INSERT INTO identity.audit_heads VALUES (own, 0, '') ON CONFLICT DO NOTHING;
        SELECT * INTO head FROM identity.audit_heads WHERE chain = own;
        entry.seq := head.seq + 1;
        entry.hash := identity.audit_hash(head.hash, entry);
        UPDATE identity.audit_log SET seq = entry.seq, hash = entry.hash WHERE id = entry.id;
        UPDATE identity.audit_heads SET seq = entry.seq, hash = entry.hash WHERE chain = own;
    END LOOP;
END
$$
"""

UP = (
    """
    CREATE TABLE IF NOT EXISTS identity.audit_heads (
        chain uuid PRIMARY KEY,
        seq bigint NOT NULL,
        hash bytea NOT NULL
    )
    """,
    "ALTER TABLE identity.audit_log ADD COLUMN IF NOT EXISTS seq bigint",
    "ALTER TABLE identity.audit_log ADD COLUMN IF NOT EXISTS hash bytea",
    HASH,
    CHAIN,
    OLD_ENTRIES,
    TRIGGER,
    "ALTER TABLE identity.audit_log ALTER COLUMN seq SET NOT NULL, ALTER COLUMN hash SET NOT NULL",
    f"CREATE UNIQUE INDEX IF NOT EXISTS audit_log_chain ON identity.audit_log ((coalesce(org_id, {PLATFORM})), seq)",
    "GRANT SELECT ON identity.audit_heads TO ias_app",
    "COMMENT ON TABLE identity.audit_heads IS 'The last entry of each chain of the audit log; a trigger writes it'",
    "COMMENT ON COLUMN identity.audit_heads.chain IS 'The organisation; zeros for the platform'",
    "COMMENT ON COLUMN identity.audit_heads.seq IS 'The number of the last entry'",
    "COMMENT ON COLUMN identity.audit_heads.hash IS 'Its hash'",
    "COMMENT ON COLUMN identity.audit_log.seq IS 'The number of the entry in its chain, from 1 without gaps'",
    "COMMENT ON COLUMN identity.audit_log.hash IS 'SHA-256 over the hash before and this entry (identity.audit_hash)'",
)

DOWN = (
    "DROP TRIGGER IF EXISTS audit_chain ON identity.audit_log",
    "DROP FUNCTION IF EXISTS identity.audit_chain()",
    "DROP FUNCTION IF EXISTS identity.audit_hash(bytea, identity.audit_log)",
    "DROP INDEX IF EXISTS identity.audit_log_chain",
    "ALTER TABLE IF EXISTS identity.audit_log DROP COLUMN IF EXISTS seq, DROP COLUMN IF EXISTS hash",
    "DROP TABLE IF EXISTS identity.audit_heads",
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
