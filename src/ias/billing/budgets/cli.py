"""`ias-admin org budget`, `user budget` and `me limits`: tokens a month."""

from uuid import UUID

import rich_click as click

from ias.billing.budgets.domain import BudgetChanges, BudgetStanding, MemberBudget, MemberStanding, OwnLimits
from ias.terminal.arguments import Unlimited, amount, body, changes, org_argument
from ias.terminal.commands import Terminal, command
from ias.terminal.managed import say_managed

COLUMNS = ("period", "monthly_tokens", "used_tokens", "held_tokens", "user_monthly_tokens", "forecast")
MEMBER_COLUMNS = ("user_id", "period", "monthly_tokens", "own", "used_tokens", "held_tokens", "forecast")


@click.group()
def budget() -> None:
    """Tokens a month of an organisation."""


@budget.command()
@org_argument
@command
def show(terminal: Terminal, org_id: UUID | None) -> None:
    """The budget, what is used of it this month, and on which day it ends if that goes on."""
    path = f"/organizations/{terminal.org(org_id)}/budget"
    _show(terminal, terminal.client.get(path, BudgetStanding))


@budget.command("set")
@org_argument
@click.option("--monthly-tokens", type=amount, help="Tokens a month of the whole organisation.")
@click.option("--user-monthly-tokens", type=amount, help="Tokens a month of each member who has no own budget.")
@command
def set_(terminal: Terminal, /, org_id: UUID | None, **options: object) -> None:
    """Change the budget; what is used stays used."""
    asked = changes(options, BudgetChanges)
    path = f"/organizations/{terminal.org(org_id)}/budget"
    if not terminal.would("PATCH", path, asked):
        _show(terminal, terminal.client.send("PATCH", path, asked, BudgetStanding))


def _show(terminal: Terminal, standing: BudgetStanding) -> None:
    terminal.show(standing, *COLUMNS)
    say_managed(standing.managed_by, "budgets", "users")


@click.group("budget")
def member_budget() -> None:
    """Tokens a month of a member."""


@member_budget.command("show")
@click.argument("user_id", type=click.UUID)
@click.option("--org", "org_id", type=click.UUID, help="The member's organisation; yours where left out.")
@command
def show_member(terminal: Terminal, user_id: UUID, org_id: UUID | None) -> None:
    """The budget of a member, and what is used of it this month."""
    path = f"/organizations/{terminal.org(org_id)}/users/{user_id}/budget"
    found = terminal.client.get(path, MemberStanding)
    terminal.show(found, *MEMBER_COLUMNS)
    say_managed(found.managed_by, "users", "budgets")


@member_budget.command("set")
@click.argument("user_id", type=click.UUID)
@click.option("--monthly-tokens", type=amount, required=True, help="Tokens a month, or `none` for no limit.")
@click.option("--org", "org_id", type=click.UUID, help="The member's organisation; yours where left out.")
@command
def set_member(terminal: Terminal, user_id: UUID, monthly_tokens: int | Unlimited, org_id: UUID | None) -> None:
    """Give a member a budget of their own."""
    asked = body({"monthly_tokens": monthly_tokens}, MemberBudget)
    path = f"/organizations/{terminal.org(org_id)}/users/{user_id}/budget"
    if not terminal.would("PUT", path, asked):
        terminal.show(terminal.client.send("PUT", path, asked, MemberBudget))


@click.command("limits")
@command
def own_limits(terminal: Terminal) -> None:
    """Every limit that applies to you, and what is used of the month's tokens."""
    terminal.show(terminal.client.get("/me/limits", OwnLimits))
