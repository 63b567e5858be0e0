"""Printing what was answered: as a table for people, as JSON, YAML or CSV for programs. Data goes to stdout.

What others wrote may hold what moves the cursor or turns the writing around: nothing of that reaches a terminal.
"""

import contextlib
import csv
import io
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from itertools import chain

import msgspec

from ias.terminal.tables import print_many, print_one, printable, shown, written


class Format(StrEnum):
    """How to print."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    CSV = "csv"


_RISKY = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


def show(things: object, form: Format, columns: Sequence[str] = ()) -> None:
    """Print one thing, or a list of things; `columns` are those of the table.

    Where none are given, it has all of them. One thing is printed with a line for each.
    """
    plain = _plain(things)
    if form is Format.JSON:
        _write(_escaped(msgspec.json.format(msgspec.json.encode(plain), indent=2).decode()))
    elif form is Format.YAML:
        _write(_yaml(plain))
    elif form is Format.CSV:
        _write(_csv(_rows(plain), columns))
    elif isinstance(plain, dict):
        _for_people(lambda: print_one(plain, columns))
    else:
        rows = _rows(plain)
        _for_people(lambda: print_many(rows, columns or _names(rows)))


def named(parts: Mapping[str, Sequence[object]]) -> list[dict[str, object]]:
    """All things of lists that have names, each with the name of its list."""
    return [{"name": name, **row} for name, things in parts.items() for row in _rows(_plain(things))]


def say(message: str) -> None:
    """Tell a person something beside the data: it goes to stderr."""
    with contextlib.suppress(BrokenPipeError):
        sys.stderr.write("".join(char if char == "\n" else shown(char) for char in message) + "\n")


def line(text: str) -> None:
    """Print one line of data as it is."""
    _write(text)


def close() -> None:
    """Hand over what was printed; whoever reads it may have enough of it."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _stop()


def _stop() -> None:
    """Nobody reads on: end quietly.

    Raises:
        SystemExit: always, as a success.
    """
    # Python itself flushes stdout when it ends, and would complain.
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(0)


def _write(text: str) -> None:
    try:
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
    except BrokenPipeError:
        _stop()


def _plain(things: object) -> object:
    if isinstance(things, Iterable) and not isinstance(things, str | bytes | dict | msgspec.Struct):
        return msgspec.to_builtins(list(things), enc_hook=str)
    return msgspec.to_builtins(things, enc_hook=str)


def _rows(plain: object) -> list[dict[str, object]]:
    many = plain if isinstance(plain, list) else [plain]
    return [row if isinstance(row, dict) else {"value": row} for row in many]


def _names(rows: Sequence[dict[str, object]]) -> list[str]:
    return list(dict.fromkeys(chain.from_iterable(rows)))


def _for_people(show_it: Callable[[], None]) -> None:
    try:
        show_it()
    except SystemExit:
        # That is what rich makes of a pipe that nobody reads on.
        _stop()


def _escaped(text: str) -> str:
    """JSON that means the same and is printable."""
    return "".join(char if char == "\n" or char.isprintable() else _escape(char) for char in text)


def _escape(char: str) -> str:
    halves = char.encode("utf-16-be").hex()
    return "".join(f"\\u{halves[start : start + 4]}" for start in range(0, len(halves), 4))


def _csv(rows: Sequence[dict[str, object]], columns: Sequence[str]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, _names(rows) or columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _safe(value) for name, value in row.items()})
    return out.getvalue()


def _safe(value: object) -> str:
    """A cell that no spreadsheet runs; numbers stay numbers."""
    text = written(value)
    risky = isinstance(value, str) and text.startswith(_RISKY) and not _NUMBER.fullmatch(text)
    return printable(f"'{text}" if risky else text)


def _yaml(plain: object) -> str:
    text = _dumped(plain, as_it_is=True)
    return text if text.replace("\n", "").isprintable() else _dumped(plain, as_it_is=False)


def _dumped(plain: object, *, as_it_is: bool) -> str:
    # Reading in all of ruamel.yaml takes as long as the rest of a command.
    from ruamel.yaml import YAML  # noqa: PLC0415 - see above

    out = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.allow_unicode = as_it_is
    yaml.dump(plain, out)
    return out.getvalue()
