"""Reading rate limits."""

from uuid import UUID

from ias.billing.policies.domain import RateLimits
from ias.billing.policies.queries import limits_of
from ias.db import transaction
from ias.identity import Principal, tenant
from ias.problems import NotFound


async def one(principal: Principal, org_id: UUID) -> RateLimits:
    """An organisation's limits, or the platform's defaults.

    Raises:
        NotFound: it is not the caller's organisation.
    """
    scope = principal.within(org_id)
    if await tenant(org_id) is None:
        raise NotFound("no such organisation")
    async with transaction(scope):
        return await limits_of(org_id)
