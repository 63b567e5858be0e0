"""`ias-admin org`: organisations."""

from urllib.parse import urlencode
from uuid import UUID

import rich_click as click

from ias.identity.orgs.domain import NewOrganisation, Organisation, Status
from ias.terminal.arguments import org_argument
from ias.terminal.commands import Terminal, command
from ias.terminal.installed import installed
from ias.terminal.managed import say_managed
from ias.terminal.output import say

COLUMNS = ("id", "name", "status", "tag", "created_at")


@click.group(cls=installed("ias.admin.org"))
def org() -> None:
    """Organisations: your own; all, for system admins."""


@org.command("list")
@click.option("--search", help="Only whose name has this in it, or whose tag or id it is.")
@click.option("--state", type=click.Choice([status.value for status in Status]), help="Only in this state.")
@command
def listed(terminal: Terminal, search: str | None, state: str | None) -> None:
    """Organisations that you may see."""
    terminal.show_listed("/organizations", Organisation, {"search": search, "state": state}, *COLUMNS)


@org.command()
@org_argument
@command
def show(terminal: Terminal, org_id: UUID | None) -> None:
    """One organisation."""
    found = terminal.client.get(f"/organizations/{terminal.org(org_id)}", Organisation)
    terminal.show(found, *COLUMNS)
    say_managed(found.managed_by, "metadata")


@org.command()
@click.argument("name")
@command
def create(terminal: Terminal, name: str) -> None:
    """Create an organisation."""
    body = NewOrganisation(name)
    if not terminal.would("POST", "/organizations", body):
        terminal.show(terminal.client.send("POST", "/organizations", body, Organisation), *COLUMNS)


@org.command()
@click.argument("org_id", type=click.UUID)
@click.argument("name")
@command
def rename(terminal: Terminal, org_id: UUID, name: str) -> None:
    """Give an organisation another name."""
    body, path = NewOrganisation(name), f"/organizations/{org_id}"
    if not terminal.would("PATCH", path, body):
        terminal.show(terminal.client.send("PATCH", path, body, Organisation), *COLUMNS)


@org.command()
@click.argument("org_id", type=click.UUID)
@click.option("--reason", default="", help="Why; the audit log keeps it.")
@command
def suspend(terminal: Terminal, org_id: UUID, reason: str) -> None:
    """Let nothing of an organisation in."""
    terminal.sure(f"suspend organisation {org_id}, so that none of its requests is served")
    _turn(terminal, f"/organizations/{org_id}/suspend", reason)


@org.command()
@click.argument("org_id", type=click.UUID)
@click.option("--reason", default="", help="Why; the audit log keeps it.")
@command
def resume(terminal: Terminal, org_id: UUID, reason: str) -> None:
    """Let a suspended organisation in again."""
    _turn(terminal, f"/organizations/{org_id}/resume", reason)


@org.command()
@click.argument("org_id", type=click.UUID)
@command
def delete(terminal: Terminal, org_id: UUID) -> None:
    """Remove an organisation with its members and keys; usage and audit log stay."""
    path = f"/organizations/{org_id}"
    terminal.sure(f"remove organisation {org_id} with its members and keys")
    if not terminal.would("DELETE", path):
        terminal.client.do("DELETE", path)
        say("the organisation is removed")


def _turn(terminal: Terminal, path: str, reason: str) -> None:
    path += f"?{urlencode({'reason': reason})}" if reason else ""
    if not terminal.would("POST", path):
        terminal.show(terminal.client.send("POST", path, None, Organisation), *COLUMNS)
