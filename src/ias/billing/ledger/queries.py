"""Reading the ledger."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from ias.billing.catalogue.prices import written
from ias.billing.tables import LedgerLines, Rates
from ias.db import EVERYWHERE, transaction
from ias.identity import Principal

Place = tuple[UUID, int]
"""Request and line."""

_OPEN = """
SELECT number - 1 AS index FROM unnest($1::uuid[], $2::integer[]) WITH ORDINALITY AS asked (request_id, line, number)
WHERE NOT EXISTS (SELECT FROM billing.ledger_seen s WHERE (s.request_id, s.line) = (asked.request_id, asked.line))
  AND NOT EXISTS (SELECT FROM billing.quarantine q WHERE (q.request_id, q.line) = (asked.request_id, asked.line))
"""

_USED = """
SELECT user_id, sum(prompt_tokens + completion_tokens)::bigint AS tokens FROM billing.spend
WHERE period = $1 AND org_id = $2 GROUP BY user_id
"""


class LineRate(msgspec.Struct, kw_only=True):
    """What a line was priced by: money per 1,000 tokens, of the rate of the model that began at `valid_from`."""

    id: UUID
    valid_from: datetime
    input_rate: str
    output_rate: str
    cached_input_rate: str


class LedgerLine(msgspec.Struct, kw_only=True):
    """Line 1 of a request, or a numbered adjustment, whose tokens are differences.

    `cost` is money, exact: `cached_tokens` by the rate's `cached_input_rate`, the other prompt tokens by `input_rate`,
    `completion_tokens` by `output_rate`, over 1000. `rate` is null where the model had none, and the line is free.
    """

    request_id: UUID
    line: int
    period: str
    org_id: UUID
    user_id: UUID
    key_id: UUID
    model: str
    model_id: UUID
    endpoint: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    cost: str
    rate: LineRate | None
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
    query = LedgerLines.select()
    if scope.org_id is not None:
        query = query.where(LedgerLines.org_id == scope.org_id)
    if request_id is None:
        query = query.order_by(LedgerLines.settled_at, ascending=False)
    else:
        query = query.where(LedgerLines.request_id == request_id).order_by(LedgerLines.line)
    async with transaction(scope):
        rows = await query.limit(limit)
        rates = await _rates({row["rate_id"] for row in rows})
    return LedgerLineList(
        items=[
            msgspec.convert({**row, "cost": written(row["cost"]), "rate": rates.get(row["rate_id"])}, LedgerLine)
            for row in rows
        ]
    )


async def settled(places: Sequence[Place]) -> set[Place]:
    """Those that are in the ledger, or set aside in quarantine: the outbox need not keep them."""
    async with transaction(EVERYWHERE) as connection:
        rows = await connection.fetch(_OPEN, [place[0] for place in places], [place[1] for place in places])
    return set(places).difference(places[row["index"]] for row in rows)


async def used(org_id: UUID, period: str) -> dict[UUID, int]:
    """Tokens that an organisation's members have used in a month, by the ledger."""
    async with transaction(EVERYWHERE) as connection:
        return {row["user_id"]: row["tokens"] for row in await connection.fetch(_USED, period, org_id)}


async def _rates(ids: Collection[UUID | None]) -> dict[UUID | None, LineRate]:
    """Rates by their ids, inside the caller's transaction."""
    asked = [rate_id for rate_id in ids if rate_id is not None]
    rows = await Rates.select().where(Rates.id.is_in(asked)) if asked else []
    return {
        row["id"]: LineRate(
            id=row["id"],
            valid_from=row["valid_from"],
            input_rate=written(row["input"]),
            output_rate=written(row["output"]),
            cached_input_rate=written(row["cached_input"]),
        )
        for row in rows
    }
