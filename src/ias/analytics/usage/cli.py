"""`ias-admin usage`: what was used, by an organisation and on the whole platform."""

from uuid import UUID

import rich_click as click

from ias.analytics.usage.domain import OWNERS, SUMS, Grouping, Usage
from ias.client import Query
from ias.terminal.arguments import moment_there, org_argument
from ias.terminal.commands import Terminal, command
from ias.terminal.installed import installed
from ias.terminal.output import say

group_by = click.option(
    "--group-by",
    type=click.Choice([by.value for by in Grouping]),
    multiple=True,
    help="What the sums are of: day where left out; one of hour, day and month, up to two of the others.",
)
since = click.option(
    "--from", "from", type=moment_there, metavar="MOMENT", help="First hour; the month's where left out."
)
until = click.option("--to", type=moment_there, metavar="MOMENT", help="Before this hour; now where left out.")
zone = click.option("--timezone", help="IANA time zone in which days begin, such as Europe/Berlin; UTC where left out.")


@click.group(cls=installed("ias.admin.usage"))
def usage() -> None:
    """What was used: by an organisation, its members, keys and models, and each request."""


@usage.command()
@org_argument
@group_by
@since
@until
@zone
@click.option("--model", help="Only of this model, by its name.")
@click.option("--user", "user_id", type=click.UUID, help="Only of this member.")
@click.option("--key", "key_id", type=click.UUID, help="Only of this API key.")
@command
def show(terminal: Terminal, /, org_id: UUID | None, **query: object) -> None:
    """What an organisation has used, in whole hours; this month so far where nothing is said."""
    _show(terminal, f"/analytics/orgs/{terminal.org(org_id)}/usage", query)


@usage.command()
@group_by
@since
@until
@zone
@command
def platform(terminal: Terminal, /, **query: object) -> None:
    """What all organisations have used together, by model and time."""
    _show(terminal, "/analytics/system/usage", query)


def _show(terminal: Terminal, path: str, query: Query) -> None:
    found = terminal.client.get(path, Usage, query)
    grouped = [OWNERS.get(by, "start") for by in found.group_by]
    terminal.show_items(found, found.items, *grouped, *SUMS)
    as_of = f"; data as of {found.data_as_of:%Y-%m-%d %H:%M:%S} UTC" if found.data_as_of else ""
    say(f"{found.totals.requests} requests, {found.totals.total_tokens} tokens ({found.timezone}){as_of}")
