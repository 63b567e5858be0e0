"""What the processes mount of billing."""

from ias.billing.alerts.api import AlertApi
from ias.billing.alerts.clock import Watch
from ias.billing.budgets.api import BudgetApi, OwnLimitsApi
from ias.billing.catalogue.api import ModelAccessApi, ModelApi, RateApi
from ias.billing.catalogue.routes import route_debts
from ias.billing.check.clock import check
from ias.billing.check.queries import Check, Other, checks, drifts
from ias.billing.ledger.api import LedgerApi
from ias.billing.ledger.clock import clear, open_periods, relay_again, sweep
from ias.billing.ledger.consumer import INTAKE
from ias.billing.ledger.domain import BadEntry
from ias.billing.ledger.outbox import GROUP
from ias.billing.ledger.queries import QUARANTINE, settled
from ias.billing.ledger.relay import Relay
from ias.billing.limits.api import LimitsApi
from ias.billing.projection import pay_debts, rebuild
from ias.billing.quarantine.domain import event_in
from ias.billing.spend.api import SpendApi

__all__ = [
    "GROUP",
    "INTAKE",
    "QUARANTINE",
    "BadEntry",
    "Check",
    "Other",
    "Relay",
    "Watch",
    "check",
    "checks",
    "clear",
    "controllers",
    "drifts",
    "event_in",
    "open_periods",
    "pay_debts",
    "rebuild",
    "relay_again",
    "route_debts",
    "settled",
    "sweep",
]

controllers = (ModelApi, RateApi, ModelAccessApi, BudgetApi, OwnLimitsApi, AlertApi, SpendApi, LimitsApi, LedgerApi)
