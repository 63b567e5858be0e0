"""Row-level security: with every filter left out, PostgreSQL shows an organisation nothing but its own, in any schema.

What is looked at is what the catalogue has, so that a table of tomorrow is looked at too.
"""

from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest

from tests.integration.identity.catalogue import A, B, Table, attempt, reached, scope, with_a_row_of_each
from tests.integration.identity.conftest import Org
from tests.services import Services

NOBODYS = {
    "analytics.engine_daily": "what engines counted of the platform's models",
    "analytics.engine_readings": "what engines counted when they were last read",
    "analytics.platform_daily": "sums of all organisations together",
    "analytics.platform_hourly": "sums of all organisations together",
    "analytics.quarantine": "bodies that could not be read, so that nobody knows whose they are",
    "analytics.usage_seen": "request ids that were taken in",
    "billing.checks": "how the books compared",
    "billing.ledger_seen": "request ids that were taken in",
    "billing.model_backends": "where the platform's models are served",
    "billing.models": "the platform's models",
    "billing.quarantine": "bodies that could not be read, so that nobody knows whose they are",
    "billing.rates": "what the platform's models cost",
    "billing.route_debts": "changes of models that Redis has not confirmed",
    "gitops.repositories": "where policies of organisations are kept; several organisations may share one",
    "identity.permissions": "what the code asks for",
    "identity.repeats": "by the caller's id and a digest of what only they know",
    "identity.role_permissions": "what each role may do",
    "identity.roles": "sets of permissions",
    "public.migration": "what has been applied",
}
"""Tables without an organisation, each with what it is for; every other table must say whose its rows are."""


@pytest.fixture
async def owner(services: Services, migrated: str) -> AsyncIterator[asyncpg.Connection]:
    """A database of the test's own, as somebody whom no policy binds."""
    with services.database(migrated) as url:
        connection = await asyncpg.connect(url)
        await connection.execute("SELECT analytics.open_month(now()), billing.open_period(to_char(now(), 'YYYYMM'))")
        yield connection
        await connection.close()


async def owned(connection: asyncpg.Connection) -> list[Table]:
    return [table for table in await reached(connection) if table.owner]


async def leaks(connection: asyncpg.Connection, table: Table) -> list[str]:
    """What organisation A sees of B in a table and can do to it, with the filter left out; and what nobody sees."""
    ours, theirs = f"{table.owner} = '{A}'", f"{table.owner} <> '{A}'"
    found = []
    async with with_a_row_of_each(connection, table):
        for org, everywhere, rows in ((A, "", 1), (B, "", 1), ("", "", 0), ("", "on", 2)):
            await scope(connection, org, everywhere)
            seen = await attempt(connection, f"SELECT FROM {table.name}")
            found += [] if seen in {f"SELECT {rows}", "denied"} else [f"{org or everywhere or 'nobody'}: {seen}"]
        await scope(connection, A)
        for statement, harmless in (
            (table.insert(B), {"denied"}),
            (f"UPDATE {table.name} SET {table.owner} = {table.owner}", {"denied", "UPDATE 1"}),
            (f"UPDATE {table.name} SET {table.owner} = '{B}' WHERE {ours}", {"denied"}),
            (f"UPDATE {table.name} SET {table.owner} = '{A}' WHERE {theirs}", {"denied", "UPDATE 0"}),
            (f"DELETE FROM {table.name}", {"denied", "DELETE 1"}),
        ):
            done = await attempt(connection, statement)
            found += [] if done in harmless else [f"{statement}: {done}"]
    return found


async def test_an_organisation_reads_and_writes_its_own_rows_alone_in_every_table(owner: asyncpg.Connection) -> None:
    tables = await owned(owner)
    assert {name.partition(".")[0] for name in (table.name for table in tables)} >= {"identity", "billing", "analytics"}
    assert {table.name: found for table in tables if (found := await leaks(owner, table))} == {}


_MINE = "current_setting('app.org_id', true) = org_id::text OR current_setting('app.everywhere', true) = 'on'"
_ENABLED = "ALTER TABLE billing.leaky ENABLE ROW LEVEL SECURITY"
_FORCED = "ALTER TABLE billing.leaky FORCE ROW LEVEL SECURITY"
_POLICY = f"CREATE POLICY own_rows ON billing.leaky USING ({_MINE})"


@pytest.mark.parametrize(
    ("protection", "held"),
    [
        ((), False),
        ((_FORCED, _POLICY), False),
        ((_ENABLED, _POLICY), False),
        ((_ENABLED, _FORCED, f"{_POLICY} WITH CHECK (true)"), False),
        ((_ENABLED, _FORCED, _POLICY), True),
    ],
    ids=["at all", "enabled", "forced", "of what is written", "and with all of it not"],
)
async def test_a_table_is_found_out_that_is_added_without_protection(
    owner: asyncpg.Connection, protection: tuple[str, ...], held: bool
) -> None:
    await owner.execute("CREATE TABLE billing.leaky (id uuid PRIMARY KEY, org_id uuid NOT NULL, said text NOT NULL)")
    await owner.execute("GRANT SELECT, INSERT, UPDATE ON billing.leaky TO ias_app")
    for statement in protection:
        await owner.execute(statement)
    [table] = [table for table in await owned(owner) if table.name == "billing.leaky"]
    assert (table.forced and await leaks(owner, table) == []) == held


async def test_every_table_with_an_organisation_forces_row_level_security(owner: asyncpg.Connection) -> None:
    assert [table.name for table in await owned(owner) if not table.forced] == []


async def test_no_way_leads_to_a_part_of_a_table_past_the_policy_of_the_whole(owner: asyncpg.Connection) -> None:
    [events] = [table for table in await owned(owner) if table.name == "analytics.usage_events"]
    async with with_a_row_of_each(owner, events):
        parts = [table.name for table in await owned(owner) if not table.forced]
    # TimescaleDB's chunks have names that no query of ours has; a filter that is left out is left out of the whole.
    assert [name for name in parts if not name.startswith("_timescaledb_internal.")] == []


async def test_every_table_says_whose_its_rows_are_or_is_known_to_be_nobodys(owner: asyncpg.Connection) -> None:
    assert {table.name for table in await reached(owner) if not table.owner} == set(NOBODYS)


async def test_what_organisations_left_in_the_database_is_seen_by_nobody_else(
    database_url: str, org: Org, foreign: Org
) -> None:
    org.user.key()
    foreign.user.key()
    connection = await asyncpg.connect(database_url, server_settings={"role": "ias_app", "app.org_id": org.id})
    try:
        for table in await owned(connection):
            rows = await connection.fetch(f"SELECT DISTINCT {table.owner}::text AS org FROM {table.name}")
            assert {row["org"] for row in rows} <= {org.id}, table.name
    finally:
        await connection.close()


async def test_a_key_cannot_belong_to_somebody_elses_member(database_url: str, org: Org, foreign: Org) -> None:
    connection = await asyncpg.connect(database_url)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await connection.execute(
            "INSERT INTO identity.api_keys (org_id, user_id, label, prefix, fingerprint) VALUES ($1, $2, 'x', 'x', $3)",
            org.id,
            foreign.user.id,
            uuid4().hex * 2,
        )
    await connection.close()


async def test_every_table_and_column_is_commented(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    silent = await connection.fetch(
        "SELECT c.relname, a.attname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
        " WHERE n.nspname = 'identity' AND c.relkind IN ('r', 'p') AND col_description(c.oid, a.attnum) IS NULL"
    )
    assert silent == []
    mute = await connection.fetch(
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = 'identity' AND c.relkind IN ('r', 'p') AND obj_description(c.oid, 'pg_class') IS NULL"
    )
    assert mute == []
    await connection.close()
