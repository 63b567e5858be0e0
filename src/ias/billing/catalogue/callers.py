"""Who may call a model, and who does: what disabling or removing it would stop."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from ias.billing.catalogue.queries import registered
from ias.billing.catalogue.told import Caller, Callers
from ias.db import EVERYWHERE, transaction
from ias.identity import Principal, names, tenants
from ias.telemetry import now

LOOKED_BACK: Final = timedelta(days=1)

ModelUse = Callable[[str, datetime], Awaitable[tuple[int, int, int]]]
"""How many organisations and keys called the model of this name since that midnight (UTC), and how often."""

_LISTS = "SELECT org_id, $1 = ANY(model_ids) AS named FROM billing.allowed_models WHERE model_ids IS NOT NULL"


async def callers(principal: Principal, model_id: UUID, use: ModelUse) -> Callers:
    """Who may call a model, and who did since yesterday began (UTC).

    Raises:
        NotFound: there is none.
    """
    async with transaction(principal) as connection:
        model = await registered(connection, model_id)
    async with transaction(EVERYWHERE) as connection:
        lists = {row["org_id"]: row["named"] for row in await connection.fetch(_LISTS, model_id)}
    there = {org.id for org in await tenants()}
    named = await names([org_id for org_id, has_it in lists.items() if has_it and org_id in there])
    since = now().replace(hour=0, minute=0, second=0, microsecond=0) - LOOKED_BACK  # midnight: usage is summed by day
    organisations, keys, requests = await use(model.name, since)
    return Callers(
        model_id=model.id,
        name=model.name,
        unlisted=len(there - lists.keys()),
        listed=sorted((Caller(org_id, name) for org_id, name in named.items()), key=lambda each: each.name.casefold()),
        since=since,
        organisations=organisations,
        keys=keys,
        requests=requests,
    )
