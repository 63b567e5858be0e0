"""What a key may do, where that is not all that its holder may: which models, and how many tokens a month."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from ias.db import ENGINE

ID = "identity_0007_key_rules"
VERSION = "1.38.0"
DESCRIPTION = "api_keys: models, monthly_tokens"

UP = (
    "ALTER TABLE identity.api_keys ADD COLUMN IF NOT EXISTS models text[]",
    "ALTER TABLE identity.api_keys ADD COLUMN IF NOT EXISTS monthly_tokens bigint",
    "ALTER TABLE identity.api_keys DROP CONSTRAINT IF EXISTS caps_are_not_negative",
    """
    ALTER TABLE identity.api_keys ADD CONSTRAINT caps_are_not_negative
        CHECK (monthly_tokens >= 0 AND monthly_tokens < 9007199254740992) NOT VALID
    """,
    """
    CREATE INDEX IF NOT EXISTS api_keys_capped ON identity.api_keys (org_id) INCLUDE (id, fingerprint)
        WHERE monthly_tokens IS NOT NULL
    """,
    "COMMENT ON COLUMN identity.api_keys.models IS 'Names of the models that it may call; null is every one'",
    "COMMENT ON COLUMN identity.api_keys.monthly_tokens IS 'Its cap, tokens a month; null is none'",
)

DOWN = (
    "DROP INDEX IF EXISTS identity.api_keys_capped",
    "ALTER TABLE identity.api_keys DROP CONSTRAINT IF EXISTS caps_are_not_negative",
    "ALTER TABLE identity.api_keys DROP COLUMN IF EXISTS monthly_tokens",
    "ALTER TABLE identity.api_keys DROP COLUMN IF EXISTS models",
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
