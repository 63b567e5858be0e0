"""Printing what was answered: as a table for people, as JSON, YAML or CSV for programs. Data goes to stdout."""

import csv
import io
import sys
from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import chain

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text
from ruamel.yaml import YAML


class Format(StrEnum):
    """How to print."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    CSV = "csv"


_RISKY = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""


def show(things: object, form: Format, columns: Sequence[str] = ()) -> None:
    """Print one thing, or a list of things; `columns` are those of the table, all where none are given."""
    if form is Format.JSON:
        _write(msgspec.json.format(msgspec.json.encode(_plain(things)), indent=2).decode())
    elif form is Format.YAML:
        _write(_yaml(_plain(things)))
    elif form is Format.CSV:
        _write(_csv(_rows(things)))
    else:
        _table(_rows(things), columns)


def say(message: str) -> None:
    """Tell a person something beside the data: it goes to stderr."""
    sys.stderr.write(message + "\n")


def _plain(things: object) -> object:
    if isinstance(things, Iterable) and not isinstance(things, str | bytes | dict | msgspec.Struct):
        return msgspec.to_builtins(list(things), enc_hook=str)
    return msgspec.to_builtins(things, enc_hook=str)


def _rows(things: object) -> list[dict[str, object]]:
    plain = _plain(things)
    many = plain if isinstance(plain, list) else [plain]
    return [row if isinstance(row, dict) else {"value": row} for row in many]


def _names(rows: Sequence[dict[str, object]]) -> list[str]:
    return list(dict.fromkeys(chain.from_iterable(rows)))


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return msgspec.json.encode(value).decode() if isinstance(value, dict | list) else str(value)


def _table(rows: Sequence[dict[str, object]], columns: Sequence[str]) -> None:
    # A file or a pipe is not cut off at the width of a terminal that is not there.
    console = Console(width=None if sys.stdout.isatty() else 10_000, highlight=False)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in columns or _names(rows):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(_printable(_cell(row.get(name)))) for name in columns or _names(rows)))
    console.print(table, soft_wrap=not sys.stdout.isatty())


def _printable(text: str) -> str:
    """Without what would move the cursor or turn the writing around."""
    return "".join(char if char.isprintable() else "�" for char in text)


def _csv(rows: Sequence[dict[str, object]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, _names(rows), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _safe(value) for name, value in row.items()})
    return out.getvalue()


def _safe(value: object) -> str:
    """A cell that no spreadsheet runs; numbers stay numbers."""
    text = _cell(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_RISKY) else text


def _yaml(plain: object) -> str:
    out = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.dump(plain, out)
    return out.getvalue()


def _write(text: str) -> None:
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
