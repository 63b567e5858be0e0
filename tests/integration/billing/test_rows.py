"""What holds for every table of billing."""

from tests.integration.billing.ground import Ground

_TABLES = """
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'billing' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
"""


async def test_every_table_with_an_organisation_forces_row_level_security(ground: Ground) -> None:
    owned = "SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'org_id' AND NOT a.attisdropped"
    unforced = f"SELECT c.relname {_TABLES} AND EXISTS ({owned}) AND NOT (c.relrowsecurity AND c.relforcerowsecurity)"

    assert await ground.rows(unforced) == []


async def test_every_table_and_column_is_commented(ground: Ground) -> None:
    columns = "SELECT a.attnum FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
    silent = f"SELECT c.relname {_TABLES} AND (obj_description(c.oid, 'pg_class') IS NULL OR EXISTS ({columns} AND"
    silent += " col_description(c.oid, a.attnum) IS NULL))"

    assert await ground.rows(silent) == []
