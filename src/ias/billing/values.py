"""The values of billing that others compute with: nothing here reads or writes anything."""

from ias.billing.alerts.domain import Alert
from ias.billing.budgets.domain import BudgetStanding, MemberStanding
from ias.billing.policies.domain import (
    AboveCeiling,
    Budget,
    Mode,
    Rate,
    RateLimits,
    TokenRate,
    Tokens,
    check_ceiling,
    check_limits,
    within,
)
from ias.billing.terms.domain import Ceiling, Request, Terms, Use

__all__ = [
    "AboveCeiling",
    "Alert",
    "Budget",
    "BudgetStanding",
    "Ceiling",
    "MemberStanding",
    "Mode",
    "Rate",
    "RateLimits",
    "Request",
    "Terms",
    "TokenRate",
    "Tokens",
    "Use",
    "check_ceiling",
    "check_limits",
    "within",
]
