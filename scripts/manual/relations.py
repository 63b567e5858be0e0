"""docs/schema.md: the database's tables and columns, in the words of its own comments."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import asyncpg

from ias.schema import CONTEXTS
from scripts.manual.json_types import cell

_COLUMNS = """
SELECT n.nspname AS schema, c.relname AS relation, obj_description(c.oid, 'pg_class') AS said,
       c.relrowsecurity AND c.relforcerowsecurity AS guarded,
       (SELECT string_agg(a.attname, ', ' ORDER BY k.place)
          FROM pg_index i, unnest(i.indkey) WITH ORDINALITY AS k (number, place)
          JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number
         WHERE i.indrelid = c.oid AND i.indisprimary) AS key,
       a.attname AS field, format_type(a.atttypid, a.atttypmod) AS kind, a.attnotnull AS needed,
       col_description(c.oid, a.attnum) AS meaning
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE n.nspname = ANY ($1) AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
 ORDER BY array_position($1, n.nspname::text), c.relname, a.attnum
"""
_SCHEMAS = "SELECT nspname AS schema, obj_description(oid, 'pg_namespace') AS said FROM pg_namespace"
_OPENING = """# Database schema

PostgreSQL has a schema for each context; no foreign key and no SQL crosses one
([architecture](architecture.md#invariants)). *Guarded* tables have row-level security with FORCE: who asks sees the
rows of their organisation. Ledger lines are partitioned by month; usage events are a hypertable where TimescaleDB is,
and partitioned by month where not. The words are the comments in the database; `nox -s manual` writes this page."""


class _Column(NamedTuple):
    schema: str
    relation: str
    said: str | None
    guarded: bool
    key: str | None
    field: str
    kind: str
    needed: bool
    meaning: str | None


async def page(url: str) -> str:
    """The page, of a database with every migration."""
    connection = await asyncpg.connect(url)
    try:
        columns = [_Column(*row.values()) for row in await connection.fetch(_COLUMNS, list(CONTEXTS))]
        said = {row["schema"]: row["said"] for row in await connection.fetch(_SCHEMAS)}
    finally:
        await connection.close()
    return "\n".join(_lines(columns, said)) + "\n"


def _lines(columns: Sequence[_Column], said: dict[str, str | None]) -> Iterator[str]:
    yield _OPENING
    for schema, within in groupby(columns, lambda column: column.schema):
        yield from ("", f"## {schema}")
        if said[schema]:
            yield from ("", str(said[schema]))
        for relation, fields in groupby(within, lambda column: column.relation):
            yield from _table(f"{schema}.{relation}", list(fields))


def _table(name: str, fields: Sequence[_Column]) -> Iterator[str]:
    first = fields[0]
    yield from ("", f"### {name}", "", (first.said or "").strip(), "")
    key = f"Primary key: {first.key}." if first.key else "No primary key."
    yield from (f"{key} {'Guarded.' if first.guarded else 'Not guarded.'}", "")
    yield from ("| column | type | null | meaning |", "| --- | --- | --- | --- |")
    for one in fields:
        yield f"| `{one.field}` | {one.kind} | {'' if one.needed else 'yes'} | {cell(one.meaning or '')} |"
