"""Sessions of browsers: a family of one token, which is not exchanged and ends by itself when nobody uses it."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from ias.db import ENGINE

ID = "identity_0010_browsers"
VERSION = "1.38.0"
DESCRIPTION = "refresh_tokens: browser, seen_at, agent"

UP = (
    """
    ALTER TABLE identity.refresh_tokens
        ADD COLUMN IF NOT EXISTS browser boolean NOT NULL DEFAULT false,
        ADD COLUMN IF NOT EXISTS seen_at timestamptz,
        ADD COLUMN IF NOT EXISTS agent text NOT NULL DEFAULT '' CHECK (length(agent) <= 200)
    """,
    (
        "COMMENT ON COLUMN identity.refresh_tokens.browser IS "
        "'Whether a browser has the token in its cookie; then it works for pages alone and is not exchanged'"
    ),
    "COMMENT ON COLUMN identity.refresh_tokens.seen_at IS 'When the browser was last here, to five minutes'",
    "COMMENT ON COLUMN identity.refresh_tokens.agent IS 'What the browser says that it is'",
)

# A release that does not know of browsers would exchange their tokens.
DOWN = (
    "UPDATE identity.refresh_tokens SET revoked_at = now() WHERE browser AND revoked_at IS NULL",
    """
    ALTER TABLE identity.refresh_tokens
        DROP COLUMN IF EXISTS browser, DROP COLUMN IF EXISTS seen_at, DROP COLUMN IF EXISTS agent
    """,
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
