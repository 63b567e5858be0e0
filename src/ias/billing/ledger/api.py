"""The JSON door of the ledger."""

from uuid import UUID

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromQuery

from ias.billing.ledger import queries
from ias.billing.ledger.lines import LedgerLineList
from ias.identity import Permission, Principal, requires
from ias.paging import DEFAULT_LIMIT, Limit
from ias.problems import NotFound, raising


class LedgerApi(Controller):
    """Lines of the ledger: of the caller's organisation; of all, for system admins."""

    path = "/ledger"
    tags = ("ledger",)

    @get("/lines", guards=[requires(Permission.USAGE_READ)], opt=raising(NotFound))
    async def lines(
        self,
        principal: NamedDependency[Principal],
        request_id: FromQuery[UUID | None] = None,
        org_id: FromQuery[UUID | None] = None,
        limit: Limit = DEFAULT_LIMIT,
    ) -> LedgerLineList:
        """The lines of one request in their order, or the newest ones."""
        return await queries.lines(principal, request_id, org_id, limit)
