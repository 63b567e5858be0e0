"""The JSON door of spend."""

from typing import Annotated
from uuid import UUID

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from ias.billing.spend import queries
from ias.billing.spend.domain import Spend, SpendBy
from ias.identity import Permission, Principal, requires

Month = Annotated[
    str | None, QueryParameter(pattern="^20[0-9]{2}(0[1-9]|1[0-2])$", description="A month, YYYYMM (UTC).")
]
"""The query parameter `period`."""


class SpendApi(Controller):
    """What an organisation spent, by the ledger."""

    path = "/organizations/{org_id:uuid}/spend"
    tags = ("ledger",)

    @get(guards=[requires(Permission.USAGE_READ)])
    async def spend(
        self,
        principal: NamedDependency[Principal],
        org_id: FromPath[UUID],
        period: Month = None,
        group_by: FromQuery[SpendBy] = SpendBy.MODEL,
    ) -> Spend:
        """Tokens and money of a month, this one where none is given, by model, user or key."""
        return await queries.spend(principal, org_id, period, group_by)
