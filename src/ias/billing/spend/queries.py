"""Reading what an organisation spent in a month. The sums were kept in the transactions of the lines, and are exact."""

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import asyncpg
import msgspec

from ias.billing.catalogue.prices import written
from ias.billing.spend.domain import Spend, SpendBy, SpendItem, Totals
from ias.db import lookup, transaction
from ias.identity import Principal, tenant
from ias.problems import NotFound
from ias.telemetry import now

_NOTHING = Decimal(0)
_COLUMNS = {SpendBy.MODEL: "model", SpendBy.USER: "user_id", SpendBy.KEY: "key_id"}

_SPEND = """
SELECT {column} AS "group", grouping({column}) = 1 AS whole, coalesce(sum(requests), 0)::bigint AS requests,
       coalesce(sum(prompt_tokens), 0)::bigint AS prompt_tokens,
       coalesce(sum(completion_tokens), 0)::bigint AS completion_tokens,
       coalesce(sum(cached_tokens), 0)::bigint AS cached_tokens, coalesce(sum(cost), 0) AS cost
FROM billing.spend WHERE org_id = $1 AND period = $2 GROUP BY GROUPING SETS (({column}), ()) ORDER BY whole, 1
"""

_COSTS = "SELECT period, cost FROM billing.org_spend WHERE org_id = $1 AND period = ANY($2)"

# Of each key the newest month alone is read: its index begins with the key, and a key may be years old.
_KEYS = """
SELECT asked.id, max(coalesce(s.last_used_at, s.updated_at)) AS last_used_at,
       coalesce(sum(s.prompt_tokens + s.completion_tokens) FILTER (WHERE s.period = $2), 0)::bigint AS spent_tokens
FROM unnest($1::uuid[]) AS asked (id)
CROSS JOIN LATERAL (SELECT period FROM billing.spend WHERE key_id = asked.id ORDER BY period DESC LIMIT 1) AS newest
JOIN billing.spend s ON s.key_id = asked.id AND s.period = newest.period
GROUP BY asked.id
"""


async def spend(principal: Principal, org_id: UUID, period: str | None, group_by: SpendBy) -> Spend:
    """What an organisation spent in a month, this one where none is given.

    Raises:
        NotFound: it is not the caller's organisation.
    """
    scope, month = principal.within(org_id), period or f"{now():%Y%m}"
    if await tenant(org_id) is None:
        raise NotFound("no such organisation")
    column = _COLUMNS[group_by]
    async with transaction(scope) as connection:
        *groups, whole = await connection.fetch(_SPEND.format(column=column), org_id, month)
    items = [msgspec.convert({**_sums(row), column: row["group"]}, SpendItem) for row in groups]
    return Spend(period=month, group_by=group_by, items=items, totals=msgspec.convert(_sums(whole), Totals))


async def costs(principal: Principal, org_id: UUID, periods: Collection[str]) -> dict[str, str]:
    """What an organisation spent in each of these months, YYYYMM: money, exact; 0 where nothing was.

    Raises:
        NotFound: it is not the caller's organisation.
    """
    async with transaction(principal.within(org_id)) as connection:
        spent = {row["period"]: row["cost"] for row in await connection.fetch(_COSTS, org_id, list(periods))}
    return {period: written(spent.get(period, _NOTHING)) for period in periods}


async def key_use(keys: Collection[UUID]) -> dict[UUID, tuple[datetime, int]]:
    """When each key was last admitted and the tokens that it spent this month, by the ledger; who asks may see them.

    A key that was never used is left out.
    """
    async with lookup() as connection:
        rows = await connection.fetch(_KEYS, list(keys), f"{now():%Y%m}")
    return {row["id"]: (row["last_used_at"], row["spent_tokens"]) for row in rows}


def _sums(row: asyncpg.Record) -> dict[str, object]:
    tokens = row["prompt_tokens"] + row["completion_tokens"]
    named = {name: row[name] for name in ("requests", "prompt_tokens", "completion_tokens", "cached_tokens")}
    return {**named, "total_tokens": tokens, "cost": written(row["cost"])}
