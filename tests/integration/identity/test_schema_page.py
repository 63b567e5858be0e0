"""docs/schema.md says what the database says of itself; `nox -s manual` writes it."""

import os
from pathlib import Path

from scripts.manual import relations

PAGE = Path(__file__).resolve().parents[3] / "docs" / "schema.md"


async def test_the_schema_page_is_that_of_the_database_and_every_column_has_a_comment(database_url: str) -> None:
    page = await relations.page(database_url)
    if os.environ.get("IAS_TEST_SCHEMA_PAGE") == "write":
        PAGE.write_text(page)
    assert PAGE.read_text() == page, "run `.venv/bin/nox -s manual`"
    assert [line for line in page.splitlines() if line.endswith("|  |")] == []
