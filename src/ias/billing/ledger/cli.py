"""`ias-admin ledger`: the lines that every figure can be traced to."""

import rich_click as click

from ias.billing.ledger.lines import LedgerLineList
from ias.terminal.commands import Terminal, command

COLUMNS = ("settled_at", "request_id", "line", "model", "prompt_tokens", "completion_tokens", "cost", "outcome")


@click.group()
def ledger() -> None:
    """The ledger: what each request used and cost."""


@ledger.command()
@click.option("--request", "request_id", type=click.UUID, help="Only of this request, with its adjustments.")
@click.option("--org", "org_id", type=click.UUID, help="Only of this organisation.")
@click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True, help="How many lines at most.")
@command
def lines(terminal: Terminal, /, **query: object) -> None:
    """Lines of one request in their order, or the newest ones."""
    found = terminal.client.get("/ledger/lines", LedgerLineList, query)
    terminal.show_items(found, found.items, *COLUMNS)
