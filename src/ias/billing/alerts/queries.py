"""Reading alerts and thresholds, and all that alerts are raised by."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from ias.billing.alerts.domain import DEFAULT_THRESHOLDS, Alert, Mark, Rules, Scope, ThresholdsInForce
from ias.billing.policies.domain import DEFAULT_BUDGET, Budget
from ias.db import EVERYWHERE, Connection, transaction
from ias.identity import Permission, Principal, managed_by, tenant
from ias.paging import Page, decode_cursor, page
from ias.problems import NotFound

_ALERTS = """
SELECT id, user_id, period, threshold, limit_tokens, used_tokens, refused, raised_at, cleared_at, acknowledged_at,
       acknowledged_by
FROM billing.alerts WHERE org_id = $1
"""
_PAGE = f"{_ALERTS} AND ($2::text IS NULL OR period = $2) AND ($3::uuid IS NULL OR id < $3)"
_PAGE += " AND (user_id IS NULL OR $4 OR user_id = $5) ORDER BY id DESC LIMIT $6"
_PRESSING = f"{_ALERTS} AND period = $2 AND cleared_at IS NULL AND acknowledged_at IS NULL"
_PRESSING += " AND (user_id IS NULL OR $3 OR user_id = $4) AND NOT EXISTS (SELECT FROM billing.alerts higher"
_PRESSING += " WHERE (higher.org_id, higher.period) = ($1, $2) AND higher.user_id IS NOT DISTINCT FROM alerts.user_id"
_PRESSING += " AND higher.threshold > alerts.threshold AND higher.cleared_at IS NULL) ORDER BY id DESC LIMIT 5"
_ONE = f"{_ALERTS} AND id = $2"
_THRESHOLDS = "SELECT thresholds FROM billing.alert_thresholds WHERE org_id = $1"
_IN_FORCE = """
SELECT org_id, user_id, threshold, limit_tokens FROM billing.alerts
WHERE period = $1 AND org_id = ANY($2) AND cleared_at IS NULL
"""
_PASSED = """
SELECT threshold, user_id IS NULL AS of_org, count(*) AS budgets FROM billing.alerts
WHERE period = $1 AND cleared_at IS NULL GROUP BY 1, 2
"""
_RULES = """
SELECT asked.org_id, b.org_id IS NOT NULL AS given, b.monthly_tokens, b.user_monthly_tokens, t.thresholds,
       greatest(b.updated_at, t.updated_at) AS changed_at
FROM unnest($1::uuid[]) AS asked (org_id)
LEFT JOIN billing.budgets b USING (org_id) LEFT JOIN billing.alert_thresholds t USING (org_id)
"""
_MEMBERS = "SELECT org_id, user_id, monthly_tokens, updated_at FROM billing.user_budgets WHERE org_id = ANY($1)"


async def listed(principal: Principal, org_id: UUID, period: str | None, cursor: str | None, limit: int) -> Page[Alert]:
    """An organisation's alerts, newest first; who may not change budgets sees the organisation's and their own.

    Raises:
        NotFound: it is not the caller's organisation.
        BadCursor: the cursor is not one of this API's.
    """
    scope, after = principal.within(org_id), decode_cursor(cursor)
    if await tenant(org_id) is None:
        raise NotFound("no such organisation")
    everybody = principal.may(Permission.BUDGETS_WRITE)
    async with transaction(scope) as connection:
        rows = await connection.fetch(_PAGE, org_id, period, after, everybody, principal.user_id, limit + 1)
    return page([alert_of(row) for row in rows], limit, lambda alert: alert.id)


async def pressing(principal: Principal, org_id: UUID, period: str) -> list[Alert]:
    """The newest alerts of a month that hold and that nobody said they know of, as far as the caller may see them.

    Of each budget the highest one alone: it says what those below it say.

    Raises:
        NotFound: it is not the caller's organisation.
    """
    everybody = principal.may(Permission.BUDGETS_WRITE)
    async with transaction(principal.within(org_id)) as connection:
        rows = await connection.fetch(_PRESSING, org_id, period, everybody, principal.user_id)
    return [alert_of(row) for row in rows]


async def one(connection: Connection, org_id: UUID, alert_id: UUID) -> Alert:
    """One alert, inside the caller's transaction.

    Raises:
        NotFound: there is none.
    """
    row = await connection.fetchrow(_ONE, org_id, alert_id)
    if row is None:
        raise NotFound("no such alert")
    return alert_of(row)


async def thresholds(principal: Principal, org_id: UUID) -> ThresholdsInForce:
    """An organisation's thresholds, or the platform's default.

    Raises:
        NotFound: it is not the caller's organisation.
    """
    scope = principal.within(org_id)
    if await tenant(org_id) is None:
        raise NotFound("no such organisation")
    async with transaction(scope) as connection:
        found = list(await thresholds_of(connection, org_id))
        return ThresholdsInForce(thresholds=found, managed_by=await managed_by(connection, org_id))


async def thresholds_of(connection: Connection, org_id: UUID) -> tuple[int, ...]:
    """An organisation's thresholds, inside the caller's transaction."""
    return tuple(await connection.fetchval(_THRESHOLDS, org_id) or DEFAULT_THRESHOLDS)


async def in_force(period: str, org_ids: Sequence[UUID]) -> dict[Mark, int]:
    """The alerts of a month that hold, and the amounts that they were raised by."""
    async with transaction(EVERYWHERE) as connection:
        rows = await connection.fetch(_IN_FORCE, period, org_ids)
    return {Mark(row["org_id"], row["user_id"], row["threshold"]): row["limit_tokens"] for row in rows}


async def passed(period: str) -> dict[tuple[int, Scope], int]:
    """How many budgets have passed each threshold in a month, by the alerts that hold."""
    async with transaction(EVERYWHERE) as connection:
        rows = await connection.fetch(_PASSED, period)
    return {(row["threshold"], Scope.ORGANISATION if row["of_org"] else Scope.USER): row["budgets"] for row in rows}


async def rules_of(org_ids: Sequence[UUID]) -> dict[UUID, Rules]:
    """What alerts of these organisations are raised by."""
    async with transaction(EVERYWHERE) as connection:
        rows = await connection.fetch(_RULES, org_ids)
        members = await connection.fetch(_MEMBERS, org_ids)
    limits: dict[UUID, dict[UUID, int | None]] = {}
    changed: dict[UUID, list[datetime]] = {}
    for row in members:
        limits.setdefault(row["org_id"], {})[row["user_id"]] = row["monthly_tokens"]
        changed.setdefault(row["org_id"], []).append(row["updated_at"])
    return {
        row["org_id"]: Rules(
            budget=_budget(row),
            members=limits.get(row["org_id"], {}),
            thresholds=tuple(row["thresholds"] or DEFAULT_THRESHOLDS),
            changed_at=max(filter(None, (row["changed_at"], *changed.get(row["org_id"], ()))), default=None),
        )
        for row in rows
    }


def alert_of(row: asyncpg.Record) -> Alert:
    """An alert out of its row."""
    scope = Scope.ORGANISATION if row["user_id"] is None else Scope.USER
    return msgspec.convert({**row, "scope": scope}, Alert)


def _budget(row: asyncpg.Record) -> Budget:
    if not row["given"]:
        return DEFAULT_BUDGET
    return Budget(monthly_tokens=row["monthly_tokens"], user_monthly_tokens=row["user_monthly_tokens"])
