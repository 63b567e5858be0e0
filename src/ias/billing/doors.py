"""What the processes mount of billing."""

from ias.billing.budgets.api import BudgetApi
from ias.billing.catalogue.api import ModelAccessApi, ModelApi
from ias.billing.ledger.api import LedgerApi
from ias.billing.ledger.clock import clear, measure, open_periods, relay_again, sweep
from ias.billing.ledger.consumer import INTAKE
from ias.billing.ledger.queries import settled
from ias.billing.ledger.relay import Relay
from ias.billing.limits.api import LimitsApi
from ias.billing.projection import pay_debts, rebuild

__all__ = [
    "INTAKE",
    "Relay",
    "clear",
    "controllers",
    "measure",
    "open_periods",
    "pay_debts",
    "rebuild",
    "relay_again",
    "settled",
    "sweep",
]

controllers = (ModelApi, ModelAccessApi, BudgetApi, LimitsApi, LedgerApi)
