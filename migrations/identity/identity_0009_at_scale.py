"""What makes lists of a large platform quick: policies whose rows the planner can guess, and indexes."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from ias.db import ENGINE

ID = "identity_0009_at_scale"
VERSION = "1.38.0"
DESCRIPTION = (
    "Policies by a boolean; indexes for open invites, live sessions of an organisation, audit entries by action"
)

# The planner takes an `=` of two values that are in no column to let one row in 200 through: it reads a whole table to
# sort the few that it expects, where it could walk along an index. A boolean it takes to let half of them through.
AS_TEXT = "(current_setting('app.everywhere'::text, true) = 'on'::text)"
AS_BOOLEAN = "(NULLIF(current_setting('app.everywhere'::text, true), ''::text))::boolean"

POLICIES = """
DO $$
DECLARE
    each pg_policies;
    was text := %s;
    becomes text := %s;
BEGIN
    FOR each IN SELECT * FROM pg_policies WHERE schemaname = 'identity' AND position(was IN qual) > 0 LOOP
        EXECUTE format('ALTER POLICY %%I ON identity.%%I USING (%%s) WITH CHECK (%%s)', each.policyname,
            each.tablename, replace(each.qual, was, becomes), replace(each.with_check, was, becomes));
    END LOOP;
END
$$
"""


def policies(was: str, becomes: str) -> str:
    quoted = ("'" + text.replace("'", "''") + "'" for text in (was, becomes))
    return POLICIES % tuple(quoted)


# The policies last: from then on until the end nobody else reads or writes these tables.
UP = (
    "CREATE INDEX IF NOT EXISTS invites_open_newest ON identity.invites (id DESC) WHERE closed_at IS NULL",
    "CREATE INDEX IF NOT EXISTS refresh_tokens_org ON identity.refresh_tokens (org_id) WHERE revoked_at IS NULL",
    "CREATE INDEX IF NOT EXISTS audit_log_org_action ON identity.audit_log (org_id, action, id DESC)",
    "CREATE INDEX IF NOT EXISTS audit_log_action ON identity.audit_log (action, id DESC)",
    policies(AS_TEXT, AS_BOOLEAN),
)

DOWN = (
    "DROP INDEX IF EXISTS identity.audit_log_action",
    "DROP INDEX IF EXISTS identity.audit_log_org_action",
    "DROP INDEX IF EXISTS identity.refresh_tokens_org",
    "DROP INDEX IF EXISTS identity.invites_open_newest",
    policies(AS_BOOLEAN, AS_TEXT),
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
