"""Organisations may hold estimates in place of upper bounds; models say what their templates add to a prompt."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from ias.db import ENGINE

ID = "billing_0005_estimates"
VERSION = "1.38.0"
DESCRIPTION = "limits.mode, models.prompt_overhead"

UP = (
    """
    ALTER TABLE billing.limits
        ADD COLUMN IF NOT EXISTS mode text NOT NULL DEFAULT 'strict' CHECK (mode IN ('strict', 'estimate'))
    """,
    """
    COMMENT ON COLUMN billing.limits.mode
        IS 'What a prompt holds of the budget while its request runs: its upper bound (strict), or an estimate'
    """,
    """
    ALTER TABLE billing.models
        ADD COLUMN IF NOT EXISTS prompt_overhead integer NOT NULL DEFAULT 0 CHECK (prompt_overhead >= 0)
    """,
    """
    COMMENT ON COLUMN billing.models.prompt_overhead
        IS 'Tokens at most that the model''s template adds to a prompt of its own accord'
    """,
)

DOWN = (
    "ALTER TABLE billing.models DROP COLUMN IF EXISTS prompt_overhead",
    "ALTER TABLE billing.limits DROP COLUMN IF EXISTS mode",
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
