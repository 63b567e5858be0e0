"""Raising and clearing alerts, acknowledging them, and changing the thresholds."""

from uuid import UUID

from prometheus_client import Counter

from ias.billing.alerts.domain import Alert, Passing, Plan, Scope, Thresholds, ThresholdsInForce, check_thresholds
from ias.billing.alerts.queries import one, thresholds_of
from ias.billing.policies.projection import project_policy
from ias.billing.policies.queries import hold
from ias.db import EVERYWHERE, Connection, transaction, uuid7
from ias.edge import Edge
from ias.identity import Principal, managed_by, owe, paid, record, tenant
from ias.problems import NotFound
from ias.telemetry import now

RAISED = Counter("ias_budget_alerts", "Alerts raised.", ["threshold", "scope"])

_RAISE = """
INSERT INTO billing.alerts (id, org_id, user_id, period, threshold, limit_tokens, used_tokens, refused)
SELECT * FROM unnest(
    $1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::smallint[], $6::bigint[], $7::bigint[], $8::boolean[]
)
ON CONFLICT DO NOTHING RETURNING threshold, user_id
"""
_CLEAR = """
UPDATE billing.alerts a SET cleared_at = now()
FROM unnest($2::uuid[], $3::uuid[], $4::smallint[]) AS over (org_id, user_id, threshold)
WHERE a.period = $1 AND a.cleared_at IS NULL AND a.org_id = over.org_id AND a.threshold = over.threshold
  AND a.user_id IS NOT DISTINCT FROM over.user_id
"""
_PUT_THRESHOLDS = """
INSERT INTO billing.alert_thresholds (org_id, thresholds) VALUES ($1, $2)
ON CONFLICT (org_id) DO UPDATE SET thresholds = excluded.thresholds, updated_at = now()
"""
_ACKNOWLEDGE = """
UPDATE billing.alerts SET acknowledged_at = $3, acknowledged_by = $4
WHERE org_id = $1 AND id = $2 AND acknowledged_at IS NULL
"""


async def carry_out(period: str, plan: Plan) -> int:
    """Clear and raise what is planned. Answers how many were raised; what another worker raised meanwhile is not.

    Raises:
        DatabaseDown: PostgreSQL does not answer.
    """
    rows = [_row(period, passing) for passing in plan.raised]
    cleared = [(mark.org_id, mark.user_id, mark.threshold) for mark in plan.cleared]
    async with transaction(EVERYWHERE) as connection:
        if cleared:
            await connection.execute(_CLEAR, period, *map(list, zip(*cleared, strict=True)))
        raised = await connection.fetch(_RAISE, *map(list, zip(*rows, strict=True))) if rows else []
    for row in raised:
        RAISED.labels(row["threshold"], Scope.ORGANISATION if row["user_id"] is None else Scope.USER).inc()
    return len(raised)


async def put_thresholds(principal: Principal, org_id: UUID, asked: Thresholds, edge: Edge) -> ThresholdsInForce:
    """Change at how many per cent alerts are raised. What is past a new one is told within seconds.

    Raises:
        NotFound: it is not the caller's organisation.
        BadThresholds: they are no thresholds.
        EdgeDown: the change holds, but it takes until Redis answers again to be noticed.
    """
    by, org = principal.within(org_id), await tenant(org_id, removed_too=False)
    wanted = check_thresholds(asked)
    if org is None:
        raise NotFound("no such organisation")
    async with transaction(by) as connection:
        await hold(connection, org_id)
        await write_thresholds(connection, by, org_id, wanted)
        managed, debt = await managed_by(connection, org_id), await owe(org_id)
    # Gateways need none of it, but a new version is what the watch looks for.
    await project_policy(org, edge)
    await paid(debt)
    return ThresholdsInForce(thresholds=list(wanted), managed_by=managed)


async def write_thresholds(connection: Connection, by: Principal, org_id: UUID, wanted: tuple[int, ...]) -> None:
    """Change the thresholds inside a transaction that holds the organisation's policy."""
    before = await thresholds_of(connection, org_id)
    by.expects(Thresholds(thresholds=list(before)))
    await connection.execute(_PUT_THRESHOLDS, org_id, wanted)
    await record(by, "alert_thresholds.changed", org_id, {"thresholds": before}, {"thresholds": wanted})


async def acknowledge(principal: Principal, org_id: UUID, alert_id: UUID) -> Alert:
    """Say that somebody knows; who said so first stays.

    Raises:
        NotFound: there is no such alert in the caller's organisation.
    """
    by = principal.within(org_id)
    if await tenant(org_id, removed_too=False) is None:
        raise NotFound("no such organisation")
    async with transaction(by) as connection:
        before = await one(connection, org_id, alert_id)
        if before.acknowledged_at is not None:
            return before
        await connection.execute(_ACKNOWLEDGE, org_id, alert_id, now(), by.user_id)
        await record(by, "alert.acknowledged", alert_id, {"acknowledged": False}, {"acknowledged": True})
        return await one(connection, org_id, alert_id)


def _row(period: str, passing: Passing) -> tuple[object, ...]:
    mark = passing.mark
    which = (mark.org_id, mark.user_id, period, mark.threshold)
    return (uuid7(), *which, passing.limit, passing.used, passing.refused)
