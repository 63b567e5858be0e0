"""`ias-admin usage requests` and `trace`: what is known of each request."""

from itertools import islice
from uuid import UUID

import rich_click as click

from ias.analytics.requests.detail import RequestDetail
from ias.analytics.requests.domain import Request
from ias.contract.usage import Outcome
from ias.paging import MAX_LIMIT
from ias.terminal.arguments import moment
from ias.terminal.commands import Terminal, command

COLUMNS = (
    *("started_at", "request_id", "model", "outcome", "status", "prompt_tokens", "completion_tokens"),
    *("first_token_ms", "duration_ms", "tokens_per_second"),
)


@click.command()
@click.option("--org", "org_id", type=click.UUID, help="Only of this organisation.")
@click.option("--model", help="Only of this model, by its name.")
@click.option("--user", "user_id", type=click.UUID, help="Only of this member.")
@click.option("--key", "key_id", type=click.UUID, help="Only of this API key.")
@click.option("--outcome", type=click.Choice([each.value for each in Outcome]), help="Only what ended like this.")
@click.option("--status", type=click.IntRange(0, 999), help="Only of this HTTP status.")
@click.option("--errors", flag_value="true", help="Only what failed, or was answered with 400 and above.")
@click.option("--slower-than-ms", type=click.FloatRange(0), help="Only what took so many milliseconds, or longer.")
@click.option("--from", "from", type=moment, help="Started then or later; thirty days ago where left out.")
@click.option("--to", type=moment, help="Started before; now where left out.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many at most.")
@command
def requests(terminal: Terminal, /, limit: int, **query: object) -> None:
    """Requests, newest first; never what was asked or answered."""
    found = terminal.client.listed("/analytics/requests", Request, {**query, "limit": min(limit, MAX_LIMIT)})
    terminal.show(list(islice(found, limit)), *COLUMNS)


@click.command()
@click.argument("request_id", type=click.UUID)
@command
def trace(terminal: Terminal, request_id: UUID) -> None:
    """One request with its timings and ledger lines."""
    terminal.show(terminal.client.get(f"/analytics/requests/{request_id}", RequestDetail))
