"""Schema `billing`, and the catalogue: models, where they are served, what they cost."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from ias.db import ENGINE

ID = "billing_0001_catalogue"
VERSION = "1.38.0"
DESCRIPTION = "Schema billing; models, model_backends, rates, route_debts"

TABLES = (
    """
    CREATE TABLE IF NOT EXISTS billing.models (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        name text NOT NULL,
        upstream_name text NOT NULL,
        enabled boolean NOT NULL DEFAULT true,
        context_length integer NOT NULL CHECK (context_length > 0),
        max_output_tokens integer NOT NULL CHECK (max_output_tokens > 0),
        tenant_salt boolean NOT NULL DEFAULT true,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        removed_at timestamptz
    )
    """,
    "CREATE UNIQUE INDEX IF NOT EXISTS models_name ON billing.models (name) WHERE removed_at IS NULL",
    """
    CREATE TABLE IF NOT EXISTS billing.model_backends (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        model_id uuid NOT NULL REFERENCES billing.models (id) ON DELETE CASCADE,
        url text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        UNIQUE (model_id, url)
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS billing.rates (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        model_id uuid NOT NULL REFERENCES billing.models (id) ON DELETE CASCADE,
        valid_from timestamptz NOT NULL,
        input numeric(18, 10) NOT NULL CHECK (input >= 0),
        output numeric(18, 10) NOT NULL CHECK (output >= 0),
        cached_input numeric(18, 10) NOT NULL CHECK (cached_input >= 0),
        created_at timestamptz NOT NULL DEFAULT now(),
        UNIQUE (model_id, valid_from)
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS billing.route_debts (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        created_at timestamptz NOT NULL DEFAULT now()
    )
    """,
)

GRANTS = (
    "GRANT USAGE ON SCHEMA billing TO ias_app",
    "GRANT SELECT, INSERT, UPDATE ON billing.models TO ias_app",
    "GRANT SELECT, INSERT, DELETE ON billing.model_backends TO ias_app",
    "GRANT SELECT, INSERT ON billing.rates TO ias_app",
    "GRANT SELECT, INSERT, DELETE ON billing.route_debts TO ias_app",
)

COMMENTS = {
    "models": (
        "Models that can be called, by their public names",
        {
            "id": "UUIDv7",
            "name": "What callers write in model; unique among those that are not removed",
            "upstream_name": "The name that the engines serve it under",
            "enabled": "Whether it can be called now",
            "context_length": "Tokens of prompt and output together",
            "max_output_tokens": "Output limit of a request that gives none, tokens",
            "tenant_salt": "Whether the engine separates its prefix cache by organisation",
            "created_at": "When it was registered",
            "updated_at": "When it was last changed",
            "removed_at": "When it was removed; its ledger lines and rates stay",
        },
    ),
    "model_backends": (
        "Engines that serve a model",
        {
            "id": "UUIDv7",
            "model_id": "The model",
            "url": "Base URL, such as http://llama.inference:8000",
            "created_at": "When it was added",
        },
    ),
    "rates": (
        "What a model costs; a rate is valid until the next one of the same model begins",
        {
            "id": "UUIDv7",
            "model_id": "The model",
            "valid_from": "From when on; compared with the start of a request",
            "input": "Money per 1,000 prompt tokens",
            "output": "Money per 1,000 completion tokens",
            "cached_input": "Money per 1,000 prompt tokens that the engine had in its prefix cache",
            "created_at": "When it was entered",
        },
    ),
    "route_debts": (
        "Changes of the catalogue that are committed and not yet confirmed by Redis",
        {"id": "UUIDv7", "created_at": "When"},
    ),
}


def comments() -> list[str]:
    statements = ["COMMENT ON SCHEMA billing IS 'Catalogue, budgets, limits, the ledger'"]
    for table, (about, columns) in COMMENTS.items():
        statements.append(f"COMMENT ON TABLE billing.{table} IS '{about}'")
        statements += [f"COMMENT ON COLUMN billing.{table}.{name} IS '{text}'" for name, text in columns.items()]
    return statements


UP = ("CREATE SCHEMA IF NOT EXISTS billing", *TABLES, *GRANTS, *comments())

DOWN = (
    "DROP TABLE IF EXISTS billing.route_debts, billing.rates, billing.model_backends, billing.models",
    "DROP SCHEMA IF EXISTS billing",
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
