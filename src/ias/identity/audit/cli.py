"""`ias-admin audit`: who did what, and whether the log is as it was written."""

import sys
from collections.abc import Callable
from typing import ParamSpec
from uuid import UUID

import rich_click as click

from ias.identity.access.domain import Source
from ias.identity.audit.domain import Entry, Verification
from ias.terminal.arguments import moment
from ias.terminal.commands import Terminal, command
from ias.terminal.exits import Exit
from ias.terminal.output import line, say
from ias.terminal.progress import counted

P = ParamSpec("P")

COLUMNS = ("created_at", "actor", "action", "target_id", "source", "before", "after")


@click.group()
def audit() -> None:
    """The audit log: of your organisation; all of it, for system admins."""


def _filtered(of: Callable[P, None]) -> Callable[P, None]:
    """A command with the options that choose entries."""
    for option in reversed(_FILTERS):
        of = option(of)
    return of


_FILTERS = (
    click.option("--org", "org_id", type=click.UUID, help="Only of this organisation."),
    click.option("--actor", "actor_id", type=click.UUID, help="Only what this user did."),
    click.option("--target", "target_id", type=click.UUID, help="Only what was done to this."),
    click.option("--action", help="Only this, such as key.issued."),
    click.option(
        "--source", type=click.Choice([source.value for source in Source]), help="Only what came in by this door."
    ),
    click.option("--since", type=moment, help="Only from this moment on, such as 2026-01-31T13:00:00Z."),
    click.option("--until", type=moment, help="Only before this moment."),
)


@audit.command("list")
@_filtered
@command
def listed(terminal: Terminal, /, **filters: object) -> None:
    """Entries, newest first."""
    terminal.show_listed("/audit-logs", Entry, filters, *COLUMNS)


@audit.command()
@click.argument("entry_id", type=click.UUID)
@command
def show(terminal: Terminal, entry_id: UUID) -> None:
    """One entry."""
    terminal.show(terminal.client.get(f"/audit-logs/{entry_id}", Entry))


@audit.command()
@_filtered
@command
def export(terminal: Terminal, /, **filters: object) -> None:
    """Every entry, oldest first, one JSON object a line; keep it elsewhere, and its last hash with it."""
    lines = terminal.client.lines("/audit-logs/export", filters)
    for entry in lines if sys.stdout.isatty() else counted(lines, "exporting"):
        line(entry)


@audit.command()
@click.option("--org", "org_id", type=click.UUID, help="Only of this organisation.")
@command
def verify(terminal: Terminal, org_id: UUID | None) -> None:
    """Check that no entry was changed or lost; names those that were. Ends with 1 where there are any."""
    found = terminal.client.get("/audit-logs/verification", Verification, {"org_id": org_id})
    if found.faults:
        terminal.show(found.faults, "org_id", "seq", "entry_id", "detail")
        say(f"{len(found.faults)} faults in {found.entries} entries of {found.chains} chains")
        raise SystemExit(int(Exit.ERROR))
    say(f"{found.entries} entries of {found.chains} chains are as they were written")
