"""What the processes mount of gitops."""

from litestar import Controller

from ias.console.navigation import Entry
from ias.gitops.bindings import examples as bindings
from ias.gitops.bindings.api import BindingApi, WebhookApi
from ias.gitops.bindings.pages import BindingPages
from ias.gitops.plans import examples as plans
from ias.gitops.plans.api import PlanApi
from ias.gitops.plans.pages import PlanPages
from ias.gitops.reconciler.clock import Reconciler
from ias.gitops.reconciler.history import forget
from ias.gitops.repositories.programs import Fetching, fetching

__all__ = ["EXAMPLES", "NAVIGATION", "TAGS", "Fetching", "Reconciler", "controllers", "fetching", "forget", "pages"]

controllers = (BindingApi, PlanApi, WebhookApi)

pages: tuple[type[Controller], ...] = (BindingPages, PlanPages)

NAVIGATION: tuple[Entry, ...] = (Entry("GitOps", "/orgs/{org_id}/gitops", "git-branch", "gitops:read", place=50),)

# What the document says of the routes.
TAGS = {"gitops": "Organisations whose policy lies in a Git repository."}
EXAMPLES = (*bindings.EXAMPLES, *plans.EXAMPLES)
