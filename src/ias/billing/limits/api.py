"""The JSON door of rate limits."""

from uuid import UUID

from litestar import Controller, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from ias.billing.limits import actions, queries
from ias.billing.limits.domain import LimitsInForce
from ias.billing.policies.domain import AboveCeiling, BadLimits
from ias.conditions import Changed
from ias.edge import Edge
from ias.identity import Permission, Principal, requires
from ias.problems import raising


class LimitsApi(Controller):
    """How fast and how many at once, of an organisation and of each member."""

    path = "/organizations/{org_id:uuid}/limits"
    tags = ("organizations",)

    @get(guards=[requires(Permission.BUDGETS_READ)])
    async def read(self, principal: NamedDependency[Principal], org_id: FromPath[UUID]) -> LimitsInForce:
        """The limits in force; null is none."""
        return await queries.one(principal, org_id)

    @put(guards=[requires(Permission.BUDGETS_WRITE)], opt=raising(AboveCeiling, BadLimits, Changed))
    async def put(
        self,
        principal: NamedDependency[Principal],
        org_id: FromPath[UUID],
        data: JSONBody[LimitsInForce],
        edge: NamedDependency[Edge],
    ) -> LimitsInForce:
        """Replace the limits; what is left out is the platform's default, null is none.

        What a system admin changes is also the most that the organisation may set; what they send as it is leaves the
        most as it was.
        """
        return await actions.put(principal, org_id, data.lasting(), edge)
