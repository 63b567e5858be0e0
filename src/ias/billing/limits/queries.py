"""Reading rate limits."""

from uuid import UUID

from ias.billing.limits.domain import LimitsInForce, answered
from ias.billing.policies.domain import RateLimits
from ias.billing.policies.queries import limits_ceiling, limits_of
from ias.db import transaction
from ias.identity import Principal, managed_by, tenant
from ias.problems import NotFound


async def one(principal: Principal, org_id: UUID) -> LimitsInForce:
    """An organisation's limits, or the platform's defaults.

    Raises:
        NotFound: it is not the caller's organisation.
    """
    scope = principal.within(org_id)
    if await tenant(org_id) is None:
        raise NotFound("no such organisation")
    async with transaction(scope) as connection:
        return answered(await limits_of(org_id), await managed_by(connection, org_id))


async def given(principal: Principal, org_id: UUID) -> RateLimits:
    """What the platform gave an organisation at most.

    Raises:
        NotFound: it is not the caller's organisation.
    """
    async with transaction(principal.within(org_id)):
        return await limits_ceiling(org_id)
