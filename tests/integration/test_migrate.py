"""`ias migrate` on tables that are in use: it waits for nobody for long, and builds indexes while rows are written."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from ias import indexes
from ias.db import ENGINE
from ias.migrate import alone, backwards, forwards
from ias.schema import RECORD, Step
from tests.integration.gateway.place import eventually
from tests.services import Services

FILE = """
from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from ias.db import ENGINE

async def up():
    await ENGINE.run_ddl("{up}")

async def down():
    await ENGINE.run_ddl("{down}")

async def forwards():
    manager = MigrationManager(wrap_in_transaction={whole})
    manager.add_raw(up)
    manager.add_raw_backwards(down)
    return manager
"""
BUILD = "CREATE INDEX CONCURRENTLY IF NOT EXISTS things_n ON billing.things (n)"


@pytest.fixture
async def owner(world: Services) -> AsyncIterator[asyncpg.Connection]:
    """A database with one table, which the engine of the migrations is told of."""
    before = ENGINE.config
    with world.database() as url:
        connection = await asyncpg.connect(url)
        await connection.execute(RECORD)
        await connection.execute("CREATE SCHEMA billing")
        await connection.execute("CREATE TABLE billing.things (n integer)")
        ENGINE.config = {"dsn": url}
        yield connection
        await connection.close()
    ENGINE.config = before


def step(folder: Path, up: str, down: str = "SELECT", *, whole: bool = True) -> Step:
    """A migration of these statements."""
    path = folder / "billing_9001_things.py"
    path.write_text(FILE.format(up=up, down=down, whole=whole))
    return Step("billing", path.stem, path)


async def valid(owner: asyncpg.Connection, index: str) -> bool | None:
    """Whether an index is whole; None where there is none of the name."""
    return await owner.fetchval("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1)", index)


async def recorded(owner: asyncpg.Connection) -> int:
    return await owner.fetchval("SELECT count(*) FROM public.migration")


async def test_a_migration_lets_others_pass_while_it_waits_for_a_table(
    owner: asyncpg.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ias.migrate.PAUSE_S", 0.05)
    monkeypatch.setattr("ias.migrate.LOCK_TIMEOUT", "100ms")
    reader, passer = [await asyncpg.connect(ENGINE.config["dsn"]) for _ in range(2)]
    reading = reader.transaction()
    await reading.start()
    await reader.execute("SELECT FROM billing.things")
    migrating = asyncio.create_task(forwards(step(tmp_path, "ALTER TABLE billing.things ADD COLUMN name text")))
    waited = 0
    while waited < 2:
        waited += capsys.readouterr().err.count("billing_9001_things waits for whoever uses the table")
        await passer.execute("INSERT INTO billing.things VALUES (1)", timeout=30)
        assert not migrating.done()
    await reading.rollback()
    await asyncio.wait_for(migrating, 60)
    assert await passer.fetchval("SELECT name FROM billing.things LIMIT 1") is None
    assert await recorded(owner) == 1
    await reader.close()
    await passer.close()


async def test_who_never_lets_go_of_a_table_is_told_of(
    owner: asyncpg.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"PAUSE_S": 0, "LOCK_TIMEOUT": "10ms", "TRIES": 3}.items():
        monkeypatch.setattr(f"ias.migrate.{name}", value)
    async with owner.transaction():
        await owner.execute("LOCK billing.things IN ACCESS SHARE MODE")
        with pytest.raises(Exception, match="others hold on to its table; end long transactions"):
            await forwards(step(tmp_path, "DROP TABLE billing.things"))
    assert await recorded(owner) == 0


async def test_an_index_is_built_while_rows_are_written_and_goes_as_it_came(
    owner: asyncpg.Connection, tmp_path: Path
) -> None:
    built = step(tmp_path, BUILD, "DROP INDEX CONCURRENTLY IF EXISTS billing.things_n", whole=False)
    await forwards(built)
    assert (await valid(owner, "billing.things_n"), await recorded(owner)) == (True, 1)
    await backwards(built)
    assert (await valid(owner, "billing.things_n"), await recorded(owner)) == (None, 0)


async def test_an_index_whose_building_was_broken_off_is_built_anew(owner: asyncpg.Connection, tmp_path: Path) -> None:
    await owner.execute("INSERT INTO billing.things VALUES (1), (1)")
    unique = BUILD.replace("CREATE INDEX", "CREATE UNIQUE INDEX")
    with pytest.raises(asyncpg.UniqueViolationError):
        await forwards(step(tmp_path, unique, whole=False))
    assert (await valid(owner, "billing.things_n"), await recorded(owner)) == (False, 0)
    await owner.execute("DELETE FROM billing.things")
    await forwards(step(tmp_path, unique, whole=False))
    assert (await valid(owner, "billing.things_n"), await recorded(owner)) == (True, 1)


async def test_a_runner_that_waits_for_its_turn_keeps_no_index_from_being_built(
    owner: asyncpg.Connection, tmp_path: Path
) -> None:
    async def second() -> bool | None:
        async with alone(ENGINE.config["dsn"]) as connection:
            return await valid(connection, "billing.things_n")

    async with alone(ENGINE.config["dsn"]):
        waiting = asyncio.create_task(second())
        looks = """SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND query LIKE '%pg_try_advisory_lock%' AND pid <> $1"""
        own = await owner.fetchval("SELECT pg_backend_pid()")

        async def both_look() -> bool:
            return await owner.fetchval(looks, own) == 2

        await eventually(both_look)
        await asyncio.wait_for(forwards(step(tmp_path, BUILD, whole=False)), 60)
        assert not waiting.done()
    assert await asyncio.wait_for(waiting, 60)


async def test_a_partitioned_table_gets_its_index_part_by_part(owner: asyncpg.Connection) -> None:
    await owner.execute("CREATE TABLE billing.parted (n integer, at date) PARTITION BY RANGE (at)")
    for year in (2025, 2026):
        part = f"CREATE TABLE billing.parted_{year} PARTITION OF billing.parted"
        await owner.execute(f"{part} FOR VALUES FROM ('{year}-01-01') TO ('{year + 1}-01-01')")
    await owner.execute("INSERT INTO billing.parted VALUES (1, '2025-05-05'), (2, '2026-05-05')")
    for _ in range(2):
        await indexes.build("billing.parted", "parted_n", "(n)", "n > 0")
    assert await valid(owner, "billing.parted_n")
    assert await owner.fetchval("SELECT count(*) FROM pg_inherits WHERE inhparent = 'billing.parted_n'::regclass") == 2


async def test_an_ordinary_table_and_a_hypertable_get_theirs_too(owner: asyncpg.Connection, world: Services) -> None:
    await indexes.build("billing.things", "things_n", "(n)")
    assert await valid(owner, "billing.things_n")
    world.need("timescale")
    await owner.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
    await owner.execute("CREATE TABLE billing.timed (n integer, at timestamptz NOT NULL)")
    await owner.execute("SELECT create_hypertable('billing.timed', 'at')")
    await owner.execute("INSERT INTO billing.timed VALUES (1, '2025-05-05'), (2, '2026-05-05')")
    for _ in range(2):
        await indexes.build("billing.timed", "timed_n", "(n)", "n > 0")
    assert await valid(owner, "billing.timed_n")
    on_chunks = (
        "SELECT count(*) FROM pg_indexes WHERE schemaname = '_timescaledb_internal' AND indexname LIKE '%timed_n'"
    )
    assert await owner.fetchval(on_chunks) == 2
