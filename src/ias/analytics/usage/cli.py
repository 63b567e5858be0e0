"""`ias-admin usage`: what an organisation has used."""

from uuid import UUID

import rich_click as click

from ias.analytics.usage.domain import Grouping, Usage
from ias.terminal.arguments import moment, org_argument
from ias.terminal.commands import Terminal, command
from ias.terminal.output import say

_GROUPED = {Grouping.MODEL: "model", Grouping.USER: "user_id", Grouping.KEY: "key_id"}
SUMS = ("requests", "failed", "prompt_tokens", "completion_tokens", "cached_tokens", "total_tokens")


@click.command()
@org_argument
@click.option(
    "--group-by",
    type=click.Choice([by.value for by in Grouping]),
    default=Grouping.DAY.value,
    help="What the sums are of.",
)
@click.option("--from", "from", type=moment, help="First hour; the month's where left out.")
@click.option("--to", type=moment, help="Before this hour; now where left out.")
@click.option("--model", help="Only of this model, by its name.")
@click.option("--user", "user_id", type=click.UUID, help="Only of this member.")
@click.option("--key", "key_id", type=click.UUID, help="Only of this API key.")
@command
def usage(terminal: Terminal, /, org_id: UUID | None, **query: object) -> None:
    """What an organisation has used, in whole hours (UTC); this month so far where nothing is said."""
    path = f"/analytics/orgs/{terminal.org(org_id)}/usage"
    found = terminal.client.get(path, Usage, query)
    terminal.show_items(found, found.items, _GROUPED.get(found.group_by, "start"), *SUMS)
    as_of = f"; data as of {found.data_as_of:%Y-%m-%d %H:%M:%S} UTC" if found.data_as_of else ""
    say(f"{found.totals.requests} requests, {found.totals.total_tokens} tokens{as_of}")
