"""Reading what an organisation spent in a month. The sums were kept in the transactions of the lines, and are exact."""

from enum import StrEnum
from uuid import UUID

import asyncpg
import msgspec

from ias.billing.catalogue.prices import written
from ias.db import transaction
from ias.identity import Principal, tenant
from ias.problems import NotFound
from ias.telemetry import now


class SpendBy(StrEnum):
    """What the items of an answer are of."""

    MODEL = "model"
    USER = "user"
    KEY = "key"


_COLUMNS = {SpendBy.MODEL: "model", SpendBy.USER: "user_id", SpendBy.KEY: "key_id"}

_SPEND = """
SELECT {column} AS "group", grouping({column}) = 1 AS whole, coalesce(sum(requests), 0)::bigint AS requests,
       coalesce(sum(prompt_tokens), 0)::bigint AS prompt_tokens,
       coalesce(sum(completion_tokens), 0)::bigint AS completion_tokens,
       coalesce(sum(cached_tokens), 0)::bigint AS cached_tokens, coalesce(sum(cost), 0) AS cost
FROM billing.spend WHERE org_id = $1 AND period = $2 GROUP BY GROUPING SETS (({column}), ()) ORDER BY whole, 1
"""


class Totals(msgspec.Struct, kw_only=True):
    """Sums of ledger lines. `cost` is money, exact."""

    requests: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    total_tokens: int
    cost: str


class SpendItem(Totals):
    """Sums of one group; of `model`, `user_id` and `key_id` the one that was grouped by is there."""

    model: str | msgspec.UnsetType = msgspec.UNSET
    user_id: UUID | msgspec.UnsetType = msgspec.UNSET
    key_id: UUID | msgspec.UnsetType = msgspec.UNSET


class Spend(msgspec.Struct, kw_only=True):
    """What was spent in a month, YYYYMM (UTC); `totals` are the sums of the items."""

    period: str
    group_by: SpendBy
    items: list[SpendItem]
    totals: Totals


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


def _sums(row: asyncpg.Record) -> dict[str, object]:
    tokens = row["prompt_tokens"] + row["completion_tokens"]
    named = {name: row[name] for name in ("requests", "prompt_tokens", "completion_tokens", "cached_tokens")}
    return {**named, "total_tokens": tokens, "cost": written(row["cost"])}
