"""The JSON door of plans: what a policy file would do, and what a policy file may say."""

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from ias.gitops.documents.schema import schema
from ias.gitops.plans import queries
from ias.gitops.plans.answers import Asked, AskedReplay, Proposal
from ias.gitops.plans.queries import BadPolicy, WhichOrganisation
from ias.gitops.plans.replay import Replayed
from ias.identity import PUBLIC, Permission, requires
from ias.identity.values import Principal
from ias.problems import NotFound, raising


class PlanApi(Controller):
    """What a policy file would do."""

    path = "/gitops"
    tags = ("gitops",)

    @post("/plan", status_code=200, guards=[requires(Permission.GITOPS_READ)], opt=raising(NotFound, WhichOrganisation))
    async def plan(self, principal: NamedDependency[Principal], data: JSONBody[Asked]) -> Proposal:
        """What a file would change of an organisation, whom that blocks now, and what stands against it."""
        return await queries.proposed(principal, data)

    @post(
        "/replay",
        status_code=200,
        guards=[requires(Permission.GITOPS_READ)],
        opt=raising(BadPolicy, NotFound, WhichOrganisation),
    )
    async def replay(self, principal: NamedDependency[Principal], data: JSONBody[AskedReplay]) -> Replayed:
        """How many requests of the last days a file would have refused, and whose: the ledger, replayed against it."""
        return await queries.replayed(principal, data)

    @get("/schema", opt={PUBLIC: True})
    async def schema(self) -> dict[str, object]:
        """The JSON Schema of policy files, for editors."""
        return schema()
