"""One request with what it can be traced to."""

from decimal import Decimal

from ias.analytics.requests.domain import Request
from ias.billing import LedgerLine


class RequestDetail(Request, kw_only=True):
    """What is known of one request, and the ledger's lines of it, which its tokens are the sums of."""

    ledger: list[LedgerLine]

    @property
    def cost(self) -> str:
        """The sum of what its lines cost: money, exact."""
        return f"{sum((Decimal(line.cost) for line in self.ledger), Decimal(0)):f}"
