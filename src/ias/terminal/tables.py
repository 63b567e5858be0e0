"""Tables for people: a line for each of many things, or a line for each field of one, always within the terminal.

What is to be copied is never broken: words, such as ids, stay whole, and one thing's fields are never wrapped. Where
many things' fields do not fit beside each other, each thing is printed as one.
"""

import re
import sys
from collections.abc import Iterator, Sequence

import msgspec
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

Row = dict[str, object]

_WIDEST = 10_000
"""Of a table in a file or a pipe: it is not cut off at the width of a terminal that is not there."""
_GAP = 2
_MOMENT = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})T([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]+)?(?:Z|\+00:00)")


def print_one(row: Row, columns: Sequence[str] = ()) -> None:
    """Print one thing: a line for each field, those of things inside it under both names."""
    fields = [*_flat({name: row.get(name) for name in columns} if columns else row)]
    widest = max((len(name) for name, _ in fields), default=0)
    console = _console()
    for name, value in fields:
        said = cell(value)
        named = (name.ljust(widest), "bold"), "  ", said
        console.print(Text.assemble(*named) if said else Text(name, "bold"), soft_wrap=True)


def print_many(rows: Sequence[Row], columns: Sequence[str]) -> None:
    """Print many things: a line for each, under the names of the columns."""
    console, cells = _console(), [[cell(row.get(name)) for name in columns] for row in rows]
    table = Table(box=None, header_style="bold", pad_edge=False)
    widths = _widths([[*map(_header, columns)], *cells], console.width)
    if widths is None:
        for place, row in enumerate(rows):
            if place:
                console.print()
            print_one(row, columns)
        return
    for name, width in zip(columns, widths, strict=True):
        table.add_column(_header(name), width=width)
    for line in cells:
        table.add_row(*map(Text, line))
    console.print(table)


def cell(value: object) -> str:
    """A value as people read it, with nothing in it that would move the cursor or turn the writing around."""
    items = [_only(item) for item in value] if isinstance(value, list | tuple) else [None]
    if all(isinstance(item, str | int) for item in items):
        return printable(", ".join(map(str, items)))
    moment = _MOMENT.fullmatch(str(value))
    return f"{moment[1]} {moment[2]}Z" if moment else printable(written(value))


def written(value: object) -> str:
    """A value as text; JSON where it holds others."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return msgspec.json.encode(value).decode() if isinstance(value, dict | list | tuple) else str(value)


def printable(text: str) -> str:
    """Without what would move the cursor or turn the writing around."""
    return text if text.isprintable() else "".join(map(shown, text))


def shown(char: str) -> str:
    """A character, or that there was one which must not be printed."""
    return char if char.isprintable() else "�"


def _only(item: object) -> object:
    """What a thing of one field says."""
    return next(iter(item.values())) if isinstance(item, dict) and len(item) == 1 else item


def _widths(lines: Sequence[Sequence[str]], most: int) -> list[int] | None:
    """How wide each column is to be; None where words would have to be broken. The first line is the names."""
    columns = [*zip(*lines, strict=True)]
    widths = [max(map(cell_len, " ".join(said).split()), default=0) for said in columns]
    natural = [max(width, *map(cell_len, said[1:] or said)) for said, width in zip(columns, widths, strict=True)]
    spare = most - sum(widths) - _GAP * (len(widths) - 1)
    if spare < 0:
        return None
    for _ in range(min(spare, sum(natural) - sum(widths))):
        # To whoever lacks most.
        neediest = max(range(len(widths)), key=lambda place: natural[place] - widths[place])
        widths[neediest] += 1
    return widths


def _header(name: str) -> str:
    """Words, which may go into several lines, where a person looks."""
    return name.replace("_", " ") if sys.stdout.isatty() else name


def _flat(row: Row, within: str = "") -> Iterator[tuple[str, object]]:
    for name, value in row.items():
        whole = _header(f"{within}{name}")
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{within}{name}.")
        else:
            yield whole, value


def _console() -> Console:
    """Of stdout as it is now."""
    wide = sys.stdout.isatty()
    return Console(width=None if wide else _WIDEST, highlight=False, soft_wrap=not wide)
