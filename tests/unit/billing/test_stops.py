"""Whom a smaller budget stops at once."""

from datetime import date
from uuid import UUID

import msgspec

from ias.billing.budgets.domain import BudgetChanges, BudgetStanding, Forecast, Stops, stopped

ADA, GRACE, ALAN = (UUID(int=number) for number in range(1, 4))
STANDING = BudgetStanding(
    monthly_tokens=1000,
    user_monthly_tokens=500,
    users={ALAN: 10},
    period="202606",
    used_tokens=700,
    held_tokens=0,
    forecast=Forecast(date(2026, 6, 20), None, None),
)
USED = {ADA: 400, GRACE: 300, ALAN: 0}


def test_what_is_used_and_no_less_is_refused() -> None:
    assert stopped(STANDING, USED, BudgetChanges(monthly_tokens=700)) == Stops(organisation=True)
    assert not stopped(STANDING, USED, BudgetChanges(monthly_tokens=701))


def test_members_are_named_who_go_by_the_rule_for_all() -> None:
    assert stopped(STANDING, USED, BudgetChanges(user_monthly_tokens=300)) == Stops(members=(ADA, GRACE))
    assert stopped(STANDING, USED, BudgetChanges(user_monthly_tokens=0)).members == (ADA, GRACE)


def test_what_stays_and_what_is_taken_away_stops_nobody() -> None:
    assert not stopped(STANDING, USED, BudgetChanges())
    assert not stopped(STANDING, USED, BudgetChanges(monthly_tokens=None, user_monthly_tokens=None))


def test_whoever_is_stopped_already_is_not_named_again() -> None:
    standing = msgspec.structs.replace(STANDING)
    standing.monthly_tokens, standing.user_monthly_tokens = 600, 350
    changes = BudgetChanges(monthly_tokens=500, user_monthly_tokens=200)
    assert stopped(standing, USED, changes) == Stops(members=(GRACE,))


def test_where_there_was_no_budget_a_new_one_may_stop_somebody() -> None:
    standing = msgspec.structs.replace(STANDING)
    standing.monthly_tokens = None
    assert stopped(standing, USED, BudgetChanges(monthly_tokens=1)).organisation
