"""The HTML door of plans: what a policy file would do, before it is pushed."""

from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from ias.console.visit import Visit
from ias.gitops.plans import queries
from ias.gitops.plans.answers import Asked
from ias.gitops.repositories.domain import FILE
from ias.identity import Permission, requires
from ias.identity.values import Principal
from ias.problems import Problem

_PLAN = "gitops/plans/plan.html"


class PlanPages(Controller):
    """What a policy file would do."""

    path = "/orgs/{org_id:uuid}/gitops/plan"
    include_in_schema = False

    @get(guards=[requires(Permission.GITOPS_READ)])
    async def form(self, visit: NamedDependency[Visit]) -> Response[bytes]:
        """The form."""
        return visit.show(_PLAN, {"plan": None, "of_repository": False, "file": FILE})

    @post(status_code=200, guards=[requires(Permission.GITOPS_READ)])
    async def plan(
        self, visit: NamedDependency[Visit], principal: NamedDependency[Principal], org_id: FromPath[UUID]
    ) -> Response[bytes]:
        """What a file would change of the organisation, whom that blocks now, and what stands against it."""
        values: dict[str, object] = {"plan": None, "of_repository": False, "file": FILE}
        try:
            asked = visit.form.made(Asked, document=visit.form.secret("document"), org_id=org_id)
            values["plan"] = await queries.proposed(principal, asked)
        except Problem as problem:
            return visit.refused(problem).show(_PLAN, values)
        return visit.show(_PLAN, values)
