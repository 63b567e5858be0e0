"""Row-level security: with the filter left out, PostgreSQL still shows an organisation nothing but its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg
import pytest

from tests.integration.identity.conftest import Org

TABLES = {
    "organizations": "id",
    "users": "org_id",
    "invites": "org_id",
    "refresh_tokens": "org_id",
    "api_keys": "org_id",
    "audit_log": "org_id",
}


@asynccontextmanager
async def scoped(url: str, org_id: str = "", everywhere: str = "") -> AsyncIterator[asyncpg.Connection]:
    """A connection as the processes have it."""
    settings = {"role": "ias_app", "app.org_id": org_id, "app.everywhere": everywhere}
    connection = await asyncpg.connect(url, server_settings=settings)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.mark.parametrize("table", TABLES)
async def test_an_organisation_sees_its_own_rows_and_no_others(
    database_url: str, org: Org, foreign: Org, table: str
) -> None:
    org.user.key()
    foreign.user.key()
    async with scoped(database_url, org.id) as connection:
        rows = await connection.fetch(f"SELECT DISTINCT {TABLES[table]}::text AS org FROM identity.{table}")
    assert [row["org"] for row in rows] == [org.id]


@pytest.mark.parametrize("table", TABLES)
async def test_without_a_scope_there_is_nothing_to_see(database_url: str, org: Org, table: str) -> None:
    async with scoped(database_url) as connection:
        assert await connection.fetchval(f"SELECT count(*) FROM identity.{table}") == 0


async def test_the_platform_sees_every_organisation(database_url: str, org: Org, foreign: Org) -> None:
    async with scoped(database_url, everywhere="on") as connection:
        seen = {str(row["id"]) for row in await connection.fetch("SELECT id FROM identity.organizations")}
    assert {org.id, foreign.id} <= seen


async def test_a_row_cannot_be_put_into_a_foreign_organisation(database_url: str, org: Org, foreign: Org) -> None:
    insert = (
        "INSERT INTO identity.api_keys (org_id, user_id, label, prefix, fingerprint)"
        " VALUES ($1, $2, 'x', 'x', repeat('a', 64))"
    )
    async with scoped(database_url, org.id) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await connection.execute(insert, foreign.id, foreign.user.id)
        moved = await connection.execute("UPDATE identity.users SET name = 'moved' WHERE id = $1", foreign.user.id)
    assert moved == "UPDATE 0"


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


async def test_every_table_with_an_organisation_forces_row_level_security(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    open_tables = await connection.fetch(
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'org_id' AND NOT a.attisdropped"
        " WHERE n.nspname = 'identity' AND c.relkind IN ('r', 'p') AND NOT (c.relrowsecurity AND c.relforcerowsecurity)"
    )
    assert open_tables == []
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
