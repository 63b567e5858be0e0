"""What an organisation and its members may use: budgets, limits, models. A missing row means the platform's default."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from ias.db import ENGINE

ID = "billing_0002_policies"
VERSION = "1.38.0"
DESCRIPTION = "budgets, user_budgets, limits, allowed_models"

TABLES = (
    """
    CREATE TABLE IF NOT EXISTS billing.budgets (
        org_id uuid PRIMARY KEY,
        monthly_tokens bigint CHECK (monthly_tokens BETWEEN 0 AND 9007199254740991),
        user_monthly_tokens bigint CHECK (user_monthly_tokens BETWEEN 0 AND 9007199254740991),
        ceiling_tokens bigint CHECK (ceiling_tokens BETWEEN 0 AND 9007199254740991),
        updated_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS billing.user_budgets (
        org_id uuid NOT NULL,
        user_id uuid NOT NULL,
        monthly_tokens bigint CHECK (monthly_tokens BETWEEN 0 AND 9007199254740991),
        updated_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (org_id, user_id)
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS billing.limits (
        org_id uuid PRIMARY KEY,
        requests_per_second integer CHECK (requests_per_second > 0),
        burst integer NOT NULL CHECK (burst > 0),
        tokens_per_minute bigint CHECK (tokens_per_minute > 0),
        concurrency integer CHECK (concurrency > 0),
        user_requests_per_second integer CHECK (user_requests_per_second > 0),
        user_burst integer NOT NULL CHECK (user_burst > 0),
        user_tokens_per_minute bigint CHECK (user_tokens_per_minute > 0),
        user_concurrency integer CHECK (user_concurrency > 0),
        min_output_tokens integer NOT NULL CHECK (min_output_tokens > 0),
        max_output_tokens integer CHECK (max_output_tokens > 0),
        ceiling jsonb NOT NULL,
        updated_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS billing.allowed_models (
        org_id uuid PRIMARY KEY,
        model_ids uuid[],
        ceiling_ids uuid[],
        updated_at timestamptz NOT NULL DEFAULT now()
    )
    """,
)

OWNED = ("budgets", "user_budgets", "limits", "allowed_models")
MINE = (
    "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid OR current_setting('app.everywhere', true) = 'on'"
)

UPDATED = "When it was last changed"
COMMENTS = {
    "budgets": (
        "Monthly budgets of organisations",
        {
            "org_id": "The organisation",
            "monthly_tokens": "Tokens a month (UTC) of all members together; null is none, said on purpose",
            "ceiling_tokens": "The most that the organisation may give itself: what the platform gave; null is no end",
            "user_monthly_tokens": "Tokens a month of a member without a budget of their own; null is none",
            "updated_at": UPDATED,
        },
    ),
    "user_budgets": (
        "Monthly budgets of single members",
        {
            "org_id": "The organisation",
            "user_id": "The member",
            "monthly_tokens": "Tokens a month (UTC); null is none, said on purpose",
            "updated_at": UPDATED,
        },
    ),
    "limits": (
        "Rate limits of organisations; null is none, said on purpose",
        {
            "org_id": "The organisation",
            "requests_per_second": "Requests a second of all members together",
            "burst": "Requests that may come at once",
            "tokens_per_minute": "Tokens a minute of all members together",
            "concurrency": "Requests under way of all members together",
            "user_requests_per_second": "Requests a second of each member",
            "user_burst": "Requests of a member that may come at once",
            "user_tokens_per_minute": "Tokens a minute of each member",
            "user_concurrency": "Requests under way of each member",
            "min_output_tokens": "Near the end of a budget the output limit is cut down to this, not further",
            "max_output_tokens": "Output limit of a request that gives none, where it is less than the model''s own",
            "ceiling": "The limits that the platform gave, which the organisation itself may only lower",
            "updated_at": UPDATED,
        },
    ),
    "allowed_models": (
        "Which models an organisation may call",
        {
            "org_id": "The organisation",
            "model_ids": "The models; null is every model",
            "ceiling_ids": "Those that the platform gave, for the organisation to choose from; null is every model",
            "updated_at": UPDATED,
        },
    ),
}


def policies() -> list[str]:
    """Each organisation sees its own rows; the platform sees all."""
    statements = []
    for table in OWNED:
        statements += [
            f"ALTER TABLE billing.{table} ENABLE ROW LEVEL SECURITY",
            f"ALTER TABLE billing.{table} FORCE ROW LEVEL SECURITY",
            f"DROP POLICY IF EXISTS own_rows ON billing.{table}",
            f"CREATE POLICY own_rows ON billing.{table} USING ({MINE}) WITH CHECK ({MINE})",
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON billing.{table} TO ias_app",
        ]
    return statements


def comments() -> list[str]:
    statements = []
    for table, (about, columns) in COMMENTS.items():
        statements.append(f"COMMENT ON TABLE billing.{table} IS '{about}'")
        statements += [f"COMMENT ON COLUMN billing.{table}.{name} IS '{text}'" for name, text in columns.items()]
    return statements


UP = (*TABLES, *policies(), *comments())

DOWN = ("DROP TABLE IF EXISTS billing.allowed_models, billing.limits, billing.user_budgets, billing.budgets",)


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
