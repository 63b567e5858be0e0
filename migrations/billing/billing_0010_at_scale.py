"""What makes lists of a large platform quick: policies whose rows the planner can guess, and an index."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from ias.db import ENGINE

ID = "billing_0010_at_scale"
VERSION = "1.38.0"
DESCRIPTION = "Policies by a boolean; an index for the newest ledger lines"

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
    FOR each IN SELECT * FROM pg_policies WHERE schemaname = 'billing' AND position(was IN qual) > 0 LOOP
        EXECUTE format('ALTER POLICY %%I ON billing.%%I USING (%%s) WITH CHECK (%%s)', each.policyname,
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
    "CREATE INDEX IF NOT EXISTS ledger_lines_settled ON billing.ledger_lines (settled_at DESC)",
    policies(AS_TEXT, AS_BOOLEAN),
)

DOWN = (
    "DROP INDEX IF EXISTS billing.ledger_lines_settled",
    policies(AS_BOOLEAN, AS_TEXT),
)


async def up() -> None:
    for statement in UP:
        await ENGINE.run_ddl(statement)


async def down() -> None:
    for statement in DOWN:
        await ENGINE.run_ddl(statement)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="billing", description=DESCRIPTION)
    manager.add_raw(up)
    manager.add_raw_backwards(down)
    return manager
