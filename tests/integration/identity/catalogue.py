"""What the catalogue of a migrated database knows of its tables, and what the application's role can do to them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg

A, B = "00000000-0000-7000-8000-00000000000a", "00000000-0000-7000-8000-00000000000b"

BY_ANOTHER_NAME = {"identity.organizations": "id", "identity.audit_heads": "chain"}
"""Columns that say whose a row is, where they are not called `org_id`."""

_TABLES = """
SELECT format('%I.%I', n.nspname, c.relname) AS name, c.oid, c.relrowsecurity AND c.relforcerowsecurity AS forced,
    has_schema_privilege('ias_app', n.oid, 'USAGE')
        AND has_table_privilege('ias_app', c.oid, 'SELECT, INSERT, UPDATE, DELETE') AS reached
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1
"""
_COLUMNS = """
SELECT a.attname AS name, format_type(a.atttypid, NULL) AS type, a.attnotnull AND NOT a.atthasdef AS wanted
FROM pg_attribute a
WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attidentity = ''
ORDER BY a.attnum
"""
_CHECKS = "SELECT conname FROM pg_constraint WHERE conrelid = $1 AND contype = 'c' AND coninhcount = 0"
_VALUES = {
    "uuid": "gen_random_uuid()",
    "text": "md5(random()::text)",
    "bytea": "sha256(random()::text::bytea)",
    "boolean": "false",
    "jsonb": "'{}'",
    "timestamp with time zone": "now()",
    "date": "current_date",
}
"""What a column can hold; a number is 1, and a list is empty."""


@dataclass
class Table:
    """One table, by its whole name."""

    name: str
    forced: bool
    columns: dict[str, str]
    wanted: set[str]
    checks: list[str]

    @property
    def owner(self) -> str | None:
        """The column that says whose a row is."""
        return BY_ANOTHER_NAME.get(self.name, "org_id" if "org_id" in self.columns else None)

    def insert(self, org: str) -> str:
        """A row of an organisation."""
        given = {name: _value(name, self.columns[name]) for name in sorted(self.wanted)}
        given[str(self.owner)] = f"'{org}'"
        return f"INSERT INTO {self.name} ({', '.join(given)}) VALUES ({', '.join(given.values())})"


def _value(name: str, kind: str) -> str:
    if name == "period":
        return "to_char(now(), 'YYYYMM')"
    return "'{}'" if kind.endswith("[]") else _VALUES.get(kind, "1")


async def reached(connection: asyncpg.Connection) -> list[Table]:
    """Every table, partition, chunk and view that the application's role gets at, in whatever schema."""
    tables = []
    for row in await connection.fetch(_TABLES):
        if row["reached"]:
            columns = await connection.fetch(_COLUMNS, row["oid"])
            checks = [each["conname"] for each in await connection.fetch(_CHECKS, row["oid"])]
            kinds = {each["name"]: each["type"] for each in columns}
            wanted = {each["name"] for each in columns if each["wanted"]}
            tables.append(Table(row["name"], row["forced"], kinds, wanted, checks))
    return tables


@asynccontextmanager
async def with_a_row_of_each(connection: asyncpg.Connection, table: Table) -> AsyncIterator[None]:
    """Two organisations have a row in the table, whatever else it wants of a row; nothing of it stays."""
    whole = connection.transaction()
    await whole.start()
    try:
        for check in table.checks:
            await connection.execute(f'ALTER TABLE {table.name} DROP CONSTRAINT "{check}"')
        await connection.execute("SET LOCAL session_replication_role = replica")  # no foreign keys, no triggers
        for org in (A, B):
            await connection.execute(table.insert(org))
        await connection.execute("SET LOCAL ROLE ias_app")
        yield
    finally:
        await whole.rollback()


async def scope(connection: asyncpg.Connection, org: str = "", everywhere: str = "") -> None:
    """Say whose rows the transaction is about, as `ias.db.transaction` does."""
    await connection.execute(
        "SELECT set_config('app.org_id', $1, true), set_config('app.everywhere', $2, true)", org, everywhere
    )


async def attempt(connection: asyncpg.Connection, statement: str) -> str:
    """What becomes of a statement: its tag, such as `UPDATE 1`, or `denied`; it is undone."""
    undone = connection.transaction()
    await undone.start()
    try:
        return str(await connection.execute(statement))
    except asyncpg.InsufficientPrivilegeError:
        return "denied"
    finally:
        await undone.rollback()
