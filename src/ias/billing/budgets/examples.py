"""What the API's document shows of budgets."""

from datetime import date

from ias import acme
from ias.billing.budgets.domain import (
    Basis,
    BudgetChanges,
    BudgetStanding,
    Forecast,
    KeyShare,
    MemberBudget,
    MemberStanding,
    OwnLimits,
    Share,
)
from ias.billing.policies.domain import RateLimits

EXAMPLES = (
    BudgetChanges(monthly_tokens=10_000_000),
    BudgetStanding(
        monthly_tokens=10_000_000,
        user_monthly_tokens=None,
        users={acme.GRACE: 2_000_000},
        period=acme.MONTH,
        used_tokens=8_012_345,
        held_tokens=4_096,
        forecast=Forecast(
            ends_on=date(2026, 1, 19),
            projected_tokens=16_560_000,
            basis=Basis(since=date(2026, 1, 9), tokens=3_780_000, tokens_per_day=540_000),
        ),
    ),
    MemberBudget(monthly_tokens=2_000_000),
    MemberStanding(
        user_id=acme.GRACE,
        monthly_tokens=2_000_000,
        own=True,
        period=acme.MONTH,
        used_tokens=412_903,
        held_tokens=0,
        forecast=Forecast(
            ends_on=None,
            projected_tokens=853_000,
            basis=Basis(since=date(2026, 1, 9), tokens=192_500, tokens_per_day=27_500),
        ),
    ),
    OwnLimits(
        period=acme.MONTH,
        resets_at=acme.MONTH_ENDS,
        organisation=Share(monthly_tokens=10_000_000, used_tokens=8_012_345, held_tokens=4_096),
        user=Share(monthly_tokens=2_000_000, used_tokens=412_903, held_tokens=0),
        keys=[KeyShare(acme.KEY, "laptop", monthly_tokens=1_000_000, used_tokens=20_480, held_tokens=0)],
        rates=RateLimits(),
    ),
)
