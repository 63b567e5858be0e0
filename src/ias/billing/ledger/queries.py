"""Reading the ledger."""

from collections.abc import Collection, Sequence
from functools import partial
from uuid import UUID

import msgspec

from ias.billing.catalogue.prices import written
from ias.billing.ledger.lines import LedgerLine, LedgerLineList, LineRate
from ias.billing.tables import LedgerLines, Rates
from ias.contract.amends import Known
from ias.db import EVERYWHERE, transaction
from ias.identity import Principal
from ias.quarantine import Quarantine

Place = tuple[UUID, int]
"""Request and line."""

MOST_LINES = 1000
"""Of one request; more than two or three it never has."""

QUARANTINE = Quarantine("billing", partial(transaction, EVERYWHERE))
"""What could not be taken in."""

_OPEN = """
SELECT number - 1 AS index FROM unnest($1::uuid[], $2::integer[]) WITH ORDINALITY AS asked (request_id, line, number)
WHERE NOT EXISTS (SELECT FROM billing.ledger_seen s WHERE (s.request_id, s.line) = (asked.request_id, asked.line))
  AND NOT EXISTS (SELECT FROM billing.quarantine q WHERE (q.request_id, q.line) = (asked.request_id, asked.line))
"""

_USED = """
SELECT user_id, sum(prompt_tokens + completion_tokens)::bigint AS tokens FROM billing.spend
WHERE period = $1 AND org_id = $2 GROUP BY user_id
"""

_TOLD = """
SELECT request_id, max(line) AS line, bool_or(line = 1 AND lower_bound) AS lower_bound,
    sum(prompt_tokens)::bigint AS prompt, sum(completion_tokens)::bigint AS completion,
    sum(cached_tokens)::bigint AS cached
FROM billing.ledger_lines WHERE request_id = ANY($1) GROUP BY request_id
"""


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


async def lines_of(principal: Principal, request_id: UUID) -> list[LedgerLine]:
    """Every line of one request that the caller may see, in their order."""
    return (await lines(principal, request_id, None, MOST_LINES)).items


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


async def told_so_far(requests: Sequence[UUID]) -> dict[UUID, Known]:
    """The lines of these requests so far, summed up, for telling a second truth from a contradiction.

    Raises:
        DatabaseDown: PostgreSQL does not answer.
    """
    if not requests:
        return {}
    async with transaction(EVERYWHERE) as connection:
        return {row["request_id"]: Known.of(row) for row in await connection.fetch(_TOLD, requests)}
