"""What the processes mount of billing."""

from litestar import Controller

from ias.billing.alerts import examples as alerts
from ias.billing.alerts.api import AlertApi
from ias.billing.alerts.clock import Watch
from ias.billing.alerts.pages import AlertPages
from ias.billing.budgets import examples as budgets
from ias.billing.budgets.api import BudgetApi, OwnLimitsApi
from ias.billing.budgets.pages import BudgetPages, MemberBudgetPages
from ias.billing.catalogue import examples as catalogue
from ias.billing.catalogue.api import ModelAccessApi, ModelApi, RateApi
from ias.billing.catalogue.pages import CallablePages, ModelPages
from ias.billing.catalogue.queries import names as model_names
from ias.billing.catalogue.routes import route_debts
from ias.billing.check.clock import check
from ias.billing.check.counting import count_keys
from ias.billing.check.queries import Check, Other, checks, drifts
from ias.billing.ledger import examples as ledger
from ias.billing.ledger.api import LedgerApi
from ias.billing.ledger.clock import clear, open_periods, relay_again, sweep
from ias.billing.ledger.consumer import INTAKE
from ias.billing.ledger.domain import BadEntry
from ias.billing.ledger.outbox import GROUP, JANITOR
from ias.billing.ledger.queries import QUARANTINE, settled
from ias.billing.ledger.relay import Relay
from ias.billing.limits import examples as limits
from ias.billing.limits.api import LimitsApi
from ias.billing.limits.pages import AccessPages, LimitPages
from ias.billing.playground.pages import PlaygroundPages
from ias.billing.projection import pay_debts, rebuild
from ias.billing.quarantine.domain import event_in
from ias.billing.spend import examples as spend
from ias.billing.spend.api import SpendApi
from ias.billing.spend.clock import sum_up
from ias.billing.spend.clock import tell as tell_use
from ias.billing.spend.figures import of_members, of_orgs
from ias.billing.spend.queries import key_use
from ias.console.navigation import Area, Entry

__all__ = [
    "EXAMPLES",
    "GROUP",
    "INTAKE",
    "JANITOR",
    "NAVIGATION",
    "QUARANTINE",
    "TAGS",
    "BadEntry",
    "Check",
    "Other",
    "Relay",
    "Watch",
    "check",
    "checks",
    "clear",
    "controllers",
    "count_keys",
    "drifts",
    "event_in",
    "key_use",
    "model_names",
    "of_members",
    "of_orgs",
    "open_periods",
    "pages",
    "pay_debts",
    "rebuild",
    "relay_again",
    "route_debts",
    "settled",
    "sum_up",
    "sweep",
    "tell_use",
]

controllers = (ModelApi, RateApi, ModelAccessApi, BudgetApi, OwnLimitsApi, AlertApi, SpendApi, LimitsApi, LedgerApi)

pages: tuple[type[Controller], ...] = (
    ModelPages,
    CallablePages,
    PlaygroundPages,
    BudgetPages,
    MemberBudgetPages,
    LimitPages,
    AccessPages,
    AlertPages,
)

NAVIGATION: tuple[Entry, ...] = (
    Entry("Models", "/orgs/{org_id}/models", "boxes", "models:read", place=12),
    Entry("Playground", "/orgs/{org_id}/playground", "message-square-text", "keys:create", place=15),
    Entry("Budget and limits", "/orgs/{org_id}/budget", "wallet", "budgets:read", place=30),
    Entry("Models", "/models", "boxes", "models:write", place=10, area=Area.PLATFORM),
)

# What the document says of the routes.
TAGS = {"models": "The catalogue of models, and what they cost.", "ledger": "What was used, line by line, and spent."}
EXAMPLES = (
    *catalogue.EXAMPLES,
    *budgets.EXAMPLES,
    *limits.EXAMPLES,
    *alerts.EXAMPLES,
    *ledger.EXAMPLES,
    *spend.EXAMPLES,
)
