"""`ias-admin gitops validate` and `gitops schema`: what can be said of a policy file without a server."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import rich_click as click

from ias.gitops.documents.faults import Fault, shown, whole
from ias.gitops.documents.reading import load
from ias.gitops.documents.schema import written
from ias.gitops.documents.tree import MOST_BYTES
from ias.identity.values import folded
from ias.terminal.commands import Terminal, command
from ias.terminal.exits import Exit
from ias.terminal.output import line, say

FILE = "org.yaml"
FOLDER = "orgs"


class Finding(msgspec.Struct, frozen=True):
    """A fault, with its file."""

    file: str
    line: int
    column: int
    path: str
    detail: str


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@command
def validate(terminal: Terminal, paths: tuple[Path, ...]) -> None:
    """Check policy files, or all of a folder's; without PATHS those of `orgs`. Needs no server and no login."""
    files = [file for path in paths or (Path(FOLDER),) for file in _files(path)]
    found = [(file, fault) for file in files for fault in _faults(file)]
    tell(terminal, found)
    if found or not files:
        say(f"{len(found)} faults in {len(files)} files" if files else f"there is no {FILE} here")
        raise SystemExit(int(Exit.ERROR))
    say(f"{len(files)} files are well")


@click.command()
@command
def schema(_: Terminal) -> None:
    """Print the JSON Schema of policy files; editors complete and check by it."""
    line(written())


def tell(terminal: Terminal, found: Sequence[tuple[Path, Fault]]) -> None:
    """Print faults: each as a line that editors and terminals turn into a link, or as data."""
    if terminal.said.output == "table":
        for file, fault in found:
            line(fault.said(str(file)))
    else:
        terminal.show([_finding(file, fault) for file, fault in found])


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.rglob("*.[yY][aA][mM][lL]") if file.name.casefold() == FILE)
    return [path] if path.exists() or path.is_symlink() else []


def _faults(file: Path) -> tuple[Fault, ...]:
    if file.is_symlink() or not file.is_file():
        return (whole("is a symbolic link or a folder; a policy is a file"),)
    with file.open("rb") as opened:
        source = opened.read(MOST_BYTES + 1)
    whose = file.resolve().parent
    if whose.parent.name != FOLDER:
        return load(source).faults
    return (*_misplaced(file, whose), *load(source, whose.name).faults)


def _misplaced(file: Path, whose: Path) -> Iterator[Fault]:
    """What keeps the file of a folder of policies from being seen as one."""
    if file.name != FILE:
        yield whole(f"must be called {FILE}")
    twins = (each.name for each in whose.parent.iterdir() if folded(each.name) == folded(whose.name))
    other = next((name for name in sorted(twins) if name != whose.name), None)
    if other is not None:
        yield whole(f"{shown(whose.name)} and {shown(other)} differ in case or spelling alone; keep one of them")


def _finding(file: Path, fault: Fault) -> Finding:
    return Finding(str(file), fault.line, fault.column, fault.path, fault.detail)
