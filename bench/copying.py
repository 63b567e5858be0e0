"""Rows into a table, as fast as they come."""

from collections.abc import Iterable
from itertools import islice
from typing import TypeAlias

import asyncpg

Row: TypeAlias = tuple[object, ...]
AT_ONCE = 50_000


async def copy(connection: asyncpg.Connection, table: str, columns: Iterable[str], rows: Iterable[Row]) -> None:
    """Copy rows into a table."""
    schema, _, name = table.partition(".")
    left = iter(rows)
    while some := list(islice(left, AT_ONCE)):
        await connection.copy_records_to_table(name, schema_name=schema, columns=list(columns), records=some)
