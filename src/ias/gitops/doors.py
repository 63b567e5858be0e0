"""What the processes mount of gitops."""

from ias.gitops.bindings import examples as bindings
from ias.gitops.bindings.api import BindingApi, WebhookApi
from ias.gitops.plans import examples as plans
from ias.gitops.plans.api import PlanApi
from ias.gitops.reconciler.clock import Reconciler

__all__ = ["EXAMPLES", "TAGS", "Reconciler", "controllers"]

controllers = (BindingApi, PlanApi, WebhookApi)

# What the document says of the routes.
TAGS = {"gitops": "Organisations whose policy lies in a Git repository."}
EXAMPLES = (*bindings.EXAMPLES, *plans.EXAMPLES)
