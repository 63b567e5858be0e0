"""What organisations have used this month, as gauges: of the largest each by itself, the others together; and that sum.

A series for each organisation and member would grow without bound; what is beyond the largest is in pages and API.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

import asyncpg
from loguru import logger
from prometheus_client import Gauge

from ias.billing.policies.domain import DEFAULT_BUDGET
from ias.db import EVERYWHERE, snapshot, transaction
from ias.identity import names
from ias.telemetry import now

LARGEST: Final = 50
"""Organisations, and members, that have series of their own."""
OTHERS: Final = "(others)"
"""No organisation is called that: names have no parentheses."""

TOKENS = Gauge("ias_organisation_tokens", "Tokens of this month by the ledger.", ["organisation", "type"])
REQUESTS = Gauge("ias_organisation_requests", "Requests of this month by the ledger.", ["organisation"])
COST = Gauge(
    "ias_organisation_cost", "What this month has cost by the ledger, in the rates' currency.", ["organisation"]
)
BUDGET = Gauge("ias_organisation_budget_tokens", "Tokens a month; not there without a limit.", ["organisation"])
MEMBER = Gauge("ias_member_tokens", "Tokens of this month by the ledger.", ["organisation", "user"])
ACTIVE = Gauge("ias_organisations_active", "Organisations that have used anything this month.")
_ALL: Final = (TOKENS, REQUESTS, COST, BUDGET, MEMBER)

_ORGS = """
WITH used AS (
    SELECT org_id, requests, prompt_tokens AS input, completion_tokens AS output, cost,
        row_number() OVER (ORDER BY prompt_tokens + completion_tokens DESC, org_id) AS place
    FROM billing.org_spend WHERE period = $1
)
SELECT CASE WHEN place <= $2 THEN org_id END AS org_id, sum(requests) AS requests, sum(input) AS input,
    sum(output) AS output, sum(cost) AS cost, count(*) AS organisations
FROM used GROUP BY 1
"""
_MEMBERS = """
SELECT org_id, user_id, sum(prompt_tokens + completion_tokens) AS tokens
FROM billing.spend WHERE period = $1 GROUP BY org_id, user_id ORDER BY tokens DESC, user_id LIMIT $2
"""
_BUDGETS = """
SELECT asked.org_id, b.org_id IS NOT NULL AS given, b.monthly_tokens
FROM unnest($1::uuid[]) AS asked (org_id) LEFT JOIN billing.budgets b USING (org_id)
"""
# Whoever books adds to both sums at once: what they differ by at one moment is what others have left out, and is added.
_SUM_UP = """
WITH kept AS (
    SELECT org_id, period, sum(requests)::bigint AS requests, sum(prompt_tokens)::bigint AS prompt_tokens,
        sum(completion_tokens)::bigint AS completion_tokens, sum(cached_tokens)::bigint AS cached_tokens,
        sum(cost) AS cost
    FROM billing.spend WHERE period = ANY($1) GROUP BY org_id, period
)
INSERT INTO billing.org_spend AS s (org_id, period, requests, prompt_tokens, completion_tokens, cached_tokens, cost)
SELECT k.org_id, k.period, k.requests - coalesce(o.requests, 0), k.prompt_tokens - coalesce(o.prompt_tokens, 0),
    k.completion_tokens - coalesce(o.completion_tokens, 0), k.cached_tokens - coalesce(o.cached_tokens, 0),
    k.cost - coalesce(o.cost, 0)
FROM kept k LEFT JOIN billing.org_spend o USING (org_id, period)
WHERE (k.requests, k.prompt_tokens, k.completion_tokens, k.cached_tokens, k.cost) IS DISTINCT FROM
    (o.requests, o.prompt_tokens, o.completion_tokens, o.cached_tokens, o.cost)
ORDER BY k.period, k.org_id
ON CONFLICT (org_id, period) DO UPDATE SET
    requests = s.requests + excluded.requests,
    prompt_tokens = s.prompt_tokens + excluded.prompt_tokens,
    completion_tokens = s.completion_tokens + excluded.completion_tokens,
    cached_tokens = s.cached_tokens + excluded.cached_tokens,
    cost = s.cost + excluded.cost
RETURNING org_id
"""
# Two at once would add the same twice.
_ALONE = "SELECT pg_advisory_xact_lock(hashtext('billing.org_spend'))"

Rows = Sequence[asyncpg.Record]


async def sum_up() -> None:
    """Correct what organisations have spent this month and in the last, where it is not what their keys have.

    So it is after a worker of the release before, which knew no such sum, has booked.

    Raises:
        DatabaseDown: PostgreSQL does not answer.
    """
    this = now()
    months = [f"{moment:%Y%m}" for moment in (this, this.replace(day=1) - timedelta(days=1))]
    async with transaction(EVERYWHERE) as connection:
        await connection.execute(_ALONE)
        corrected = await connection.fetch(_SUM_UP, months)
    if corrected:
        logger.warning("corrected what {} organisations have spent in a month", len(corrected))


async def tell() -> None:
    """Set the gauges anew.

    Raises:
        DatabaseDown: PostgreSQL does not answer.
    """
    period = f"{now():%Y%m}"
    async with snapshot(EVERYWHERE) as connection:
        orgs = await connection.fetch(_ORGS, period, LARGEST)
        members = await connection.fetch(_MEMBERS, period, LARGEST)
        known = {row["org_id"] for row in (*orgs, *members)} - {None}
        budgets = await connection.fetch(_BUDGETS, [row["org_id"] for row in orgs if row["org_id"] is not None])
    called = told_apart(await names(known))
    for gauge in _ALL:
        gauge.clear()
    ACTIVE.set(sum(row["organisations"] for row in orgs))
    _tell_orgs(orgs, called)
    _tell_budgets(budgets, called)
    for row in members:
        MEMBER.labels(_called(row["org_id"], called), str(row["user_id"])).set(row["tokens"])


def _tell_orgs(orgs: Rows, called: Mapping[UUID, str]) -> None:
    for row in orgs:
        name = _called(row["org_id"], called)
        TOKENS.labels(name, "input").set(row["input"])
        TOKENS.labels(name, "output").set(row["output"])
        REQUESTS.labels(name).set(row["requests"])
        COST.labels(name).set(float(row["cost"] or Decimal(0)))


def _tell_budgets(budgets: Rows, called: Mapping[UUID, str]) -> None:
    for row in budgets:
        tokens = row["monthly_tokens"] if row["given"] else DEFAULT_BUDGET.monthly_tokens
        if tokens is not None:
            BUDGET.labels(_called(row["org_id"], called)).set(tokens)


def told_apart(called: Mapping[UUID, str]) -> Mapping[UUID, str]:
    """The same, with their ids where two have one name: that of an organisation that was removed may be given again."""
    twins = Counter(called.values())
    return {org_id: name if twins[name] == 1 else f"{name} ({org_id})" for org_id, name in called.items()}


def _called(org_id: UUID | None, called: Mapping[UUID, str]) -> str:
    return OTHERS if org_id is None else called.get(org_id, str(org_id))
