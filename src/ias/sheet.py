"""Answers as CSV, for spreadsheets: rows go out as they are read, and no cell begins a formula."""

import csv
import io
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Final

from litestar import Request
from litestar.datastructures import State
from litestar.response import Stream

from ias.outages import Outage
from ias.problems import Problem

CSV: Final = "text/csv"
JSON: Final = "application/json"
_RISKY = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a spreadsheet takes for the beginning of a formula, or lets one begin."""
_TOGETHER = 1000
"""Rows that are sent at once."""

Cells = Sequence[object]


def provide_as_csv(request: Request[object, object, State]) -> bool:
    """The dependency `as_csv`: whether the caller would rather have CSV than JSON."""
    return request.accept.best_match([JSON, CSV], default=JSON) == CSV


async def sheet(name: str, header: Cells, rows: AsyncIterator[Cells]) -> Stream:
    """The rows as a file of this name.

    What is wrong with them before the first one is raised here; after it, the last line says so.
    """
    first = await anext(rows, None)
    # Litestar's own argument gives way to what the route answers otherwise.
    headers = {"Content-Type": f"{CSV}; charset=utf-8", "Content-Disposition": f'attachment; filename="{name}.csv"'}
    return Stream(_pages(header, first, rows), headers=headers)


async def _pages(header: Cells, first: Cells | None, rows: AsyncIterator[Cells]) -> AsyncIterator[str]:
    page = [header] if first is None else [header, first]
    try:
        async for row in rows:
            page.append(row)
            if len(page) >= _TOGETHER:
                yield _lines(page)
                page = []
    except (Problem, Outage) as error:
        # The status has been sent: what is left is to say that this is not all.
        page.append([f"INCOMPLETE: {error}"])
    if page:
        yield _lines(page)


def _lines(rows: Sequence[Cells]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows([[_cell(value) for value in row] for row in rows])
    return out.getvalue()


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_RISKY) else text
