"""`ias-admin gitops plan`, `diff` and `replay`: what a policy would do."""

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn
from uuid import UUID

import msgspec
import rich_click as click

from ias.gitops.documents.cli import tell
from ias.gitops.documents.faults import Fault, shown
from ias.gitops.documents.reading import load
from ias.gitops.documents.tree import MOST_BYTES
from ias.gitops.plans.answers import Asked, AskedReplay, Proposal, markdown, markdown_of_faults, text
from ias.gitops.plans.replay import Replayed
from ias.terminal.arguments import org_argument
from ias.terminal.commands import Own, Terminal, command
from ias.terminal.exits import Exit, end
from ias.terminal.output import line, say

_FILE = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
_MARKDOWN = click.option("--markdown", is_flag=True, help="Print Markdown, for the comment of a pull request.")


@click.command()
@_FILE
@click.option("--org", "org_id", type=click.UUID, help="The organisation; yours, or the file's, where left out.")
@_MARKDOWN
@command
def plan(terminal: Terminal, file: Path, org_id: UUID | None, markdown: bool) -> None:  # noqa: FBT001 - click's way
    """What a file would change, and whom that blocks now. Ends with 0 for nothing, 3 for changes, 1 for faults."""
    source = _read(file)
    asked = Asked(document=source, org_id=org_id or _org_of(terminal, file, source, as_markdown=markdown))
    if not terminal.would("POST", "/gitops/plan"):
        proposal = terminal.client.send("POST", "/gitops/plan", asked, Proposal)
        _tell(terminal, proposal, str(file), as_markdown=markdown)


@click.command()
@org_argument
@_MARKDOWN
@command
def diff(terminal: Terminal, org_id: UUID | None, markdown: bool) -> None:  # noqa: FBT001 - click's way
    """What the repository's newest policy would change now. Ends as `plan` does."""
    proposal = terminal.client.get(f"/organizations/{terminal.org(org_id)}/gitops/diff", Proposal)
    _tell(terminal, proposal, "org.yaml", as_markdown=markdown)


@click.command()
@_FILE
@click.option("--org", "org_id", type=click.UUID, help="The organisation; yours, or the file's, where left out.")
@click.option("--days", type=click.IntRange(1, 62), default=30, show_default=True, help="How far to look back.")
@command
def replay(terminal: Terminal, file: Path, org_id: UUID | None, days: int) -> None:
    """How many requests of the last days a file would have refused, and whose."""
    source = _read(file)
    asked = AskedReplay(document=source, org_id=org_id or _org_of(terminal, file, source), days=days)
    if not terminal.would("POST", "/gitops/replay"):
        found = terminal.client.send("POST", "/gitops/replay", asked, Replayed)
        terminal.show_items(found, found.users, "email", "requests", "refused", "reasons", "user_id")
        say(f"{found.refused:,} of {found.requests:,} requests since {found.since:%Y-%m-%d} would have been refused")


class _Named(msgspec.Struct):
    id: UUID
    name: str


def _org_of(terminal: Terminal, file: Path, source: str, *, as_markdown: bool = False) -> UUID:
    """One's own organisation; for system admins, the one that the file is about.

    Raises:
        SystemExit: the file does not say which, or there is no such organisation.
    """
    own = terminal.client.get("/me", Own).org_id
    if own is not None:
        return own
    loaded = load(source.encode())
    if loaded.document is None:
        _end_faulty(terminal, file, loaded.faults, as_markdown=as_markdown)
    name = loaded.document.metadata.name
    found = terminal.client.listed("/organizations", _Named, {"search": name})
    org_id = next((each.id for each in found if each.name == name), None)
    if org_id is None:
        said = f"{file}: no organisation is called {shown(name)}; correct metadata.name, or say which one with --org"
        end(said, Exit.NOT_FOUND)
    return org_id


def _end_faulty(terminal: Terminal, file: Path, faults: Sequence[Fault], *, as_markdown: bool) -> NoReturn:
    if as_markdown:
        for each in markdown_of_faults(faults, str(file)):
            line(each)
    else:
        tell(terminal, [(file, fault) for fault in faults])
    raise SystemExit(int(Exit.ERROR))


def _read(file: Path) -> str:
    with file.open("rb") as opened:
        source = opened.read(MOST_BYTES + 1)
    try:
        return source.decode()
    except UnicodeDecodeError:
        end(f"{file} is not UTF-8", Exit.ERROR)


def _tell(terminal: Terminal, proposal: Proposal, file: str, *, as_markdown: bool) -> None:
    if as_markdown:
        for each in markdown(proposal, file):
            line(each)
    elif terminal.said.output == "table":
        for each in text(proposal, file):
            line(each)
    else:
        terminal.show(proposal)
    if proposal.faults:
        raise SystemExit(int(Exit.ERROR))
    if proposal.changes:
        raise SystemExit(int(Exit.CHANGES))
