"""What organisations have used this month, as gauges: of the largest each by itself, the others together.

A series for each organisation and member would grow without bound; what is beyond the largest is in pages and API.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final
from uuid import UUID

import asyncpg
from prometheus_client import Gauge

from ias.billing.policies.domain import DEFAULT_BUDGET
from ias.db import EVERYWHERE, snapshot
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
    SELECT org_id, sum(requests) AS requests, sum(prompt_tokens) AS input, sum(completion_tokens) AS output,
        sum(cost) AS cost, row_number() OVER (ORDER BY sum(prompt_tokens + completion_tokens) DESC, org_id) AS place
    FROM billing.spend WHERE period = $1 GROUP BY org_id
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

Rows = Sequence[asyncpg.Record]


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
