"""`ias-admin org alerts`, `org acknowledge` and `org thresholds`."""

from uuid import UUID

import rich_click as click

from ias.billing.alerts.domain import Alert, Thresholds, ThresholdsInForce
from ias.terminal.arguments import body, month, org_argument
from ias.terminal.commands import Terminal, command
from ias.terminal.managed import say_managed

COLUMNS = ("id", "raised_at", "period", "scope", "user_id", "threshold", "used_tokens", "limit_tokens", "cleared_at")


@click.command()
@org_argument
@click.option("--month", "period", type=month, help="Only of this month, such as 2026-01.")
@command
def alerts(terminal: Terminal, org_id: UUID | None, period: str | None) -> None:
    """Budgets that passed a threshold, newest first."""
    path = f"/organizations/{terminal.org(org_id)}/alerts"
    terminal.show_listed(path, Alert, {"period": period}, *COLUMNS)


@click.command()
@click.argument("alert_id", type=click.UUID)
@click.option("--org", "org_id", type=click.UUID, help="The alert's organisation; yours where left out.")
@command
def acknowledge(terminal: Terminal, alert_id: UUID, org_id: UUID | None) -> None:
    """Say that you know of an alert."""
    path = f"/organizations/{terminal.org(org_id)}/alerts/{alert_id}/acknowledge"
    if not terminal.would("POST", path):
        terminal.show(terminal.client.send("POST", path, None, Alert), *COLUMNS, "acknowledged_at")


@click.group()
def thresholds() -> None:
    """At how many per cent of a budget alerts are raised."""


@thresholds.command()
@org_argument
@command
def show(terminal: Terminal, org_id: UUID | None) -> None:
    """The thresholds in force."""
    path = f"/organizations/{terminal.org(org_id)}/alert-thresholds"
    _show(terminal, terminal.client.get(path, ThresholdsInForce))


@thresholds.command("set")
@org_argument
@click.option("--at", "at", type=int, multiple=True, required=True, help="Per cent of a budget; give it several times.")
@command
def set_(terminal: Terminal, org_id: UUID | None, at: tuple[int, ...]) -> None:
    """Replace the thresholds."""
    asked = body({"thresholds": at}, Thresholds)
    path = f"/organizations/{terminal.org(org_id)}/alert-thresholds"
    if not terminal.would("PUT", path, asked):
        _show(terminal, terminal.client.send("PUT", path, asked, ThresholdsInForce))


def _show(terminal: Terminal, found: ThresholdsInForce) -> None:
    terminal.show(found, "thresholds")
    say_managed(found.managed_by, "alert_thresholds")
