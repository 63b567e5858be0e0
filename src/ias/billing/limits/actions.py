"""Changing rate limits; gateways go by them when this returns."""

from uuid import UUID

import msgspec

from ias.billing.limits.domain import LimitsInForce, answered
from ias.billing.policies.domain import RateLimits, check_ceiling, check_limits, moved_ceiling
from ias.billing.policies.projection import project_policy
from ias.billing.policies.queries import hold, limits_ceiling, limits_of
from ias.billing.tables import Limits
from ias.db import transaction
from ias.edge import Edge
from ias.identity import Principal, managed_by, owe, paid, record, tenant
from ias.problems import NotFound
from ias.telemetry import now


async def put(principal: Principal, org_id: UUID, limits: RateLimits, edge: Edge) -> LimitsInForce:
    """Replace an organisation's limits; what is left out is the platform's default, null is none.

    Each limit that the platform itself changes is also the most that the organisation may set from then on.

    Raises:
        NotFound: it is not the caller's organisation.
        BadLimits: they contradict each other.
        AboveCeiling: they are above what the platform gave, and the caller acts for the organisation only.
        EdgeDown: the change holds, but Redis does not know of it yet; the worker keeps trying.
    """
    by, org = principal.within(org_id), await tenant(org_id, removed_too=False)
    if org is None:
        raise NotFound("no such organisation")
    check_limits(limits)
    async with transaction(by) as connection:
        await hold(connection, org_id)
        await write_limits(by, org_id, limits)
        managed, debt = await managed_by(connection, org_id), await owe(org_id)
    await project_policy(org, edge)
    await paid(debt)
    return answered(limits, managed)


async def write_limits(by: Principal, org_id: UUID, limits: RateLimits) -> None:
    """Replace an organisation's limits inside a transaction that holds its policy; raises as `put`."""
    wanted = msgspec.structs.asdict(check_limits(limits))
    in_force, ceiling = await limits_of(org_id), await limits_ceiling(org_id)
    if by.everywhere:
        ceiling = moved_ceiling(ceiling, in_force, limits)
    else:
        check_ceiling(ceiling, limits)
    by.expects(in_force)
    before = msgspec.structs.asdict(in_force)
    await Limits.insert(
        Limits.from_dict({"org_id": org_id, "updated_at": now(), "ceiling": _json(ceiling), **wanted})
    ).on_conflict(
        target=Limits.org_id,
        action="DO UPDATE",
        values=Limits.all_columns(exclude=[Limits.org_id, *([] if by.everywhere else [Limits.ceiling])]),
    )
    changed = [name for name, value in wanted.items() if before[name] != value]
    was, will = {name: before[name] for name in changed}, {name: wanted[name] for name in changed}
    await record(by, "limits.changed", org_id, was, will)


def _json(limits: RateLimits) -> str:
    return msgspec.json.encode(limits).decode()
