"""Reading the ledger."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from ias.billing.catalogue.domain import written
from ias.billing.tables import LedgerLines
from ias.db import EVERYWHERE, transaction
from ias.identity import Principal

Place = tuple[UUID, int]
"""Request and line."""

_SETTLED = """
SELECT request_id, line FROM unnest($1::uuid[], $2::integer[]) AS asked (request_id, line)
WHERE EXISTS (SELECT FROM billing.ledger_seen s WHERE (s.request_id, s.line) = (asked.request_id, asked.line))
   OR EXISTS (SELECT FROM billing.quarantine q WHERE (q.request_id, q.line) = (asked.request_id, asked.line))
"""

_USED = """
SELECT user_id, sum(prompt_tokens + completion_tokens)::bigint AS tokens FROM billing.spend
WHERE period = $1 AND org_id = $2 GROUP BY user_id
"""


class LedgerLine(msgspec.Struct, kw_only=True):
    """Line 1 of a request, or a numbered adjustment, whose tokens are differences. `cost` is money, exact."""

    request_id: UUID
    line: int
    period: str
    org_id: UUID
    user_id: UUID
    key_id: UUID
    model: str
    endpoint: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    cost: str
    outcome: str
    estimated: bool
    lower_bound: bool
    streamed: bool
    status: int
    started_at: datetime
    settled_at: datetime
    created_at: datetime


class LedgerLineList(msgspec.Struct):
    """Lines of one request, or an organisation's newest."""

    items: list[LedgerLine]


async def lines(principal: Principal, request_id: UUID | None, org_id: UUID | None, limit: int) -> LedgerLineList:
    """Lines that the caller may see: of one request in their order, or the newest.

    Raises:
        NotFound: `org_id` is not the caller's organisation.
    """
    scope = principal if org_id is None else principal.within(org_id)
    query = LedgerLines.select(*LedgerLines.all_columns(exclude=[LedgerLines.model_id, LedgerLines.rate_id]))
    if scope.org_id is not None:
        query = query.where(LedgerLines.org_id == scope.org_id)
    if request_id is None:
        query = query.order_by(LedgerLines.settled_at, ascending=False)
    else:
        query = query.where(LedgerLines.request_id == request_id).order_by(LedgerLines.line)
    async with transaction(scope):
        rows = await query.limit(limit)
    return LedgerLineList(items=[msgspec.convert({**row, "cost": written(row["cost"])}, LedgerLine) for row in rows])


async def settled(places: Sequence[Place]) -> set[Place]:
    """Those that are in the ledger, or set aside in quarantine: the outbox need not keep them."""
    async with transaction(EVERYWHERE) as connection:
        rows = await connection.fetch(_SETTLED, [place[0] for place in places], [place[1] for place in places])
    return {(row["request_id"], row["line"]) for row in rows}


async def used(org_id: UUID, period: str) -> dict[UUID, int]:
    """Tokens that an organisation's members have used in a month, by the ledger."""
    async with transaction(EVERYWHERE) as connection:
        return {row["user_id"]: row["tokens"] for row in await connection.fetch(_USED, period, org_id)}
