"""docs/commands.md: what runs and operates the processes, `ias` and `ias-gateway`, with every option."""

import argparse
from collections.abc import Iterator

import rich_click as click

from ias.cli import ias
from ias.terminal.manual import leaves
from ias_gateway.__main__ import _parser
from scripts.manual.json_types import cell

_OPENING = """# Commands of the processes

`ias` starts and operates the platform's processes and speaks to PostgreSQL and Redis itself; it is for those who run
it. `ias-gateway` is the gateway. Both are told everything else by the environment ([settings](settings.md)). People
administer with [`ias-admin`](cli.md), a client of the API. The programs make this page: `nox -s manual` writes it.

Exit codes: 0 done; 1 failed, or something is wrong (`ias doctor`); 2 not understood; 9 PostgreSQL or Redis does not
answer.
"""


def page() -> str:
    """The page."""
    return "\n".join([_OPENING.rstrip(), *_ias(), *_gateway()]) + "\n"


def _ias() -> Iterator[str]:
    for context in leaves(click.Context(ias, info_name="ias")):
        own = [param for param in context.command.params if param.name != "help"]
        arguments = [param.make_metavar(context) for param in own if isinstance(param, click.Argument)]
        name = context.command_path.replace(" ".join(arguments), "").strip()
        yield from ("", f"## {' '.join([name, *arguments])}", "", (context.command.help or "").strip())
        rows = [option.get_help_record(context) for option in own if isinstance(option, click.Option)]
        yield from _table([row for row in rows if row is not None])


def _gateway() -> Iterator[str]:
    parser = _parser()
    yield from ("", "## ias-gateway", "", parser.description or "")
    yield from _table(
        [
            (f"{'/'.join(one.option_strings)} {one.metavar or ''}".strip(), str(one.help))
            for one in parser._actions  # noqa: SLF001 - argparse has no other way to ask
            if one.help != argparse.SUPPRESS and one.dest != "help"
        ]
    )


def _table(rows: list[tuple[str, str]]) -> Iterator[str]:
    if rows:
        yield from ("", "| option | |", "| --- | --- |")
        yield from (f"| `{cell(taken)}` | {cell(said)} |" for taken, said in rows)
