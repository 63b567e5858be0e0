"""The face of billing: what gateways are told of it, and the terms of organisations for who brings them to a file's."""

from typing import TYPE_CHECKING

from ias.faces import opened

if TYPE_CHECKING:
    from ias.billing.alerts.actions import write_thresholds
    from ias.billing.alerts.queries import pressing
    from ias.billing.budgets.actions import take_back, write_budget, write_member_budgets
    from ias.billing.budgets.domain import BudgetChanges, DailyUse
    from ias.billing.budgets.queries import member_standing, standing
    from ias.billing.catalogue.actions import write_access
    from ias.billing.catalogue.domain import ModelAccess
    from ias.billing.catalogue.queries import replicas_of_models
    from ias.billing.catalogue.routes import project_routes
    from ias.billing.ledger.lines import LedgerLine
    from ias.billing.ledger.queries import lines_of
    from ias.billing.limits.actions import write_limits
    from ias.billing.policies.projection import project_policy
    from ias.billing.policies.queries import hold
    from ias.billing.projection import prepare_organisation, rebuild
    from ias.billing.spend.queries import costs
    from ias.billing.terms.queries import model_names, requests_since, terms_of, used_of_models
else:
    __getattr__ = opened(__name__, __file__)

__all__ = [
    "BudgetChanges",
    "DailyUse",
    "LedgerLine",
    "ModelAccess",
    "costs",
    "hold",
    "lines_of",
    "member_standing",
    "model_names",
    "prepare_organisation",
    "pressing",
    "project_policy",
    "project_routes",
    "rebuild",
    "replicas_of_models",
    "requests_since",
    "standing",
    "take_back",
    "terms_of",
    "used_of_models",
    "write_access",
    "write_budget",
    "write_limits",
    "write_member_budgets",
    "write_thresholds",
]
