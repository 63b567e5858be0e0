"""Reading terms, many at once, and what was used; inside the caller's transaction."""

from collections.abc import AsyncIterator, Collection, Mapping
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from ias.billing.alerts.domain import DEFAULT_THRESHOLDS
from ias.billing.policies.domain import DEFAULT_BUDGET, DEFAULT_LIMITS, Budget, RateLimits
from ias.billing.terms.domain import Ceiling, Request, Terms, Use
from ias.db import Connection

_AT_ONCE = 5000

_TERMS = """
SELECT asked.org_id, b.org_id IS NOT NULL AS given, b.monthly_tokens, b.user_monthly_tokens, b.ceiling_tokens,
       to_jsonb(l) AS limits, m.org_id IS NOT NULL AS chosen, m.model_ids, m.ceiling_ids, t.thresholds
FROM unnest($1::uuid[]) AS asked (org_id)
LEFT JOIN billing.budgets b USING (org_id) LEFT JOIN billing.limits l USING (org_id)
LEFT JOIN billing.allowed_models m USING (org_id) LEFT JOIN billing.alert_thresholds t USING (org_id)
"""
_MEMBERS = "SELECT org_id, user_id, monthly_tokens FROM billing.user_budgets WHERE org_id = ANY($1)"
_MODELS = "SELECT id, name FROM billing.models WHERE removed_at IS NULL"
_USED = """
SELECT user_id, model, sum(prompt_tokens + completion_tokens)::bigint AS tokens FROM billing.spend
WHERE period = $1 AND org_id = $2 GROUP BY user_id, model
"""
_REQUESTS = """
SELECT user_id, model, period, sum(prompt_tokens + completion_tokens)::bigint AS tokens, min(started_at) AS started_at
FROM billing.ledger_lines
WHERE org_id = $1 AND started_at >= $2 AND period = ANY($3) GROUP BY request_id, user_id, model, period
ORDER BY min(started_at), request_id
"""


async def model_names(connection: Connection) -> dict[UUID, str]:
    """What every model is called."""
    return {row["id"]: row["name"] for row in await connection.fetch(_MODELS)}


async def terms_of(connection: Connection, org_ids: Collection[UUID]) -> dict[UUID, Terms]:
    """The terms of these organisations; where nobody gave any, the platform's defaults."""
    ids, names = list(org_ids), await model_names(connection)
    members: dict[UUID, dict[UUID, int | None]] = {}
    for row in await connection.fetch(_MEMBERS, ids):
        members.setdefault(row["org_id"], {})[row["user_id"]] = row["monthly_tokens"]
    return {
        row["org_id"]: _terms(row, members.get(row["org_id"], {}), names) for row in await connection.fetch(_TERMS, ids)
    }


async def used_of_models(connection: Connection, org_id: UUID, period: str) -> list[Use]:
    """What an organisation's members used of each model in a month, YYYYMM."""
    return [msgspec.convert(dict(row), Use) for row in await connection.fetch(_USED, period, org_id)]


async def requests_since(
    connection: Connection, org_id: UUID, since: datetime, periods: Collection[str]
) -> AsyncIterator[Request]:
    """An organisation's requests that started since then, of these months, in their order."""
    cursor = await connection.cursor(_REQUESTS, org_id, since, list(periods))
    while rows := await cursor.fetch(_AT_ONCE):
        for row in rows:
            yield Request(row["user_id"], row["model"], row["period"], row["tokens"], row["started_at"])


def _terms(row: asyncpg.Record, members: Mapping[UUID, int | None], names: Mapping[UUID, str]) -> Terms:
    budget, most = DEFAULT_BUDGET, DEFAULT_BUDGET.monthly_tokens
    if row["given"]:
        budget = Budget(monthly_tokens=row["monthly_tokens"], user_monthly_tokens=row["user_monthly_tokens"])
        most = row["ceiling_tokens"]
    limits, limits_most = _limits(row["limits"])
    models, models_most = _named(row["model_ids"], names), _named(row["ceiling_ids"], names)
    return Terms(
        budget=budget,
        members=members,
        limits=limits,
        models=models,
        thresholds=tuple(row["thresholds"] or DEFAULT_THRESHOLDS),
        ceiling=Ceiling(most, limits_most, None if models_most is None else frozenset(models_most)),
    )


class _Limits(RateLimits, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """A row of the limits."""

    ceiling: RateLimits


def _limits(text: str | None) -> tuple[RateLimits, RateLimits]:
    """The limits in force, and the ceiling."""
    if text is None:
        return DEFAULT_LIMITS, DEFAULT_LIMITS
    row = msgspec.json.decode(text, type=_Limits)
    fields = {name: getattr(row, name) for name in RateLimits.__struct_fields__}
    return msgspec.convert(fields, RateLimits), row.ceiling


def _named(ids: Collection[UUID] | None, names: Mapping[UUID, str]) -> tuple[str, ...] | None:
    return None if ids is None else tuple(sorted(names[each] for each in ids if each in names))
