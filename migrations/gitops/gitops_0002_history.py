"""History that has an end, looks that webhooks cannot crowd, and policies whose rows the planner can guess."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from ias.db import ENGINE

ID = "gitops_0002_history"
VERSION = "1.38.0"
DESCRIPTION = "Old runs and drift may be deleted; webhooks hasten no more than every two seconds; policies by a boolean"

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
    FOR each IN SELECT * FROM pg_policies WHERE schemaname = 'gitops' AND position(was IN qual) > 0 LOOP
        EXECUTE format('ALTER POLICY %%I ON gitops.%%I USING (%%s) WITH CHECK (%%s)', each.policyname,
            each.tablename, replace(each.qual, was, becomes), replace(each.with_check, was, becomes));
    END LOOP;
END
$$
"""


def policies(was: str, becomes: str) -> str:
    quoted = ("'" + text.replace("'", "''") + "'" for text in (was, becomes))
    return POLICIES % tuple(quoted)


UP = (
    "ALTER TABLE gitops.repositories ADD COLUMN IF NOT EXISTS looked_at timestamptz",
    "COMMENT ON COLUMN gitops.repositories.looked_at IS 'When a worker last looked at it; webhooks hasten it no more'",
    "GRANT DELETE ON gitops.sync_runs, gitops.drift TO ias_app",
    "COMMENT ON COLUMN gitops.sync_runs.author IS 'Its author, as it says; empty where what was changed was put back'",
    policies(AS_TEXT, AS_BOOLEAN),
)

DOWN = (
    "ALTER TABLE gitops.repositories DROP COLUMN IF EXISTS looked_at",
    "REVOKE DELETE ON gitops.sync_runs, gitops.drift FROM ias_app",
    "COMMENT ON COLUMN gitops.sync_runs.author IS 'Its author, as it says'",
    policies(AS_BOOLEAN, AS_TEXT),
)


async def up() -> None:
    for statement in UP:
        await ENGINE.run_ddl(statement)


async def down() -> None:
    for statement in DOWN:
        await ENGINE.run_ddl(statement)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="gitops", description=DESCRIPTION)
    manager.add_raw(up)
    manager.add_raw_backwards(down)
    return manager
