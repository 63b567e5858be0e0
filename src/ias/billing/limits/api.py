"""The JSON door of rate limits."""

from uuid import UUID

from litestar import Controller, get, put
from litestar.params import FromPath, JSONBody

from ias.billing.limits import actions, queries
from ias.billing.policies.domain import AboveCeiling, BadLimits, RateLimits
from ias.conditions import Changed
from ias.edge import Edge
from ias.identity import Permission, Principal, requires
from ias.problems import raising


class LimitsApi(Controller):
    """How fast and how many at once, of an organisation and of each member."""

    path = "/organizations/{org_id:uuid}/limits"
    tags = ("organizations",)

    @get(guards=[requires(Permission.BUDGETS_READ)])
    async def read(self, principal: Principal, org_id: FromPath[UUID]) -> RateLimits:
        """The limits in force; null is none."""
        return await queries.one(principal, org_id)

    @put(guards=[requires(Permission.BUDGETS_WRITE)], opt=raising(AboveCeiling, BadLimits, Changed))
    async def put(
        self, principal: Principal, org_id: FromPath[UUID], data: JSONBody[RateLimits], edge: Edge
    ) -> RateLimits:
        """Replace the limits; what is left out is the platform's default, null is none."""
        return await actions.put(principal, org_id, data, edge)
