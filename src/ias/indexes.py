"""Indexes on tables that are in use: built while rows are written, for migrations that are no transaction."""

from ias.db import ENGINE

LOCK_TIMEOUT = "2s"
"""How long a migration waits for a lock on a table: whoever asks for one after it waits as long, readers too."""

_KIND = "SELECT relkind::text AS kind FROM pg_class WHERE oid = '{table}'::regclass"
_HYPERTABLES = "SELECT to_regclass('timescaledb_information.hypertables') IS NOT NULL AS there"
_HYPERTABLE = """
SELECT FROM timescaledb_information.hypertables
WHERE format('%I.%I', hypertable_schema, hypertable_name)::regclass = '{table}'::regclass
"""
_PARTS = """
SELECT c.oid::regclass::text AS part, left(format('%s_%s', c.relname, '{index}'), 63) AS name, n.nspname AS schema
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE i.inhparent = '{table}'::regclass AND NOT EXISTS (
    SELECT FROM pg_index x JOIN pg_inherits a ON a.inhrelid = x.indexrelid
    WHERE x.indrelid = c.oid AND a.inhparent = to_regclass('{schema}.{index}')
)
"""


async def build(table: str, index: str, what: str, where: str = "true") -> None:
    """Build `index` on `what`, such as `(org_id, day)`, of `schema.table`; one that is there is left as it is.

    PostgreSQL builds none concurrently on a partitioned table, nor TimescaleDB on a hypertable: there it is built part
    by part, and what is written to one part waits while that one is built, on a hypertable only.
    """
    kind = (await ENGINE.run_ddl(_KIND.format(table=table)))[0]["kind"]
    if kind == "p":
        await _by_partition(table, index, f"{what} WHERE {where}")
    elif await _is_hypertable(table):
        of = f"{table} {what} WITH (timescaledb.transaction_per_chunk) WHERE {where}"
        await ENGINE.run_ddl(f"CREATE INDEX IF NOT EXISTS {index} ON {of}")
    else:
        await ENGINE.run_ddl(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {index} ON {table} {what} WHERE {where}")


async def _by_partition(table: str, index: str, what: str) -> None:
    """On the whole first, without its parts: partitions that are made from now on have it from the start."""
    await briefly(f"CREATE INDEX IF NOT EXISTS {index} ON ONLY {table} {what}")
    schema = table.partition(".")[0]
    for row in await ENGINE.run_ddl(_PARTS.format(table=table, index=index, schema=schema)):
        await ENGINE.run_ddl(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {row['name']} ON {row['part']} {what}")
        await briefly(f"ALTER INDEX {schema}.{index} ATTACH PARTITION {row['schema']}.{row['name']}")


async def briefly(statement: str) -> None:
    """Run what locks a table for a moment, which must not wait for the lock longer than others can bear."""
    async with ENGINE.transaction(allow_nested=False):
        await ENGINE.run_ddl(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
        await ENGINE.run_ddl(statement)


async def _is_hypertable(table: str) -> bool:
    if not (await ENGINE.run_ddl(_HYPERTABLES))[0]["there"]:
        return False
    return bool(await ENGINE.run_ddl(_HYPERTABLE.format(table=table)))
