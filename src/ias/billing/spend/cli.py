"""`ias-admin org spend`: tokens and money of a month."""

from uuid import UUID

import rich_click as click

from ias.billing.spend.domain import Spend, SpendBy
from ias.terminal.arguments import month, org_argument
from ias.terminal.commands import Terminal, command
from ias.terminal.output import say

COLUMNS = ("model", "user_id", "key_id")
SUMS = ("requests", "prompt_tokens", "completion_tokens", "cached_tokens", "total_tokens", "cost")


@click.command()
@org_argument
@click.option("--month", "period", type=month, help="Which month, such as 2026-01; this one where left out.")
@click.option(
    "--group-by",
    type=click.Choice([by.value for by in SpendBy]),
    default=SpendBy.MODEL.value,
    help="What the sums are of.",
)
@command
def spend(terminal: Terminal, org_id: UUID | None, period: str | None, group_by: str) -> None:
    """What an organisation spent in a month, by the ledger."""
    path = f"/organizations/{terminal.org(org_id)}/spend"
    found = terminal.client.get(path, Spend, {"period": period, "group_by": group_by})
    grouped = COLUMNS[list(SpendBy).index(SpendBy(group_by))]
    terminal.show_items(found, found.items, grouped, *SUMS)
    totals = found.totals
    say(f"in {found.period}: {totals.total_tokens} tokens of {totals.requests} requests, {totals.cost}")
