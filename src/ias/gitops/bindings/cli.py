"""`ias-admin gitops enable`, `status`, `sync` and the like: which organisation is managed by which repository."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import rich_click as click

from ias.gitops.bindings.domain import Approval, Drift, NewBinding, Run, Status, Suspension
from ias.terminal.arguments import body, org_argument
from ias.terminal.commands import Terminal, command
from ias.terminal.output import say

COLUMNS = ("state", "repository", "branch", "path", "applied_commit", "applied_at", "error", "suspended", "held_for")
_SPAN = re.compile(r"(\d{1,6})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def span(text: str) -> timedelta:
    """A span of time such as 30m, 4h or 2d."""
    match = _SPAN.fullmatch(text)
    if match is None:
        raise click.BadParameter(f"{text!r} is no span of time; write 30m, 4h or 2d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


@click.command()
@click.argument("repository")
@click.option("--org", "org_id", type=click.UUID, help="The organisation; yours where left out.")
@click.option("--branch", default="main", show_default=True, help="The branch that is in force.")
@click.option("--token", "with_token", is_flag=True, help="Ask for a token for https, or read it from standard input.")
@click.option("--ssh-key", type=click.Path(exists=True, path_type=Path), help="A file with a private key for ssh.")
@click.option("--known-hosts", type=click.Path(exists=True, path_type=Path), help="A file with the host's public keys.")
@command
def enable(terminal: Terminal, /, repository: str, org_id: UUID | None, **options: object) -> None:
    """Bind an organisation to a repository: orgs/<its name>/org.yaml is its policy from now on."""
    token = terminal.ask("Token", hidden=True) if options.pop("with_token") else ""
    read = {name: value.read_text() if isinstance(value, Path) else value for name, value in options.items()}
    asked = body({"repository": repository, "token": token, **read}, NewBinding)
    path = f"/organizations/{terminal.org(org_id)}/gitops/enable"
    if not terminal.would("POST", path):
        _show(terminal, terminal.client.send("POST", path, asked, Status))


@click.command()
@org_argument
@command
def disable(terminal: Terminal, org_id: UUID | None) -> None:
    """Leave an organisation to the API; everything stays as it is."""
    path = f"/organizations/{terminal.org(org_id)}/gitops/disable"
    terminal.sure("leave the organisation to the API alone")
    if not terminal.would("POST", path):
        terminal.client.do("POST", path)
        say("Git manages it no more; everything stays as it is")


@click.command()
@org_argument
@command
def status(terminal: Terminal, org_id: UUID | None) -> None:
    """What is in force, what is wrong, what waits; and who is to join, with their links."""
    _show(terminal, terminal.client.get(f"/organizations/{terminal.org(org_id)}/gitops/status", Status))


@click.command()
@org_argument
@command
def sync(terminal: Terminal, org_id: UUID | None) -> None:
    """Have the repository looked at now."""
    _do(terminal, org_id, "sync")


@click.command()
@org_argument
@command
def drift(terminal: Terminal, org_id: UUID | None) -> None:
    """What was changed beside Git, by whom and when, and put back."""
    path = f"/organizations/{terminal.org(org_id)}/gitops/drift"
    columns = ("restored_at", "field", "found", "wanted", "changed_by", "changed_at", "source")
    terminal.show_listed(path, Drift, None, *columns)


@click.command()
@org_argument
@command
def history(terminal: Terminal, org_id: UUID | None) -> None:
    """What Git changed, commit by commit."""
    path = f"/organizations/{terminal.org(org_id)}/gitops/runs"
    terminal.show_listed(path, Run, None, "ran_at", "commit", "author", "subject", "changes")


@click.command()
@org_argument
@click.option("--reason", required=True, help="Why.")
@click.option("--for", "span_", type=span, required=True, help="How long, such as 30m, 4h or 2d; 30d at most.")
@command
def suspend(terminal: Terminal, org_id: UUID | None, reason: str, span_: timedelta) -> None:
    """Leave Git aside in an emergency: changes by the API stay. It ends by itself."""
    _do(terminal, org_id, "suspend", Suspension(reason=reason, until=datetime.now(UTC) + span_))


@click.command()
@org_argument
@command
def resume(terminal: Terminal, org_id: UUID | None) -> None:
    """Go by Git again."""
    _do(terminal, org_id, "resume")


@click.command()
@click.argument("commit")
@click.option("--org", "org_id", type=click.UUID, help="The organisation; yours where left out.")
@command
def approve(terminal: Terminal, commit: str, org_id: UUID | None) -> None:
    """Let a commit through that is held; the status says which, and why."""
    _do(terminal, org_id, "approve", Approval(commit=commit))


def _do(terminal: Terminal, org_id: UUID | None, verb: str, asked: Suspension | Approval | None = None) -> None:
    path = f"/organizations/{terminal.org(org_id)}/gitops/{verb}"
    if not terminal.would("POST", path, asked):
        _show(terminal, terminal.client.send("POST", path, asked, Status))


def _show(terminal: Terminal, found: Status) -> None:
    terminal.show(found, *COLUMNS)
    for fault in found.faults:
        say(fault.said(found.path))
    for person in found.expected:
        say(f"{person.email} is to join as {person.role}: {person.invite_url}")
