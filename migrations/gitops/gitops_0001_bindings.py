"""Schema `gitops`: repositories, which organisation is bound to which, what was put into force, and drift."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from ias.db import ENGINE

ID = "gitops_0001_bindings"
VERSION = "1.38.0"
DESCRIPTION = "repositories, bindings, sync_runs, drift"

TABLES = (
    "CREATE SCHEMA IF NOT EXISTS gitops",
    """
    CREATE TABLE IF NOT EXISTS gitops.repositories (
        id uuid PRIMARY KEY,
        url text NOT NULL,
        branch text NOT NULL,
        credential bytea,
        head text NOT NULL DEFAULT '',
        fetched_at timestamptz,
        error text NOT NULL DEFAULT '',
        due_at timestamptz NOT NULL DEFAULT now(),
        failures integer NOT NULL DEFAULT 0,
        fetch_after timestamptz NOT NULL DEFAULT now(),
        created_at timestamptz NOT NULL DEFAULT now(),
        UNIQUE (url, branch)
    )
    """,
    "CREATE INDEX IF NOT EXISTS repositories_due ON gitops.repositories (due_at)",
    """
    CREATE TABLE IF NOT EXISTS gitops.bindings (
        org_id uuid PRIMARY KEY,
        repository_id uuid NOT NULL REFERENCES gitops.repositories (id),
        enabled_by uuid NOT NULL,
        enabled_by_email text NOT NULL,
        enabled_at timestamptz NOT NULL DEFAULT now(),
        state text NOT NULL DEFAULT 'waiting'
            CHECK (state IN ('waiting', 'in-force', 'invalid', 'held', 'missing')),
        commit_seen text NOT NULL DEFAULT '',
        blob_seen text NOT NULL DEFAULT '',
        offered jsonb,
        offered_lines jsonb,
        faults jsonb NOT NULL DEFAULT '[]',
        held_for jsonb NOT NULL DEFAULT '[]',
        approved_commit text NOT NULL DEFAULT '',
        approved_by text NOT NULL DEFAULT '',
        applied_commit text NOT NULL DEFAULT '',
        applied_blob text NOT NULL DEFAULT '',
        applied jsonb,
        applied_lines jsonb,
        applied_by text NOT NULL DEFAULT '',
        applied_at timestamptz,
        suspended_until timestamptz,
        suspended_reason text NOT NULL DEFAULT '',
        suspended_by text NOT NULL DEFAULT ''
    )
    """,
    "CREATE INDEX IF NOT EXISTS bindings_repository ON gitops.bindings (repository_id)",
    """
    CREATE TABLE IF NOT EXISTS gitops.sync_runs (
        id uuid PRIMARY KEY,
        org_id uuid NOT NULL,
        commit text NOT NULL,
        author text NOT NULL,
        subject text NOT NULL,
        changes jsonb NOT NULL,
        ran_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    "CREATE INDEX IF NOT EXISTS sync_runs_newest ON gitops.sync_runs (org_id, id DESC)",
    """
    CREATE TABLE IF NOT EXISTS gitops.drift (
        id uuid PRIMARY KEY,
        org_id uuid NOT NULL,
        field text NOT NULL,
        wanted jsonb,
        found jsonb,
        commit text NOT NULL,
        changed_by uuid,
        changed_by_email text NOT NULL,
        changed_at timestamptz NOT NULL,
        source text NOT NULL,
        restored_at timestamptz NOT NULL DEFAULT now(),
        UNIQUE (org_id, field, changed_at)
    )
    """,
    "CREATE INDEX IF NOT EXISTS drift_newest ON gitops.drift (org_id, id DESC)",
)

GRANTS = (
    "GRANT USAGE ON SCHEMA gitops TO ias_app",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON gitops.repositories, gitops.bindings TO ias_app",
    "GRANT SELECT, INSERT ON gitops.sync_runs, gitops.drift TO ias_app",
)

OWNED = ("bindings", "sync_runs", "drift")
MINE = (
    "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid OR current_setting('app.everywhere', true) = 'on'"
)

COMMENTS = {
    "repositories": (
        "Branches of repositories that organisations are bound to",
        {
            "id": "UUIDv7",
            "url": "Where it is, without any secret",
            "branch": "The branch that is in force",
            "credential": "What opens it, sealed with a key that follows from IAS_JWT_SECRET",
            "head": "The newest commit that was fetched",
            "fetched_at": "When it was last fetched",
            "error": "Why it could not be fetched the last time; empty where it could",
            "due_at": "When it is to be looked at next; whoever wants it sooner sets it to now",
            "failures": "How often in a row it could not be fetched",
            "fetch_after": "Not fetched before, so that one that cannot be had is tried more and more rarely",
            "created_at": "When the first organisation was bound to it",
        },
    ),
    "bindings": (
        "Organisations that are managed by Git",
        {
            "org_id": "The organisation; its file is orgs/<its name>/org.yaml",
            "repository_id": "The repository and branch",
            "enabled_by": "Who bound it, and in whose name invites are made",
            "enabled_by_email": "Their address",
            "enabled_at": "When",
            "state": "waiting; in-force; invalid, held, missing: the last good policy stays in force",
            "commit_seen": "The newest commit that was looked at",
            "blob_seen": "The file in it",
            "offered": "The newest policy that could be read, in force or held",
            "offered_lines": "The line of each of its parts",
            "faults": "What is wrong with the newest file",
            "held_for": "Why it waits for a system admin",
            "approved_commit": "The commit that a system admin has let through",
            "approved_by": "Who did",
            "applied_commit": "The commit in force",
            "applied_blob": "The file in it",
            "applied": "The policy in force, which is kept up against changes by the API",
            "applied_lines": "The line of each of its parts",
            "applied_by": "The author of that commit, as it says",
            "applied_at": "When it was put into force",
            "suspended_until": "Until when Git is left aside; null or past where it is not",
            "suspended_reason": "Why",
            "suspended_by": "Who said so",
        },
    ),
    "sync_runs": (
        "What was changed by Git, a row for each organisation and time that anything was",
        {
            "id": "UUIDv7",
            "org_id": "The organisation",
            "commit": "The commit that was put into force",
            "author": "Its author, as it says",
            "subject": "The first line of its message",
            "changes": "Fields with their values before and after",
            "ran_at": "When",
        },
    ),
    "drift": (
        "Changes by pages, CLI or API of what Git manages, each once; they were put back",
        {
            "id": "UUIDv7",
            "org_id": "The organisation",
            "field": "Where it is in the file",
            "wanted": "What Git says, and what it is again",
            "found": "What it had been changed to",
            "commit": "The commit in force",
            "changed_by": "Who changed it",
            "changed_by_email": "Their address",
            "changed_at": "When",
            "source": "By which door",
            "restored_at": "When it was put back",
        },
    ),
}


def policies() -> list[str]:
    """Each organisation sees its own rows; the platform sees all."""
    statements = []
    for table in OWNED:
        statements += [
            f"ALTER TABLE gitops.{table} ENABLE ROW LEVEL SECURITY",
            f"ALTER TABLE gitops.{table} FORCE ROW LEVEL SECURITY",
            f"DROP POLICY IF EXISTS own_rows ON gitops.{table}",
            f"CREATE POLICY own_rows ON gitops.{table} USING ({MINE}) WITH CHECK ({MINE})",
        ]
    return statements


def comments() -> list[str]:
    statements = ["COMMENT ON SCHEMA gitops IS 'Organisations managed by Git'"]
    for table, (about, columns) in COMMENTS.items():
        statements.append(f"COMMENT ON TABLE gitops.{table} IS '{about}'")
        statements += [f"COMMENT ON COLUMN gitops.{table}.{name} IS '{text}'" for name, text in columns.items()]
    return statements


UP = (*TABLES, *GRANTS, *policies(), *comments())

DOWN = (
    "DROP TABLE IF EXISTS gitops.drift, gitops.sync_runs, gitops.bindings, gitops.repositories",
    "DROP SCHEMA IF EXISTS gitops",
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
