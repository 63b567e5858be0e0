"""The ledger: what was seen, the lines by month, the sums, and what could not be taken in."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from ias.db import ENGINE

ID = "billing_0003_ledger"
VERSION = "1.38.0"
DESCRIPTION = "ledger_seen, ledger_lines by month, spend, quarantine"

TABLES = (
    """
    CREATE TABLE IF NOT EXISTS billing.ledger_seen (
        request_id uuid NOT NULL,
        line integer NOT NULL,
        body_hash bytea NOT NULL,
        seen_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (request_id, line)
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS billing.ledger_lines (
        request_id uuid NOT NULL,
        line integer NOT NULL CHECK (line > 0),
        period text NOT NULL,
        org_id uuid NOT NULL,
        user_id uuid NOT NULL,
        key_id uuid NOT NULL,
        model text NOT NULL,
        model_id uuid NOT NULL,
        endpoint text NOT NULL,
        prompt_tokens bigint NOT NULL,
        completion_tokens bigint NOT NULL,
        cached_tokens bigint NOT NULL,
        cost numeric(28, 13) NOT NULL,
        rate_id uuid,
        outcome text NOT NULL,
        estimated boolean NOT NULL,
        lower_bound boolean NOT NULL,
        streamed boolean NOT NULL,
        status integer NOT NULL,
        gateway text NOT NULL,
        started_at timestamptz NOT NULL,
        settled_at timestamptz NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT first_lines_are_not_negative
            CHECK (line > 1 OR (prompt_tokens >= 0 AND completion_tokens >= 0 AND cached_tokens >= 0)),
        PRIMARY KEY (request_id, line, period)
    ) PARTITION BY LIST (period)
    """,
    "CREATE INDEX IF NOT EXISTS ledger_lines_org_settled ON billing.ledger_lines (org_id, settled_at DESC)",
    """
    CREATE TABLE IF NOT EXISTS billing.spend (
        period text NOT NULL,
        org_id uuid NOT NULL,
        user_id uuid NOT NULL,
        key_id uuid NOT NULL,
        model text NOT NULL,
        requests bigint NOT NULL,
        prompt_tokens bigint NOT NULL,
        completion_tokens bigint NOT NULL,
        cached_tokens bigint NOT NULL,
        cost numeric(28, 13) NOT NULL,
        updated_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (period, org_id, user_id, key_id, model)
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS billing.quarantine (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        request_id uuid,
        line integer,
        origin text NOT NULL,
        reason text NOT NULL,
        body bytea NOT NULL,
        body_hash bytea NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        replayed_at timestamptz,
        UNIQUE (body_hash)
    )
    """,
    "CREATE INDEX IF NOT EXISTS quarantine_request ON billing.quarantine (request_id, line)",
)

# The application's role owns nothing; this is the one piece of DDL that it may have done for it.
# ATTACH, unlike CREATE … PARTITION OF, lets others write to the ledger meanwhile.
OPEN_PERIOD = """
CREATE OR REPLACE FUNCTION billing.open_period(wanted text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    part text := 'ledger_lines_' || wanted;
BEGIN
    IF wanted !~ '^20[0-9][0-9](0[1-9]|1[0-2])$' THEN
        RAISE EXCEPTION 'not a month: %', wanted USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF to_regclass('billing.' || part) IS NOT NULL THEN RETURN; END IF;
    PERFORM pg_advisory_xact_lock(hashtext('billing.open_period'));
    -- Not to_regclass: what it remembers is older than the lock.
    PERFORM FROM pg_class WHERE relname = part AND relnamespace = 'billing'::regnamespace;
    IF FOUND THEN RETURN; END IF;
    EXECUTE format('CREATE TABLE billing.%I (LIKE billing.ledger_lines INCLUDING DEFAULTS INCLUDING CONSTRAINTS '
        'INCLUDING COMMENTS)', part);
    EXECUTE format('COMMENT ON TABLE billing.%I IS %L', part, 'Ledger lines of ' || wanted);
    EXECUTE format('ALTER TABLE billing.ledger_lines ATTACH PARTITION billing.%I FOR VALUES IN (%L)', part, wanted);
END $$
"""

GRANTS = (
    "GRANT SELECT, INSERT ON billing.ledger_seen, billing.ledger_lines TO ias_app",
    "GRANT SELECT, INSERT, UPDATE ON billing.spend, billing.quarantine TO ias_app",
    "REVOKE ALL ON FUNCTION billing.open_period(text) FROM PUBLIC",
    "GRANT EXECUTE ON FUNCTION billing.open_period(text) TO ias_app",
)

EVERYWHERE = "current_setting('app.everywhere', true) = 'on'"
MINE = f"org_id = NULLIF(current_setting('app.org_id', true), '')::uuid OR {EVERYWHERE}"
RULES = {"ledger_lines": MINE, "spend": MINE, "quarantine": EVERYWHERE}

TOKENS = {
    "prompt_tokens": "Prompt tokens; a difference on lines above 1",
    "completion_tokens": "Completion tokens; a difference on lines above 1",
    "cached_tokens": "Those prompt tokens that the engine had in its prefix cache; a difference on lines above 1",
}
COMMENTS = {
    "ledger_seen": (
        "Every line that was ever taken in; what is here is not taken in again",
        {
            "request_id": "UUIDv7 that the gateway gave the request",
            "line": "1, or the number of an adjustment",
            "body_hash": "SHA-256 of the event; another hash under the same id goes to quarantine",
            "seen_at": "When",
        },
    ),
    "ledger_lines": (
        "The truth about money: one line 1 for each admitted request, and numbered adjustments; by month",
        {
            "request_id": "UUIDv7 that the gateway gave the request",
            "line": "1, or the number of an adjustment",
            "period": "The month YYYYMM (UTC), fixed at admission",
            "org_id": "The organisation",
            "user_id": "The member",
            "key_id": "The API key",
            "model": "The public name that was called",
            "model_id": "The model in the catalogue",
            "endpoint": "Which of the API",
            **TOKENS,
            "cost": "Money, by the rate that was valid when the request started",
            "rate_id": "That rate; null where the model had none",
            "outcome": "How the request ended",
            "estimated": "Whether tokens were counted by the gateway because the engine said nothing",
            "lower_bound": "Whether tokens come from the last checkpoint of a gateway that was lost",
            "streamed": "Whether the answer was a stream",
            "status": "HTTP status that the caller got; 0 where unknown",
            "gateway": "Which gateway served it",
            "started_at": "When the request was admitted",
            "settled_at": "When Redis settled it",
            "created_at": "When the line was written",
        },
    ),
    "spend": (
        "Sums of the ledger by month, organisation, member, key and model, kept in the transaction of the lines",
        {
            "period": "The month YYYYMM (UTC)",
            "org_id": "The organisation",
            "user_id": "The member",
            "key_id": "The API key",
            "model": "The public name that was called",
            "requests": "How many requests",
            "prompt_tokens": "Prompt tokens",
            "completion_tokens": "Completion tokens",
            "cached_tokens": "Those prompt tokens that the engine had in its prefix cache",
            "cost": "Money",
            "updated_at": "When a line was last added",
        },
    ),
    "quarantine": (
        "Events that could not be taken in, until somebody replays them",
        {
            "id": "UUIDv7",
            "request_id": "The request, where that much could be read",
            "line": "The line, where that much could be read",
            "origin": "Where it came from: outbox or queue",
            "reason": "Why it was not taken in",
            "body": "The event as it came",
            "body_hash": "SHA-256 of the body: the same one is kept once",
            "created_at": "When",
            "replayed_at": "When it was put back",
        },
    ),
}


def rules() -> list[str]:
    """Each organisation sees its own rows; what belongs to none is the platform's."""
    statements = []
    for table, rule in RULES.items():
        statements += [
            f"ALTER TABLE billing.{table} ENABLE ROW LEVEL SECURITY",
            f"ALTER TABLE billing.{table} FORCE ROW LEVEL SECURITY",
            f"DROP POLICY IF EXISTS own_rows ON billing.{table}",
            f"CREATE POLICY own_rows ON billing.{table} USING ({rule}) WITH CHECK ({rule})",
        ]
    return statements


def comments() -> list[str]:
    statements = [
        "COMMENT ON FUNCTION billing.open_period(text) IS 'Makes the partition of a month, YYYYMM, if need be'"
    ]
    for table, (about, columns) in COMMENTS.items():
        statements.append(f"COMMENT ON TABLE billing.{table} IS '{about}'")
        statements += [f"COMMENT ON COLUMN billing.{table}.{name} IS '{text}'" for name, text in columns.items()]
    return statements


UP = (*TABLES, OPEN_PERIOD, *GRANTS, *rules(), *comments())

DOWN = (
    "DROP FUNCTION IF EXISTS billing.open_period(text)",
    "DROP TABLE IF EXISTS billing.quarantine, billing.spend, billing.ledger_lines, billing.ledger_seen",
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
